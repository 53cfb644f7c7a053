"""Who fetches which parts of a blob: runs of parts that lie side by side, long at first, short at the end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from hf_pack.ports import ByteRange

LONGEST_RUN = 64 << 20  #: bytes in one request: long against a round trip, short against the hasher's lag


@dataclass(slots=True)
class Run:
    """Parts that one connection fetches in order; ``position`` is the next byte it wants."""

    parts: deque[ByteRange]
    position: int

    @property
    def stop(self) -> int:
        """The end of its last part."""
        last = self.parts[-1]
        return last.offset + last.size

    @property
    def part_end(self) -> int:
        """The end of the part it is in."""
        return self.parts[0].offset + self.parts[0].size


class Runs:
    """The missing parts of one blob, shared out among its connections from the front. Thread-safe."""

    def __init__(self, parts: Iterable[ByteRange], connections: int) -> None:
        self._lock = threading.Lock()
        self._queue = deque(sorted(parts))
        self._left = sum(part.size for part in self._queue)
        self._share = max(1, 2 * connections)
        self._active: list[Run] = []
        self._open = True

    def take(self) -> Run | None:
        """The next run; when all are taken, the later half of the longest one under way; None when nothing is left."""
        with self._lock:
            if not self._open:
                return None
            return self._begin(self._next_parts() or self._stolen_parts())

    def take_rest(self) -> Run | None:
        """All that nobody fetches as one run, with gaps; None when nothing is left."""
        with self._lock:
            parts, self._queue = deque(sorted(self._queue)), deque()
            return self._begin(parts)

    @property
    def are_open(self) -> bool:
        """Whether nobody has closed them."""
        return self._open

    def wrote(self, run: Run, size: int) -> bool:
        """``size`` bytes of the part that ``run`` is in are written; whether the part is complete."""
        with self._lock:
            run.position += size
            complete = run.position == run.part_end
            if complete:
                run.parts.popleft()
                if run.parts:
                    run.position = run.parts[0].offset
                else:
                    self._active.remove(run)
            return complete

    def close(self, run: Run) -> None:
        """Hand out no more, and take back what ``run`` did not finish."""
        with self._lock:
            self._open = False
            self._active.remove(run)
            self._queue.extend(run.parts)

    def _begin(self, parts: deque[ByteRange]) -> Run | None:
        if not parts:
            return None
        run = Run(parts, parts[0].offset)
        self._active.append(run)
        return run

    def _next_parts(self) -> deque[ByteRange]:
        parts: deque[ByteRange] = deque()
        most = min(LONGEST_RUN, self._left // self._share)
        size = 0
        while self._queue:
            part = self._queue[0]
            if parts and (parts[-1].offset + parts[-1].size != part.offset or size + part.size > most):
                break
            parts.append(self._queue.popleft())
            size += part.size
        self._left -= size
        return parts

    def _stolen_parts(self) -> deque[ByteRange]:
        parts: deque[ByteRange] = deque()
        longest = max(self._active, key=lambda run: len(run.parts), default=None)
        # The first one is under way, and a request for the last one alone costs more than it saves.
        while longest is not None and len(longest.parts) - 1 > max(1, len(parts) + 1):
            parts.appendleft(longest.parts.pop())
        return parts
