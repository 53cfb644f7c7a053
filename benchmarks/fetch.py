"""How long it takes to get a model off the Hub, proved and in the store, beside ``hf download``, on loopback.

    python -m benchmarks.fetch --size-gib 2 --shards 4 --runs 5

Each way starts with an empty cache and store, in a process of its own, in alternating order; the table has medians.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hub import environment, running_hub
from benchmarks.ingest import make_model
from benchmarks.measure import Cost, alternate, compile_package, median_cost, remove, run, table

GIB = 1 << 30
REPO = "acme/bench"
BUILD = "hf-pack build"
DOWNLOAD = "hf download"
AND_SYNC = "hf download, sync"
AND_HASH = "hf download, sha256sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Every way starts from an empty ``home``; ``workspace`` has the lock."""

    endpoint: str
    home: Path
    workspace: Path

    def fresh(self, way: Callable[[], Cost]) -> Cost:
        remove(self.home)
        self.home.mkdir()
        os.sync()  # nobody pays for the write-back of the one before
        return way()

    def hf_pack(self, *words: str) -> Cost:
        return run(
            [sys.executable, "-m", "hf_pack", *words], env=environment(self.endpoint, self.home), cwd=self.workspace
        )

    def download(self) -> Cost:
        hf = Path(sys.executable).parent / "hf"
        return run([hf, "download", REPO], env=environment(self.endpoint, self.home))

    def download_and_sync(self) -> Cost:
        return self.download() + run(["sync", "--file-system", self.home])

    def download_and_hash(self) -> Cost:
        cost = self.download()
        blobs = sorted((self.home / "hf/hub").glob("models--*/blobs/*"))
        return cost + run(["sha256sum", *blobs])


def report(costs: dict[str, Cost]) -> str:
    rows = [("way", "seconds", "x hf-pack", "CPU s", "peak MiB", "written MiB")]
    for name, cost in costs.items():
        rows.append(
            (
                name,
                f"{cost.seconds:.2f}",
                f"{cost.seconds / costs[BUILD].seconds:.2f}",
                f"{cost.cpu_seconds:.2f}",
                f"{cost.peak_memory / 2**20:.0f}",
                f"{cost.written / 2**20:.0f}",
            )
        )
    build = costs[BUILD]
    aims = [
        ("aim", "wanted", "measured"),
        ("x hf download", "<= 1.10", f"{build.seconds / costs[DOWNLOAD].seconds:.2f}"),
        ("x hf download, sha256sum", "< 1", f"{build.seconds / costs[AND_HASH].seconds:.2f}"),
        ("peak MiB", "< 500", f"{build.peak_memory / 2**20:.0f}"),
    ]
    return f"{table(rows)}\n\n{table(aims)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-gib", type=float, default=2)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where all files go (default: a temporary directory)")
    arguments = parser.parse_args()
    compile_package()
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-fetch-", dir=arguments.dir))
    try:
        make_model(directory / "model", int(arguments.size_gib * GIB), arguments.shards)
        workspace = directory / "workspace"
        workspace.mkdir()
        with running_hub(REPO, directory / "model") as hub:
            ways = Ways(endpoint=hub.endpoint, home=directory / "home", workspace=workspace)
            ways.hf_pack("init")
            added = ways.fresh(lambda: ways.hf_pack("add", REPO, "--name", "bench", "--layout", "dual"))
            subjects = {
                BUILD: lambda: ways.fresh(lambda: ways.hf_pack("build", "bench")),
                DOWNLOAD: lambda: ways.fresh(ways.download),
                AND_SYNC: lambda: ways.fresh(ways.download_and_sync),
                AND_HASH: lambda: ways.fresh(ways.download_and_hash),
            }
            results = alternate(subjects, arguments.runs)
    finally:
        remove(directory)
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.size_gib:g} GiB in {arguments.shards} shards, {cores} cores, medians of {arguments.runs} runs;")
    print(f"the load was {os.getloadavg()[0]:.1f} at the end; `hf-pack add` before took {added.seconds:.2f} s\n")
    print(report({name: median_cost(costs) for name, costs in results.items()}))


if __name__ == "__main__":
    main()
