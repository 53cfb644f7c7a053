"""How a runtime is started: everything that an operating system is told, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFile:
    """A file of a view (relative ``path``): its bytes, or where a link leads (absolute)."""

    path: str
    contents: bytes | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command line with its environment.

    ``environment`` is to be set, sorted by name; ``unset`` are variables that would lead the runtime elsewhere.
    ``view`` holds ``view_files``, which follow from the packages alone: once it is there, it is complete and never
    changes. ``directories`` are to exist and be writable. All paths are absolute. ``notes`` say what of the engine
    parameters this runtime does not get. ``url`` answers when it serves.
    """

    runtime: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    unset: tuple[str, ...]
    directories: tuple[str, ...]
    view: str
    view_files: tuple[ViewFile, ...]
    host: str
    port: int
    more_ports: tuple[int, ...]  #: which the runtime opens too
    loads: str  #: the path that the runtime is told to load: a snapshot, one file, or Triton's model repository
    model_names: tuple[str, ...]  #: what clients ask for
    notes: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        return f"http://{local_host(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRuntime:
    """A runtime on this machine. ``command`` is what the model's path follows; ``version`` None when none is told."""

    runtime: str
    command: tuple[str, ...]
    version: str | None


def local_host(host: str) -> str:
    """The address at which this machine reaches a server that listens on ``host``."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":
        host = "::1"
    return f"[{host}]" if ":" in host else host
