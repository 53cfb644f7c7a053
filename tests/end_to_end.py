"""A user's place: a workspace, an embedded store and a home, with the command run as a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

ROOT = Path(__file__).parent.parent
LAYOUTS = ("single", "dual", "hf")
STORAGES = ("linked", "self-contained")

#: A user that owns nothing here; modes protect nothing from root.
NOBODY = 65534

PATCH = """
[[patch]]
file = "tokenizer_config.json"
set = { model_max_length = 128 }
reason = "the model was trained on 128 tokens"
"""


@dataclass(frozen=True)
class Place:
    """``home`` holds all the rest."""

    home: Path

    @property
    def workspace(self) -> Path:
        return self.home / "workspace"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def environment(self) -> dict[str, str]:
        """That of the command: nothing of the machine's own home, caches or store, and no way to the Hub."""
        machine = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
        return {
            **machine,
            "HOME": str(self.home),
            "HF_PACK_STORE": str(self.store),
            "HF_ENDPOINT": "http://127.0.0.1:1",
        }

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "hf_pack", *map(str, arguments)]

    def run(self, *arguments: str | Path, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        """Run ``hf-pack`` in the workspace, which must exit with ``code``; stdout, or stderr for a failure."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.workspace,
            env={**self.environment, **(env or {})},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def start(self, *arguments: str | Path, wrapper: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start ``hf-pack`` in the workspace; ``wrapper`` goes in place of ``-m hf_pack``."""
        command = [sys.executable, *wrapper, *map(str, arguments)] if wrapper else self.command(*arguments)
        return subprocess.Popen(
            command,
            cwd=self.workspace,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def add(self, source: Path, name: str, *more: str, layout: str = "dual", storage: str = "linked") -> None:
        self.run("add", source, "--name", name, "--layout", layout, "--storage", storage, *more)

    def build(self, name: str) -> Built:
        """Build one package."""
        return Built.of(self.json("build", name)[0])

    def build_all(self) -> list[Built]:
        """Build every package of the workspace."""
        return [Built.of(document) for document in self.json("build")]

    def package(self, files: Mapping[str, bytes], name: str, *, layout: str = "dual", storage: str = "linked") -> Built:
        """Write the files as a cache of the Hub, add and build."""
        self.add(
            write_hf_cache(self.home / f"cache-{name}", REPO_ID, COMMIT, files), name, layout=layout, storage=storage
        )
        return self.build(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What ``build --json`` says of a package."""

    name: str
    store_path: str
    real_path: str
    nar_hash: str
    nar_size: int
    references: list[str]
    bytes_read: int
    bytes_written: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Built:
        return cls(**{field.name: document[field.name] for field in fields(cls)})

    @property
    def store_name(self) -> str:
        """The store path's name, without its digest."""
        return self.store_path.removeprefix("/nix/store/")[33:]


def new_place(home: Path) -> Place:
    """A workspace that is there, beside a store that is not yet."""
    place = Place(home)
    place.workspace.mkdir(parents=True)
    place.run("init")
    return place


@contextmanager
def open_directory() -> Iterator[Path]:
    """A temporary directory that other users may enter, as those of the test runner are not."""
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-test-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", str(directory)], check=False)
        shutil.rmtree(directory)


@dataclass(frozen=True)
class Reader:
    """A user that owns nothing and may write its own ``home`` alone; oneself when that is not root."""

    home: Path
    environment: Mapping[str, str]

    def python(
        self, script: Path, *arguments: str, venv: Path | None = None, check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script with the packages of an environment, this one's if not given."""
        program, found_by = _python_for_others(venv or Path(sys.prefix))
        done = subprocess.run(
            [program, str(script), *arguments],
            env={**self.environment, **found_by, **env},
            cwd=self.home,
            capture_output=True,
            text=True,
            **_ids(),
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


def new_reader(home: Path, built: Built) -> Reader:
    """One whose Hub cache is the package."""
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    hub = Path(built.real_path, "share", "models", "hub")
    places = {"HOME": home, "HF_HOME": home, "TMPDIR": home, "HF_HUB_CACHE": hub}
    return Reader(home, {"PATH": os.environ["PATH"], **{name: str(place) for name, place in places.items()}})


def _ids() -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _python_for_others(venv: Path) -> tuple[str, dict[str, str]]:
    """An environment's Python, or where it lies in a closed home the system's of the same version."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = {"PYTHONPATH": str(venv / "lib" / version / "site-packages")}
    for program, env in ((str(venv / "bin" / "python"), {}), (f"/usr/bin/{version}", packages)):
        try:
            subprocess.run([program, "-c", ""], check=True, **_ids())
        except (OSError, subprocess.CalledProcessError):
            continue
        return program, env
    pytest.skip(f"needs a {version} that other users may run")


def fingerprint(top: Path) -> dict[str, tuple[int, int, str]]:
    """Every file, link and directory below ``top``: mode, mtime in nanoseconds, sha256 of contents or the target."""
    found = {}
    for path in (top, *top.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            contents = str(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                contents = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            contents = ""
        found[str(path.relative_to(top))] = (status.st_mode, status.st_mtime_ns, contents)
    return found


def corpus() -> dict[str, dict[str, bytes]]:
    """Tiny models that are hard on a packager, each in its own way."""
    return {
        "plain": tiny_model(),
        "sharded": tiny_model(shards=3, seed=1),
        "nested": tiny_model(
            extra={
                "1_Pooling/config.json": b"{}\n",
                "2_Dense/model.safetensors": tiny_model(seed=9)["model.safetensors"],
                "additional_chat_templates/a/b/c.jinja": b"{{ messages }}",
            }
        ),
        "unicode": tiny_model(
            extra={
                "説明 🤗.txt": "説明".encode(),
                "naïve – notes/é.json": b"{}",
                "2_Dense_é/mödel ~v2+a?=.safetensors": tiny_model(seed=8)["model.safetensors"],
            }
        ),
        "large-tokenizer": tiny_model(extra={"tokenizer.json": large_tokenizer()}),
        "empty-file": tiny_model(extra={"empty.txt": b"", "merges.txt": b""}),
        "patched": tiny_model(seed=2),
    }


def large_tokenizer() -> bytes:
    """A tokenizer of 1.2 MB, over the size from which a file is a blob whatever its name."""
    vocabulary = {f"token-{number:012}": number for number in range(48_000)}
    text = json.dumps({"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": vocabulary}})
    assert 1_200_000 < len(text) < 1_400_000
    return text.encode()
