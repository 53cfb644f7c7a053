"""What a store says of a package that is to be served; nothing else is asked, so a pulled one serves as a built one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hf_pack.errors import StoreError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.hub_ids import HubIdError, RepoId
from hf_pack.model.json_value import JsonObject
from hf_pack.ports import Store
from hf_pack.runtimes.served import Served
from hf_pack.steps.stored.closure import closure
from hf_pack.steps.stored.contents import StoredContents, stored_contents

_HUB = "share/models/hub/"
_LATER_SHARD = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")


@dataclass(frozen=True, kw_only=True)
class ServedPackage:
    """A package, valid with everything that it refers to. ``runtimes`` are the versions that it is for."""

    store_path: StorePath
    closure: tuple[StorePath, ...]  #: itself and what it refers to
    served: Served
    runtimes: Mapping[str, str]

    def at(self, place: str) -> Served:
        """The same package where somebody else sees it."""
        return replace(self.served, place=place)


def served_package(store_path: StorePath, store: Store) -> ServedPackage:
    """Read it from the store. Raises StoreError when it is no package, not valid, or damaged."""
    objects = closure(store_path, store)
    contents = stored_contents(store_path, store)
    provenance = contents.provenance
    try:
        repo_id, snapshot_id = RepoId.parse(str(provenance["repo_id"])), str(provenance["snapshot_id"])
        engine_parameters = _tables(provenance["engine_parameters"])
        runtimes = {str(name): str(text) for name, text in _table(provenance.get("runtimes", {})).items()}
    except (HubIdError, KeyError, TypeError) as error:
        raise StoreError(
            f"{store_path} has a damaged hf-pack.json: {error}", hint=f"hf-pack verify {store_path}"
        ) from None
    inside = store.package_files(store_path)
    return ServedPackage(
        store_path=store_path,
        closure=tuple(info.store_path for info in reversed(objects)),
        served=Served(
            label=store_path.name,
            store_path=str(store_path),
            place=str(store.real_path(store_path)),
            files=contents.directory,
            paths=tuple(contents.files),
            repo_id=repo_id,
            snapshot_id=snapshot_id,
            triton_model_name=inside.triton_model_name if inside is not None else None,
            has_hub=contents.directory.startswith(_HUB),
            weights_file=_weights_file(contents),
            engine_parameters=engine_parameters,
        ),
        runtimes=runtimes,
    )


def _weights_file(contents: StoredContents) -> str | None:
    """The one GGUF file (or the first of its shards) of a package that has no other weights: a runtime is told the
    file then, and a directory otherwise."""
    if any(path.endswith((".safetensors", ".bin", ".pth", ".pt")) for path in contents.files):
        return None
    first = [path for path in contents.files if path.endswith(".gguf") and not _LATER_SHARD.search(path)]
    return first[0] if len(first) == 1 else None


def _table(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError(f"expected a table, found {type(value).__name__}")
    return value


def _tables(value: object) -> Mapping[str, JsonObject]:
    return {name: _table(table) for name, table in _table(value).items()}
