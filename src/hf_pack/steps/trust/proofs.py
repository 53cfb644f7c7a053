"""What a signature is put on and held against: a package's files and origin, as they are recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hf_pack.errors import StoreError
from hf_pack.expressions import bill_of_materials as bill
from hf_pack.expressions import model_signature, slsa_provenance
from hf_pack.expressions.model_signature import SignedProvenance
from hf_pack.expressions.package_facts import Making, PackageFacts, PatchedFile
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.build_meta import NO_GIT_REV
from hf_pack.model.findings import Problem
from hf_pack.model.hub_ids import SnapshotKind, is_commit
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import FileDigest
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Progress, Store
from hf_pack.steps.quiet import QUIET
from hf_pack.steps.stored.contents import StoredContents, stored_contents
from hf_pack.steps.stored.object_files import files_of_object
from hf_pack.steps.stored.package_model import engine_parameters, summary_of_object
from hf_pack.steps.trust.trust import Signed
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.targets import Target


def model_statement(target: Target, store: Store) -> bytes:
    """What a signature of a package's model signs, from recorded hashes. Raises StoreError."""
    if target.package is not None:
        files = {file.path: file.sha256 for file in target.package.lock.files}
    elif (info := _info(target.store_path, store)).references:
        files = files_of_object(info, store, QUIET)  # a tree of links is small
    else:
        stated = stored_contents(target.store_path, store).files
        files = {path: digest.sha256 for path, digest in stated.items()}
    return model_signature.statement(target.store_path.name, files, target.store_path)


def differences(signed: Signed, target: Target, store: Store, progress: Progress) -> tuple[Problem, ...]:
    """How a package differs from what was signed; empty when it does not.

    A lock is taken at its word, since :func:`hf_pack.steps.building.verify.verify` holds the store against it. Of an
    object alone, its own files are looked at, whatever it says of itself: a self-contained one is read as a whole.
    """
    if isinstance(signed, SignedProvenance):
        return tuple(_other_subject(signed, target, store))
    if signed.store_path not in (None, target.store_path):
        return (_problem(target.store_path, "", f"the signature is of {signed.store_path}"),)
    if target.package is not None:
        files = {file.path: file.sha256 for file in target.package.lock.files}
    else:
        info = _info(target.store_path, store)
        progress.start("read", info.nar_size)
        files = files_of_object(info, store, progress)
        progress.finish()
    return tuple(_problem(target.store_path, path, problem) for path, problem in signed.differences(files))


def provenance_statement(target: Target, store: Store, tool_version: str) -> bytes:
    """What a signature of a package's origin signs. Raises StoreError, SourceError."""
    document = provenance(target, store, tool_version)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def provenance(target: Target, store: Store, tool_version: str) -> JsonObject:
    """Where a package came from, as an in-toto statement. Raises StoreError, SourceError."""
    return slsa_provenance.provenance(_facts(target, store, tool_version))


def bill_of_materials(target: Target, store: Store, tool_version: str) -> JsonObject:
    """What a package is made of, as CycloneDX has it. Raises StoreError, SourceError."""
    return bill.bill_of_materials(_facts(target, store, tool_version))


def _facts(target: Target, store: Store, tool_version: str) -> PackageFacts:
    if target.package is not None:
        return _facts_of_lock(target.package, target.store_path, tool_version)
    return _facts_of_object(target.store_path, store)


def _facts_of_lock(package: Package, store_path: StorePath, tool_version: str) -> PackageFacts:
    lock, manifest = package.lock, package.manifest
    nar_hash = package.plan.nar_hash() or (package.record.nar_hash if package.record is not None else None)
    assert nar_hash is not None  # a package with a store path has one of the two
    git_rev = package.build_meta.git_rev
    return PackageFacts(
        pname=manifest.pname,
        version=package.version,
        store_path=store_path,
        nar_hash=nar_hash,
        repo_id=str(lock.source.repo_id),
        snapshot_id=lock.source.snapshot_id,
        is_commit=lock.source.snapshot_kind is SnapshotKind.COMMIT,
        licence=lock.licence,
        files={file.path: file.digest for file in lock.files},
        patches=tuple(
            PatchedFile(file=patch.file, reason=patch.reason, before=patch.before, after=patch.after)
            for patch in lock.patches
        ),
        model=lock.model,
        engine_parameters={runtime: table for runtime, table in manifest.engine_parameters.items() if table},
        making=Making(
            tool_version=tool_version,
            lock_digest=package.lock_digest,
            layout=manifest.layout.value,
            storage=manifest.storage.value,
            layout_version=lock.layout_version,
            asked_revision=lock.source.asked_revision,
            git_rev=None if git_rev == NO_GIT_REV else git_rev,
        ),
    )


def _facts_of_object(store_path: StorePath, store: Store) -> PackageFacts:
    info, contents, inside = (
        _info(store_path, store),
        stored_contents(store_path, store),
        store.package_files(store_path),
    )
    assert inside is not None  # its contents were read
    pname, stated = inside.provenance.split("/")[1], contents.provenance
    snapshot_id, licence = str(stated.get("snapshot_id")), stated.get("licence")
    return PackageFacts(
        pname=pname,
        version=store_path.name.removeprefix(f"{pname}-"),
        store_path=store_path,
        nar_hash=info.nar_hash,
        repo_id=str(stated.get("repo_id")),
        snapshot_id=snapshot_id,
        is_commit=is_commit(snapshot_id),
        licence=licence if isinstance(licence, str) else None,
        files=contents.files,
        patches=tuple(_patches(contents)),
        model=summary_of_object(contents),
        engine_parameters=engine_parameters(contents),
    )


def _patches(contents: StoredContents) -> Iterator[PatchedFile]:
    patches: Any = contents.provenance.get("patches", [])
    try:
        for patch in patches:
            yield PatchedFile(
                file=str(patch["file"]),
                reason=str(patch["reason"]),
                before=_digest(patch["before"]),
                after=_digest(patch["after"]),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{contents.store_path} has a damaged hf-pack.json: patches: {error}",
            hint=f"hf-pack verify {contents.store_path}",
        ) from None


def _digest(value: Any) -> FileDigest:
    return FileDigest(size=int(value["size"]), sha256=Hash.from_hex(value["sha256"]))


def _info(store_path: StorePath, store: Store) -> PathInfo:
    info = store.path_info(store_path)
    if info is None:
        raise StoreError(f"{store_path} is not in the store\n  {store.url}: does not hold it", hint="hf-pack list")
    return info


def _other_subject(signed: SignedProvenance, target: Target, store: Store) -> Iterator[Problem]:
    store_path, info = target.store_path, store.path_info(target.store_path)
    sha256 = signed.subjects.get(str(store_path))
    if sha256 is None:
        yield _problem(store_path, "", f"the provenance is of {', '.join(signed.subjects)[:200]}")
    elif info is not None and info.nar_hash != sha256:
        yield _problem(store_path, "", f"the provenance is of NAR hash {sha256.sri()}")


def _problem(store_path: StorePath, path: str, problem: str) -> Problem:
    return Problem(store_path=store_path, path=path, problem=problem)
