"""A NAR on its way into a store: read strictly, and proved by the hashes that it must have before it counts."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from hf_pack.errors import IntegrityError, PolicyError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.nar_reader import DirectoryStart, FileChunk, FileStart, NarEvent, Symlink, read_events
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import PublicKey, verify

_SHOWN_SIGNERS = 5


def require_address(info: NarInfo) -> None:
    """Raise IntegrityError for an object whose path does not follow from the content address that it states."""
    if info.content_address is not None and not info.content_address_holds():
        raise IntegrityError(
            f"{info.store_path} is described wrongly\n  CA: its path does not follow from {info.content_address}",
            hint="take it from another cache",
        )


def require_authentic(info: NarInfo, trusted_keys: Sequence[PublicKey]) -> None:
    """Raise unless the path follows from the content, or a trusted key signed both.

    The hash of what refers to itself leaves its own path out; such an object needs a signature here. Raises
    IntegrityError for a content address that does not hold, PolicyError for a signature that is missing.
    """
    require_address(info)
    if info.content_address is not None and info.store_path not in info.references:
        return
    if not verify(info.fingerprint(), info.signatures, trusted_keys):
        names = sorted({signature.partition(":")[0] for signature in info.signatures})
        found = f"signatures by {', '.join(names[:_SHOWN_SIGNERS])}, none of them good and trusted" if names else "none"
        raise PolicyError(
            f"{info.store_path} is not content-addressed: it needs a signature by a trusted key\n  Sig: found {found}",
            hint="give the publisher's public key with --trusted-key NAME:KEY",
        )


class ProvenNar:
    """The NAR that ``chunks`` give, which must be the one that ``info`` describes. Read once, one way or the other.

    A chunk may be overwritten once the next is asked for. Never more than ``info.nar_size`` bytes are taken, however
    many come.
    """

    def __init__(self, info: NarInfo, chunks: Iterable[bytes | memoryview]) -> None:
        self._info = info
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self._size = 0
        self._nar = hashlib.sha256()
        address = info.content_address
        self._address = address if address is not None and info.store_path not in info.references else None
        self._content = None  # where nothing is to be compared, or the NAR's own hash
        if self._address is not None and (self._address.method, self._address.hash.algorithm) != (
            "recursive",
            "sha256",
        ):
            self._content = hashlib.new(self._address.hash.algorithm)
        self._keeps = False  # whether what was read is kept, to be passed on
        self._kept: deque[bytes] = deque()

    def events(self) -> Iterator[NarEvent]:
        """What the NAR holds, in its order; whoever made something of it keeps it aside until the end.

        Raises IntegrityError that names the object, at the latest at the end.
        """
        try:
            for event in read_events(self._read):
                self._look_at(event)
                yield event
        except FormatError as error:
            raise self._wrong(str(error)) from None
        self._check()

    def raw(self) -> Iterator[bytes]:
        """The NAR itself, whose last bytes come only when all is proved. Raises IntegrityError before them."""
        self._keeps = True
        for _ in self.events():
            while len(self._kept) > 1:
                yield self._kept.popleft()
        yield from self._kept

    def _read(self, n: int) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._size += len(chunk)
            if self._size > self._info.nar_size:
                raise FormatError(f"NarSize: expected {self._info.nar_size} bytes, found more")
            self._nar.update(chunk)
            if self._address is not None and self._address.method == "recursive" and self._content is not None:
                self._content.update(chunk)
            if self._keeps:
                chunk = bytes(chunk)
                self._kept.append(chunk)
            self._rest = memoryview(chunk)
        data, self._rest = bytes(self._rest[:n]), self._rest[n:]
        return data

    def _look_at(self, event: NarEvent) -> None:
        if isinstance(event, FileStart) and event.nar_offset + event.size > self._info.nar_size:
            raise FormatError(f"NarSize: expected {self._info.nar_size} bytes, found a file of {event.size}")
        if self._address is None or self._content is None or self._address.method == "recursive":
            return
        # The address of one file says nothing of its executable bit: only what Nix makes of it is taken.
        if isinstance(event, DirectoryStart | Symlink) or (isinstance(event, FileStart) and event.executable):
            raise FormatError(f"CA: expected one plain file, as {self._address.method} objects are")
        if isinstance(event, FileChunk):
            self._content.update(event.data)

    def _check(self) -> None:
        info = self._info
        if self._size != info.nar_size:
            raise self._wrong(f"NarSize: expected {info.nar_size} bytes, found {self._size}")
        nar_hash = Hash(HashAlgorithm.SHA256, self._nar.digest())
        # A hash that was only stated is compared as well: it is what gets registered.
        if nar_hash != info.nar_hash:
            raise self._wrong(f"NarHash: expected {info.nar_hash.nix_text()}, found {nar_hash.nix_text()}")
        if self._address is not None:
            expected = self._address.hash
            found = nar_hash if self._content is None else Hash(expected.algorithm, self._content.digest())
            if found != expected:
                raise self._wrong(f"CA: expected {expected.nix_text()}, found {found.nix_text()}")

    def _wrong(self, problem: str) -> IntegrityError:
        return IntegrityError(
            f"{self._info.store_path} arrived with other bytes than it must have\n  {problem}",
            hint="run the same command again, or take it from another cache",
        )
