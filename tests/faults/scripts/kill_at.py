"""Run ``hf-pack`` and kill it, with SIGKILL, as it is about to make its n-th change to the disk.

Arguments: n (0: never), a file for the number of changes, the arguments of ``hf-pack``. What counts as a change is
every rename, link, unlink, new directory, mode, time, opening for writing, ``fsync``, and writing statement of SQLite.
"""

import os
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hf_pack.cli.main import main

CHANGES = {
    "os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.truncate",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

nth, counter = int(sys.argv[1]), Path(sys.argv[2])
count = 0
turn = threading.Lock()
real_fsync, real_connect = os.fsync, sqlite3.connect


def change() -> None:
    global count
    with turn:
        count += 1
        if count == nth:
            os.kill(os.getpid(), signal.SIGKILL)


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
        change()


def fsync(descriptor: int) -> None:
    change()
    real_fsync(descriptor)


class Connection(sqlite3.Connection):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if not sql.startswith(("select", "pragma", "rollback")):
            change()
        return super().execute(sql, *parameters)


def connect(*arguments: Any, **keywords: Any) -> sqlite3.Connection:
    return real_connect(*arguments, factory=Connection, **keywords)


os.fsync, sqlite3.connect = fsync, connect  # type: ignore[assignment]
# An hour later, so that it makes no difference whether the source was written seconds ago.
now = time.time_ns
time.time_ns = lambda: now() + 3_600_000_000_000
sys.addaudithook(audit)
code = main(sys.argv[3:])
if nth == 0:
    counter.write_text(str(count))
sys.exit(code)
