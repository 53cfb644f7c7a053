"""What the store's substituters have: the daemon fetches it, straight into the store, and checks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.connecting import PATIENCE
from hf_pack.adapters.nix_daemon.connection import Connection
from hf_pack.adapters.nix_daemon.faults import DaemonError, DaemonRefusedError
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import Progress
from hf_pack.side_by_side import all_side_by_side

_Answer = TypeVar("_Answer")

_AT_ONCE = 4  # connections, each with a process of the daemon's


def substitute(link: Link, sizes: Mapping[StorePath, int], progress: Progress) -> frozenset[StorePath]:
    """See :meth:`hf_pack.ports.Store.substitute`. What was brought is protected for the session."""
    here = link.protect(sizes)
    offered = _asked(link, lambda connection: operations.substitutable_paths(connection, sizes.keys() - here))
    if isinstance(offered, DaemonError):
        progress.note(f"note: the substituters of the Nix store are passed over: {_reason(offered)}")
        return frozenset()
    if not offered:
        return frozenset()
    progress.start("substitute", sum(sizes[path] for path in offered))
    largest_first = sorted(offered, key=lambda path: -sizes[path])
    jobs = [partial(_bring, link, path, sizes[path], progress) for path in largest_first]
    try:
        outcomes = all_side_by_side(jobs, _AT_ONCE, [link.adding.abort])
    finally:
        progress.finish()
    failures = {path: error for path, error in zip(largest_first, outcomes, strict=True) if error is not None}
    if failures:  # a thousand files say what the first one says
        progress.note(
            f"note: {len(failures)} of {len(offered)} objects do not come from the substituters of the Nix store: "
            f"{_reason(next(iter(failures.values())))}"
        )
    return offered - failures.keys()


def _bring(link: Link, store_path: StorePath, size: int, progress: Progress) -> DaemonError | None:
    """Why it did not come, if it did not."""
    line = progress.child(store_path.name, size)
    told = 0

    def copied(count: int) -> None:
        nonlocal told
        told += count
        line.advance(count)

    def fetch(connection: Connection) -> None:
        connection.patience(None)  # it may take hours, and say nothing
        connection.copied = copied
        try:
            operations.add_temp_root(connection, store_path)
            operations.ensure_path(connection, store_path)
        finally:
            connection.copied = None
            connection.patience(PATIENCE)

    try:
        failure = _asked(link, fetch)
        if failure is None:
            line.advance(max(0, size - told))  # the daemon tells of whole buffers
            progress.detail(f"substituted {store_path.name}")
        return failure
    finally:
        line.finish()


def _asked(link: Link, ask: Callable[[Connection], _Answer]) -> _Answer | DaemonError:
    """The answer, or why there is none: what a substituter sends may end a process of Nix's, too."""
    try:
        with link.adding.lend() as connection:
            try:
                return ask(connection)
            except DaemonRefusedError as error:
                return error  # the connection goes on, and with it all that it protects
    except DaemonError as error:
        return error  # whoever asks next sees whether more is gone than that process


def _reason(error: DaemonError) -> str:
    """What Nix said first, or what became of the process."""
    lines = error.message.splitlines()
    return lines[1].strip() if isinstance(error, DaemonRefusedError) else lines[0]
