"""Blobs of an OCI layout: whole and of their digest, or not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet
from tests.models import filler

from hf_pack.adapters.oci.layout import LayoutDirectory
from hf_pack.errors import IntegrityError, StoreError
from hf_pack.formats.oci.documents import digest_of

DATA = filler(3_000_000)
DIGEST = digest_of(DATA)
CHUNK = 100_000


class Contents:
    """A Readable; after ``breaks_at`` bytes it fails, and ``reading`` is set at the first."""

    def __init__(self, data: bytes, breaks_at: int | None = None) -> None:
        self.data, self.breaks_at = data, breaks_at
        self.reading, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        for begin in range(offset, offset + size, CHUNK):
            if begin == self.breaks_at:
                raise StoreError("the disk is gone")
            yield self.data[begin : min(begin + CHUNK, offset + size)]
            self.reading.set()
            assert self.may_go_on.wait(60)


@pytest.fixture
def layout(tmp_path: Path) -> LayoutDirectory:
    return LayoutDirectory.create(tmp_path / "layout")


def whole(layout: LayoutDirectory) -> bytes:
    return b"".join(layout.chunks(DIGEST, 0, len(DATA)))


def test_an_interrupted_upload_goes_on(layout: LayoutDirectory) -> None:
    with pytest.raises(StoreError):
        layout.upload(DIGEST, Contents(DATA, breaks_at=2_000_000), Quiet())
    assert not layout.has(DIGEST)
    assert layout.upload(DIGEST, Contents(DATA), Quiet()) == 1_000_000
    assert whole(layout) == DATA


def test_other_bytes_than_the_digest_s_are_not_there_and_in_nobody_s_way(layout: LayoutDirectory) -> None:
    wrong = bytearray(DATA)
    wrong[-1] ^= 1
    with pytest.raises(IntegrityError, match=f"expected {DIGEST}, found sha256:"):
        layout.upload(DIGEST, Contents(bytes(wrong)), Quiet())
    assert not layout.has(DIGEST)
    layout.upload(DIGEST, Contents(DATA), Quiet())
    assert whole(layout) == DATA


def test_no_bytes_have_a_digest_too(layout: LayoutDirectory) -> None:
    layout.upload(digest_of(b""), Contents(b""), Quiet())
    assert layout.has(digest_of(b""))
    with pytest.raises(IntegrityError):
        layout.upload(DIGEST, Contents(b""), Quiet())


def test_two_who_write_the_same_blob(layout: LayoutDirectory) -> None:
    first, second = Contents(DATA), Contents(DATA)
    first.may_go_on.clear()
    sent: dict[str, int] = {}

    def send(name: str, contents: Contents) -> None:
        sent[name] = layout.upload(DIGEST, contents, Quiet())

    threads = [threading.Thread(target=send, args=one) for one in (("first", first), ("second", second))]
    threads[0].start()
    assert first.reading.wait(60)
    threads[1].start()
    first.may_go_on.set()
    for thread in threads:
        thread.join(60)
    assert sent["first"] == len(DATA)
    assert sent["second"] in (0, len(DATA))  # it came while the first one wrote, or after that
    assert whole(layout) == DATA
