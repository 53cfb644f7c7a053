"""The Hub by its Xet client: the ordered stream of a file's bytes out of the deduplicated storage."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hf_pack.adapters.hub.hub_errors import Place, hub_error, stalled_error
from hf_pack.adapters.hub.locate import locate
from hf_pack.adapters.hub.origin import origin_of
from hf_pack.adapters.hub.retrying import Patience, Transient, insist
from hf_pack.adapters.hub.web import Web
from hf_pack.errors import HubError
from hf_pack.ports import ByteRange, Progress, Reception, WantedBlob

_STATUS = re.compile(r"\b(?:status|HTTP)\D{0,20}([45]\d\d)\b", re.IGNORECASE)
_MOST_TOKEN_BYTES = 1 << 16
_LULLS = 4  #: stall times without a piece before a stream is cut: pieces are large, and come in order


@dataclass(frozen=True, slots=True, kw_only=True)
class CasAccess:
    """How to ask the storage service for one commit's files: valid until ``expires`` (Unix seconds)."""

    url: str
    token: str = field(repr=False)
    expires: int


class HubXet:
    """The Xet storage behind the Hub, as a :class:`hf_pack.ports.BlobSource`. Thread-safe.

    ``plain_cas`` allows a storage service that is not https: only tests set it. The client takes any address that a
    mirror names, even one that has it create directories.
    """

    def __init__(self, web: Web, *, plain_cas: bool = False) -> None:
        self._settings = web.settings
        self._limits = web.limits
        self._web = web
        self._plain_cas = plain_cas
        self._lock = threading.Lock()
        self._session: Any = None
        self._streams: set[Any] = set()
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """For progress and errors."""
        return f"{origin_of(self._settings.endpoint)}, by Xet"

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """Bring the missing parts; False without the Xet client, or for a file that is not in its storage.

        Raises HubError, StalledError, and what ``into`` raises.
        """
        if not self._settings.xet or not _has_client():
            return False
        place = self._web.place(str(wanted.repo_id), wanted.commit_hash, wanted.path)
        xet_hash = insist(lambda: locate(self._web, wanted, place), self._limits, self._web.waits).xet_hash
        if xet_hash is None:
            return False
        patience = Patience(self._limits, self._web.waits, self._stopped)
        while parts := _first_run(into.missing):
            before = len(into.missing)
            try:
                self._stream(wanted, xet_hash, parts, into, progress, place)
            except Transient as failure:
                if self._stopped.is_set():
                    raise hub_error("the download was stopped", place) from None
                if len(into.missing) < before:
                    patience.progress()
                progress.detail(f"{wanted.path}: trying again: {failure}")
                patience.after(failure)
        return True

    def stop(self) -> None:
        """Have every fetch under way end with a HubError."""
        self._stopped.set()
        with self._lock:
            for stream in self._streams:
                stream.cancel()

    def _stream(
        self,
        wanted: WantedBlob,
        xet_hash: str,
        parts: tuple[ByteRange, ...],
        into: Reception,
        progress: Progress,
        place: Place,
    ) -> None:
        """Read one run of missing parts, in order."""
        ends = iter(part.offset + part.size for part in parts)
        position, part_end, stop = parts[0].offset, next(ends), parts[-1].offset + parts[-1].size
        with self._open(wanted, xet_hash, position, stop, place) as (stream, watch):
            for piece in stream:
                watch.alive()
                view = memoryview(piece)
                while view:
                    taken = min(len(view), part_end - position)
                    if not taken:
                        raise Transient(hub_error("the Xet storage sent more than it was asked for", place))
                    into.write(position, view[:taken])
                    progress.advance(taken)
                    self._web.bandwidth.spend(taken)
                    position, view = position + taken, view[taken:]
                    if position == part_end:
                        part_end = next(ends, part_end)
            if watch.cut:
                raise stalled_error(place, watch.seconds)
            if position < stop:
                raise Transient(hub_error("the Xet storage sent less than it was asked for", place))

    @contextmanager
    def _open(
        self, wanted: WantedBlob, xet_hash: str, start: int, stop: int, place: Place
    ) -> Iterator[tuple[Any, _Watch]]:
        import hf_xet

        access = self._access(wanted, place)
        settings = self._settings
        url = self._token_url(wanted)
        headers = {} if settings.token is None else {"Authorization": f"Bearer {settings.token}"}
        group = stream = None
        watch = _Watch(_LULLS * self._limits.stall_seconds)
        try:
            group = self._client().new_download_stream_group(
                endpoint=access.url,
                token=access.token,
                token_expiry_unix_secs=access.expires,
                token_refresh_url=url,
                token_refresh_headers=headers,
            )
            stream = group.download_stream(hf_xet.XetFileInfo(xet_hash, wanted.blob.size), start=start, end=stop)
            with self._lock:
                self._streams.add(stream)
            if self._stopped.is_set():
                stream.cancel()
            with watch.over(stream.cancel):
                yield stream, watch
        except (RuntimeError, OSError, ValueError) as error:
            # StoreError and the like pass; these are the client's, and their text may hold signed addresses.
            if watch.idle >= self._limits.stall_seconds:
                raise stalled_error(place, self._limits.stall_seconds) from None
            raise Transient(_translated(error, place)) from None
        finally:
            with self._lock:
                self._streams.discard(stream)
            if group is not None:
                group.abort()

    def _access(self, wanted: WantedBlob, place: Place) -> CasAccess:
        answer = self._web.ask("GET", self._token_url(wanted), {}, place)
        if answer.status != 200:
            raise self._web.refused(answer, place)
        try:
            body = json.loads(answer.read(_MOST_TOKEN_BYTES))
            access = CasAccess(url=str(body["casUrl"]), token=str(body["accessToken"]), expires=int(body["exp"]))
        except OSError as error:
            raise self._web.lost(error, answer.url, place) from None
        except (ValueError, KeyError, TypeError):
            raise hub_error("the Hub's answer about its Xet storage makes no sense", place) from None
        finally:
            answer.close()
        try:
            scheme = origin_of(access.url).scheme
        except HubError:
            scheme = "other"
        if scheme != "https" and not (scheme == "http" and self._plain_cas):
            raise hub_error(
                "the Hub names a Xet storage service that is not https, which is refused",
                place,
                hint="is HF_ENDPOINT a mirror that you trust? HF_HUB_DISABLE_XET=1 goes without Xet",
            )
        return access

    def _token_url(self, wanted: WantedBlob) -> str:
        return f"{self._settings.endpoint}/api/models/{wanted.repo_id}/xet-read-token/{wanted.commit_hash}"

    def _client(self) -> Any:
        import hf_xet

        with self._lock:
            if self._session is None:
                buffer = self._limits.xet_buffer
                self._session = hf_xet.XetSession(
                    hf_xet.XetConfig().with_config(
                        {
                            "telemetry.enabled": False,
                            "client.read_timeout": timedelta(seconds=self._limits.stall_seconds),
                            "client.connect_timeout": timedelta(seconds=self._limits.connect_seconds),
                            "client.retry_max_attempts": 1,
                            "client.retry_base_delay": timedelta(seconds=self._limits.backoff_seconds),
                            "client.ac_max_download_concurrency": 2 * self._limits.connections,
                            "reconstruction.download_buffer_size": buffer,
                            "reconstruction.download_buffer_perfile_size": buffer // 4,
                            "reconstruction.download_buffer_limit": buffer,
                            "reconstruction.min_prefetch_buffer": buffer // 2,
                            "reconstruction.min_reconstruction_fetch_size": buffer // 2,
                        }
                    )
                )
            return self._session


class _Watch:
    """Cancels a stream that brings nothing for ``seconds``; ``cut`` says that it did."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.cut = False
        self._changed = threading.Condition()
        self._last = time.monotonic()
        self._done = False

    def alive(self) -> None:
        """A piece came."""
        with self._changed:
            self._last = time.monotonic()
            self._changed.notify()

    @property
    def idle(self) -> float:
        """Seconds since the last piece, or the start."""
        return time.monotonic() - self._last

    @contextmanager
    def over(self, cancel: Any) -> Iterator[None]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._look, args=(cancel,), name="xet-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._done = True
                self._changed.notify()
            thread.join()

    def _look(self, cancel: Any) -> None:
        with self._changed:
            while not self._done:
                self._changed.wait(max(0.0, self.seconds - self.idle))
                if not self._done and self.idle >= self.seconds:
                    self.cut = True
                    cancel()
                    return


def _first_run(parts: tuple[ByteRange, ...]) -> tuple[ByteRange, ...]:
    """The first parts that lie side by side."""
    for index in range(1, len(parts)):
        if parts[index - 1].offset + parts[index - 1].size != parts[index].offset:
            return parts[:index]
    return parts


def _has_client() -> bool:
    try:
        import hf_xet
    except ImportError:
        return False
    return hasattr(hf_xet, "XetSession") and hasattr(hf_xet, "XetConfig")  # the streams are not in its first versions


def _translated(error: Exception, place: Place) -> HubError:
    status = _STATUS.search(str(error))
    detail = type(error).__name__ if status is None else f"HTTP {status[1]}"
    return hub_error("the Xet storage does not deliver", place, detail=detail, hint="HF_HUB_DISABLE_XET=1")
