"""What the original builder of package-hf-models costs, beside hf-pack, into the same Nix store.

    python -m benchmarks.nix --size-gib 4 --shards 4 --runs 3

The original is restated from its documentation, with a standard environment that only does what it needs of it: import
the path, unpack with ``cp -r``, install with ``cp -rL``. The model lies in a Hub cache, whose pages are warm (it was
just made). The store is a chroot store of this machine's Nix; all processes are counted, the daemon's too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ingest import GIB, NIX, PATCH, PYTHON, Ingest
from benchmarks.measure import Cost, alternate, compile_package, disk_use, median_cost, remove, run, table

SLUG = "acme--bench"
SNAPSHOT = "15852e8c16360a2fea060d615a32b45270f8a8fc"

ORIGINAL = "original builder"
LINKED_DAEMON = "hf-pack, linked, machine's store"
SOLID_DAEMON = "hf-pack, self-contained, machine's store"
LINKED_EMBEDDED = "hf-pack, linked, embedded store"
SOLID_EMBEDDED = "hf-pack, self-contained, embedded store"
VARIANT = "patched variant, machine's store"

_EXPRESSION = """
{ source }: derivation {
  name = "bench-1.0.0+0000000";
  system = builtins.currentSystem;
  builder = "/bin/bash";
  src = source;
  args = [ "-ec" ''
    PATH=/usr/bin:/bin
    cp -r "$src" source && chmod -R u+w source && cd source
    snapshot="$out/share/models/hub/models--@slug@/snapshots/@snapshot@"
    mkdir -p "$snapshot" "$out/share/models/hub/models--@slug@/refs" "$out/share/models/bench" "$out/share/bench"
    cp -rL snapshots/@snapshot@/* "$snapshot/"
    rm -f "$snapshot/LICENSE" "$snapshot/README.md"
    printf %s @snapshot@ > "$out/share/models/hub/models--@slug@/refs/main"
    ln -s "../hub/models--@slug@/snapshots/@snapshot@" "$out/share/models/bench/weights"
    echo 'backend: "vllm"' > "$out/share/models/bench/config.pbtxt"
    echo '{}' > "$out/share/models/bench/model-defaults.json"
    echo 1.0.0+0000000 > "$out/share/bench/flox-build-version-1"
    exit 0
  '' ];
}
""".replace("@slug@", SLUG).replace("@snapshot@", SNAPSHOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Every way starts from the cached model ``repo`` and an empty ``scratch`` directory."""

    repo: Path
    scratch: Path

    def fresh(self, way: Callable[[], Cost]) -> Ingest:
        remove(self.scratch)
        (self.scratch / "workspace").mkdir(parents=True)
        self.hf_pack("init")
        os.sync()  # nobody pays for the write-back of the one before
        before = disk_use(self.scratch)
        cost = way()
        return Ingest(cost=cost, disk=disk_use(self.scratch) - before)

    def original(self) -> Cost:
        expression = self.scratch / "original.nix"
        expression.write_text(_EXPRESSION)
        mounted = " ".join(path for path in ("/bin", "/usr", "/lib", "/lib64") if Path(path).exists())
        options = ("--no-out-link", "--option", "sandbox-paths", mounted)
        source = ("--arg", "source", str(self.repo))
        return run(["nix-build", "--store", self.scratch / "machine", expression, *source, *options], env=NIX)

    def packaged(self, store: str, storage: str) -> Cost:
        options = ("--name", "bench", "--layout", "dual", "--triton-name", "bench", "--storage", storage)
        return self.hf_pack("add", self.repo, *options, store=store) + self.hf_pack("build", "bench", store=store)

    def variant(self) -> Cost:
        """After :meth:`packaged`: a person copied the manifest and wrote a patch into it."""
        workspace = self.scratch / "workspace"
        manifest = (workspace / "models" / "bench.toml").read_text()
        (workspace / "models" / "variant.toml").write_text(manifest.replace('"bench"', '"variant"') + PATCH)
        shutil.copyfile(workspace / "build-meta" / "bench.json", workspace / "build-meta" / "variant.json")
        return self.hf_pack("lock", "variant", store="daemon") + self.hf_pack("build", "variant", store="daemon")

    def hf_pack(self, *words: str | Path, store: str = "") -> Cost:
        environ = {
            **NIX,
            "NIX_REMOTE": f"local?root={self.scratch / 'machine'}",
            "XDG_STATE_HOME": str(self.scratch / "state"),
            "HF_PACK_STORE": store or str(self.scratch / "embedded"),
        }
        return run([PYTHON, "-m", "hf_pack", *words], env=environ, cwd=self.scratch / "workspace")


def subjects(ways: Ways, variants: list[Ingest]) -> dict[str, Callable[[], Ingest]]:
    def linked_and_variant() -> Ingest:
        result = ways.fresh(lambda: ways.packaged("daemon", "linked"))
        before = disk_use(ways.scratch)
        cost = ways.variant()
        variants.append(Ingest(cost=cost, disk=disk_use(ways.scratch) - before))
        return result

    return {
        ORIGINAL: lambda: ways.fresh(ways.original),
        LINKED_DAEMON: linked_and_variant,
        SOLID_DAEMON: lambda: ways.fresh(lambda: ways.packaged("daemon", "self-contained")),
        LINKED_EMBEDDED: lambda: ways.fresh(lambda: ways.packaged("", "linked")),
        SOLID_EMBEDDED: lambda: ways.fresh(lambda: ways.packaged("", "self-contained")),
    }


def report(results: Mapping[str, list[Ingest]], size: int) -> str:
    costs = {name: median_cost([ingest.cost for ingest in ingests]) for name, ingests in results.items()}
    disks = {name: sorted(ingest.disk for ingest in ingests)[len(ingests) // 2] for name, ingests in results.items()}
    original = costs[ORIGINAL].seconds
    rows = [("way", "seconds", "x as fast", "CPU s", "peak MiB", "written MiB", "disk MiB")]
    rows += [
        (
            name,
            f"{cost.seconds:.2f}",
            f"{original / cost.seconds:.2f}",
            f"{cost.cpu_seconds:.2f}",
            f"{cost.peak_memory / 2**20:.0f}",
            f"{cost.written / 2**20:.1f}",
            f"{disks[name] / 2**20:.1f}",
        )
        for name, cost in costs.items()
    ]
    mine = (LINKED_DAEMON, SOLID_DAEMON, LINKED_EMBEDDED, SOLID_EMBEDDED)
    aims = [("aim", "wanted", "measured")]
    aims += [
        (f"{name}, x as fast as the original", wanted, f"{original / costs[name].seconds:.2f}")
        for name, wanted in ((LINKED_DAEMON, ">= 5"), (SOLID_DAEMON, ">= 3.5"), (LINKED_EMBEDDED, ">= 7"))
    ]
    aims += [
        *((f"{name}, copies on the disk", "1", f"{disks[name] / size:.2f}") for name in mine),
        ("peak MiB", "< 200", f"{max(costs[name].peak_memory for name in mine) / 2**20:.0f}"),
        ("variant, seconds", "< 1", f"{costs[VARIANT].seconds:.2f}"),
        ("variant, bytes written, as whole pages", "< 1,000,000", f"{costs[VARIANT].written:,}"),
    ]
    return f"{table(rows)}\n\n{table(aims)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-gib", type=float, default=4)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where model and stores go (default: a temporary directory)")
    arguments = parser.parse_args()
    if not (shutil.which("nix-build") and shutil.which("nix-daemon")):
        sys.exit("needs nix-build and nix-daemon on PATH")
    compile_package()
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-nix-", dir=arguments.dir))
    size = int(arguments.size_gib * GIB)
    try:
        repo = directory / "hub" / f"models--{SLUG}"
        make_cached_model(repo, size, arguments.shards)
        variants: list[Ingest] = []
        results = alternate(subjects(Ways(repo=repo, scratch=directory / "scratch"), variants), arguments.runs)
    finally:
        remove(directory)
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.size_gib:g} GiB in {arguments.shards} shards, {cores} cores, medians of {arguments.runs} runs\n")
    print(report({**results, VARIANT: variants}, size))


def make_cached_model(repo: Path, size: int, shards: int) -> None:
    # In a process of its own: a child's peak memory starts at its parent's.
    script = (
        "import sys; from pathlib import Path; from benchmarks.synthetic_model import make_cached_model\n"
        "make_cached_model(Path(sys.argv[1]), sys.argv[2], size=int(sys.argv[3]), shards=int(sys.argv[4]))"
    )
    run([PYTHON, "-c", script, repo, SNAPSHOT, str(size), str(shards)])


if __name__ == "__main__":
    main()
