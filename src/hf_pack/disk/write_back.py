"""Writing a file to disk while it is still made, so that little is left for the ``fsync`` at its end."""

from __future__ import annotations

import os
from threading import Condition, Thread

from hf_pack.disk.fan_out import MIB

_BATCH = 32 * MIB


class WriteBack:
    """Syncs the file behind a descriptor, which stays open until :meth:`stop`, after every few MiB."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._written = 0
        self._synced = 0
        self._stopped = False
        self._error: OSError | None = None
        self._changed = Condition()
        self._thread: Thread | None = None

    def wrote(self, total: int) -> None:
        """``total`` bytes were written until now. Does not wait. Raises the OSError of an earlier sync."""
        if self._error is not None:
            raise self._error
        if total - self._synced >= _BATCH:
            with self._changed:
                self._written = max(self._written, total)
                if self._thread is None:
                    self._thread = Thread(target=self._run, name="hf-pack write-back", daemon=True)
                    self._thread.start()
                self._changed.notify()

    def stop(self) -> None:
        """End the thread; a sync that runs is waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def finish(self) -> None:
        """Wait until all is on disk. Raises OSError, also that of an earlier sync (the system tells it once)."""
        self.stop()
        if self._error is not None:
            raise self._error
        os.fsync(self._fd)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._written - self._synced >= _BATCH)
                if self._stopped:
                    return
                self._synced = self._written
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._error = error
                return
