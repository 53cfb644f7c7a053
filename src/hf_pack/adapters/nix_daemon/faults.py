"""What can go wrong between us and a Nix daemon, each as a StoreError of its own class.

::

    StoreError
    └── DaemonError
        ├── DaemonGoneError       it cannot be reached, went away, fell silent, or does not speak our protocol
        └── DaemonRefusedError    it answered with an error
"""

from __future__ import annotations

import re

from hf_pack.errors import StoreError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NO_SPACE = "No space left on device"


class DaemonError(StoreError):
    """Something between us and the daemon."""


class DaemonGoneError(DaemonError):
    """The daemon cannot be reached, or the connection to it broke."""


class DaemonRefusedError(DaemonError):
    """The daemon's own error."""


def refused(message: str, cause: str = "") -> DaemonRefusedError:
    """The error for what the daemon said, after the ``cause`` that it logged before."""
    said = f"{cause}\n  {message}" if cause else message
    return DaemonRefusedError(f"Nix refused\n  {said}", hint=_hint(said))


def logged_error(line: str) -> str:
    """What a line of the daemon's log says went wrong; empty for other lines, and for warnings."""
    text = plain(line)
    return text.removeprefix("error:").strip() if text.startswith("error:") else ""


def plain(text: str) -> str:
    """What the daemon said, without its colours."""
    return _COLOURS.sub("", text).strip()


def gone(what: str, place: str, *, said: str = "", hint: str = "") -> DaemonGoneError:
    """The connection to ``place`` ended; ``said`` is what the process printed last."""
    tail = "".join(f"\n  {line}" for line in plain(said).splitlines()[-5:])
    return DaemonGoneError(f"{what}\n  at {place}{tail}", hint=hint or _hint(said))


def _hint(message: str) -> str:
    if _NO_SPACE in message:
        return "free some space (`hf-pack gc` deletes what nothing needs), or choose another store with --store"
    if "not privileged" in message or "not trusted" in message or ("repair" in message and "not allowed" in message):
        return "run it as root, or as a user in `trusted-users` of nix.conf"
    if "lacks a valid signature" in message or "lacks a signature" in message:
        return "its publisher's key has to be among `trusted-public-keys` of nix.conf"
    if "is not valid" in message:
        return "run `hf-pack build` again: it adds what is missing"
    return ""
