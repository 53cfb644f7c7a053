"""The data that an exported expression reads: one JSON document a package (``<name>.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from hf_pack.expressions.package_meta import HUB, package_meta
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import SnapshotKind
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import Blob, Lock, LockedFile
from hf_pack.model.manifest import Manifest, Storage
from hf_pack.model.plan import Plan, RegularFile

#: Where the URLs of a model that is not on the Hub lead: nowhere, with the way out in Nix's own message.
NOWHERE = "https://not-on-the-hub-add-it-first.invalid"
NO_CACHE = "https://no-cache-in-hf-pack-toml.invalid"

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def package_document(
    manifest: Manifest,
    lock: Lock,
    plan: Plan,
    version: str,
    *,
    nar_hash: Hash | None,
    mirrors: Sequence[str] = (),
    caches: Sequence[str] = (),
) -> bytes:
    """The document: store name, version, meta, blobs with their sha256 and addresses, and what a tree of files needs.

    ``nar_hash`` is that of a self-contained package, from its record. ``mirrors`` are endpoints that stand in
    for the Hub, ``caches`` binary caches that may have the NAR; URLs have no effect on any store path.
    """
    document: dict[str, JsonValue] = {
        "name": plan.name,
        "pname": manifest.pname,
        "version": version,
        "meta": package_meta(manifest, lock),
        "endpoints": [HUB, *mirrors] if lock.source.snapshot_kind is SnapshotKind.COMMIT else [NOWHERE],
        "blobs": [_blob(blob, lock) for blob in plan.blobs],
    }
    if plan.storage is Storage.SELF_CONTAINED:
        assert nar_hash is not None
        document["caches"] = list(caches) or [NO_CACHE]
        document["nar"] = {"sha256": nar_hash.hex(), "path": f"nar/{nar_hash.nix32()}.nar"}
        document["copies"] = list(_copies(plan))
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def beside(plan: Plan, lock: Lock) -> tuple[tuple[Blob, LockedFile], ...]:
    """The blobs that no address gives, because a patch made them: they lie beside the document, named by sha256."""
    return tuple((blob, files[0]) for blob in plan.blobs if (files := _files(blob, lock)) and files[0].kept_beside_lock)


def quoted(path: str) -> str:
    """A path as a URL has it (RFC 3986): all but unreserved characters and ``/`` as ``%`` and two hex digits."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in path.encode())


def _blob(blob: Blob, lock: Lock) -> JsonObject:
    common: dict[str, JsonValue] = {"name": blob.name, "sha256": blob.sha256.hex()}
    file = _files(blob, lock)[0]
    if file.kept_beside_lock:
        return {**common, "file": blob.sha256.hex()}
    if lock.source.snapshot_kind is SnapshotKind.COMMIT:
        return {**common, "path": f"{lock.source.repo_id}/resolve/{lock.source.snapshot_id}/{quoted(file.path)}"}
    return {**common, "path": blob.name}


def _files(blob: Blob, lock: Lock) -> list[LockedFile]:
    """The locked files of these bytes, those that a source has as they are first."""
    found: Iterable[LockedFile] = (file for file in lock.files if file.is_blob and file.blob == blob)
    return sorted(found, key=lambda file: (file.kept_beside_lock, file.path))


def _copies(plan: Plan) -> Iterator[JsonObject]:
    """Where in the tree which blob's bytes go, by the blob's place in ``blobs``."""
    places = {blob: place for place, blob in enumerate(plan.blobs)}
    for entry in plan.entries:
        if isinstance(entry, RegularFile) and isinstance(entry.contents, Blob):
            yield {"blob": places[entry.contents], "path": entry.path}
