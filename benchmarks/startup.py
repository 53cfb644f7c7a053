"""How long the command line takes to say something, beside the interpreter alone.

python -m benchmarks.startup --runs 20
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Cost, alternate, compile_package, median_cost, remove, run, table
from benchmarks.synthetic_model import make_model

PYTHON = sys.executable
_BARE = "python -c pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    compile_package()
    directory = Path(tempfile.mkdtemp(prefix="hf-pack-startup-"))
    try:
        make_model(directory / "model", size=1 << 16, shards=1)
        workspace = directory / "workspace"
        workspace.mkdir()

        def hf_pack(*words: str) -> Cost:
            env = {"HF_PACK_STORE": str(directory / "store")}
            return run([PYTHON, "-m", "hf_pack", *words], env=env, cwd=workspace)

        hf_pack("init")
        hf_pack("add", str(directory / "model"), "--name", "small")
        hf_pack("build", "small")
        subjects: dict[str, Callable[[], Cost]] = {
            _BARE: lambda: run([PYTHON, "-c", "pass"]),
            "hf-pack --help": partial(hf_pack, "--help"),
            "hf-pack path NAME": partial(hf_pack, "path", "small"),
            "hf-pack list": partial(hf_pack, "list"),
            "hf-pack build NAME, nothing to do": partial(hf_pack, "build", "small"),
        }
        costs = {name: median_cost(several) for name, several in alternate(subjects, arguments.runs).items()}
    finally:
        remove(directory)
    bare = costs[_BARE]
    rows = [("command", "ms", "x python -c pass", "CPU ms", "x python -c pass")]
    for name, cost in costs.items():
        wall, cpu = cost.seconds, cost.cpu_seconds
        rows.append(
            (
                name,
                f"{wall * 1000:.1f}",
                f"{wall / bare.seconds:.2f}",
                f"{cpu * 1000:.1f}",
                f"{cpu / bare.cpu_seconds:.2f}",
            )
        )
    print(f"medians of {arguments.runs} alternating runs\n")
    print(table(rows))


if __name__ == "__main__":
    main()
