"""Smoke test: start a runtime, wait for it, have it say something, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hf_pack.errors import Error
from hf_pack.ports import Machine, Progress, Server
from hf_pack.steps.serving.serve import Prepared

_PAUSE = 0.1  #: seconds between two looks
_LINES = 15  #: of the log, when it fails
_TOLD = 10.0  #: seconds between two words to somebody who watches


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one model answered; seconds until its first piece of text and until the end."""

    model_name: str
    text: str
    first_token_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Smoked:
    """How it went. Seconds: from the start of the process until it takes connections, from then until it is ready.

    ``problem`` is empty when every model answered; ``log`` has what the runtime printed.
    """

    start_seconds: float | None
    load_seconds: float | None
    answers: tuple[Said, ...]
    problem: str
    last_lines: tuple[str, ...]
    log: Path


def smoke(prepared: Prepared, machine: Machine, prompt: str, timeout: float, log: Path, progress: Progress) -> Smoked:
    """Within ``timeout`` seconds to become ready, and as many for each answer. No process is left, whatever happens."""
    launch, runtime = prepared.launch, prepared.runtime
    began = time.monotonic()
    server = machine.start(launch, log)
    start_seconds = load_seconds = None
    answers: list[Said] = []
    problem = ""
    lines: tuple[str, ...] = ()
    try:
        progress.note(f"{runtime.title} starts; it prints to {log}")
        wait = _Wait(server=server, progress=progress, began=began, until=began + timeout)
        problem = wait.for_it(server.accepts, "does not listen")
        if not problem:
            start_seconds = time.monotonic() - began
            problem = wait.for_it(lambda: server.is_ready(runtime.health), "is not ready")
        if not problem:
            load_seconds = time.monotonic() - began - (start_seconds or 0.0)
            answers.extend(_ask(server, prepared, name, prompt, timeout) for name in launch.model_names)
    except Error as error:
        problem = error.message
    finally:
        try:
            lines = server.last_lines(_LINES)  # before what it says of its end
        finally:
            server.stop()
    return Smoked(
        start_seconds=start_seconds,
        load_seconds=load_seconds,
        answers=tuple(answers),
        problem=problem,
        last_lines=lines if problem else (),
        log=log,
    )


@dataclass(frozen=True, kw_only=True)
class _Wait:
    """Looks again and again, and tells somebody who watches what the runtime says meanwhile: loading takes minutes."""

    server: Server
    progress: Progress
    began: float
    until: float

    def for_it(self, holds: Callable[[], bool], otherwise: str) -> str:
        """Why it does not come to hold; empty when it does."""
        told = time.monotonic()
        while not holds():
            now = time.monotonic()
            if self.server.exit_code is not None:
                return f"the runtime ended with exit code {self.server.exit_code}"
            if now > self.until:
                return f"the runtime {otherwise} in time"
            if now > told + _TOLD:
                told = now
                said = " ".join("".join(self.server.last_lines(1)).split())
                self.progress.detail(f"  {now - self.began:.0f} s: {said[:100] or 'no word yet'}")
            time.sleep(_PAUSE)
        return ""


def _ask(server: Server, prepared: Prepared, name: str, prompt: str, timeout: float) -> Said:
    request = prepared.runtime.request(name, prompt)
    began = time.monotonic()
    first: float | None = None
    pieces = []
    for event in server.stream(request.path, request.body, timeout):
        if time.monotonic() - began > timeout:
            raise SmokeError(f"{name} did not end its answer in time")
        try:
            text = prepared.runtime.text(event)
        except ValueError as error:
            raise SmokeError(f"{name} gave no text: {error}") from None
        if text and first is None:
            first = time.monotonic() - began
        pieces.append(text)
    if first is None:
        raise SmokeError(f"{name} answered without any text")
    return Said(model_name=name, text="".join(pieces), first_token_seconds=first, seconds=time.monotonic() - began)


class SmokeError(Error):
    """A model that is served and does not answer as it should."""
