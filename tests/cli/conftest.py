"""A user's place for commands that run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command printed, with the test's own directory written as HOME."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout; nothing else is there."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Place:
    """``home`` holds a workspace, which is the working directory, a store, and a Hub cache with one model."""

    home: Path
    _capture: pytest.CaptureFixture[str]

    @property
    def workspace(self) -> Path:
        return self.home / "workspace"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def cache(self) -> Path:
        return self.home / "hub" / f"models--{REPO_ID.replace('/', '--')}"

    @property
    def manifest(self) -> Path:
        return self.workspace / "models" / "tiny-llm.toml"

    def run(self, *arguments: str | Path) -> Ran:
        self._capture.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = self._capture.readouterr()
        return Ran(code, *(text.replace(str(self.home), "HOME") for text in captured))

    def done(self, *arguments: str | Path) -> Ran:
        """Run a command that must succeed."""
        ran = self.run(*arguments)
        assert ran.code == 0, ran
        return ran

    def add(self) -> None:
        self.done("add", self.cache)

    def build(self) -> str:
        """Add and build ``tiny-llm``; its store path."""
        self.add()
        return self.done("build", "tiny-llm").out.strip()

    def real(self, store_path: str) -> Path:
        return self.store / store_path.removeprefix("/")

    def files(self) -> list[str]:
        """What the user's workspace holds beside its own settings."""
        paths = (path.relative_to(self.workspace).as_posix() for path in self.workspace.rglob("*") if path.is_file())
        return sorted(path for path in paths if path not in ("hf-pack.toml", ".gitignore"))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    """A directory that is no workspace yet."""
    place = Place(tmp_path, capsys)
    write_hf_cache(tmp_path / "hub", REPO_ID, COMMIT, tiny_model())
    place.workspace.mkdir()
    monkeypatch.chdir(place.workspace)
    monkeypatch.setenv("HF_PACK_STORE", str(place.store))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing leaves the machine
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return place


@pytest.fixture
def place(bare: Place) -> Place:
    """A workspace without packages."""
    bare.done("init")
    return bare


Damage = Callable[[Path], None]


@pytest.fixture
def damage() -> Damage:
    """Gives a file other bytes of the same length, as a bad disk does."""

    def change(path: Path) -> None:
        path.chmod(0o644)
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))

    return change
