"""An export to Nix as files: ``default.nix``, ``package.nix`` and the data of each package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_pack.expressions.layout_tar import layout_tar
from hf_pack.expressions.nix_texts import PACKAGE_NIX, default_nix
from hf_pack.expressions.package_document import beside, package_document
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Manifest
from hf_pack.model.plan import Plan

Files = dict[str, bytes]  #: relative path to contents


def package_files(
    manifest: Manifest,
    lock: Lock,
    plan: Plan,
    version: str,
    kept: Mapping[str, bytes],
    *,
    nar_hash: Hash | None,
    mirrors: Sequence[str] = (),
    caches: Sequence[str] = (),
) -> Files:
    """``<name>.json``, ``<name>.tar`` and ``<name>.files/``; ``kept`` has the bytes beside the lock, by path."""
    name = manifest.name
    document = package_document(manifest, lock, plan, version, nar_hash=nar_hash, mirrors=mirrors, caches=caches)
    patched = {f"{name}.files/{blob.sha256.hex()}": kept[file.path] for blob, file in beside(plan, lock)}
    return {f"{name}.json": document, f"{name}.tar": layout_tar(plan), **patched}


def nix_files(packages: Mapping[str, Files]) -> Files:
    """The whole directory for packages (name to :func:`package_files`)."""
    files: Files = {"default.nix": default_nix(packages), "package.nix": PACKAGE_NIX.encode()}
    for package in packages.values():
        files |= package
    return files
