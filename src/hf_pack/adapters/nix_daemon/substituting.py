"""What the store's substituters have: the daemon fetches it, straight into the store, and checks it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.connecting import PATIENCE
from hf_pack.adapters.nix_daemon.faults import DaemonRefusedError
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import Progress

_AT_ONCE = 4  # connections, each with a process of the daemon's


def substitute(link: Link, sizes: Mapping[StorePath, int], progress: Progress) -> frozenset[StorePath]:
    """See :meth:`hf_pack.ports.Store.substitute`. What was brought is protected for the session."""
    here = link.protect(sizes)
    try:
        with link.adding.lend() as connection:
            offered = operations.substitutable_paths(connection, sizes.keys() - here)
    except DaemonRefusedError as error:
        progress.note(_passed_over(error))
        return frozenset()
    if not offered:
        return frozenset()
    progress.start("substitute", sum(sizes[path] for path in offered))
    brought = set()
    threads = ThreadPoolExecutor(min(_AT_ONCE, len(offered)), "hf-pack substitute")
    try:
        largest_first = sorted(offered, key=lambda path: -sizes[path])
        running: dict[Future[None], StorePath] = {
            threads.submit(_bring, link, path, sizes[path], progress): path for path in largest_first
        }
        for future in as_completed(running):
            try:
                future.result()
            except DaemonRefusedError as error:
                progress.note(_passed_over(error))
            else:
                brought.add(running[future])
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        link.adding.abort()
        raise
    finally:
        threads.shutdown()
        progress.finish()
    return frozenset(brought)


def _bring(link: Link, store_path: StorePath, size: int, progress: Progress) -> None:
    line = progress.child(store_path.name, size)
    told = 0

    def copied(count: int) -> None:
        nonlocal told
        told += count
        line.advance(count)

    try:
        with link.adding.lend() as connection:
            connection.patience(None)  # it may take hours, and say nothing
            connection.copied = copied
            try:
                operations.add_temp_root(connection, store_path)
                operations.ensure_path(connection, store_path)
            finally:
                connection.copied = None
            connection.patience(PATIENCE)
        line.advance(max(0, size - told))  # the daemon tells of whole buffers
        progress.detail(f"substituted {store_path.name}")
    finally:
        line.finish()


def _passed_over(error: DaemonRefusedError) -> str:
    said = error.message.splitlines()
    return (
        f"note: a substituter of the Nix store is passed over: {' '.join(line.strip() for line in said[1:2] or said)}"
    )
