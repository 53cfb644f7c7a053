"""Requests to the Hub and to where it sends us: redirects by hand, the token to the Hub alone."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Mapping
from urllib.parse import quote

from hf_pack.adapters.hub.hub_errors import (
    Place,
    asks_an_unknown_name,
    hub_error,
    is_transient,
    may_pass,
    offline_error,
    retry_after,
    status_error,
    transport_error,
)
from hf_pack.adapters.hub.limits import Bandwidth, Limits
from hf_pack.adapters.hub.origin import origin_of, redirected
from hf_pack.adapters.hub.retrying import Transient, Waits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.errors import HubError
from hf_pack.web_pool import Answer, WebPool

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 8
_AGENT = "hf-pack"


class Web:
    """One user's requests over one pool of connections, with one command's limits. Thread-safe.

    Whoever reads bodies at length takes one of ``slots`` for it, and has ``bandwidth`` account for what comes.
    ``note`` is told of long ``waits``.
    """

    def __init__(self, settings: HubSettings, limits: Limits, note: Callable[[str], None] = lambda _: None) -> None:
        self.settings = settings
        self.limits = limits
        self.bandwidth = Bandwidth(limits.bytes_per_second)
        self.waits = Waits(note)
        self._was_reached = False
        self.slots = threading.BoundedSemaphore(limits.connections)
        self._pool = WebPool(
            connections=2 * limits.connections,
            connect_seconds=limits.connect_seconds,
            read_seconds=limits.stall_seconds,
        )

    def beside(self, settings: HubSettings) -> Web:
        """Another endpoint's requests, over the same connections and within the same limits."""
        other = copy.copy(self)
        other.settings = settings
        return other

    def place(self, repo_id: str, revision: str, path: str | None = None) -> Place:
        """For messages."""
        settings = self.settings
        return Place(
            endpoint=settings.endpoint,
            repo_id=repo_id,
            revision=revision,
            path=path,
            logged_in=settings.token is not None,
        )

    def resolve_url(self, repo_id: str, commit_hash: str, path: str) -> str:
        """Where the Hub answers for a file at a commit."""
        return f"{self.settings.endpoint}/{repo_id}/resolve/{quote(commit_hash, safe='')}/{quote(path)}"

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], place: Place, *, stay_on_origin: bool = False
    ) -> Answer:
        """An answer of any status but a redirect, which is followed (with ``stay_on_origin`` only on one origin).

        Raises HubError, or Transient for a failed connection.
        """
        if self.settings.offline:
            raise offline_error(place)
        start = origin_of(url)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._send(method, url, headers, place)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            try:
                target = redirected(url, location)
            except HubError as error:
                answer.close()
                raise hub_error(error.message, place) from None
            if stay_on_origin and origin_of(target) != start:
                return answer
            if method == "HEAD" or (answer.length or 0) <= 1 << 16:
                self._drain(answer, place)
            answer.close()
            url = target
        raise hub_error(f"the Hub redirects more than {_MOST_REDIRECTS} times", place)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _send(self, method: str, url: str, headers: Mapping[str, str], place: Place) -> Answer:
        sent = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
        token = self.settings.token_for(url)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        try:
            answer = self._pool.send(method, url, sent)
        except OSError as error:
            raise self.lost(error, url, place) from None
        self._was_reached = True
        return answer

    def _drain(self, answer: Answer, place: Place) -> None:
        try:
            answer.read(1 << 16)
        except OSError as error:
            raise self.lost(error, answer.url, place) from None

    def lost(self, error: OSError, url: str, place: Place) -> HubError | Transient:
        """What to raise for a connection that failed."""
        report = transport_error(error, place, str(origin_of(url)))
        # In the middle of a download an unknown name is a network that comes back, at its start a wrong name or none.
        final = not may_pass(error) or (asks_an_unknown_name(error) and not self._was_reached)
        return report if final else Transient(report, stalled=isinstance(error, TimeoutError))

    def refused(self, answer: Answer, place: Place) -> HubError | Transient:
        """What to raise for a status that is no success; closes the answer."""
        with contextlib.suppress(OSError):
            answer.read(1 << 16)  # an error page that is read leaves the connection usable
        answer.close()
        headers = dict(answer.headers.items())
        error = status_error(answer.status, headers, place)
        return Transient(error, wait=retry_after(headers)) if is_transient(answer.status) else error
