"""A model signature among the members of an index, and what is no good one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.signers import key_pair

from hf_pack.adapters.signing.keys import KeySigner, KeyVerifier
from hf_pack.errors import PolicyError
from hf_pack.expressions import model_signature
from hf_pack.formats import dsse
from hf_pack.formats.hashes import Hash
from hf_pack.formats.oci.documents import INDEX, MANIFEST, Descriptor, Index, Manifest, digest_of
from hf_pack.formats.store_path import StorePath
from hf_pack.model.signature_policy import SignaturePolicy
from hf_pack.ports import Progress, Readable
from hf_pack.steps.quiet import Quiet
from hf_pack.steps.registries.oci_signature import signature_member, vouched
from hf_pack.steps.trust.trust import Trust

PACKAGE = StorePath.parse(f"/nix/store/{'0' * 32}-tiny-1.0.0+0000000")
OTHER = StorePath.parse(f"/nix/store/{'1' * 32}-tiny-1.0.0+0000000")


@dataclass
class Shelf:
    """A repository in memory."""

    name: str = "oci://registry.example/tiny"
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def has(self, digest: str) -> bool:
        return digest in self.blobs

    def upload(self, digest: str, contents: Readable, progress: Progress) -> int:
        raise NotImplementedError

    def manifest(self, reference: str) -> tuple[str, bytes] | None:
        self.asked.append(reference)
        data = self.manifests.get(reference)
        return None if data is None else (MANIFEST, data)

    def put_manifest(self, media_type: str, data: bytes, tag: str | None = None) -> None:
        self.manifests[digest_of(data)] = data
        if tag is not None:
            self.manifests[tag] = data

    def chunks(self, digest: str, offset: int, size: int) -> Iterator[bytes]:
        yield self.blobs[digest][offset : offset + size]

    def stop(self) -> None:
        pass


class Notes(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@dataclass(frozen=True)
class Signed:
    shelf: Shelf
    bundle: bytes
    trust: Trust

    def tag(self, bundle: bytes, store_path: StorePath = PACKAGE, manifest: bytes | None = None) -> None:
        """Put an index with this signature under the tag ``it``."""
        member, data, blobs = signature_member(bundle, store_path)
        if manifest is not None:
            data, annotations = manifest, member.annotations
            member = Descriptor(
                media_type=MANIFEST, digest=digest_of(data), size=len(data), platform="a/b", annotations=annotations
            )
        self.shelf.put_manifest(MANIFEST, data)
        self.shelf.blobs |= {digest_of(blob): blob for blob in blobs}
        self.shelf.put_manifest(INDEX, Index(manifests=(member,)).format(), "it")

    def reason(self, trust: Trust | None = None) -> str:
        """Why it is not taken where a signature is demanded; what a note says where none is."""
        with pytest.raises(PolicyError) as caught:
            vouched(self.shelf, "it", PACKAGE, trust or self.trust, Quiet())
        notes = Notes()
        warned = Trust(verifiers=(trust or self.trust).verifiers)
        assert not vouched(self.shelf, "it", PACKAGE, warned, notes)
        (line,) = notes.lines
        reason = caught.value.message.rpartition(": ")[2]
        assert line.endswith(reason)
        return caught.value.message


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    pair = key_pair(tmp_path)
    statement = model_signature.statement("tiny", {"config.json": Hash.sha256_of(b"{}")}, PACKAGE)
    return Signed(
        shelf=Shelf(),
        bundle=KeySigner(pair.private, (), None).sign(statement),
        trust=Trust(verifiers=(KeyVerifier(pair.public.read_bytes(), "model.pub"),), policy=SignaturePolicy.ENFORCE),
    )


def test_a_good_one_vouches(signed: Signed) -> None:
    signed.tag(signed.bundle)
    assert vouched(signed.shelf, "it", PACKAGE, signed.trust, Quiet())


def test_where_nobody_asks_nothing_is_read(signed: Signed) -> None:
    signed.tag(signed.bundle)
    notes = Notes()
    assert not vouched(signed.shelf, "it", PACKAGE, Trust(policy=SignaturePolicy.OFF), notes)
    assert not vouched(signed.shelf, "it", PACKAGE, Trust(), notes)  # no key to hold it against
    assert signed.shelf.asked == []
    assert notes.lines == [
        f"note: that {PACKAGE} is meant is the word of {signed.shelf.name} alone: "
        "no key for a model's signature is trusted"
    ]


def test_none_is_there(signed: Signed) -> None:
    assert "no model signature is there" in signed.reason()
    signed.tag(signed.bundle, OTHER)  # another package's member
    assert "no model signature is there" in signed.reason()
    single = Manifest(config=Descriptor(media_type="a", digest=digest_of(b""), size=0), layers=()).format()
    signed.shelf.put_manifest(MANIFEST, single, "it")
    assert "no model signature is there" in signed.reason()
    large = Descriptor(media_type=dsse.MEDIA_TYPE, digest=digest_of(b"x"), size=dsse.MOST_SIZE + 1)
    manifest = Manifest(config=large, layers=(large,)).format()
    signed.tag(signed.bundle, manifest=manifest)
    assert "no model signature is there" in signed.reason()


def test_one_of_something_else_or_none_at_all(signed: Signed, tmp_path: Path) -> None:
    pair = key_pair(tmp_path, "second")
    statement = model_signature.statement("tiny", {"a": Hash.sha256_of(b"a")}, OTHER)
    trust = Trust(verifiers=(KeyVerifier(pair.public.read_bytes(), "second.pub"),), policy=SignaturePolicy.ENFORCE)
    signed.tag(KeySigner(pair.private, (), None).sign(statement))
    assert "its model signature is of something else" in signed.reason(trust)
    assert "another key signed it" in signed.reason()
    for bundle, manifest in ((b"{}", None), (signed.bundle, b"no JSON")):
        signed.tag(bundle, manifest=manifest)
        assert "it is no bundle of Sigstore" in signed.reason()
