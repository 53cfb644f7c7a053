"""The errors that a user can cause or meet, each with the exit code of the process.

::

    Error                     1  (never raised itself: an unexpected exception is the bug)
    ├── UsageError            2  the command line, or a workspace that is not there
    │   └── ManifestError     2  hf-pack.toml or models/<name>.toml
    ├── SourceError           2  the model on disk cannot be packaged as it lies there
    ├── LockError             3  a lock that is missing or stale
    ├── HubError              4  the Hub or the network
    ├── IntegrityError        5  bytes that are not what they must be
    ├── StoreError            6  the store refused
    ├── CompatibilityError    7  `check` says no
    └── PolicyError           8  licence, unsafe files, signature

A message has one line that says what is wrong and, where there is a place, one line that says where
(file, field, expected, found). The hint is a command to run or a thing to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class Error(Exception):
    """Something a user can understand and mend.

    ``message`` is one line or a few; ``hint`` what to do, without the word "hint:"; ``findings`` are the lines of a
    report as values (:class:`hf_pack.model.gates.Refused`), where the message is one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", findings: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.findings = tuple(findings)


class UsageError(Error):
    """The command line asks for what does not exist or does not go together."""

    exit_code = 2


class ManifestError(UsageError):
    """A workspace file written by a person has problems; the message lists all of them."""


class SourceError(Error):
    """The model on disk is incomplete, unreadable or not what it seems; nothing was written."""

    exit_code = 2


class LockError(Error):
    """The lock is missing, unreadable or stale."""

    exit_code = 3


class HubError(Error):
    """The Hub or the network."""

    exit_code = 4


class IntegrityError(Error):
    """Bytes whose hash or size is not the recorded one."""

    exit_code = 5


class StoreError(Error):
    """The store could not be read or written, or refused an object."""

    exit_code = 6


class CompatibilityError(Error):
    """The package does not run on the GPU or runtime asked about."""

    exit_code = 7


class PolicyError(Error):
    """A policy refuses: licence, unsafe files, signature, a version that names a second content."""

    exit_code = 8
