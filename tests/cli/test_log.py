"""``hf-pack log``: versions from git, from files, and back to an earlier one."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from tests.cli.conftest import Place

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def _git(place: Place, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", place.workspace, *identity, *arguments], check=True, capture_output=True)


def _commit(place: Place, subject: str) -> None:
    _git(place, "add", "-A", ".")
    _git(place, "commit", "--quiet", "-m", subject)


def _patch(place: Place) -> None:
    with place.manifest.open("a") as manifest:
        manifest.write('[[patch]]\nfile = "config.json"\nset = { a = 1 }\nreason = "for the log"\n')


@needs_git
def test_each_version_is_there_with_what_it_changed(place: Place) -> None:
    _git(place, "init", "--quiet")
    first = place.build()
    _commit(place, "First.")
    _commit_nothing_of_the_package(place)
    _patch(place)
    place.done("lock", "tiny-llm")
    place.done("bump", "tiny-llm", "-m", "Patched.")
    second = place.done("build", "tiny-llm").out.strip()
    _commit(place, "Second.")
    text = place.manifest.read_text()
    place.manifest.write_text(re.sub(r"^(\[vllm\].*\n)", r"\1max_num_seqs = 7\n", text, count=1, flags=re.MULTILINE))
    place.done("bump", "tiny-llm", "-m", "Fewer sequences.")
    third, now, before = place.done("log", "tiny-llm", "--json").document
    assert (before["store_path"], now["store_path"]) == (first, second)
    assert (before["revision"]["subject"], now["revision"]["subject"]) == ("First.", "Second.")
    assert (before["changed"], now["changed"], third["changed"]) == ([], ["config.json"], [])
    assert third["settings"] == ["vllm.max_num_seqs"] and third["revision"] is None
    assert [release["changelog"] for release in (before, now, third)] == [
        "Initial package.",
        "Patched.",
        "Fewer sequences.",
    ]
    assert [release["in_store"] for release in (before, now, third)] == [True, True, False]
    assert third["store_path"] == place.done("plan", "tiny-llm", "--json").document["store_path"]
    assert third["nar_size"] > 0 and third["size"] == now["size"]
    lines = place.done("log", "tiny-llm").out.splitlines()
    assert lines[0].endswith("build 3  not committed  Fewer sequences.") and lines[2] == "  settings: vllm.max_num_seqs"
    assert lines[5] == "  changed 1 file: config.json"
    # back to the first: its files give its store path again, which is still there
    _git(place, "checkout", "--quiet", "HEAD~2", "--", "models", "build-meta")
    built = place.done("build", "tiny-llm", "--json").document[0]
    assert (built["store_path"], built["bytes_read"], built["bytes_written"]) == (first, 0, 0)


def _commit_nothing_of_the_package(place: Place) -> None:
    (place.workspace / "README").write_text("notes\n")
    _commit(place, "Notes.")


@needs_git
def test_a_self_contained_package_has_its_path_from_the_record(place: Place) -> None:
    _git(place, "init", "--quiet")
    place.done("add", place.cache, "--storage", "self-contained")
    _commit(place, "Locked.")
    (release,) = place.done("log", "tiny-llm", "--json").document
    assert release["store_path"] is None and not release["in_store"]
    assert "never built" in place.done("log", "tiny-llm").out
    store_path = place.done("build", "tiny-llm").out.strip()
    _commit(place, "Built.")
    (release,) = place.done("log", "tiny-llm", "--json").document
    assert (release["store_path"], release["revision"]["subject"], release["in_store"]) == (store_path, "Locked.", True)


def test_without_git_there_is_what_is_there_now(place: Place) -> None:
    store_path = place.build()
    (release,) = place.done("log", "tiny-llm", "--json").document
    assert (release["store_path"], release["revision"], release["added"]) == (store_path, None, [])


@needs_git
def test_a_revision_that_cannot_be_read_is_passed_over(place: Place) -> None:
    _git(place, "init", "--quiet")
    place.build()
    lock = place.workspace / "models/tiny-llm.lock"
    text = lock.read_text()
    lock.write_text("half a lo")
    _commit(place, "Damaged.")
    lock.write_text(text)
    _commit(place, "Mended.")
    (release,) = place.done("log", "tiny-llm", "--json").document
    assert release["revision"]["subject"] == "Mended."
