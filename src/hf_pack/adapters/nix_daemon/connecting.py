"""Taking a route: a greeted connection to the daemon at its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import tempfile
from typing import IO

from hf_pack.adapters.nix_daemon.channel import Channel
from hf_pack.adapters.nix_daemon.connection import Connection
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.routes import Route, Socket, Spawn

#: Seconds without a sign of life. A daemon hashes up to 1 GiB a second while it says nothing.
PATIENCE = 600.0
_GREETING_PATIENCE = 60.0
_END_PATIENCE = 10.0
_PIPE = 1 << 20  # bytes, the most that an ordinary user may have
_SAID = 4096  # bytes of what a program printed that are shown

_SOCKET_HINTS = {
    FileNotFoundError: "start the Nix daemon, or choose a directory with --store",
    ConnectionRefusedError: "start the Nix daemon (`systemctl start nix-daemon`), or choose a directory with --store",
    PermissionError: "join the group that may use Nix (nix-users in Debian), or choose a directory with --store",
}


class OpenRoute:
    """A connection and the process behind it, if it is ours."""

    def __init__(self, route: Route) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._socket: socket.socket | None = None  # for abort() alone: the channel has its own descriptor
        match route:
            case Spawn():
                place, channel = route.program, self._spawn(route)
            case Socket():
                place, channel = str(route.path), self._connect(route)
        try:
            self.connection = Connection(channel, place)
            self.connection.patience(PATIENCE)
        except DaemonGoneError as error:
            channel.close()
            self._end()
            if isinstance(route, Socket) and not error.hint:
                error.hint = "check `allowed-users` in nix.conf: the daemon hangs up on other users"
            raise
        except BaseException:
            channel.close()
            self._end()
            raise

    def abort(self) -> None:
        """Make whoever waits for the daemon fail at once; may be called from another thread."""
        if self._process is not None:
            self._process.terminate()
        elif self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and wait for the process; one that does not end is killed."""
        self.connection.close()
        self._end()

    def _spawn(self, route: Spawn) -> Channel:
        with contextlib.ExitStack() as undo:
            self._errors = undo.enter_context(tempfile.TemporaryFile())
            theirs_in, ours_out = os.pipe()
            undo.callback(os.close, ours_out)
            ours_in, theirs_out = os.pipe()
            undo.callback(os.close, ours_in)
            with contextlib.suppress(OSError):  # it is for speed alone, and a user may have used up the room for pipes
                fcntl.fcntl(ours_out, fcntl.F_SETPIPE_SZ, _PIPE)
            try:
                # A session of its own: an interrupt is ours, and it ends in order when we hang up.
                self._process = subprocess.Popen(
                    [route.program, "--stdio"],
                    stdin=theirs_in,
                    stdout=theirs_out,
                    stderr=self._errors,
                    env=dict(route.environment),
                    start_new_session=True,
                )
            except OSError as error:
                raise DaemonGoneError(f"{route.program} cannot be started: {error.strerror}") from error
            finally:
                os.close(theirs_in)
                os.close(theirs_out)
            undo.pop_all()
        return Channel(ours_in, ours_out, route.program, patience=_GREETING_PATIENCE, said=self._said)

    def _connect(self, route: Socket) -> Channel:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(os.fspath(route.path))
        except OSError as error:
            self._socket.close()
            raise DaemonGoneError(
                f"the Nix daemon cannot be reached: {error.strerror or error}\n  at {route.path}",
                hint=_SOCKET_HINTS.get(type(error), "choose a directory with --store"),
            ) from error
        descriptor = os.dup(self._socket.fileno())
        return Channel(descriptor, descriptor, str(route.path), patience=_GREETING_PATIENCE)

    def _said(self) -> str:
        if self._process is None or self._errors is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_PATIENCE)
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - _SAID))
        return self._errors.read().decode(errors="replace")

    def _end(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(_END_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._errors is not None:
            self._errors.close()
        if self._socket is not None:
            self._socket.close()
