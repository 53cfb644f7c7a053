"""What it costs to know a model's store path, beside downloading and hashing all of it, on loopback.

    python -m benchmarks.lock --size-gib 1 --shards 4 --runs 3

The Nix way to learn the hash of a file on the web is to download it (``nix-prefetch-url``, or what an empty hash in
a fixed-output derivation does). Requests and bytes are what the Hub of the tests counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hub import Counts, RunningHub, environment, running_hub
from benchmarks.ingest import NIX, make_model
from benchmarks.measure import Cost, alternate, compile_package, median_cost, remove, run, table

GIB = 1 << 30
REPO = "acme/bench"
LOCK = "hf-pack add"
PREFETCH = "nix-prefetch-url of each shard"
DOWNLOAD = "hf download, sha256sum"
HUGE = "hf-pack add, 1.5 TB in 100 shards"
HUGE_BARE = "the same with --no-headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A way's cost, and what it asked the Hub."""

    cost: Cost
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Every way starts from an empty ``home``."""

    hub: RunningHub
    home: Path

    def fresh(self, way: Callable[[], Cost]) -> Asked:
        remove(self.home)
        self.home.mkdir()
        self.hub.counts()
        return Asked(cost=way(), counts=self.hub.counts())

    def lock(self, *words: str) -> Asked:
        """A workspace is there already."""
        env = environment(self.hub.endpoint, self.home)

        def add() -> Cost:
            workspace = self.home / "workspace"
            workspace.mkdir()
            run([sys.executable, "-m", "hf_pack", "init"], env=env, cwd=workspace)
            return run(
                [sys.executable, "-m", "hf_pack", "add", REPO, "--name", "bench", *words], env=env, cwd=workspace
            )

        return self.fresh(add)

    def prefetch(self, shards: list[str]) -> Asked:
        def each() -> Cost:
            store = ("--store", self.home / "store")
            urls = [f"{self.hub.endpoint}/{REPO}/resolve/main/{shard}" for shard in shards]
            costs = [run(["nix-prefetch-url", *store, url], env=NIX) for url in urls]
            return sum(costs[1:], costs[0])

        return self.fresh(each)

    def download(self) -> Asked:
        def whole() -> Cost:
            hf = Path(sys.executable).parent / "hf"
            cost = run([hf, "download", REPO], env=environment(self.hub.endpoint, self.home))
            return cost + run(["sha256sum", *sorted((self.home / "hf/hub").glob("models--*/blobs/*"))])

        return self.fresh(whole)


def report(results: dict[str, list[Asked]]) -> str:
    rows = [("way", "seconds", "requests", "weights KiB", "all KiB", "peak MiB")]
    for name, asked in results.items():
        cost, counts = median_cost([one.cost for one in asked]), asked[-1].counts
        rows.append(
            (
                name,
                f"{cost.seconds:.2f}",
                f"{counts.requests:,}",
                f"{counts.weight_bytes / 1024:,.0f}",
                f"{counts.all_bytes / 1024:,.0f}",
                f"{cost.peak_memory / 2**20:.0f}",
            )
        )
    huge = results[HUGE]
    seconds = median_cost([one.cost for one in huge]).seconds
    aims = [
        ("aim", "wanted", "measured"),
        ("1.5 TB, seconds", "< 2", f"{seconds:.2f}"),
        ("1.5 TB, MB", "< 20", f"{huge[-1].counts.all_bytes / 1e6:.1f}"),
    ]
    return f"{table(rows)}\n\n{table(aims)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-gib", type=float, default=1)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where all files go (default: a temporary directory)")
    arguments = parser.parse_args()
    compile_package()
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-lock-", dir=arguments.dir))
    try:
        model, home = directory / "model", directory / "home"
        make_model(model, int(arguments.size_gib * GIB), arguments.shards)
        shards = sorted(path.name for path in model.glob("*.safetensors"))
        with running_hub(REPO, model) as hub, running_hub(REPO, "--declared", "100") as declared:
            ways, huge = Ways(hub=hub, home=home), Ways(hub=declared, home=home)
            subjects: dict[str, Callable[[], Asked]] = {LOCK: ways.lock, DOWNLOAD: ways.download}
            if shutil.which("nix-prefetch-url"):
                subjects[PREFETCH] = lambda: ways.prefetch(shards)
            subjects |= {HUGE: huge.lock, HUGE_BARE: lambda: huge.lock("--no-headers")}
            results = alternate(subjects, arguments.runs)
    finally:
        remove(directory)
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.size_gib:g} GiB in {arguments.shards} shards, {cores} cores, medians of {arguments.runs} runs;")
    print(f"the load was {os.getloadavg()[0]:.1f} at the end\n")
    print(report(results))


if __name__ == "__main__":
    main()
