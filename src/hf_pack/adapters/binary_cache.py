"""Nix binary caches as places that may have a blob: ``file://`` and ``http(s)://``.

Only content-addressed bytes are taken, and the lock's sha256 proves them: a cache needs no key and no trust. A blob's
NAR is a header of 96 bytes, the file, and a short trailer, so an uncompressed NAR is fetched by ranges and resumes
inside the file; a compressed one is read from its start.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from urllib3 import Retry

from hf_pack.errors import HubError, UsageError
from hf_pack.formats import nar
from hf_pack.formats.decompressing import METHODS, decompressed
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.narinfo import NarInfo
from hf_pack.model.file_names import shown
from hf_pack.ports import Progress, Reception, WantedBlob
from hf_pack.web_pool import Answer, WebPool

_CHUNK = 1 << 20
_CONTENTS = len(nar.file_header(0))
_MOST_NARINFO = 1 << 20
_TRIES = 5  #: in a row that bring nothing
_MAY_PASS = (429, 500, 502, 503, 504)
_CONNECTIONS = 4
_SLACK = 1 << 20  #: bytes that a compressed NAR may be larger than the NAR, beside a 64th of it


class UnreadKindError(UsageError):
    """A cache of a kind that is not read here. ``name`` is its URL without what may be secret in it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"only file:// and http(s):// are read\n  hf-pack.toml: caches: found {name}")
        self.name = name


class _Files(Protocol):
    """How a cache's files are read; None where it has no such file."""

    def small(self, relative: str) -> bytes | None: ...

    def chunks(self, relative: str, offset: int, size: int | None) -> Iterator[bytes | memoryview]:
        """Each is gone when the next is asked for."""


class BinaryCache:
    """Implements :class:`hf_pack.ports.BlobSource`."""

    def __init__(self, url: str) -> None:
        """Nothing is asked yet. Raises UsageError for what is no URL, UnreadKindError for one of another kind."""
        parts = _parts_of(url)
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # no password, no query
        if parts.scheme not in ("file", "http", "https"):
            raise UnreadKindError(self._name)
        self._files: _Files = _Disk(Path(unquote(parts.path))) if parts.scheme == "file" else _Web(url, self._name)
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """The URL without what may be secret in it."""
        return self._name

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """See :class:`hf_pack.ports.BlobSource`. Raises HubError for a cache that has the blob and cannot give it."""
        text = self._files.small(f"{wanted.blob.store_path.digest}.narinfo")
        if text is None:
            return False
        try:
            info = NarInfo.parse(text.decode(errors="replace"))
        except FormatError as error:
            raise HubError(f"{self._name}: its narinfo of {wanted.blob.name} is damaged: {error}") from None
        if info.store_path != wanted.blob.store_path or info.nar_size != nar.file_size(wanted.blob.size):
            raise HubError(f"{self._name}: its narinfo of {wanted.blob.name} is of another object")
        if info.compression == "none":
            self._ranges(info, into, progress)
        elif info.compression in METHODS:
            self._whole(info, wanted.blob.size, into, progress)
        else:
            raise HubError(
                f"{self._name}: has it in a compression that is not read here: expected none, {', '.join(METHODS)}, "
                f"found {shown(info.compression)}"
            )
        return True

    def stop(self) -> None:
        """See :class:`hf_pack.ports.BlobSource`."""
        self._stopped.set()

    def _chunks(self, info: NarInfo, offset: int, size: int | None) -> Iterator[bytes | memoryview]:
        for chunk in self._files.chunks(info.url, offset, size):
            if self._stopped.is_set():
                raise HubError(f"{self._name}: the download was stopped")
            yield chunk

    def _ranges(self, info: NarInfo, into: Reception, progress: Progress) -> None:
        for part in into.missing:
            offset = part.offset
            for chunk in self._chunks(info, _CONTENTS + part.offset, part.size):
                into.write(offset, chunk)
                progress.advance(len(chunk))
                offset += len(chunk)

    def _whole(self, info: NarInfo, size: int, into: Reception, progress: Progress) -> None:
        position = -_CONTENTS  # of the file's first byte
        try:
            for data in decompressed(info.compression, self._plausible(info)):
                begin, end = max(0, -position), min(len(data), size - position)
                if begin < end:
                    into.write(position + begin, memoryview(data)[begin:end])
                    progress.advance(end - begin)
                position += len(data)
                if position >= size:
                    return  # what a cache sends beyond the file is not even decompressed
        except FormatError as error:
            raise HubError(f"{self._name}: {info.url} is damaged: {error}") from None
        raise HubError(f"{self._name}: {info.url} ends early")

    def _plausible(self, info: NarInfo) -> Iterator[bytes | memoryview]:
        """The compressed NAR, unless it is longer than the NAR: some streams have no end and hold nothing."""
        left = info.nar_size + info.nar_size // 64 + _SLACK
        for chunk in self._chunks(info, 0, None):
            left -= len(chunk)
            if left < 0:
                raise HubError(f"{self._name}: {info.url} is longer than what it holds")
            yield chunk


def _parts_of(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_whole = parts.port is None or bool(parts.hostname)
    except ValueError:
        is_whole = False
    if is_whole and (parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc):
        return parts
    if is_whole and parts.scheme not in ("", "file") and parts.hostname:
        return parts
    raise UsageError(
        "this is not the URL of a cache\n"
        f"  hf-pack.toml: caches: expected file:///DIRECTORY or http(s)://HOST/PATH, found {shown(url)}",
        hint="edit hf-pack.toml",
    )


@dataclass(frozen=True)
class _Disk:
    root: Path

    def small(self, relative: str) -> bytes | None:
        try:
            with (self.root / relative).open("rb") as file:
                return file.read(_MOST_NARINFO)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HubError(f"{self.root / relative}: {error.strerror}") from None

    def chunks(self, relative: str, offset: int, size: int | None) -> Iterator[bytes]:
        place = self.root / relative
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self.root)):
            raise HubError(f"{self.root}: a narinfo leads out of the cache: {shown(relative)}")
        try:
            with place.open("rb") as file:
                file.seek(offset)
                left = place.stat().st_size - offset if size is None else size
                while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                    yield chunk
                    left -= len(chunk)
        except OSError as error:
            raise HubError(f"{place}: {error.strerror}") from None
        if left > 0 and size is not None:
            raise HubError(f"{place}: ends early")


class _Web:
    def __init__(self, url: str, name: str) -> None:
        self._base = url.rstrip("/") + "/"
        self._name = name
        # What a cache asks to wait is not heeded: the next place may have the blob at once.
        retries = Retry(
            _TRIES,
            backoff_factor=0.2,
            status_forcelist=_MAY_PASS,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        self._pool = WebPool(connections=_CONNECTIONS, connect_seconds=10, read_seconds=15, retries=retries)

    def small(self, relative: str) -> bytes | None:
        with closing(self._get(relative, {})) as answer:
            try:
                data = answer.read(_MOST_NARINFO)  # of an error, too: the connection stays usable so
            except OSError as error:
                raise self._failed(relative, error) from None
            if answer.status in (403, 404, 410):
                return None
            self._check(answer, relative, 200)
            return data

    def chunks(self, relative: str, offset: int, size: int | None) -> Iterator[memoryview]:
        """Goes on after a broken connection from where it broke, as long as every try brings something."""
        buffer = memoryview(bytearray(_CHUNK))
        done, in_vain = 0, 0
        while size is None or done < size:
            last = "" if size is None else str(offset + size - 1)
            before, problem = done, "ends early"
            try:
                with closing(self._get(relative, {"Range": f"bytes={offset + done}-{last}"})) as answer:
                    skip = self._skip(answer, relative, offset + done)
                    while got := answer.read_into(buffer):
                        fresh = buffer[skip : got if size is None else min(got, skip + size - done)]
                        skip = max(0, skip - got)
                        if fresh:
                            yield fresh
                            done += len(fresh)
                        if done == size:
                            return
                if size is None:
                    return
            except OSError as error:
                problem = f"breaks off: {type(error).__name__}"
            in_vain = 0 if done > before else in_vain + 1
            if in_vain >= _TRIES:
                raise HubError(f"{self._name}: {relative} {problem}")

    def _skip(self, answer: Answer, relative: str, wanted: int) -> int:
        """How many bytes come before the wanted ones: a server without ranges sends the whole file."""
        if answer.status == 206:
            return 0
        self._check(answer, relative, 200)
        return wanted

    def _check(self, answer: Answer, relative: str, expected: int) -> None:
        if answer.status != expected:
            raise HubError(f"{self._name}: {relative}: HTTP {answer.status}")

    def _get(self, relative: str, headers: dict[str, str]) -> Answer:
        try:
            return self._pool.send("GET", self._url(relative), headers)
        except OSError as error:
            raise self._failed(relative, error) from None

    def _url(self, relative: str) -> str:
        # A narinfo is a stranger's: it must not have this machine ask others, which may be inside its own network.
        try:
            url = urljoin(self._base, relative)
        except ValueError:
            url = ""
        if not url.startswith(self._base):
            raise HubError(f"{self._name}: a narinfo leads out of the cache: {shown(relative)}")
        return url

    def _failed(self, relative: str, error: OSError) -> HubError:
        return HubError(f"{self._name}: {relative}: {type(error).__name__}", hint="is the cache reachable?")
