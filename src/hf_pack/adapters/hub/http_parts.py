"""The Hub by HTTP ranges: several connections fill the missing parts of a blob, whatever happens to any of them."""

from __future__ import annotations

import threading
import time

from hf_pack.adapters.hub.bodies import LinkExpired, open_range
from hf_pack.adapters.hub.hub_errors import Place, hub_error, stalled_error
from hf_pack.adapters.hub.locate import Link, locate
from hf_pack.adapters.hub.origin import origin_of
from hf_pack.adapters.hub.retrying import Patience, Transient
from hf_pack.adapters.hub.runs import Run, Runs
from hf_pack.adapters.hub.web import Web
from hf_pack.ports import Progress, Reception, WantedBlob
from hf_pack.web_pool import Answer

_BUFFER = 1 << 20
_SLOWEST = 1024  #: bytes a second; a connection below it is as good as stalled
_ENOUGH = 1 << 16  #: bytes that count as progress


class HubHttp:
    """The Hub's resolve endpoint and its CDN, as a :class:`hf_pack.ports.BlobSource`.

    Connections and bandwidth cap are ``web``'s, and shared with whoever else has it. Thread-safe.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._lock = threading.Lock()
        self._fetches: set[_Fetch] = set()
        self._stopped = False

    @property
    def name(self) -> str:
        """For progress and errors: a mirror is no other kind of place."""
        return f"{origin_of(self._web.settings.endpoint)}, by HTTP"

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """Bring the missing parts; always True. Raises HubError, StalledError, and what ``into`` raises."""
        place = self._web.place(str(wanted.repo_id), wanted.commit_hash, wanted.path)
        fetch = _Fetch(self._web, wanted, place, into, progress)
        with self._lock:
            if self._stopped:
                raise hub_error("the download was stopped", place)
            self._fetches.add(fetch)
        try:
            fetch.run()
        finally:
            with self._lock:
                self._fetches.discard(fetch)
        return True

    def stop(self) -> None:
        """Have every fetch under way end with a HubError at once, and close the connections."""
        with self._lock:
            self._stopped = True
            fetches = tuple(self._fetches)
        for fetch in fetches:
            fetch.fail(hub_error("the download was stopped", fetch.place))
        self._web.close()


class _Fetch:
    """One blob on its way."""

    def __init__(self, web: Web, wanted: WantedBlob, place: Place, into: Reception, progress: Progress) -> None:
        missing = into.missing
        self.place = place
        self._web = web
        self._limits = web.limits
        self._size = wanted.blob.size
        self._into = into
        self._progress = progress
        self._link = Link(lambda: locate(web, wanted, place))
        self._connections = min(self._limits.connections, len(missing))
        self._runs = Runs(missing, self._connections)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answers: set[Answer] = set()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Fetch all missing parts. Raises the first error of any connection, when all have ended."""
        threads = [
            threading.Thread(target=self._work, name=f"hub-{index}", daemon=True)
            for index in range(1, self._connections)
        ]
        try:
            for thread in threads:
                thread.start()
            self._work()
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            for thread in threads:
                thread.join()
        # Left over when the server does not know ranges: it is read from its start, and what is missing kept.
        if self._error is None and (rest := self._runs.take_rest()) is not None:
            self._finish(rest, self._buffer(), from_start=True)
        if self._error is not None:
            raise self._error

    def fail(self, error: BaseException) -> None:
        """End all connections; ``error`` is what is reported, if it is the first."""
        with self._lock:
            self._error = self._error or error
            self._stop.set()
            for answer in self._answers:
                answer.abort()

    def _work(self) -> None:
        buffer = self._buffer()
        try:
            while not self._stop.is_set() and (run := self._runs.take()) is not None:
                self._finish(run, buffer)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            self.fail(error)

    def _finish(self, run: Run, buffer: memoryview, *, from_start: bool = False) -> None:
        """Bring a run, by as many requests as it takes; give it back when the server does not know ranges."""
        patience = Patience(self._limits, self._web.waits, self._stop)
        stalls = ignored = 0
        while run.parts and not self._stop.is_set():
            before = run.position
            try:
                with self._web.slots:
                    self._stream(run, buffer, self._size if from_start else run.stop - run.position)
            except _RangeIgnoredError as failure:
                ignored += 1
                if ignored > 1 or not self._runs.are_open:
                    self._runs.close(run)
                    return
                patience.after(failure)
            except Transient as failure:
                stalls += failure.stalled
                if stalls > 1:
                    raise stalled_error(self.place, self._limits.stall_seconds) from None
                if run.position - before >= _ENOUGH:
                    patience.progress()
                self._progress.detail(f"{self.place.path}: trying again: {failure}")
                patience.after(failure)

    def _stream(self, run: Run, buffer: memoryview, skip: int) -> None:
        """One request for what ``run`` lacks, and as much of its body as comes, after ``skip`` bytes at most."""
        if self._stop.is_set():
            return
        url = self._link.url()
        try:
            answer, offset = open_range(self._web, url, run.position, run.stop, self._size, self.place)
        except LinkExpired:
            self._link.expired(url)
            raise
        with self._lock:
            self._answers.add(answer)
            if self._stop.is_set():
                answer.abort()
        pace = _Pace(self._limits.stall_seconds, self.place)
        try:
            if run.position - offset > skip:
                raise _RangeIgnoredError(hub_error("the Hub ignores ranges", self.place))
            while run.parts and not self._stop.is_set():
                if offset < run.position:
                    offset += self._fill(answer, buffer[: run.position - offset], pace)
                else:
                    offset += self._piece(run, answer, buffer, pace)
        except OSError as error:
            raise self._web.lost(error, answer.url, self.place) from None
        finally:
            with self._lock:
                self._answers.discard(answer)
            answer.close()

    def _buffer(self) -> memoryview:
        return memoryview(bytearray(min(_BUFFER, self._web.bandwidth.piece)))

    def _piece(self, run: Run, answer: Answer, buffer: memoryview, pace: _Pace) -> int:
        wanted = min(len(buffer), run.part_end - run.position)
        filled = 0
        try:
            while filled < wanted:
                filled += self._fill(answer, buffer[filled:wanted], pace)
        finally:
            # What came before a failure is kept, too.
            if filled:
                self._into.write(run.position, buffer[:filled])
                self._runs.wrote(run, filled)
                self._progress.advance(filled)
                self._web.bandwidth.spend(filled)
        return filled

    def _fill(self, answer: Answer, view: memoryview, pace: _Pace) -> int:
        began = time.monotonic()
        size = answer.read_into(view)
        if not size:
            raise Transient(hub_error("the Hub sent less than it was asked for", self.place))
        pace.read(size, time.monotonic() - began)
        return size


class _RangeIgnoredError(Transient):
    """The server sends the whole file instead of a range far into it."""


class _Pace:
    """Cuts a connection that drips: one that is not silent long enough for the socket's time limit."""

    def __init__(self, seconds: float, place: Place) -> None:
        self._window = seconds
        self._place = place
        self._waited = 0.0
        self._size = 0

    def read(self, size: int, seconds: float) -> None:
        self._waited += seconds
        self._size += size
        if self._waited >= self._window:
            if self._size < _SLOWEST * self._waited:
                raise Transient(stalled_error(self._place, self._window), stalled=True)
            self._waited, self._size = 0.0, 0
