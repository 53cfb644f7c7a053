"""A runtime as a child process: asked over HTTP on the loopback address, and ended with all that it started."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hf_pack.errors import UsageError
from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import Launch, local_host

_GRACE = 20.0  #: seconds to end by itself
_SOON = 2.0  #: seconds for a probe
_MARK = "HF_PACK_SERVER"


@dataclass
class ServerProcess:
    """Implements :class:`hf_pack.ports.Server`."""

    _process: subprocess.Popen[bytes]
    _host: str
    _port: int
    _log: Path
    _mark: str  #: in the environment of every process of the runtime

    @property
    def exit_code(self) -> int | None:
        """See :class:`hf_pack.ports.Server`."""
        return self._process.poll()

    def accepts(self) -> bool:
        """See :class:`hf_pack.ports.Server`."""
        try:
            socket.create_connection((self._host, self._port), timeout=_SOON).close()
        except OSError:
            return False
        return True

    def is_ready(self, path: str) -> bool:
        """See :class:`hf_pack.ports.Server`."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_SOON)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stream(self, path: str, body: JsonObject, timeout: float) -> Iterator[JsonObject]:
        """See :class:`hf_pack.ports.Server`."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                said = answer.read(4096).decode(errors="replace").strip()
                raise UsageError(f"the runtime refused the request\n  {path}: {answer.status} {said}")
            yield from _events(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UsageError(f"the runtime broke off its answer\n  {path}: {error or type(error).__name__}") from None
        finally:
            connection.close()

    def last_lines(self, count: int) -> tuple[str, ...]:
        """See :class:`hf_pack.ports.Server`."""
        try:
            return tuple(self._log.read_text(errors="replace").splitlines()[-count:])
        except OSError:  # somebody tidied up
            return ()

    def stop(self) -> None:
        """See :class:`hf_pack.ports.Server`.

        The group is asked; what is left after a while is killed, also what left the group.
        """
        ours = _family(self._process.pid, self._mark)
        _signal_group(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        until = time.monotonic() + _GRACE
        while left := (ours := ours | _family(self._process.pid, self._mark)) & _running():
            for member in left:
                _kill(member.pid)
            self._process.poll()
            if time.monotonic() > until:
                pids = ", ".join(str(member.pid) for member in left)
                raise UsageError(f"processes of the runtime cannot be ended: {pids}")
            time.sleep(0.02)


def start(launch: Launch, environment: dict[str, str], log: Path) -> ServerProcess:
    """Start it in a session of its own. Raises UsageError."""
    mark = f"{_MARK}={secrets.token_hex(8)}"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                launch.argv,
                env={**environment, _MARK: mark.partition("=")[2]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise UsageError(f"{launch.argv[0]} cannot be started: {error.strerror}") from None
    return ServerProcess(process, local_host(launch.host).strip("[]"), launch.port, log, mark)


def _events(answer: http.client.HTTPResponse) -> Iterator[JsonObject]:
    """The ``data:`` lines of server-sent events, until ``[DONE]`` or the end."""
    for line in answer:
        if line.startswith(b"data:"):
            text = line.removeprefix(b"data:").strip()
            if text == b"[DONE]":
                return
            event = json.loads(text)
            if not isinstance(event, dict):
                raise ValueError(f"expected an object, found {text[:80]!r}")
            yield event


@dataclass(frozen=True)
class _Member:
    """A process; its number may come again, but not with the same start."""

    pid: int
    started: str


def _stats() -> dict[_Member, tuple[int, int]]:
    """Parent and session of every process that runs; none without ``/proc``, where the group has to do."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[_Member(int(entry.parent.name), fields[19])] = (int(fields[1]), int(fields[3]))
    return found


def _running() -> set[_Member]:
    return set(_stats())


def _family(leader: int, mark: str) -> set[_Member]:
    """The session of ``leader``, what has the mark in its environment, and what descends from either."""
    stats = _stats()
    found = {member for member, (_, session) in stats.items() if session == leader or _is_marked(member.pid, mark)}
    while True:
        pids = {member.pid for member in found}
        more = {member for member, (parent, _) in stats.items() if parent in pids} - found
        if not more:
            return found
        found |= more


def _is_marked(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
