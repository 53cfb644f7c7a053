"""The packages that are served: one tiny model in every layout and its variants, and what ``transformers`` says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.environments import HERE, python
from tests.end_to_end import LAYOUTS, STORAGES, Built, Place
from tests.models import COMMIT, write_hf_cache

REPO_ID = "acme/words"
OTHER_REPO_ID = "acme/more-words"
PROMPT = "huka lera lese bale"
TOKENS = 12
QUESTION = "lewu bara"
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }} zahu wune{% endfor %}"

#: One profile for all runtimes: SGLang has the first two in words of its own.
ENGINE = """
[vllm]
max_model_len = 128
enforce_eager = true

[sglang]
device = "cpu"
max_total_tokens = 2048
"""
OTHER_ENGINE = ENGINE.replace("128", "64")
PATCH = f"""
[[patch]]
file = "tokenizer_config.json"
set = {{ chat_template = {json.dumps(CHAT_TEMPLATE)} }}
reason = "the model was published without a chat template"
"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A greedy continuation. ``lead`` is the least by which a token was the best one, in logits."""

    ids: list[int]
    text: str
    lead: float


@dataclass(frozen=True, kw_only=True)
class World:
    """``packages`` by name; ``said`` of the model's own directory, not of a package."""

    place: Place
    model: Path
    said: Said
    chat_said: Said
    packages: dict[str, Built] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.place.store

    def store_path(self, name: str) -> str:
        return self.packages[name].store_path

    def share(self, name: str) -> Path:
        """``share`` of a package, on this machine."""
        return Path(self.packages[name].real_path, "share")


def make_world(place: Place) -> World:
    """Model, reference, packages."""
    model = place.home / "model"
    subprocess.run([python("vllm"), HERE / "scripts" / "make_tiny.py", model], check=True, capture_output=True)
    said = reference(model, TOKENS, PROMPT)
    files = read_files(model)
    template = {**json.loads(files["tokenizer_config.json"]), "chat_template": CHAT_TEMPLATE}
    patched = place.home / "patched-model"
    write(patched, {**files, "tokenizer_config.json": json.dumps(template).encode()})
    world = World(place=place, model=model, said=said, chat_said=reference(patched, TOKENS, QUESTION, chat=True))
    cache = write_hf_cache(place.home / "cache", REPO_ID, COMMIT, files)
    other = write_hf_cache(place.home / "cache", OTHER_REPO_ID, COMMIT, files)
    for layout in LAYOUTS:
        for storage in STORAGES:
            add(world, cache, f"{layout}-{storage}", ENGINE, layout=layout, storage=storage)
    add(world, cache, "patched", ENGINE + PATCH)
    add(world, cache, "other-engine", OTHER_ENGINE)
    add(world, cache, "patched-other-engine", OTHER_ENGINE + PATCH)
    add(world, other, "other", ENGINE)
    return world


def add(world: World, source: Path, name: str, tables: str, *, layout: str = "dual", storage: str = "linked") -> None:
    """A package with these tables in its manifest."""
    place = world.place
    triton = () if layout == "hf" else ("--triton-name", name.replace("-", "_"))
    place.add(source, name, *triton, layout=layout, storage=storage)
    manifest = place.workspace / "models" / f"{name}.toml"
    manifest.write_text(manifest.read_text().partition("\n[vllm]")[0] + tables)
    place.run("lock", name)
    world.packages[name] = place.build(name)


def reference(model: Path, tokens: int, prompt: str, *, chat: bool = False) -> Said:
    """What ``transformers`` says of a directory."""
    more = ["--chat"] if chat else []
    command: list[str | Path] = [python("vllm"), HERE / "scripts" / "reference.py", *more, model, str(tokens), prompt]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return Said(**found[prompt])


def read_files(directory: Path) -> dict[str, bytes]:
    """A model's files by path."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """A flat directory."""
    directory.mkdir()
    for path, content in files.items():
        (directory / path).write_bytes(content)
