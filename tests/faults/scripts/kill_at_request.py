"""Run ``hf-pack`` and kill it, with SIGKILL, as it is about to send its n-th HTTP request.

Arguments: n (0: never), a file for the number of requests, the arguments of ``hf-pack``.
"""

import http.client
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from hf_pack.cli.main import main

nth, counter = int(sys.argv[1]), Path(sys.argv[2])
count = 0
turn = threading.Lock()
real = http.client.HTTPConnection.putrequest


def putrequest(self: http.client.HTTPConnection, *arguments: Any, **named: Any) -> None:
    global count
    with turn:
        count += 1
        if count == nth:
            os.kill(os.getpid(), signal.SIGKILL)
    real(self, *arguments, **named)


http.client.HTTPConnection.putrequest = putrequest  # type: ignore[method-assign]
code = main(sys.argv[3:])
if nth == 0:
    counter.write_text(str(count))
sys.exit(code)
