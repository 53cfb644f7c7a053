"""The machine that serves: its runtimes, its ports, its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hf_pack.model.json_value import JsonObject
    from hf_pack.model.launch import InstalledRuntime, Launch


class Machine(Protocol):
    """Finds, prepares and starts runtimes. Raises UsageError for what a person can mend."""

    @property
    def state(self) -> Path:
        """The directory in which everything lies that runtimes write."""

    def runtime(self, name: str) -> InstalledRuntime | None:
        """The runtime that a person would start here, None when there is none. Does not import it."""

    def is_free(self, host: str, port: int) -> bool:
        """Whether a server can listen there."""

    def free_port(self, count: int) -> int:
        """The first of ``count`` ports in a row that are free on the loopback address now."""

    def may_write_as_root(self, place: Path) -> bool:
        """Whether this is root and nothing keeps it from changing the files there: modes do not hold root."""

    def prepare(self, launch: Launch) -> None:
        """Make the launch's view and directories, as far as they are not there; safe beside other servers."""

    def set_here(self, variables: tuple[str, ...]) -> tuple[str, ...]:
        """Which of these environment variables are set."""

    def become(self, launch: Launch) -> NoReturn:
        """Replace this process by the runtime."""

    def start(self, launch: Launch, log: Path) -> Server:
        """Start the runtime as a child; what it prints goes to ``log``."""


class Server(Protocol):
    """A runtime that was started; no request uses a proxy."""

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""

    def accepts(self) -> bool:
        """Whether it takes connections."""

    def is_ready(self, path: str) -> bool:
        """Whether GET of ``path`` answers 200."""

    def stream(self, path: str, body: JsonObject, timeout: float) -> Iterator[JsonObject]:
        """POST, and the server-sent events of the answer; ``timeout`` seconds between two of them at most.

        Raises UsageError with what the server said when it did not answer so.
        """

    def last_lines(self, count: int) -> tuple[str, ...]:
        """The end of its log."""

    def stop(self) -> None:
        """End it with every process that it started; returns when none is left."""
