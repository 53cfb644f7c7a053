"""An OCI image layout: a directory in the form of a registry's repository (image-spec 1.1, "Image Layout")."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from hf_pack import durable
from hf_pack.disk.write_aside import write_aside
from hf_pack.errors import HubError, IntegrityError, UsageError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.documents import (
    MOST_DOCUMENT,
    Descriptor,
    Index,
    digest_of,
    is_digest,
    parse_index,
    parse_layout,
)
from hf_pack.ports import Progress, Readable

_MARK = "oci-layout"
_REF_NAME = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 18  #: stays in a core's cache until it is written


def is_layout(directory: Path) -> bool:
    """Whether a directory says that it is a layout."""
    return (directory / _MARK).is_file()


class LayoutDirectory:
    """Implements :class:`hf_pack.ports.registry.Repository`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._turn = Lock()

    @classmethod
    def create(cls, directory: Path) -> LayoutDirectory:
        """A new layout, or one that is there. Raises UsageError for a directory with something else in it."""
        layout = cls(directory)
        try:
            if not is_layout(directory) and directory.exists() and any(directory.iterdir()):
                raise UsageError(
                    f"{directory} is there and is no OCI layout", hint="--output DIR with a directory that is new"
                )
            (directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            if not (directory / "index.json").exists():
                durable.replace_file(directory / "index.json", Index(manifests=()).format())
            durable.replace_file(directory / _MARK, b'{"imageLayoutVersion":"1.0.0"}')
        except OSError as error:
            raise layout._failed(error) from None
        return layout

    @classmethod
    def open(cls, directory: Path) -> LayoutDirectory:
        """One that is there. Raises UsageError, HubError."""
        if not is_layout(directory):
            raise UsageError(
                f"{directory} is no OCI layout\n  it has no file {_MARK}",
                hint="hf-pack export NAME --to oci-layout --output DIR, which writes one",
            )
        layout = cls(directory)
        try:
            parse_layout(layout._small(directory / _MARK))
        except FormatError as error:
            raise HubError(f"{directory / _MARK}: {error}") from None
        return layout

    @property
    def name(self) -> str:
        """``oci-layout:DIRECTORY``."""
        return f"oci-layout:{self._directory}"

    def stop(self) -> None:
        """Nothing here takes long to end."""

    def has(self, digest: str) -> bool:
        """See :class:`hf_pack.ports.registry.Repository`."""
        return self._place(digest).is_file()

    def upload(self, digest: str, contents: Readable, progress: Progress) -> int:
        """See :class:`hf_pack.ports.registry.Repository`. Who uploads the same blob meanwhile waits, and sends none."""
        place = self._place(digest)
        try:
            return write_aside(
                place.with_name(f".{place.name}{durable.SUFFIX}"), place, _Proved(contents, digest), progress
            )
        except OSError as error:
            raise self._failed(error) from None

    def manifest(self, reference: str) -> tuple[str, bytes] | None:
        """See :class:`hf_pack.ports.registry.Repository`. Without a name it is the only one that has one."""
        if is_digest(reference):
            if not self.has(reference):
                return None
            data, media_type = self._small(self._place(reference)), ""
        else:
            found = [one for one in self._index().manifests if reference in ("", one.annotations.get(_REF_NAME))]
            if len(found) > 1 and not reference:
                named = {one.annotations.get(_REF_NAME) for one in found}
                raise UsageError(
                    f"{self.name} holds {len(found)} things", hint=f"name one: {', '.join(sorted(map(str, named)))}"
                )
            if not found:
                return None
            data, media_type = self._small(self._place(found[0].digest)), found[0].media_type
            reference = found[0].digest
        if digest_of(data) != reference:
            raise IntegrityError(
                f"a manifest has other bytes than its digest says\n"
                f"  {self._place(reference)}: expected {reference}, found {digest_of(data)}"
            )
        return media_type, data

    def put_manifest(self, media_type: str, data: bytes, tag: str | None = None) -> None:
        """See :class:`hf_pack.ports.registry.Repository`."""
        digest = digest_of(data)
        try:
            durable.replace_file(self._place(digest), data)
            if tag is None:
                return
            with self._turn:
                index = self._index()
                others = tuple(one for one in index.manifests if one.annotations.get(_REF_NAME) != tag)
                named = Descriptor(media_type=media_type, digest=digest, size=len(data), annotations={_REF_NAME: tag})
                new = replace(index, manifests=(*others, named))
                durable.replace_file(self._directory / "index.json", new.format())
        except OSError as error:
            raise self._failed(error) from None

    def chunks(self, digest: str, offset: int, size: int) -> Iterator[bytes]:
        """See :class:`hf_pack.ports.registry.Repository`."""
        place = self._place(digest)
        try:
            with place.open("rb", buffering=0) as file:
                file.seek(offset)
                while size and (chunk := file.read(min(_CHUNK, size))):
                    yield chunk
                    size -= len(chunk)
        except OSError as error:
            raise self._failed(error) from None
        if size:
            raise HubError(f"{place}: ends early")

    def _index(self) -> Index:
        place = self._directory / "index.json"
        try:
            return parse_index(self._small(place))
        except FormatError as error:
            raise HubError(f"{place}: {error}") from None

    def _small(self, place: Path) -> bytes:
        try:
            with place.open("rb") as file:
                data = file.read(MOST_DOCUMENT + 1)
        except OSError as error:
            raise self._failed(error) from None
        if len(data) > MOST_DOCUMENT:
            raise HubError(f"{place}: longer than {MOST_DOCUMENT} bytes")
        return data

    def _place(self, digest: str) -> Path:
        assert is_digest(digest)
        return self._directory / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _failed(self, error: OSError) -> HubError:
        return HubError(
            f"the OCI layout cannot be used\n  {error.filename or self._directory}: {error.strerror or error}",
            hint="name the directory of an OCI layout, or, to write, one that is not there yet",
        )


@dataclass(frozen=True, slots=True)
class _Proved:
    """Implements :class:`hf_pack.ports.Readable` for a whole blob; the last chunk is given when all are proven."""

    contents: Readable
    digest: str

    @property
    def size(self) -> int:
        return self.contents.size

    def chunks(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        hasher, left = hashlib.sha256(), size
        for chunk in self.contents.chunks(offset, size):
            hasher.update(chunk)
            left -= len(chunk)
            if left == 0:
                self._require(hasher.hexdigest())
            yield chunk
        if size == 0:
            self._require(hasher.hexdigest())

    def _require(self, found: str) -> None:
        if f"sha256:{found}" != self.digest:
            raise IntegrityError(
                f"a file has other bytes than its digest says\n  expected {self.digest}, found sha256:{found}"
            )
