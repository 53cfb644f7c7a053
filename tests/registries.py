"""Debian's registry and the tools that read what is in it, for tests; skipped by name where they are missing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NEEDS_REGISTRY = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs docker-registry")
NEEDS_SKOPEO = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")
NEEDS_UMOCI = pytest.mark.skipif(shutil.which("umoci") is None, reason="needs umoci")
NEEDS_HTPASSWD = pytest.mark.skipif(shutil.which("htpasswd") is None, reason="needs htpasswd")
NEEDS_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@dataclass
class Server:
    """A registry that runs, with its files in ``directory``."""

    directory: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, repository: str, tag: str = "") -> str:
        return f"oci://{self.address}/{repository}" + (f":{tag}" if tag else "")

    def blob(self, digest: str) -> Path:
        """Where the registry keeps a blob's bytes."""
        hexadecimal = digest.removeprefix("sha256:")
        root = self.directory / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return root / hexadecimal[:2] / hexadecimal / "data"

    def requests(self, method: str) -> list[str]:
        """The paths that were asked for with this method, from the registry's own log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line.split('"')[1].split()[1] for line in lines if f'] "{method} ' in line]


@contextmanager
def registry(directory: Path, auth: str = "") -> Iterator[Server]:
    """Debian's registry on a port that is free; ``auth`` is the section of its configuration."""
    directory.mkdir(parents=True, exist_ok=True)
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = _start(directory, port, auth)
        if server is not None:
            break
    else:
        raise AssertionError("the registry does not start")
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait()


def _start(directory: Path, port: int, auth: str) -> Server | None:
    config, log = directory / "config.yml", directory / "log"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n{auth}"
    )
    with log.open("wb") as out:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=out, stderr=out)
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return Server(directory, port, log, process)
    process.kill()
    process.wait()
    return None


def tool(*command: str | Path) -> str:
    """What a tool prints; it must succeed."""
    arguments: Sequence[str] = [str(part) for part in command]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def skopeo_manifest(address: str) -> dict[str, object]:
    """What a registry or layout has under a name, by skopeo."""
    where = ["--tls-verify=false"] if address.startswith("docker:") else []
    document: dict[str, object] = json.loads(tool("skopeo", "inspect", "--raw", *where, address))
    return document
