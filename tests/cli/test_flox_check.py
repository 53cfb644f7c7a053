"""``hf-pack flox-check`` and ``hf-pack publish --to flox`` on a real repository with a remote."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import Place

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def _git(directory: Path, *arguments: str | Path) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", directory, *identity, *arguments], check=True, capture_output=True)


def _failing(place: Place, *arguments: str | Path, code: int) -> list[str]:
    ran = place.run("flox-check", "tiny-llm", "--json", *arguments)
    assert (ran.code, ran.document["ok"]) == (code, code == 0), ran
    return [check["name"] for check in ran.document["checks"] if check["ok"] is False]


@pytest.mark.parametrize("inside", ["", "deep/er"])
def test_a_repository_becomes_publishable_step_by_step(place: Place, inside: str) -> None:
    place.build()
    root = place.home / "repository"
    directory = root / inside
    output = ("--output", directory)
    nothing = _failing(place, *output, code=2)
    assert {"environment", "lockfile", "export", "tracked", "git"} <= set(nothing)
    place.done("export", "tiny-llm", "--to", "flox", *output)
    assert _failing(place, *output, code=2) == ["lockfile", "tracked", "git"]
    (directory / ".flox/env/manifest.lock").write_text("{}\n")  # flox writes it
    _git(root, "init", "--quiet")
    assert _failing(place, *output, code=2) == ["tracked", "untracked", "commit"]
    _git(root, "add", "-A", ".")
    assert _failing(place, *output, code=2) == ["clean", "commit"]
    _git(root, "commit", "--quiet", "-m", "Packages.")
    assert _failing(place, *output, code=2) == ["branch"]
    _git(place.home, "init", "--quiet", "--bare", "remote.git")
    _git(root, "remote", "add", "origin", place.home / "remote.git")
    _git(root, "push", "--quiet", "--set-upstream", "origin", "HEAD")
    assert _failing(place, *output, code=0) == []
    place.done("bump", "tiny-llm", "-m", "Again.")
    assert _failing(place, *output, code=2) == ["export"]
    place.done("export", "tiny-llm", "--to", "flox", *output)
    _git(root, "commit", "--quiet", "-a", "-m", "Again.")
    assert _failing(place, *output, code=2) == ["pushed"]
    _git(root, "checkout", "--quiet", "--detach")
    assert _failing(place, *output, code=2) == ["branch"]


def test_a_second_content_of_a_version_is_not_publishable(place: Place) -> None:
    place.build()
    with place.manifest.open("a") as manifest:
        manifest.write('[[patch]]\nfile = "config.json"\nset = { a = 1 }\nreason = "a second content"\n')
    place.done("lock", "tiny-llm")
    ran = place.run("flox-check", "tiny-llm")
    assert ran.code == 2
    assert "fails    version" in ran.out and "names a second content" in ran.out and "hf-pack bump tiny-llm" in ran.out


@pytest.fixture
def flox(place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in on PATH that writes down where it was started and with what; the file it writes."""
    said = place.home / "flox-said"
    program = place.home / "bin" / "flox"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ -z "$REFUSE" ] || exit 1\necho talk\necho "$PWD" "$@" >> {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return said


def _published_repository(place: Place) -> Path:
    """Exported, committed and pushed."""
    root = place.home / "repository"
    place.done("export", "tiny-llm", "--to", "flox", "--output", root)
    (root / ".flox/env/manifest.lock").write_text("{}\n")
    _git(root, "init", "--quiet")
    _git(place.home, "init", "--quiet", "--bare", "remote.git")
    _git(root, "remote", "add", "origin", place.home / "remote.git")
    _commit_and_push(root)
    return root


def _commit_and_push(root: Path) -> None:
    _git(root, "add", "-A", ".")
    _git(root, "commit", "--quiet", "-m", "Packages.")
    _git(root, "push", "--quiet", "--set-upstream", "origin", "HEAD")


def test_publish_calls_flox_in_the_repository(place: Place, flox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.build()
    root = _published_repository(place)
    ran = place.done("publish", "tiny-llm", "--to", "flox", "--output", root)
    assert ran.out == "tiny-llm@1.0.0+0000000\n"
    assert place.done("publish", "tiny-llm", "--to", "flox", "--output", root, "--org", "team", "--json").document == {
        "name": "tiny-llm",
        "to": "flox",
        "version": "1.0.0+0000000",
        "directory": "HOME/repository",
    }
    assert flox.read_text() == f"{root} publish tiny-llm\n{root} publish -o team tiny-llm\n"
    monkeypatch.setenv("REFUSE", "1")
    ran = place.run("publish", "tiny-llm", "--to", "flox", "--output", root)
    assert ran.code == 6 and "`flox publish tiny-llm` in HOME/repository: exit code 1" in ran.err


def test_publish_refuses_what_flox_would(place: Place, flox: Path) -> None:
    place.build()
    root = _published_repository(place)
    (root / "build-meta/tiny-llm.json").write_text("{}\n")
    ran = place.run("publish", "tiny-llm", "--to", "flox", "--output", root)
    assert ran.code == 2 and "export: build-meta/tiny-llm.json" in ran.err and "clean: changed" in ran.err
    assert "hint: hf-pack export tiny-llm --to flox" in ran.err
    assert not flox.exists()


def test_publish_refuses_a_version_that_names_a_second_content(place: Place, flox: Path) -> None:
    first = place.build()
    root = _published_repository(place)
    with place.manifest.open("a") as manifest:
        manifest.write('[[patch]]\nfile = "config.json"\nset = { a = 1 }\nreason = "a second content"\n')
    place.done("lock", "tiny-llm")
    place.done("export", "tiny-llm", "--to", "flox", "--output", root)
    _commit_and_push(root)
    ran = place.run("publish", "tiny-llm", "--to", "flox", "--output", root)
    assert (
        ran.code == 8 and f"names a second content: {first}" in ran.err and "hf-pack bump tiny-llm -m TEXT" in ran.err
    )
    assert not flox.exists()
    place.done("bump", "tiny-llm", "-m", "A second content.")
    place.done("export", "tiny-llm", "--to", "flox", "--output", root)
    _commit_and_push(root)
    place.done("publish", "tiny-llm", "--to", "flox", "--output", root)


def test_publish_says_what_is_possible(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.build()
    ran = place.run("publish", "tiny-llm", "--to", "ssh://bucket")
    assert ran.code == 2 and "no such kind of cache\n  --to: expected file://" in ran.err
    monkeypatch.setenv("PATH", "/nowhere")
    ran = place.run("publish", "tiny-llm", "--to", "flox")
    assert ran.code == 2 and "flox is not on PATH" in ran.err
