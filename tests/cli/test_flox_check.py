"""``hf-pack flox-check`` on a real repository with a remote."""

from __future__ import annotations

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
