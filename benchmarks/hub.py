"""The Hub of the tests in a process of its own, and what it counted.

    python -m benchmarks.hub REPO_ID DIRECTORY         a model on disk
    python -m benchmarks.hub REPO_ID --declared 100    a model of so many shards of 15 GB, of which headers are stored

Prints its address; then, for every line it reads, one JSON object with the requests and body bytes since the last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.from_hub import declared_shards
from tests.hub import Source, TestHub

SHARD_BYTES = 15 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the Hub was asked, and the body bytes that it sent: those of weights, and all."""

    requests: int
    weight_bytes: int
    all_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningHub:
    """``endpoint`` is what HF_ENDPOINT wants."""

    endpoint: str
    _process: subprocess.Popen[str]

    def counts(self) -> Counts:
        """Since the last call."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counts(**json.loads(self._process.stdout.readline()))


@contextmanager
def running_hub(repo_id: str, *arguments: str | Path) -> Iterator[RunningHub]:
    """A Hub with one model; the arguments are this module's."""
    command = [sys.executable, "-m", "benchmarks.hub", repo_id, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        yield RunningHub(endpoint=process.stdout.readline().strip(), _process=process)
        process.stdin.close()


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """A user of this Hub whose home is ``home``."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_PACK_STORE": str(home / "store"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _files(directory: Path) -> Mapping[str, Source]:
    return {path.relative_to(directory).as_posix(): path for path in sorted(directory.rglob("*")) if path.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo_id")
    parser.add_argument("directory", type=Path, nargs="?")
    parser.add_argument("--declared", type=int)
    arguments = parser.parse_args()
    files = declared_shards(arguments.declared, SHARD_BYTES) if arguments.declared else _files(arguments.directory)
    with TestHub() as hub:
        hub.add_repo(arguments.repo_id, files)
        print(hub.endpoint, flush=True)
        for _ in sys.stdin:
            weights = sum(size for path, size in hub.bytes_by_file.items() if path.endswith(".safetensors"))
            counts = {"requests": len(hub.requests), "weight_bytes": weights, "all_bytes": hub.bytes_sent}
            print(json.dumps(counts), flush=True)
            hub.reset()


if __name__ == "__main__":
    main()
