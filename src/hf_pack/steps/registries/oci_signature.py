"""A package's model signature in a registry: a member of its index that no machine runs, so copies take it along."""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.errors import PolicyError
from hf_pack.formats import dsse
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.documents import EMPTY, MANIFEST, Descriptor, Manifest, digest_of, parse_index, parse_manifest
from hf_pack.formats.store_path import StorePath
from hf_pack.model.signature_policy import SignaturePolicy
from hf_pack.ports import Progress
from hf_pack.ports.registry import Repository
from hf_pack.steps.trust.trust import Trust, refusal_of

_PLATFORM = "unknown/unknown"  #: as builders mark what they attest: whoever looks for an image passes over it
_SIGNATURE = "hf-pack.signature"  #: the store path that is signed
_NOTHING = b"{}"  #: the configuration of an artifact that has none (image-spec, "Guidance for an Empty Descriptor")


def signature_member(bundle: bytes, store_path: StorePath) -> tuple[Descriptor, bytes, tuple[bytes, ...]]:
    """How the index names the signature, the manifest with it, and the blobs that that refers to."""
    manifest = Manifest(
        artifact_type=dsse.MEDIA_TYPE,
        config=Descriptor(media_type=EMPTY, digest=digest_of(_NOTHING), size=len(_NOTHING)),
        layers=(Descriptor(media_type=dsse.MEDIA_TYPE, digest=digest_of(bundle), size=len(bundle)),),
    ).format()
    member = Descriptor(
        media_type=MANIFEST,
        digest=digest_of(manifest),
        size=len(manifest),
        platform=_PLATFORM,
        annotations={_SIGNATURE: str(store_path)},
    )
    return member, manifest, (_NOTHING, bundle)


def signatures_among(members: Iterable[Descriptor], store_path: StorePath) -> list[Descriptor]:
    """The members of an index that say to be this package's signature: one, or none."""
    return [one for one in members if one.annotations.get(_SIGNATURE) == str(store_path)][:1]


def vouched(repository: Repository, reference: str, store_path: StorePath, trust: Trust, progress: Progress) -> bool:
    """Whether somebody trusted signed the package that a tag names; a note says where it is the registry's word alone.

    Raises PolicyError where a signature is demanded and no good one is there.
    """
    if trust.policy is SignaturePolicy.OFF:
        return False
    bundle = _bundle(repository, reference, store_path) if trust.verifiers else None
    reason = refusal_of(store_path, bundle, trust)
    if reason is None:
        return True
    if trust.required:
        raise PolicyError(
            f"no trusted key signed {store_path}\n  {repository.name}: {reason}",
            hint="give the publisher's public key with --trusted-key, or name the store path: it proves itself",
        )
    progress.note(f"note: that {store_path} is meant is the word of {repository.name} alone: {reason}")
    return False


def _bundle(repository: Repository, reference: str, store_path: StorePath) -> bytes | None:
    """What the index has as its signature; who signed it proves it. Empty for what is no bundle."""
    for member in signatures_among(_members(repository.manifest(reference)), store_path):
        found = repository.manifest(member.digest)
        try:
            layers = () if found is None else parse_manifest(found[1]).layers
        except FormatError:
            return b""
        if len(layers) == 1 and layers[0].size <= dsse.MOST_SIZE:
            return b"".join(bytes(chunk) for chunk in repository.chunks(layers[0].digest, 0, layers[0].size))
    return None


def _members(there: tuple[str, bytes] | None) -> tuple[Descriptor, ...]:
    """Those of an index; a tag may name a single manifest, which has none."""
    try:
        return () if there is None else parse_index(there[1]).manifests
    except FormatError:
        return ()
