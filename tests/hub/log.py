"""What the server was asked and what it sent: one record a request, and sums of body bytes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

Origin = Literal["hub", "cdn"]
Bearer = Literal["none", "hub", "xet", "unknown"]

_PATIENCE = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request and the answer's outcome; ``status`` 0: none was sent.

    ``path`` is the URL's, as sent, without the query. ``bearer`` says whose token came with it: one of the Hub's users,
    the CAS's, or none that this server gave. ``target`` is the file's path for the stages ``resolve`` and ``body`` and
    the URL's path for ``api``. ``sent`` counts body bytes that went to the socket.
    """

    origin: Origin
    method: str
    path: str
    query: str = ""
    range: str | None = None
    authorization: bool = False
    bearer: Bearer = "none"
    repo_id: str = ""
    target: str = ""
    stage: str = ""
    status: int = 0
    sent: int = 0
    fault: str = ""


class Entry:
    """A request under way. ``update`` sets fields of its record, ``count`` adds body bytes."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.sent = 0

    def update(self, request: Request) -> None:
        """Replaces the record; the count of bytes is kept apart."""
        self.request = request

    def count(self, sent: int) -> None:
        """Body bytes went out."""
        self.sent += sent

    def record(self) -> Request:
        """The record as it stands."""
        return replace(self.request, sent=self.sent)


class RequestLog:
    """All requests since the start or the last ``reset``, in order of arrival.

    Reading waits up to a second for answers under way, so that a client's last byte is counted when it has come.
    """

    def __init__(self) -> None:
        self._idle = threading.Condition()
        self._entries: list[Entry] = []
        self._busy = 0

    @contextmanager
    def entry(self, request: Request) -> Iterator[Entry]:
        """Logs a request for as long as it is answered."""
        entry = Entry(request)
        with self._idle:
            self._entries.append(entry)
            self._busy += 1
        try:
            yield entry
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def reset(self) -> None:
        """Forgets all requests."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, _PATIENCE)
            self._entries.clear()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, _PATIENCE)
            return tuple(entry.record() for entry in self._entries)

    @property
    def bytes_sent(self) -> int:
        """Body bytes of all answers, whatever they were."""
        return sum(request.sent for request in self.requests)

    @property
    def so_far(self) -> tuple[Request, ...]:
        """Every request as it stands, without waiting for anything."""
        with self._idle:
            return tuple(entry.record() for entry in self._entries)

    @property
    def bytes_by_file(self) -> Counter[str]:
        """Body bytes by file path, over all repositories, from ``resolve``, the CDN and xorbs together."""
        sums: Counter[str] = Counter()
        for request in self.requests:
            if request.stage == "body":
                sums[request.target] += request.sent
        return sums
