"""Proofs of packages: signatures of their models, where they came from, and what they are made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack import wiring
from hf_pack.errors import PolicyError, UsageError
from hf_pack.steps.quiet import QUIET

if TYPE_CHECKING:
    from hf_pack.formats.store_path import StorePath
    from hf_pack.model.findings import Problem
    from hf_pack.model.json_value import JsonObject
    from hf_pack.ports import BundleSigner, Progress, Workspace
    from hf_pack.steps.trust.trust import Signed

PASSWORD_VARIABLE = "HF_PACK_KEY_PASSWORD"


def sign(
    name: str,
    signer: BundleSigner,
    output: Path | str | None = None,
    *,
    provenance: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
) -> Path:
    """Sign a package's model, or with ``provenance`` where it came from, from recorded hashes: no weight is read.

    The bundle goes to ``output``, else beside the lock: ``models/<name>.sig``, ``models/<name>.provenance.sig``.
    Returns where it is. Raises UsageError, LockError, StoreError, HubError without Sigstore's service.
    """
    from hf_pack import durable
    from hf_pack.steps.trust import proofs
    from hf_pack.steps.workspace import targets

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    target = targets.resolve(name, place, chosen)
    if provenance:
        payload = proofs.provenance_statement(target, chosen, version("hf-pack"))
    else:
        payload = proofs.model_statement(target, chosen)
    if output is None and (place is None or target.package is None):
        raise UsageError(f"where does the signature of {name} go?", hint="--output FILE")
    bundle = signer.sign(payload)
    if output is None:
        assert place is not None and target.package is not None
        relative = f"models/{target.package.name}.{'provenance.' if provenance else ''}sig"
        place.write(relative, bundle)
        return place.root / relative
    path = Path(output).absolute()
    try:
        durable.replace_file(path, bundle)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name another file with --output") from None
    return path


def key_signer(key: Path | str, certificates: Sequence[Path | str] = ()) -> BundleSigner:
    """A signer with a private key in PEM; its password, if it has one, is in ``HF_PACK_KEY_PASSWORD``.

    ``certificates`` are PEM files: the key's, then those that lead from it to a root. Raises UsageError.
    """
    from hf_pack.adapters.signing.keys import KeySigner

    password = os.environ.get(PASSWORD_VARIABLE)
    paths = [Path(path) for path in certificates]
    return KeySigner(Path(key), paths, None if password is None else password.encode())


def sigstore_signer() -> BundleSigner:
    """A signer with this user's or this CI job's identity, by Sigstore's public service. Raises UsageError."""
    from hf_pack.adapters.signing.sigstore_service import SigstoreSigner

    return SigstoreSigner()


def read_signature(signature: Path | str, trusted_keys: Sequence[str] = (), *, workspace: Path | str = ".") -> Signed:
    """What was signed, if somebody trusted did: ``trusted_keys``, ``HF_PACK_TRUSTED_KEYS`` and the workspace's.

    Raises PolicyError when none of them made the signature, UsageError.
    """
    from hf_pack.adapters.signing.keys import read
    from hf_pack.model.signature_policy import SignaturePolicy
    from hf_pack.steps.trust.trust import signed_statement

    trust = wiring.read_trust(trusted_keys, SignaturePolicy.WARN, wiring.optional_workspace(Path(workspace)))
    if not trust.verifiers:
        raise UsageError(
            "whose signature should it be?",
            hint="--trusted-key FILE: a PEM file of a public key or of certificates, or sigstore:ISSUER#IDENTITY",
        )
    try:
        return signed_statement(read(Path(signature)), trust.verifiers)
    except PolicyError as error:
        raise PolicyError(f"{signature}: {error.message}", hint="give the signer's key with --trusted-key") from None


def differences(
    name: str,
    signed: Signed,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> tuple[Problem, ...]:
    """How a package that was verified differs from what was signed; empty when it does not. Raises StoreError."""
    from hf_pack.steps.trust import proofs
    from hf_pack.steps.workspace import targets

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    return proofs.differences(signed, targets.resolve(name, place, chosen), chosen, progress)


def provenance(name: str, *, workspace: Path | str = ".", store: str | None = None) -> JsonObject:
    """Where a package came from: an in-toto statement with SLSA's provenance. Raises LockError, StoreError."""
    from hf_pack.steps.trust import proofs
    from hf_pack.steps.workspace import targets

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    return proofs.provenance(targets.resolve(name, place, chosen), chosen, version("hf-pack"))


def bill_of_materials(name: str, *, workspace: Path | str = ".", store: str | None = None) -> JsonObject:
    """What a package is made of: CycloneDX 1.6. Raises LockError, StoreError."""
    from hf_pack.steps.trust import proofs
    from hf_pack.steps.workspace import targets

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    return proofs.bill_of_materials(targets.resolve(name, place, chosen), chosen, version("hf-pack"))


def bundle_of(name: str, workspace: Workspace | None, store_path: StorePath) -> bytes | None:
    """The model signature beside a package's lock, which must be of this store path; None where there is none.

    Raises PolicyError for one of another build.
    """
    from hf_pack.steps.trust.trust import require_about
    from hf_pack.steps.workspace.workspace_files import find_name

    if workspace is None or "/" in name or "@" in name:
        return None
    relative = f"models/{find_name(workspace, name)}.sig"
    bundle = workspace.read(relative)
    if bundle is not None:
        require_about(bundle, store_path, relative, f"hf-pack sign {name}, or remove the file")
    return bundle


def read_bundle(path: Path, store_path: StorePath) -> bytes:
    """A model signature that somebody names, which must be of this store path. Raises UsageError, PolicyError."""
    from hf_pack.adapters.signing.keys import read
    from hf_pack.steps.trust.trust import require_about

    bundle = read(path)
    require_about(bundle, store_path, str(path), f"hf-pack sign {store_path} --output {path}")
    return bundle
