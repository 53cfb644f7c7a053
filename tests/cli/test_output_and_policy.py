"""What the command line does when its output has no place, and when a workspace says no."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Place

from hf_pack import api, wiring
from hf_pack.cli.output import with_store
from hf_pack.model.findings import Collection


def test_a_full_disk_behind_stdout_is_no_traceback(place: Place) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "hf_pack", "completion", "bash"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 2
    assert ran.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_closed_stdout_is_nobody_reading(place: Place) -> None:
    ran = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m hf_pack completion bash >&-"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("hf-pack build m", "hf-pack build m --store /a"),
        ("hf-pack verify m --repair", "hf-pack verify m --repair --store /a"),
        ("hf-pack list, or hf-pack add ORG/NAME", "hf-pack list --store /a, or hf-pack add ORG/NAME"),
        ("hf-pack init", "hf-pack init"),
        ("give the same command with --store /b", "give the same command with --store /b"),
    ],
)
def test_a_hint_keeps_the_store_it_was_about(hint: str, expected: str) -> None:
    assert with_store(hint, "/a") == expected
    assert with_store(hint, None) == hint


def test_a_wrong_workspace_file_is_said_by_every_command(place: Place) -> None:
    (place.workspace / "hf-pack.toml").write_text('cashes = ["https://cache.example.org"]\n')
    for command in (("plan", "tiny-llm"), ("build",), ("list",), ("path", "tiny-llm")):
        ran = place.run(*command)
        assert ran.code == 2
        assert "cashes" in ran.err


def test_a_licence_that_the_workspace_denies_is_not_built(place: Place) -> None:
    (place.workspace / "hf-pack.toml").write_text('[policy]\ndeny_licences = ["apache-2.0"]\n')
    place.done("add", place.cache)
    ran = place.run("build", "tiny-llm")
    assert ran.code == 8
    assert "deny_licences" in ran.err
    assert not (place.workspace / "result-tiny-llm").is_symlink()


def test_an_unknown_command_has_a_near_one(place: Place) -> None:
    ran = place.run("verfy", "tiny-llm")
    assert ran.code == 2
    assert ran.err.endswith("hint: did you mean 'verify'?\n")


def test_a_source_on_disk_that_changed_makes_its_lock_stale(place: Place) -> None:
    place.add()
    assert place.done("lock", "--check").out == "tiny-llm: fresh\n"
    snapshot = next((place.cache / "snapshots").iterdir())
    for name, contents in (("tokenizer_config.json", b'{"a": 1}'), ("model.safetensors", b"longer" * 1000)):
        (snapshot / name).unlink()
        (snapshot / name).write_bytes(contents)
    ran = place.run("lock", "--check")
    assert ran.code == 3
    assert "source: tokenizer_config.json changed, " in ran.out
    assert "source: model.safetensors changed, " in ran.out


def test_a_package_that_cannot_be_checked_hides_no_other(place: Place) -> None:
    place.add()
    hub = place.manifest.with_name("on-hub.toml")
    text = place.manifest.read_text()
    source = text[text.index("[source]") : text.index("[vllm]")]
    hub.write_text(text.replace(source, '[source]\nrepo_id = "acme/other"\n\n').replace('"tiny-llm"', '"on-hub"'))
    lock = place.manifest.with_suffix(".lock")
    lock.with_name("on-hub.lock").write_bytes(lock.read_bytes())
    ran = place.run("lock", "--check")
    assert [line for line in ran.out.splitlines() if not line.startswith(" ")] == ["on-hub: unknown", "tiny-llm: fresh"]
    assert ran.code == 4


def test_the_machines_store_is_not_collected_by_accident(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[bool] = []
    monkeypatch.setattr(wiring, "store_note", lambda url=None: None if url else "using this machine's Nix store")

    def collect(*, dry_run: bool, store: str | None) -> Collection:
        collected.append(dry_run)
        return Collection(deleted=(), kept=0, freed=0)

    monkeypatch.setattr(api, "collect_garbage", collect)
    ran = place.run("gc")
    assert (ran.code, collected) == (2, [])
    assert "hf-pack gc --store daemon" in ran.err
    place.done("gc", "--dry-run")
    place.done("gc", "--store", "daemon")
    assert collected == [True, False]
