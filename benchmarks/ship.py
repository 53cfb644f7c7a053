"""What it takes to send a built package to a cache, a registry or one file, and to get it back, beside other tools.

    python -m benchmarks.ship --size-gib 4 --shards 4 --runs 3

On this machine's disk and on loopback. Each way runs in processes of its own, in alternating order, from a source whose
pages are warm, an empty place of arrival and no dirty pages; the table has medians.
Rows whose tool is not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.ingest import GIB, NIX, PATCH, PYTHON, make_model
from benchmarks.measure import Cost, alternate, compile_package, median_cost, remove, run, run_with_output, table
from tests.registries import Server, registry

NAME = "bench"
REPOSITORY = "models/bench"
TAG = "bench-1.0.0_0000000"  #: in an exported layout

PUBLISH, PUBLISH_ZSTD = "hf-pack publish, none", "hf-pack publish, zstd"
EXPORT = "hf-pack export --to tar"
TO_NIX, TO_NIX_ZSTD = "nix copy --to, none", "nix copy --to, zstd"
CP, CP_AND_SYNC, SHA256 = "cp", "cp, sync", "one sha256 pass"
PULL, PULL_ZSTD = "hf-pack pull, none", "hf-pack pull, zstd"
PULL_TAR = "hf-pack pull, tar"
FROM_NIX, FROM_NIX_ZSTD = "nix copy --from, none", "nix copy --from, zstd"
PUSH_RAW, PUSH_IMAGE, PUSH_SKOPEO = (
    "hf-pack publish, ModelPack",
    "hf-pack publish, image",
    "skopeo copy to the registry",
)
PULL_RAW, PULL_IMAGE = "hf-pack pull, ModelPack", "hf-pack pull, image"
PULL_SKOPEO = "skopeo copy from the registry"
VARIANT = "variant of it, published"

#: What a way reads; the others read the store.
SOURCES = {
    PULL: "cache-none", FROM_NIX: "cache-none", PULL_ZSTD: "cache-zstd", FROM_NIX_ZSTD: "cache-zstd",
    PULL_TAR: "bench.tar", PUSH_SKOPEO: "layout",
    PULL_RAW: "registry", PULL_IMAGE: "registry", PULL_SKOPEO: "registry",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """``store`` and ``workspace`` have the package; ``caches``, ``layout`` and the registry ``full`` it too."""

    home: Path
    store_path: str
    full: Server | None

    def fresh(self, source: Path, way: Callable[[], Cost]) -> Cost:
        """Nobody pays for the write-back of the one before, nor for reading first what all read."""
        remove(self.there)
        self.there.mkdir()
        os.sync()
        for path in [source, *source.rglob("*")]:
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    while file.read(1 << 22):
                        pass
        return way()

    @property
    def there(self) -> Path:
        """Where it arrives."""
        return self.home / "there"

    def hf_pack(self, *words: str | Path, store: Path | None = None) -> Cost:
        return self.hf_pack_says(*words, store=store)[0]

    def hf_pack_says(self, *words: str | Path, store: Path | None = None) -> tuple[Cost, str]:
        environ = {
            "HOME": str(self.there),  # so that nothing is remembered from one run to the next
            "XDG_CACHE_HOME": str(self.there / "cache"),
            "XDG_STATE_HOME": str(self.there / "state"),
            "HF_PACK_STORE": str(store or self.home / "store"),
        }
        return run_with_output([PYTHON, "-m", "hf_pack", *words], env=environ, cwd=self.home / "workspace")

    def publish(self, compression: str) -> Cost:
        return self.hf_pack("publish", NAME, "--to", f"file://{self.there}/to", "--compression", compression)

    def pull(self, source: str | Path, *more: str) -> Cost:
        return self.hf_pack("pull", *more, "--from", source, store=self.there / "store")

    def nix_copy_to(self, compression: str) -> Cost:
        to = f"file://{self.there}/to?compression={compression}"
        return run(["nix", "copy", "--store", self.home / "store", "--to", to, self.store_path], env=NIX)

    def nix_copy_from(self, compression: str) -> Cost:
        cache = f"file://{self.home}/cache-{compression}"
        return run(["nix", "copy", "--store", self.there / "store", "--from", cache, self.store_path], env=NIX)

    def cp(self) -> Cost:
        return run(["cp", "-r", "--reflink=never", self.home / "store" / "nix" / "store", self.there / "copy"])

    def cp_and_sync(self) -> Cost:
        return self.cp() + run(["sync", "--file-system", self.there])

    def sha256(self) -> Cost:
        script = (
            "import hashlib, sys\n"
            "for path in sys.argv[1:]:\n"
            "    with open(path, 'rb') as file: hashlib.file_digest(file, 'sha256')"
        )
        blobs = [path for path in (self.home / "store" / "nix" / "store").iterdir() if path.is_file()]
        return run([PYTHON, "-c", script, *blobs])

    def push(self, way: Callable[[Server], Cost]) -> Cost:
        with registry(self.there / "registry") as server:
            return way(server)

    def skopeo(self, source: str, to: str) -> Cost:
        options = ("--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", "-q")
        return run(["skopeo", "copy", *options, source, to])


def caches(ways: Ways) -> dict[str, Callable[[], Cost]]:
    home = ways.home
    return {
        PUBLISH: lambda: ways.publish("none"),
        PUBLISH_ZSTD: lambda: ways.publish("zstd"),
        EXPORT: lambda: ways.hf_pack("export", NAME, "--to", "tar", "--output", ways.there / "bench.tar"),
        CP: ways.cp,
        CP_AND_SYNC: ways.cp_and_sync,
        SHA256: ways.sha256,
        PULL: lambda: ways.pull(f"file://{home}/cache-none", NAME),
        PULL_ZSTD: lambda: ways.pull(f"file://{home}/cache-zstd", NAME),
        PULL_TAR: lambda: ways.pull(home / "bench.tar"),
    }


def nix(ways: Ways) -> dict[str, Callable[[], Cost]]:
    return {
        TO_NIX: lambda: ways.nix_copy_to("none"),
        TO_NIX_ZSTD: lambda: ways.nix_copy_to("zstd"),
        FROM_NIX: lambda: ways.nix_copy_from("none"),
        FROM_NIX_ZSTD: lambda: ways.nix_copy_from("zstd"),
    }


def registries(ways: Ways, full: Server) -> dict[str, Callable[[], Cost]]:
    def published(shape: str) -> Callable[[], Cost]:
        return lambda: ways.push(lambda to: ways.hf_pack("publish", NAME, "--to", to.url(REPOSITORY), "--as", shape))

    layout = f"oci:{ways.home}/layout:{TAG}"
    return {
        PUSH_RAW: published("modelpack"),
        PUSH_IMAGE: published("image"),
        PUSH_SKOPEO: lambda: ways.push(lambda to: ways.skopeo(layout, f"docker://{to.address}/{REPOSITORY}:1")),
        PULL_RAW: lambda: ways.pull(full.url("raw", "1")),
        PULL_IMAGE: lambda: ways.pull(full.url("image", "1")),
        PULL_SKOPEO: lambda: ways.skopeo(f"docker://{full.address}/image:1", f"oci:{ways.there}/layout:1"),
    }


def prepare(home: Path, size: int, shards: int) -> str:
    """The package in the store, and in every place that it is fetched from; its store path."""
    make_model(home / "model", size, shards)
    (home / "workspace").mkdir()
    (home / "there").mkdir()
    ways = Ways(home=home, store_path="", full=None)
    ways.hf_pack("init")
    options = ("--name", NAME, "--layout", "dual", "--triton-name", NAME)
    ways.hf_pack("add", home / "model", *options)
    built = json.loads(ways.hf_pack_says("build", NAME, "--json")[1])
    for compression in ("none", "zstd"):
        ways.hf_pack("publish", NAME, "--to", f"file://{home}/cache-{compression}", "--compression", compression)
    ways.hf_pack("export", NAME, "--to", "tar", "--output", home / "bench.tar")
    return str(built[0]["store_path"])


def variant(ways: Ways) -> tuple[Cost, int]:
    """A person patched a small file; what publishing that costs, and how many bytes it sends."""
    models, meta = ways.home / "workspace" / "models", ways.home / "workspace" / "build-meta"
    text = (models / f"{NAME}.toml").read_text()
    (models / "variant.toml").write_text(text.replace(f'"{NAME}"', '"variant"') + PATCH)
    shutil.copyfile(meta / f"{NAME}.json", meta / "variant.json")
    ways.hf_pack("lock", "variant")
    ways.hf_pack("build", "variant")
    os.sync()
    cost, said = ways.hf_pack_says("publish", "variant", "--to", f"file://{ways.home}/cache-none", "--json")
    return cost, json.loads(said)[0]["bytes_sent"]


def report(costs: Mapping[str, Cost], size: int, variant_bytes: int) -> str:
    rows = [("way", "seconds", "GiB/s", "x cp", "CPU s", "peak MiB", "written MiB")]
    rows += [
        (
            name,
            f"{cost.seconds:.2f}",
            "" if name == VARIANT else f"{size / GIB / cost.seconds:.2f}",
            "" if name == VARIANT else f"{cost.seconds / costs[CP].seconds:.2f}",
            f"{cost.cpu_seconds:.2f}",
            f"{cost.peak_memory / 2**20:.0f}",
            f"{cost.written / 2**20:.0f}",
        )
        for name, cost in costs.items()
    ]
    limit = costs[CP].seconds + costs[SHA256].seconds
    aims = [("aim", "wanted", "measured")]
    aims += [
        (f"{name}: x the speed of cp and one sha256 pass", ">= 0.90", f"{limit / costs[name].seconds:.2f}")
        for name in (PUBLISH, PULL, EXPORT, PULL_TAR)
    ]
    pairs = (
        (PUBLISH, TO_NIX, ">= 4"),
        (PUBLISH_ZSTD, TO_NIX_ZSTD, ""),
        (PULL, FROM_NIX, ">= 4"),
        (PULL_ZSTD, FROM_NIX_ZSTD, ""),
        (PUSH_RAW, PUSH_SKOPEO, ""),
        (PUSH_IMAGE, PUSH_SKOPEO, ""),
        (PULL_RAW, PULL_SKOPEO, ""),
        (PULL_IMAGE, PULL_SKOPEO, ""),
    )
    aims += [
        (f"{mine}: x the speed of {other}", wanted, f"{costs[other].seconds / costs[mine].seconds:.2f}")
        for mine, other, wanted in pairs
        if other in costs
    ]
    peak = max(cost.peak_memory for name, cost in costs.items() if name.startswith("hf-pack"))
    aims += [
        (f"{VARIANT}, seconds", "< 1", f"{costs[VARIANT].seconds:.2f}"),
        (f"{VARIANT}, bytes sent", "< 1,000,000", f"{variant_bytes:,}"),
        ("peak MiB", "< 300", f"{peak / 2**20:.0f}"),
    ]
    return f"{table(rows)}\n\n{table(aims)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-gib", type=float, default=4)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where all files go (default: a temporary directory)")
    arguments = parser.parse_args()
    compile_package()
    home = Path(tempfile.mkdtemp(prefix="hf-pack-ship-", dir=arguments.dir))
    size = int(arguments.size_gib * GIB)
    try:
        with ExitStack() as stack:
            store_path = prepare(home, size, arguments.shards)
            full = None
            if shutil.which("docker-registry") and shutil.which("skopeo"):
                full = stack.enter_context(registry(home / "registry"))
            ways = Ways(home=home, store_path=store_path, full=full)
            subjects = caches(ways) | (nix(ways) if shutil.which("nix") else {})
            if full is not None:
                ways.hf_pack("export", NAME, "--to", "oci-layout", "--output", home / "layout", "--as", "image")
                for repository, shape in (("raw", "modelpack"), ("image", "image")):
                    ways.hf_pack("publish", NAME, "--to", full.url(repository, "1"), "--as", shape)
                subjects |= registries(ways, full)
            fresh = {
                name: partial(ways.fresh, home / SOURCES.get(name, "store"), way) for name, way in subjects.items()
            }
            results = alternate(fresh, arguments.runs)
            cost, variant_bytes = variant(ways)
    finally:
        remove(home)
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.size_gib:g} GiB in {arguments.shards} shards, {cores} cores, medians of {arguments.runs} runs;")
    print(f"the load was {os.getloadavg()[0]:.1f} at the end\n")
    print(report({**{name: median_cost(found) for name, found in results.items()}, VARIANT: cost}, size, variant_bytes))


if __name__ == "__main__":
    main()
