"""What reads bytes from strangers, each with the errors that it may raise and what must hold when it raises none."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

from hf_pack.adapters.pickle_scanner import FicklingScanner
from hf_pack.expressions import model_signature, oci_package
from hf_pack.formats import nar, nar_reader
from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.dsse import Bundle, Signer
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.listing import format_listing, parse_listing
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.oci import documents, tar_layer
from hf_pack.formats.oci.challenge import parse_challenges
from hf_pack.formats.oci.reference import Reference
from hf_pack.formats.store_path import recursive_path
from hf_pack.model import build_meta, lock_document, manifest_document, published, record, workspace_document
from hf_pack.ports import Scanned
from hf_pack.weights import chat_template, gguf, safetensors
from hf_pack.weights.pickle_sign import SIGN_SIZE, hides_behind_text, looks_like_pickle
from hf_pack.weights.pointer import parse_pointer
from hf_pack.weights.shard_index import parse_index
from hf_pack.weights.weights_error import HeaderError

_BLOB = Hash.sha256_of(b"weights")


def _sound_manifest() -> bytes:
    def layer(data: bytes) -> documents.Descriptor:
        return documents.Descriptor(
            media_type="application/vnd.oci.image.layer.v1.tar", digest=documents.digest_of(data), size=len(data)
        )

    return documents.Manifest(
        config=layer(b"{}"),
        layers=(layer(b"tree"), layer(b"weights")),
        annotations={
            oci_package.STORE_PATH: str(recursive_path("tiny-1.0.0+0000000", _BLOB)),
            oci_package.STORAGE: "linked",
            oci_package.TREE: "0",
            oci_package.FILES: json.dumps([[1, "share/model.safetensors", 7, _BLOB.hex()]]),
        },
    ).format()


SOUND_MANIFEST = _sound_manifest()


def _nar(data: bytes) -> None:
    assert b"".join(nar.dump(nar_reader.parse(data))) == data  # one tree has one NAR


def _narinfo(data: bytes) -> None:
    info = NarInfo.parse(data.decode(errors="replace"))
    assert NarInfo.parse(info.format()) == info
    info.content_address_holds()


def _listing(data: bytes) -> None:
    listing = parse_listing(data.decode(errors="replace"))
    assert parse_listing(format_listing(listing)) == listing


def _cache_info(data: bytes) -> None:
    info = CacheInfo.parse(data.decode(errors="replace"))
    assert CacheInfo.parse(info.format()) == info


def _lock(data: bytes) -> None:
    lock = lock_document.parse(data)
    assert lock_document.parse(lock_document.format(lock)) == lock


def _manifest(data: bytes) -> None:
    manifest_document.parse(data.decode(errors="replace"), "fuzzed")


def _workspace(data: bytes) -> None:
    workspace_document.parse(data.decode(errors="replace"))


def _record(data: bytes) -> None:
    found = record.parse(data)
    assert record.parse(found.format()) == found


def _build_meta(data: bytes) -> None:
    found = build_meta.parse(data)
    assert build_meta.parse(found.format()) == found


def _published(data: bytes) -> None:
    entry = published.parse(data)
    assert published.parse(entry.format()) == entry


def _published_index(data: bytes) -> None:
    entries = published.parse_index(data)
    assert published.parse_index(published.format_index(entries)) == entries


def _safetensors(data: bytes) -> None:
    """The last 2 bytes say how much longer the file is than what stands before them."""
    data, longer = data[:-2], data[-2:]
    file_size = len(data) + int.from_bytes(longer, "little")
    length = safetensors.header_length(data[: safetensors.PREFIX_SIZE], file_size)
    header = safetensors.parse_header(data[safetensors.PREFIX_SIZE : safetensors.PREFIX_SIZE + length], file_size)
    spans = sorted((tensor.begin, tensor.end) for tensor in header.tensors)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def _gguf(data: bytes) -> None:
    try:
        gguf.parse_prefix(data)
    except gguf.NeedMoreBytes as more:
        assert more.minimum > len(data)  # else whoever reads on would never end


def _shard_index(data: bytes) -> None:
    parse_index(data)


def _chat_template(data: bytes) -> None:
    if (said := chat_template.escapes(data.decode(errors="replace"))) is not None:
        raise HeaderError(said)


def _pickle(data: bytes) -> None:
    """Refused where it uses more than loading tensors takes, or where nobody can tell."""
    looks_like_pickle(data[:SIGN_SIZE])
    hides_behind_text(lambda size: data[:size], len(data))
    scanned = FicklingScanner().scan(io.BytesIO(data))
    if scanned != Scanned():
        raise HeaderError(f"{scanned}")


def _pointer(data: bytes) -> None:
    parse_pointer(data)


def _oci_manifest(data: bytes) -> None:
    manifest = documents.parse_manifest(data)
    assert documents.parse_manifest(manifest.format()) == manifest
    oci_package.read_package(manifest)


def _oci_index(data: bytes) -> None:
    index = documents.parse_index(data)
    assert documents.parse_index(index.format()) == index


def _oci_package(data: bytes) -> None:
    """The annotation that says where the weights are, in a manifest that is sound otherwise."""
    sound = documents.parse_manifest(SOUND_MANIFEST)
    annotations = {**sound.annotations, oci_package.FILES: data.decode(errors="replace")}
    package = oci_package.read_package(replace(sound, annotations=annotations))
    if package is not None:
        oci_package.plan_of(package, {})


def _tar_layer(data: bytes) -> None:
    members = tar_layer.read_archive(data)
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in members)


def _challenge(data: bytes) -> None:
    parse_challenges(data.decode("latin-1"))


def _reference(data: bytes) -> None:
    reference = Reference.parse(data.decode(errors="replace"))
    assert Reference.parse(str(reference)) == reference


def _bundle(data: bytes) -> None:
    bundle = Bundle.parse(data)
    assert bundle.signer is Signer.SIGSTORE or Bundle.parse(bundle.format()) == bundle


def _statement(data: bytes) -> None:
    found = model_signature.parse(data)
    if isinstance(found, model_signature.SignedModel):
        assert not found.differences(found.files)


#: name -> (what reads it, the errors that bad input may raise)
TARGETS: Mapping[str, tuple[Callable[[bytes], None], tuple[type[Exception], ...]]] = {
    "nar": (_nar, (FormatError,)),
    "narinfo": (_narinfo, (FormatError,)),
    "listing": (_listing, (FormatError,)),
    "cache-info": (_cache_info, (FormatError,)),
    "lock": (_lock, (lock_document.LockProblems,)),
    "manifest": (_manifest, (manifest_document.ManifestProblems,)),
    "workspace": (_workspace, (workspace_document.WorkspaceProblems,)),
    "record": (_record, (record.RecordError,)),
    "build-meta": (_build_meta, (build_meta.BuildMetaError,)),
    "published": (_published, (published.PublishedError,)),
    "published-index": (_published_index, (published.PublishedError,)),
    "safetensors": (_safetensors, (HeaderError,)),
    "gguf": (_gguf, (HeaderError,)),
    "shard-index": (_shard_index, (HeaderError,)),
    "pointer": (_pointer, (HeaderError,)),
    "chat-template": (_chat_template, (HeaderError,)),
    "pickle": (_pickle, (HeaderError,)),
    "oci-manifest": (_oci_manifest, (FormatError,)),
    "oci-index": (_oci_index, (FormatError,)),
    "oci-package": (_oci_package, (FormatError,)),
    "tar-layer": (_tar_layer, (FormatError,)),
    "challenge": (_challenge, (FormatError,)),
    "reference": (_reference, (FormatError,)),
    "bundle": (_bundle, (FormatError,)),
    "statement": (_statement, (FormatError,)),
}


def try_one(name: str, data: bytes) -> bool:
    """Whether the target took the input; anything but an error that it may raise is a fault of ours."""
    read, errors = TARGETS[name]
    try:
        read(data)
    except errors:
        return False
    return True
