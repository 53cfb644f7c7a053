"""How long it takes to make a model a store object, beside every other way to do it, in one run.

    python -m benchmarks.ingest --size-gib 4 --shards 4 --runs 3

The page cache is warm for all (the model was just made). Each way runs in processes of its own, in
alternating order; the table has medians. ``--engine-only`` leaves Nix and the command line out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import (
    Cost,
    alternate,
    compile_package,
    disk_use,
    median_cost,
    remove,
    run,
    run_with_output,
    table,
)

GIB = 1 << 30
PYTHON = sys.executable
NIX = {
    "NIX_CONFIG": "experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\nsubstituters =\n"
}
PATCH = """
[[patch]]
file = "tokenizer_config.json"
when = { tokenizer_class = "TokenizersBackend" }
set = { tokenizer_class = "PreTrainedTokenizerFast" }
reason = "a variant of the same weights"
"""

HF_PACK = "hf-pack add + build"
ENGINE = "engine alone: copy, two hashes, fsync"
NIX_STORE_ADD = "nix-store --add"
ADD_PATH = "nix store add-path"
SHELL_AND_COPY = "cp -rL, then nix store add-path"
CP = "cp -rL"
HASHES = "limit: two sha256 passes, no copy"
WRITE = "limit: write + fsync"
WRITE_DIRECT = "limit: write + fsync, O_DIRECT"
VARIANT = "patched variant: lock + build"
AGAIN = "second build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """One way's cost, and the bytes it left on the disk."""

    cost: Cost
    disk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Every way starts from the model and an empty ``scratch`` directory."""

    model: Path
    scratch: Path

    def fresh(self, way: Callable[[], Cost]) -> Ingest:
        remove(self.scratch)
        self.scratch.mkdir()
        os.sync()  # nobody pays for the write-back of the one before
        before = disk_use(self.scratch)
        cost = way()
        return Ingest(cost=cost, disk=disk_use(self.scratch) - before)

    def limit(self, name: str, *, writes: bool) -> Cost:
        command: list[str | Path] = [PYTHON, "-m", "benchmarks.limits", name, self.model]
        if writes:
            command.append(self.scratch / "out")
        return run(command)

    def cp(self) -> Cost:
        return run(["cp", "-rL", self.model, self.scratch / "copy"])

    def nix_store_add(self) -> Cost:
        return run(["nix-store", "--store", self.scratch / "store", "--add", self.model], env=NIX)

    def add_path(self, source: Path | None = None) -> Cost:
        return run(["nix", "store", "add-path", "--store", self.scratch / "store", source or self.model], env=NIX)

    def shell_and_copy(self) -> Cost:
        return self.cp() + self.add_path(self.scratch / "copy")

    def hf_pack(self, *words: str | Path) -> Cost:
        return self.hf_pack_with_output(*words)[0]

    def hf_pack_with_output(self, *words: str | Path) -> tuple[Cost, str]:
        return run_with_output(
            [PYTHON, "-m", "hf_pack", *words],
            env={"HF_PACK_STORE": str(self.scratch / "store")},
            cwd=self.scratch / "workspace",
        )

    def hf_pack_add_and_build(self) -> Cost:
        (self.scratch / "workspace").mkdir()
        self.hf_pack("init")
        return self.hf_pack("add", self.model, "--name", "bench", *IDENTITY) + self.hf_pack("build", "bench")

    def variant(self) -> Cost:
        """After ``hf_pack_add_and_build``: a person copied the manifest and wrote a patch into it."""
        workspace = self.scratch / "workspace"
        manifest = (workspace / "models" / "bench.toml").read_text()
        (workspace / "models" / "variant.toml").write_text(manifest.replace('"bench"', '"variant"') + PATCH)
        (workspace / "build-meta" / "variant.json").write_bytes((workspace / "build-meta" / "bench.json").read_bytes())
        return self.hf_pack("lock", "variant") + self.hf_pack("build", "variant")


IDENTITY = ("--layout", "dual", "--triton-name", "bench_model")


@dataclass(slots=True, kw_only=True)
class AfterIngest:
    """What is measured in the store that an ingest left, once a run."""

    variants: list[Cost]
    variant_disk: list[int]
    second_builds: list[Cost]
    second_reads: list[int]


def subjects(ways: Ways, after: AfterIngest, *, engine_only: bool) -> dict[str, Callable[[], Ingest]]:
    def ingest_and_after() -> Ingest:
        result = ways.fresh(ways.hf_pack_add_and_build)
        cost, output = ways.hf_pack_with_output("build", "bench", "--json")
        after.second_builds.append(cost)
        after.second_reads.append(sum(package["bytes_read"] for package in json.loads(output)))
        before = disk_use(ways.scratch / "store")
        after.variants.append(ways.variant())
        after.variant_disk.append(disk_use(ways.scratch / "store") - before)
        return result

    def limit(name: str, *, writes: bool) -> Callable[[], Ingest]:
        return lambda: ways.fresh(lambda: ways.limit(name, writes=writes))

    limits = {
        HASHES: limit("hash", writes=False),
        WRITE: limit("write", writes=True),
        WRITE_DIRECT: limit("write-direct", writes=True),
        CP: lambda: ways.fresh(ways.cp),
    }
    if engine_only:
        return {ENGINE: limit("engine", writes=True), **limits}
    nix: dict[str, Callable[[], Ingest]] = {}
    if shutil.which("nix-store") and shutil.which("nix"):
        nix = {
            NIX_STORE_ADD: lambda: ways.fresh(ways.nix_store_add),
            ADD_PATH: lambda: ways.fresh(ways.add_path),
            SHELL_AND_COPY: lambda: ways.fresh(ways.shell_and_copy),
        }
    else:
        print("nix is not on PATH: its rows are left out", file=sys.stderr)
    return {HF_PACK: ingest_and_after, ENGINE: limit("engine", writes=True), **nix, **limits}


def report(results: dict[str, list[Ingest]], after: AfterIngest, subject: str) -> str:
    costs = {name: median_cost([ingest.cost for ingest in ingests]) for name, ingests in results.items()}
    disks = {name: sorted(ingest.disk for ingest in ingests)[len(ingests) // 2] for name, ingests in results.items()}
    if after.variants:
        costs[AGAIN], disks[AGAIN] = median_cost(after.second_builds), 0
        costs[VARIANT] = median_cost(after.variants)
        disks[VARIANT] = sorted(after.variant_disk)[len(after.variant_disk) // 2]
    bound = bound_of(costs)
    rows = [("way", "seconds", "x hf-pack", "x limit", "CPU s", "peak MiB", "written MiB", "disk MiB")]
    for name, cost in costs.items():
        rows.append(
            (
                name,
                f"{cost.seconds:.2f}",
                f"{cost.seconds / costs[subject].seconds:.2f}",
                f"{cost.seconds / bound:.2f}",
                f"{cost.cpu_seconds:.2f}",
                f"{cost.peak_memory / 2**20:.0f}",
                f"{cost.written / 2**20:.1f}",
                f"{disks[name] / 2**20:.1f}",
            )
        )
    return "\n".join([table(rows), "", *aims(costs, after, subject)])


def bound_of(costs: dict[str, Cost]) -> float:
    """Seconds below which no ingest can be: the hashes, or the disk at its best if that is slower."""
    return max(costs[HASHES].seconds, min(costs[WRITE].seconds, costs[WRITE_DIRECT].seconds))


def aims(costs: dict[str, Cost], after: AfterIngest, subject: str) -> list[str]:
    mine = costs[subject].seconds
    rows = [
        ("aim", "wanted", "measured"),
        (f"{subject}, x the slower of hash and disk limit", "<= 1.30", f"{mine / bound_of(costs):.2f}"),
    ]
    if NIX_STORE_ADD in costs:
        rows.append(("x as fast as nix-store --add", "> 1", f"{costs[NIX_STORE_ADD].seconds / mine:.2f}"))
        rows.append(("x as fast as shell and copy", ">= 4", f"{costs[SHELL_AND_COPY].seconds / mine:.2f}"))
    if after.variants:
        rows.append(("variant, seconds", "< 0.5", f"{costs[VARIANT].seconds:.2f}"))
        rows.append(("variant, bytes written", "< 200,000", f"{costs[VARIANT].passed:,}"))
        rows.append(("variant, bytes written, as whole pages", "", f"{costs[VARIANT].written:,}"))
        rows.append(("variant, growth of the store on the disk", "", f"{max(after.variant_disk):,}"))
        rows.append(("second build, bytes of weights read", "0", f"{max(after.second_reads):,}"))
    rows.append((f"{subject}, peak MiB", "< 200", f"{costs[subject].peak_memory / 2**20:.0f}"))
    return [table(rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-gib", type=float, default=4)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where the model and the stores go (default: a temporary directory)")
    parser.add_argument("--engine-only", action="store_true")
    arguments = parser.parse_args()
    compile_package()
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-ingest-", dir=arguments.dir))
    try:
        model = directory / "model"
        make_model(model, int(arguments.size_gib * GIB), arguments.shards)
        ways = Ways(model=model, scratch=directory / "scratch")
        after = AfterIngest(variants=[], variant_disk=[], second_builds=[], second_reads=[])
        engine_only = arguments.engine_only
        results = alternate(subjects(ways, after, engine_only=engine_only), arguments.runs)
    finally:
        remove(directory)
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.size_gib:g} GiB in {arguments.shards} shards, {cores} cores, medians of {arguments.runs} runs\n")
    print(report(results, after, ENGINE if engine_only else HF_PACK))


def make_model(model: Path, size: int, shards: int) -> None:
    # In a process of its own: a child's peak memory starts at its parent's.
    script = (
        "import sys; from pathlib import Path; from benchmarks.synthetic_model import make_model\n"
        "make_model(Path(sys.argv[1]), size=int(sys.argv[2]), shards=int(sys.argv[3]))"
    )
    run([PYTHON, "-c", script, model, str(size), str(shards)])


if __name__ == "__main__":
    main()
