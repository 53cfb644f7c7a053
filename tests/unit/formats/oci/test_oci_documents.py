"""Addresses, challenges and documents of registries: what is read of strangers is refused where it is not sound."""

from __future__ import annotations

import json

import pytest

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.challenge import Challenge, parse_challenges
from hf_pack.formats.oci.documents import (
    MANIFEST,
    Descriptor,
    Index,
    Manifest,
    digest_of,
    parse_index,
    parse_layout,
    parse_manifest,
)
from hf_pack.formats.oci.reference import Reference, tag_of_version

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci://r.example/team/m:1.0", Reference(registry="r.example", repository="team/m", tag="1.0")),
        ("oci://localhost:5000/m", Reference(registry="localhost:5000", repository="m")),
        (f"oci://r.io/m:t@{DIGEST}", Reference(registry="r.io", repository="m", tag="t", digest=DIGEST)),
        ("oci://[::1]:5000/a/b__c/d-e", Reference(registry="[::1]:5000", repository="a/b__c/d-e")),
    ],
)
def test_an_address_is_read_and_written_back(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected
    assert Reference.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "oci://r.io",
        "oci://r.io/",
        "oci://r.io/UPPER",
        "oci://r.io/a/../b",
        "oci://r.io/a:",
        "oci://r.io/a:-x",
        "oci://r.io/a@sha256:12",
        "oci:///a",
        "oci://r.io/a?x=1",
        "oci://user:s3cret@r.io/a",
        "oci://r io/a",
    ],
)
def test_what_is_no_address_is_refused_without_saying_a_password(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        Reference.parse(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("registry", "local"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("r.localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3:80", True),
        ("[::1]", True),
        ("[::1]:80", True),
        ("local.example", False),
        ("localhost.example:80", False),
        ("127.example", False),
        ("127.0.0.1.example:80", False),
        ("10.0.0.1", False),
        ("[::2]:80", False),
    ],
)
def test_only_this_machine_is_local(registry: str, local: bool) -> None:
    assert Reference(registry=registry, repository="a").is_local is local


def test_a_version_is_a_tag() -> None:
    assert tag_of_version("1.0.0+ca88e16") == "1.0.0_ca88e16"


def test_challenges_are_read_with_commas_and_quotes_in_them() -> None:
    header = 'Bearer realm="https://a/t",service="x, \\"y\\"",scope="repository:a:pull,push", Basic realm="r"'
    assert parse_challenges(header) == (
        Challenge(scheme="bearer", realm="https://a/t", service='x, "y"', scope="repository:a:pull,push"),
        Challenge(scheme="basic", realm="r"),
    )
    assert parse_challenges("Negotiate") == ()


def test_documents_come_back() -> None:
    config = Descriptor(media_type="c", digest=DIGEST, size=3)
    layer = Descriptor(media_type="l", digest=DIGEST, size=9, annotations={"b": "2", "a": "ü"})
    manifest = Manifest(config=config, layers=(layer,), artifact_type="t", annotations={"k": "v"})
    assert parse_manifest(manifest.format()) == manifest
    assert json.loads(manifest.format())["mediaType"] == MANIFEST
    named = Descriptor(media_type=MANIFEST, digest=digest_of(b""), size=0, platform="linux/arm64")
    assert parse_index(Index(manifests=(named,), annotations={"k": "v"}).format()).manifests == (named,)


def _changed(**changes: object) -> bytes:
    layer = {"mediaType": "m", "digest": DIGEST, "size": 1}
    document = {"schemaVersion": 2, "config": dict(layer), "layers": [layer], **changes}
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"schemaVersion":1}',
        _changed(config=None),
        _changed(layers={}),
        _changed(layers=[{"mediaType": "m", "digest": "sha512:00", "size": 1}]),
        _changed(layers=[{"mediaType": "m", "digest": DIGEST, "size": -1}]),
        _changed(layers=[{"mediaType": "m", "digest": DIGEST, "size": True}]),
        _changed(layers=[{"mediaType": "m", "digest": DIGEST, "size": 1, "annotations": {"a": 1}}]),
        _changed()[:-1] + b',"config":{}}',
        b'{"schemaVersion":2,"x":' + b"[" * 100 + b"]" * 100 + b"}",
        b" " * (4 << 20) + _changed(),
    ],
)
def test_a_document_that_is_not_sound_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_manifest(data)


def test_another_layout_version_is_refused() -> None:
    parse_layout(b'{"imageLayoutVersion":"1.0.0"}')
    with pytest.raises(FormatError, match="imageLayoutVersion"):
        parse_layout(b'{"imageLayoutVersion":"2.0.0"}')
