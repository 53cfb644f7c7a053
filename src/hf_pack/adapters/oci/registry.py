"""A repository of a registry (OCI distribution-spec 1.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from urllib.parse import quote, urlencode, urljoin

from hf_pack.adapters.oci.connection import Action, Refused, RegistryConnection
from hf_pack.adapters.oci.logins import Login
from hf_pack.adapters.oci.memory import Memory
from hf_pack.errors import HubError, IntegrityError
from hf_pack.formats.oci.documents import INDEX, INDEXES, MANIFESTS, MOST_DOCUMENT, digest_of, is_digest
from hf_pack.formats.oci.reference import Reference
from hf_pack.ports import Progress, Readable
from hf_pack.web_bodies import Stretch, received
from hf_pack.web_pool import Answer, failure

CHUNK = 256 << 20  #: bytes of a large blob that are sent in one request
_TRIES = 4  #: in a row that bring nothing
_SENT_AGAIN = 64 << 10  #: bytes; of more, the registry may have kept a part, and is asked first
_OCTETS = "application/octet-stream"


class RegistryRepository:
    """Implements :class:`hf_pack.ports.registry.Repository`. Nothing is asked before the first call."""

    def __init__(
        self,
        reference: Reference,
        find_login: Callable[[], Login | None],
        memory: Memory,
        *,
        plain_http: bool,
        action: Action,
        chunk: int = CHUNK,
    ) -> None:
        self._registry = reference.registry
        self._repository = reference.repository
        self._memory = memory
        self._chunk = chunk
        self._connection = RegistryConnection(reference, find_login, plain_http=plain_http, action=action)

    @property
    def name(self) -> str:
        """``oci://REGISTRY/REPOSITORY``."""
        return f"oci://{self._registry}/{self._repository}"

    def stop(self) -> None:
        """See :class:`hf_pack.ports.registry.Repository`."""
        self._connection.stop()

    def has(self, digest: str) -> bool:
        """See :class:`hf_pack.ports.registry.Repository`."""
        url = self._connection.url(f"blobs/{digest}")
        try:
            with closing(self._connection.ask("HEAD", url, (200, 404))) as answer:
                return answer.status == 200
        except Refused as error:
            # Docker's registry, killed while it noted that it has the blob, cannot tell until it is sent again.
            if error.status == 500:
                return False
            raise

    def manifest(self, reference: str) -> tuple[str, bytes] | None:
        """See :class:`hf_pack.ports.registry.Repository`."""
        url = self._connection.url(f"manifests/{reference}")
        accept = {"Accept": ", ".join((*INDEXES, *MANIFESTS))}
        with closing(self._connection.ask("GET", url, (200, 404), headers=accept)) as answer:
            try:
                data = answer.read(MOST_DOCUMENT + 1)
            except OSError as error:
                raise HubError(f"{self.name}: {reference} breaks off: {failure(error)}") from None
            if answer.status == 404:
                return None
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if len(data) > MOST_DOCUMENT:
            raise HubError(f"{self.name}: the manifest {reference} is longer than {MOST_DOCUMENT} bytes")
        if is_digest(reference) and digest_of(data) != reference:
            raise IntegrityError(
                f"{self.name}: a manifest has other bytes than its digest says\n"
                f"  expected {reference}, found {digest_of(data)}"
            )
        return media_type, data

    def put_manifest(self, media_type: str, data: bytes, tag: str | None = None) -> None:
        """See :class:`hf_pack.ports.registry.Repository`."""
        url = self._connection.url(f"manifests/{tag or digest_of(data)}")
        try:
            answer = self._connection.ask("PUT", url, (201, 202), headers={"Content-Type": media_type}, body=data)
        except Refused as error:
            if media_type == INDEX and error.status in (400, 415):
                error.hint = error.hint or "a registry that takes image indexes is needed"
            raise
        answer.close()

    def chunks(self, digest: str, offset: int, size: int) -> Iterator[memoryview]:
        """See :class:`hf_pack.ports.registry.Repository`."""
        url = self._connection.url(f"blobs/{digest}")

        def ask(wanted: str) -> Answer:
            answer = self._connection.ask("GET", url, (200, 206, 404, 416), headers={"Range": wanted})
            if answer.status in (404, 416):
                answer.close()
                missing = "does not have it" if answer.status == 404 else "has less of it than it should"
                raise HubError(f"{self.name}: {digest}: the registry {missing}")
            return answer

        for chunk in received(ask, f"{self.name}: {digest}", offset, size, tries=_TRIES):
            self._connection.require_going()
            yield chunk

    def upload(self, digest: str, contents: Readable, progress: Progress) -> int:
        """See :class:`hf_pack.ports.registry.Repository`."""
        home = f"home {self._registry} {digest}"
        sent = 0 if self._is_mounted(digest, self._memory.find(home)) else self._sent(digest, contents, progress)
        self._memory.remember(home, self._repository)
        return sent

    def _is_mounted(self, digest: str, other: str | None) -> bool:
        """Whether the registry takes the blob from another repository of its own, where this machine once put it."""
        if other is None or other == self._repository:
            return False
        self._connection.may_read(other)
        query = urlencode({"mount": digest, "from": other}, quote_via=quote, safe=":/")
        with suppress(Refused):
            answer = self._connection.ask("POST", self._connection.url(f"blobs/uploads/?{query}"), (201, 202))
            answer.close()
            return answer.status == 201
        return False

    def _sent(self, digest: str, contents: Readable, progress: Progress) -> int:
        """By chunks where it is large, so that a broken upload goes on; whole where the registry takes no chunks."""
        sent, in_vain = 0, 0
        by_chunks = contents.size > self._chunk
        location, offset = self._unfinished(digest, contents.size) if by_chunks else (None, 0)
        progress.advance(offset)
        highest = offset
        while True:
            before = offset
            try:
                if location is None:
                    location, offset = self._begin(), 0
                    if by_chunks:
                        self._memory.remember(self._key(digest), location)
                while by_chunks and offset < contents.size:
                    size = min(self._chunk, contents.size - offset)
                    location, count = self._patch(digest, location, contents, offset, size, progress, highest)
                    sent += count
                    offset += size
                    highest = max(highest, offset)
                return sent + self._put(digest, location, contents, offset, progress)
            except _NoChunks:
                by_chunks, location, offset = False, None, 0
            except OSError as error:
                in_vain = 0 if offset > before else in_vain + 1
                if in_vain >= _TRIES:
                    raise HubError(
                        f"{self.name}: the upload of {digest} breaks off: {failure(error)}",
                        hint="run the same command again: what is there is not sent again",
                    ) from None
                location, offset = self._unfinished(digest, contents.size) if by_chunks else (None, 0)
                by_chunks = by_chunks and (offset > 0 or in_vain < 2)

    def _begin(self) -> str:
        url = self._connection.url("blobs/uploads/")
        return self._location(self._connection.ask("POST", url, (202,)), url)

    def _patch(
        self, digest: str, location: str, contents: Readable, offset: int, size: int, progress: Progress, highest: int
    ) -> tuple[str, int]:
        body = Stretch(
            contents, offset, size, lambda n: progress.advance(n) if offset >= highest else None, most_again=_SENT_AGAIN
        )
        headers = {
            "Content-Type": _OCTETS,
            "Content-Length": str(size),
            "Content-Range": f"{offset}-{offset + size - 1}",
        }
        answer = self._connection.ask_once("PATCH", location, headers=headers, body=body)
        if answer.status in (400, 405, 413) and offset == 0:
            answer.close()
            raise _NoChunks
        if answer.status in (404, 416) or answer.status >= 500:
            answer.close()
            raise ConnectionError(f"HTTP {answer.status}")
        if answer.status not in (201, 202):
            raise self._connection.refusal(answer)
        location = self._location(answer, location)
        self._memory.remember(self._key(digest), location)
        return location, body.sent

    def _put(self, digest: str, location: str, contents: Readable, offset: int, progress: Progress) -> int:
        """The end of an upload, with what is not there yet."""
        size = contents.size - offset
        body = Stretch(contents, offset, size, progress.advance, most_again=_SENT_AGAIN)
        url = location + ("&" if "?" in location else "?") + "digest=" + quote(digest)
        headers = {"Content-Type": _OCTETS, "Content-Length": str(size)}
        answer = self._connection.ask_once("PUT", url, headers=headers, body=body)
        if answer.status in (404, 408) or answer.status >= 500:  # it may be there still, and is asked
            answer.close()
            raise ConnectionError(f"HTTP {answer.status}")
        self._memory.forget(self._key(digest))
        if answer.status == 201:
            answer.close()
            return body.sent
        error = self._connection.refusal(answer)
        if error.code == "DIGEST_INVALID":
            raise IntegrityError(
                f"{self.name}: a file has other bytes than its digest says\n"
                f"  expected {digest}, found {_digest_of(contents)}"
            )
        raise error

    def _unfinished(self, digest: str, size: int) -> tuple[str | None, int]:
        """Where an interrupted upload goes on, and how many bytes of it the registry has; None and 0 where none does.

        A registry may forget a chunk that came in part, and the whole upload with it: Docker's own does.
        """
        location = self._memory.find(self._key(digest))
        if location is None:
            return None, 0
        with suppress(Refused):
            answer = self._connection.ask("GET", location, (204,))
            last = answer.headers.get("Range", "").removeprefix("bytes=").rpartition("-")[2]
            offset = int(last) + 1 if last.isascii() and last.isdigit() and len(last) < 19 else 0
            if 1 < offset <= size:
                return self._location(answer, location), offset
            answer.close()
        self._memory.forget(self._key(digest))
        return None, 0

    def _key(self, digest: str) -> str:
        return f"upload {self._registry} {self._repository} {digest}"

    def _location(self, answer: Answer, url: str) -> str:
        location = answer.headers.get("Location")
        answer.close()
        if location is None:
            raise HubError(f"{self.name}: the registry does not say where an upload goes on")
        return urljoin(url, location)


class _NoChunks(Exception):  # noqa: N818 - what a registry says, no error
    """The registry takes a blob only whole."""


def _digest_of(contents: Readable) -> str:
    hasher = hashlib.sha256()
    for chunk in contents.chunks(0, contents.size):
        hasher.update(chunk)
    return "sha256:" + hasher.hexdigest()
