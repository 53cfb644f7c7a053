"""The fault script: what goes wrong, with which request, how often.

A fault waits for requests of one *stage* whose *target* matches its pattern, and is used up ``times`` times for each
target (``None``: for ever). The first fault that matches wins, so ``ok`` before another fault lets requests pass.

Stages and their targets:

- ``body`` (the usual one): the answers that carry a file's bytes: a regular file from ``resolve``, a large one from
  the CDN, a xorb that holds part of it. Target: the file's path in its repository.
- ``resolve``: HEAD and GET of ``/{repo}/resolve/…``, whatever they answer. Target: the file's path.
- ``api``: ``/api/…`` and the CAS's ``/v1/…``. Target: the URL's path.

Offsets (``at``) are offsets in the whole file, not in one answer; negative ones count from its end (-1: its last
byte). A fault with an offset waits for an answer that holds that byte; ``stall``, ``drop`` and ``reset`` at 0 also for
one without a body: a HEAD then gets no answer at all.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from tests.hub.content import Content, Source

Kind = Literal[
    "ok",  # nothing goes wrong
    "slow",  # the body at `rate` bytes a second
    "hang",  # no answer at all until the client gives up
    "stall",  # the body stops before byte `at`, the connection stays open
    "drop",  # the connection ends (FIN) before byte `at`
    "reset",  # the connection is reset (RST) before byte `at`
    "short",  # a well-formed answer that ends before byte `at`: Content-Length says so too
    "corrupt",  # byte `at` has all its bits flipped
    "wrong-length",  # Content-Length is `length`; the whole body follows, then the connection ends
    "ignore-range",  # 200 and the whole file for a request with Range
    "status",  # `status` with an error page, and Retry-After when `retry_after` is given
    "expired",  # 403, for this signed link now and ever after: resolve gives a new one
    "moved",  # `files` are committed to main just before this request is answered
]
Stage = Literal["body", "resolve", "api"]

CUTS = ("stall", "drop", "reset")
_AT = (*CUTS, "short", "corrupt")


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the script. ``path`` is a shell pattern for the target; ``method`` ``"*"`` is any."""

    kind: Kind
    path: str = "*"
    _: KW_ONLY
    method: str = "GET"
    stage: Stage = "body"
    times: int | None = 1
    at: int = 0
    rate: int = 1 << 20
    length: int = 0
    status: int = 503
    retry_after: int | None = None
    files: Mapping[str, Source] = field(default_factory=dict)

    def hits(self, content: Content, file_size: int, start: int, stop: int) -> bool:
        """Whether the answer that carries the bytes ``start`` to ``stop`` of ``content`` is one to spoil."""
        if self.kind not in _AT:
            return True
        place = self.place(content, file_size)
        return start <= place < stop or (start == stop == place and self.kind in CUTS)

    def place(self, content: Content, file_size: int) -> int:
        """``at`` as an offset in ``content``, which may be a part of the file or hold it in frames."""
        return content.place(self.at if self.at >= 0 else file_size + self.at)


class FaultScript:
    """The faults still to come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, dict[str, int]]] = []

    def add(self, fault: Fault) -> None:
        """Puts a fault at the end of the script."""
        with self._lock:
            self._faults.append((fault, {}))

    def clear(self) -> None:
        """Nothing goes wrong from now on."""
        with self._lock:
            self._faults.clear()

    def take(
        self,
        stages: tuple[Stage, ...],
        method: str,
        target: str,
        content: Content,
        file_size: int,
        start: int,
        stop: int,
    ) -> Fault | None:
        """The fault for this answer, used up once; None when all goes well."""
        with self._lock:
            for fault, used in self._faults:
                if (
                    fault.stage in stages
                    and fault.method in ("*", method)
                    and fnmatch.fnmatchcase(target, fault.path)
                    and (fault.times is None or used.get(target, 0) < fault.times)
                    and fault.hits(content, file_size, start, stop)
                ):
                    used[target] = used.get(target, 0) + 1
                    return None if fault.kind == "ok" else fault
            return None
