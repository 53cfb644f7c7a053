"""A workspace and a store with a thousand packages that share their weights.

python -m benchmarks.many_packages --packages 1000
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Cost, alternate, compile_package, disk_use, median_cost, remove, run, table
from benchmarks.synthetic_model import TOKENIZER_CONFIG, make_model, write_json

PYTHON = sys.executable


def make_packages(directory: Path, count: int) -> None:
    """Add and build ``count`` packages of the same weights, each with a tokenizer configuration of its own.

    In this one process: starting the command line two thousand times is not what is measured here.
    """
    from hf_pack import api

    model = directory / "model"
    make_model(model, size=1 << 20, shards=2)
    workspace = directory / "workspace"
    workspace.mkdir()
    api.init(workspace)
    store = str(directory / "store")
    for number in range(count):
        write_json(model / "tokenizer_config.json", {**TOKENIZER_CONFIG, "model_max_length": 1000 + number})
        name = f"package-{number:04}"
        api.add(model, workspace=workspace, store=store, name=name)
        api.build(name, workspace=workspace, store=store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    compile_package()
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-many-"))
    try:
        script = (
            "import sys; from pathlib import Path; from benchmarks.many_packages import make_packages\n"
            "make_packages(Path(sys.argv[1]), int(sys.argv[2]))"
        )
        made = run([PYTHON, "-c", script, directory, str(arguments.packages)])
        disk = disk_use(directory / "store")

        def hf_pack(*words: str) -> Cost:
            env = {"HF_PACK_STORE": str(directory / "store")}
            return run([PYTHON, "-m", "hf_pack", *words], env=env, cwd=directory / "workspace")

        last = f"package-{arguments.packages - 1:04}"
        subjects: dict[str, Callable[[], Cost]] = {
            "python -c pass": lambda: run([PYTHON, "-c", "pass"]),
            "hf-pack list": partial(hf_pack, "list"),
            "hf-pack gc --dry-run": partial(hf_pack, "gc", "--dry-run"),
            "hf-pack path NAME": partial(hf_pack, "path", last),
            "hf-pack build NAME, nothing to do": partial(hf_pack, "build", last),
            "hf-pack build, nothing to do": partial(hf_pack, "build"),
        }
        costs = {name: median_cost(several) for name, several in alternate(subjects, arguments.runs).items()}
    finally:
        remove(directory)
    print(
        f"{arguments.packages} packages made in {made.seconds:.1f} s, the store takes {disk / 2**20:.1f} MiB; "
        f"{len(os.sched_getaffinity(0))} cores, medians of {arguments.runs} alternating runs\n"
    )
    rows = [("command", "seconds", "CPU s", "peak MiB")]
    for name, cost in costs.items():
        rows.append((name, f"{cost.seconds:.3f}", f"{cost.cpu_seconds:.3f}", f"{cost.peak_memory / 2**20:.0f}"))
    print(table(rows))


if __name__ == "__main__":
    main()
