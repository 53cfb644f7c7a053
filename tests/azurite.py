"""Azurite, Microsoft's own server with the API of Azure's blob storage, on loopback; skipped by name where it is not.

It lives in ``.build/azurite``, which this command makes with npm:

    python -m tests.azurite
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest

VERSION = "3.35.0"
FOLDER = Path(__file__).parents[1] / ".build" / "azurite"
PROGRAM = FOLDER / "node_modules" / ".bin" / "azurite-blob"
NEEDS_AZURITE = pytest.mark.skipif(not PROGRAM.exists(), reason="needs Azurite")

ACCOUNT = "devstoreaccount1"
#: Of that account, the same for everybody: "Use the Azurite emulator", well-known storage account and key.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "models"


@dataclass(frozen=True)
class Azurite:
    """``cache`` is the URL of a cache in its one container, ``environment`` what Azure's tools need."""

    port: int

    def cache(self, prefix: str, port: int) -> str:
        return f"az://{CONTAINER}/{prefix}?account={ACCOUNT}&endpoint=http://127.0.0.1:{port}/{ACCOUNT}"

    def environment(self, port: int) -> dict[str, str]:
        return {"AZURE_STORAGE_ACCOUNT_KEY": KEY}


@contextmanager
def serving_azurite(folder: Path) -> Iterator[Azurite]:
    """The server with an empty container, until the block ends; its files are below ``folder``."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server = Azurite(probe.getsockname()[1])
    options = ["--blobPort", str(server.port), "--location", str(folder), "--silent", "--disableTelemetry"]
    process = subprocess.Popen(
        [str(PROGRAM), *options, "--skipApiVersionCheck"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "successfully listens" in line:
                break
        else:
            raise AssertionError(f"Azurite does not start: {''.join(said)}")
        threading.Thread(target=process.stdout.read, daemon=True).start()  # lest the pipe fills
        _create_container(server.port)
        yield server
    finally:
        process.kill()
        process.wait()


def _create_container(port: int) -> None:
    """By a request that is signed with the account's key ("Authorize with Shared Key" of Azure's REST API)."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    signed = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
    signed += [f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}", "restype:container"]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(signed).encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", f"/{ACCOUNT}/{CONTAINER}?restype=container", headers={**headers, "Content-Length": "0"})
    assert connection.getresponse().status == 201
    connection.close()


def main() -> None:
    """Makes the folder."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed")
    options = ["--prefix", str(FOLDER), "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts", "--silent"]
    sys.exit(subprocess.run([npm, "install", *options, f"azurite@{VERSION}"], check=False).returncode)


if __name__ == "__main__":
    main()
