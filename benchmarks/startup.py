"""How long the command line takes to say something, beside the interpreter alone.

python -m benchmarks.startup --runs 20
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import alternate, compile_package, remove, run, table
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

        def hf_pack(*words: str) -> float:
            env = {"HF_PACK_STORE": str(directory / "store")}
            return run([PYTHON, "-m", "hf_pack", *words], env=env, cwd=workspace).seconds

        hf_pack("init")
        hf_pack("add", str(directory / "model"), "--name", "small")
        hf_pack("build", "small")
        subjects: dict[str, Callable[[], float]] = {
            _BARE: lambda: run([PYTHON, "-c", "pass"]).seconds,
            "hf-pack --help": partial(hf_pack, "--help"),
            "hf-pack path NAME": partial(hf_pack, "path", "small"),
            "hf-pack list": partial(hf_pack, "list"),
            "hf-pack build NAME, nothing to do": partial(hf_pack, "build", "small"),
        }
        seconds = alternate(subjects, arguments.runs)
    finally:
        remove(directory)
    bare = statistics.median(seconds[_BARE])
    rows = [("command", "ms", "x python -c pass")]
    for name, values in seconds.items():
        median = statistics.median(values)
        rows.append((name, f"{median * 1000:.1f}", f"{median / bare:.2f}"))
    print(f"medians of {arguments.runs} alternating runs\n")
    print(table(rows))


if __name__ == "__main__":
    main()
