"""A user's place that packages models from a Hub for tests, and models that are only declared."""

from __future__ import annotations

import importlib
import io
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from huggingface_hub import constants
from tests.end_to_end import Place
from tests.hub import DeclaredFile, TestHub
from tests.models import as_json, shard_index, tiny_model

from hf_pack.cli.main import main

#: What the Hub's client reads of its environment, or tells the Hub of it, is not the tester's own.
_FOREIGN = ("HF_", "HUGGING", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "CLAUDE", "AI_AGENT")


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout; nothing else is there."""
        return json.loads(self.out)


@dataclass(frozen=True)
class HubPlace(Place):
    """``endpoint`` is the Hub's; more ``variables`` may be set."""

    endpoint: str
    token: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        own |= {"HOME": str(self.home), "HF_PACK_STORE": str(self.store), "XDG_DATA_HOME": ""}
        own |= {
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "GIT_CEILING_DIRECTORIES": str(self.home),
        }
        return own | ({} if self.token is None else {"HF_TOKEN": self.token}) | dict(self.variables)

    @property
    def cache(self) -> Path:
        """The user's own Hub cache."""
        return self.home / "hf" / "hub"

    def ran(self, *arguments: str | Path, **variables: str) -> Ran:
        """Run ``hf-pack`` in the workspace, however it ends; in this process, which is ten times as fast."""
        out, err = io.StringIO(), io.StringIO()
        with _environment(self.environment | variables), redirect_stdout(out), redirect_stderr(err):
            code = main(["-C", str(self.workspace), *map(str, arguments)])
        return Ran(code, out.getvalue(), err.getvalue())

    def done(self, *arguments: str | Path, **variables: str) -> Ran:
        """Run a command that must succeed."""
        ran = self.ran(*arguments, **variables)
        assert ran.code == 0, f"{arguments}: {ran.code}\n{ran.out}{ran.err}"
        return ran

    def lock(self, name: str = "tiny-llm") -> Any:
        """The lock's document."""
        return json.loads((self.workspace / "models" / f"{name}.lock").read_bytes())

    def store_path(self, name: str = "tiny-llm") -> str:
        """What the plan says."""
        return str(self.done("plan", name, "--json").document["store_path"])


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables and no others; the Hub's client, which reads them when it is imported, does so again."""
    try:
        with mock.patch.dict(os.environ, variables, clear=True):
            importlib.reload(constants)
            yield
    finally:
        importlib.reload(constants)


def hub_place(home: Path, hub: TestHub | str, *, token: str | None = None, **variables: str) -> HubPlace:
    """A workspace that is there, beside a store and a Hub cache that are not yet."""
    place = HubPlace(home, hub if isinstance(hub, str) else hub.endpoint, token, variables)
    place.workspace.mkdir(parents=True)
    place.done("init")
    return place


def declared_shards(number: int, size: int) -> dict[str, bytes | DeclaredFile]:
    """A model of ``number`` shards of about ``size`` bytes each, of which the headers are stored."""
    files: dict[str, bytes | DeclaredFile] = {
        path: data for path, data in tiny_model().items() if not path.endswith(".safetensors")
    }
    names = [f"model-{index:05}-of-{number:05}.safetensors" for index in range(1, number + 1)]
    for index, name in enumerate(names):
        files[name] = declared_shard({f"model.layers.{index}.weight": size // 2}, digest=f"{index + 1:064x}")
    files["model.safetensors.index.json"] = shard_index(
        {f"model.layers.{index}.weight": name for index, name in enumerate(names)}
    )
    return files


def declared_shard(tensors: Mapping[str, int], *, digest: str) -> DeclaredFile:
    """A safetensors file of these BF16 tensors (name to number of values), said to have this sha256."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, values in tensors.items():
        header[name] = {"dtype": "BF16", "shape": [values], "data_offsets": [position, position + 2 * values]}
        position += 2 * values
    text = as_json(header)
    text += b" " * (-len(text) % 8)
    start = struct.pack("<Q", len(text)) + text
    return DeclaredFile(len(start) + position, digest, start)
