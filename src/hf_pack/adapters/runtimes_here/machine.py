"""This machine as the place where runtimes run."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hf_pack.durable import create_directory
from hf_pack.errors import UsageError

if TYPE_CHECKING:
    from hf_pack.adapters.runtimes_here.server import ServerProcess
    from hf_pack.model.launch import InstalledRuntime, Launch

_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class ThisMachine:
    """Implements :class:`hf_pack.ports.Machine`."""

    state: Path

    def runtime(self, name: str) -> InstalledRuntime | None:
        """See :class:`hf_pack.ports.Machine`."""
        from hf_pack.adapters.runtimes_here import finding

        return finding.find(name)

    def is_free(self, host: str, port: int) -> bool:
        """See :class:`hf_pack.ports.Machine`."""
        if port > _HIGHEST_PORT:  # the resolver would take another one instead
            raise UsageError(f"{port} is no port\n  expected {_HIGHEST_PORT} at most", hint="--port NUMBER")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:  # a name with a part that is empty or too long
            reason = error.strerror if isinstance(error, OSError) else "no name"
            raise UsageError(f"{host} is no address of this machine: {reason}", hint="--host 127.0.0.1") from None
        return all(_can_listen(family, address) for family, _, _, _, address in found)

    def free_port(self, count: int) -> int:
        """See :class:`hf_pack.ports.Machine`."""
        while True:
            with socket.socket() as first:
                first.bind(("127.0.0.1", 0))
                port: int = first.getsockname()[1]
            last = port + count - 1
            if last <= _HIGHEST_PORT and all(self.is_free("127.0.0.1", number) for number in range(port, last + 1)):
                return port

    def may_write_as_root(self, place: Path) -> bool:
        """See :class:`hf_pack.ports.Machine`."""
        return os.geteuid() == 0 and os.access(place, os.W_OK)

    def prepare(self, launch: Launch) -> None:
        """See :class:`hf_pack.ports.Machine`."""
        try:
            for directory in launch.directories:
                Path(directory).mkdir(parents=True, exist_ok=True)
            if launch.view_files:
                view = Path(launch.view)
                view.parent.mkdir(parents=True, exist_ok=True)
                create_directory(view, [(file.path, file.contents) for file in launch.view_files])
        except OSError as error:
            raise UsageError(
                f"the runtime's state directory cannot be written: {error.strerror}\n  {error.filename}",
                hint="set XDG_STATE_HOME to a directory that you may write",
            ) from None

    def set_here(self, variables: tuple[str, ...]) -> tuple[str, ...]:
        """See :class:`hf_pack.ports.Machine`."""
        return tuple(name for name in variables if name in os.environ)

    def become(self, launch: Launch) -> NoReturn:
        """See :class:`hf_pack.ports.Machine`."""
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            os.execvpe(launch.argv[0], launch.argv, environment_of(launch))
        except OSError as error:
            raise UsageError(f"{launch.argv[0]} cannot be started: {error.strerror}") from None

    def start(self, launch: Launch, log: Path) -> ServerProcess:
        """See :class:`hf_pack.ports.Machine`."""
        from hf_pack.adapters.runtimes_here.server import start

        return start(launch, environment_of(launch), log)


def environment_of(launch: Launch) -> dict[str, str]:
    """This process's environment as the runtime gets it."""
    kept = {name: value for name, value in os.environ.items() if name not in launch.unset}
    return {**kept, **dict(launch.environment)}


def _can_listen(family: int, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what ended a moment ago is no hindrance
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(address)  # type: ignore[arg-type]
        except OSError:
            return False
    return True
