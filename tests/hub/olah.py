"""olah, a third party's Hub mirror, serving git repositories from disk: a second server to hold a client against.

It lives in an environment of its own, ``.build/olah-venv``, which this command makes:

    python -m tests.hub.olah

It knows less than ``TestHub``: no model information without a revision, no sizes in it, no Range, no paging, no Xet.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hub.git_repository import write_git
from tests.hub.repo import Repo

VERSION = "0.5.4"
ENVIRONMENT = Path(__file__).parents[2] / ".build/olah-venv"
PROGRAM = ENVIRONMENT / "bin/olah-cli"

_READY = "Uvicorn running on"
_STOP_SECONDS = 10.0
_CONFIGURATION = """\
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{folder}/cache"
hf-scheme = "http"
hf-netloc = "127.0.0.1:9"
hf-lfs-netloc = "127.0.0.1:9"
mirror-netloc = "127.0.0.1:{port}"
mirror-lfs-netloc = "127.0.0.1:{port}"
mirrors-path = ["{folder}/mirrors"]

[accessibility]
offline = true
"""


@contextmanager
def serving(repos: tuple[Repo, ...], folder: Path) -> Iterator[str]:
    """Serves copies of ``repos`` from ``folder`` (new) on a free port of 127.0.0.1; gives the endpoint."""
    for repo in repos:
        write_git(repo, folder / "mirrors/models" / repo.repo_id)
    port = _free_port()
    configuration = folder / "olah.toml"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder))
    command = [str(PROGRAM), "--config", str(configuration), "--log-path", str(folder / "logs")]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            said = []
            for line in server.stdout:
                said.append(line)
                if _READY in line:
                    break
            else:
                raise RuntimeError(f"olah did not start:\n{''.join(said)}")
            threading.Thread(target=server.stdout.read, daemon=True).start()  # lest the pipe fills
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(_STOP_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    """Makes the environment."""
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    pip = [str(ENVIRONMENT / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    sys.exit(subprocess.run([*pip, f"olah=={VERSION}"], check=False).returncode)


if __name__ == "__main__":
    main()
