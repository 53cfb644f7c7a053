"""The campaign: a coverage-guided fuzzer (atheris) on every target, with its bounds of time and memory.

``python -m tests.fuzz.campaign [--seconds S] [TARGET ...]`` prints the inputs tried for each target and ends with 1 at
the first crash, hang or excess; what did it is left in the working directory, to be kept under ``corpus/``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_MEMORY = 512  #: MiB, of the whole process with the interpreter and the fuzzer
MOST_SECONDS = 5  #: for one input
MOST_BYTES = 1 << 16  #: of one input
CORPUS = Path(__file__).parent / "corpus"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    from tests.fuzz.targets import TARGETS

    total, failed = 0, False
    for name in arguments.targets or TARGETS:
        done = _run_apart(name, arguments.seconds)
        inputs = re.search(r"Done (\d+) runs", done.stderr)
        memory = re.findall(r"rss: (\d+)Mb", done.stderr)
        if done.returncode != 0 or inputs is None:
            failed = True
            print(done.stdout[-4000:], done.stderr[-6000:], sep="\n")
            print(f"{name:16} FAILED")
            continue
        total += int(inputs[1])
        print(f"{name:16} {int(inputs[1]):>10,} inputs, {max(map(int, memory), default=0):>4} MiB at most")
    print(f"{'all':16} {total:>10,} inputs")
    return 1 if failed else 0


def _run_apart(name: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """A process of its own: the fuzzer ends the one that it runs in."""
    from tests.fuzz.seeds import SEEDS

    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder)
        kept = sorted((CORPUS / name).glob("*")) if (CORPUS / name).is_dir() else []
        for number, data in enumerate([*SEEDS[name], *(path.read_bytes() for path in kept)]):
            (found / f"seed-{number}").write_bytes(data[:MOST_BYTES])
        return subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.fuzz_one", name, folder),
                *(f"-max_total_time={seconds}", f"-rss_limit_mb={MOST_MEMORY}", f"-timeout={MOST_SECONDS}"),
                *(f"-max_len={MOST_BYTES}", "-print_final_stats=1"),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )


if __name__ == "__main__":
    sys.exit(main())
