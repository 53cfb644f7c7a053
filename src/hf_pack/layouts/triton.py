"""Triton's model directories: ``share/models/<name>`` and, in dual packages, ``share/triton/<name>``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hf_pack.layouts.contents import file_entry
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Manifest
from hf_pack.model.plan import Entry, RegularFile, Symlink
from hf_pack.runtimes import triton


def model_directory(triton_model_name: str) -> str:
    """Where ``config.pbtxt``, ``model-defaults.json`` and ``weights`` lie."""
    return f"share/models/{triton_model_name}"


def model_files(manifest: Manifest, triton_model_name: str) -> Iterator[Entry]:
    """The two files that every Triton layout has."""
    directory = model_directory(triton_model_name)
    yield RegularFile(path=f"{directory}/config.pbtxt", contents=triton.CONFIG_PBTXT.encode())
    yield RegularFile(path=f"{directory}/model-defaults.json", contents=triton.model_defaults(manifest))


def weights(manifest: Manifest, triton_model_name: str, lock: Lock, kept: Mapping[str, bytes]) -> Iterator[Entry]:
    """Single layout: the files themselves under ``weights/``."""
    directory = model_directory(triton_model_name)
    for file in lock.files:
        yield file_entry(f"{directory}/weights/{file.path}", file, kept, manifest.storage)


def weights_link(triton_model_name: str, snapshot_directory: str) -> Symlink:
    """Dual layout: ``weights`` leads to the snapshot inside the same package."""
    inside = snapshot_directory.removeprefix("share/models/")
    return Symlink(path=f"{model_directory(triton_model_name)}/weights", target=f"../{inside}")


def repository(manifest: Manifest, triton_model_name: str, lock: Lock) -> Iterator[Entry]:
    """Dual layout: a model repository of its own, which a stock server starts in its default mode."""
    directory = f"share/triton/{triton_model_name}"
    yield RegularFile(path=f"{directory}/config.pbtxt", contents=triton.CONFIG_PBTXT.encode())
    yield RegularFile(
        path=f"{directory}/1/model.json",
        contents=triton.model_json(manifest, lock.source.repo_id, lock.source.snapshot_id),
    )
