"""Running commands and measuring what they cost; the kernel's own accounts, children included."""

from __future__ import annotations

import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_ACCOUNT_BLOCK = 512  # bytes in one block of rusage's ru_oublock

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of wall clock and of CPU; bytes of the largest process; bytes written, in two counts.

    ``written`` counts what was dirtied or written directly, in whole pages, directories and journals included;
    ``passed`` the bytes that went through write calls and copies, the few on stdout included.
    ``peak_memory`` is never below what the parent had when it started the command (the kernel carries that
    over), so a benchmark keeps itself small.
    """

    seconds: float
    cpu_seconds: float
    peak_memory: int
    written: int
    passed: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            seconds=self.seconds + other.seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            peak_memory=max(self.peak_memory, other.peak_memory),
            written=self.written + other.written,
            passed=self.passed + other.passed,
        )


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Cost:
    """Run to the end, output thrown away; raises RuntimeError with what it said on stderr when it fails."""
    return run_with_output(command, env=env, cwd=cwd)[0]


def run_with_output(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[Cost, str]:
    """Like ``run``; also returns stdout, which must be small."""
    passed_before = _passed()
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as talk,
        subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=talk,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            talk.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{talk.read()}")
    cost = Cost(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_memory=usage.ru_maxrss * 1024,
        written=usage.ru_oublock * _ACCOUNT_BLOCK,
        passed=_passed() - passed_before,
    )
    return cost, output


def _passed() -> int:
    """What this process and the children that it waited for gave to write calls, in bytes (proc(5), io)."""
    return int(Path("/proc/self/io").read_text().split("wchar:")[1].split()[0])


def compile_package() -> None:
    """Write the package's byte code, as an installer does, so that no command that is measured pays for it."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for the commands; compileall writes all the same
    spec = importlib.util.find_spec("hf_pack")
    assert spec is not None
    run([sys.executable, "-m", "compileall", "-q", *(spec.submodule_search_locations or ())])


def disk_use(*directories: Path) -> int:
    """Bytes on the disk below these directories, a file with many names counted once."""
    blocks: dict[tuple[int, int], int] = {}
    for directory in directories:
        for folder, names, files in os.walk(directory):
            for name in (*names, *files):
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - a thousand trees
                blocks[status.st_dev, status.st_ino] = status.st_blocks
    return 512 * sum(blocks.values())


def remove(directory: Path) -> None:
    """Delete a directory that may hold a store, whose directories are read-only."""
    for folder, _, _ in os.walk(directory):
        Path(folder).chmod(0o755)
    shutil.rmtree(directory, ignore_errors=True)


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Each figure's own median."""
    return Cost(
        seconds=statistics.median(cost.seconds for cost in costs),
        cpu_seconds=statistics.median(cost.cpu_seconds for cost in costs),
        peak_memory=int(statistics.median(cost.peak_memory for cost in costs)),
        written=int(statistics.median(cost.written for cost in costs)),
        passed=int(statistics.median(cost.passed for cost in costs)),
    )


def alternate(subjects: Mapping[str, Callable[[], _T]], runs: int) -> dict[str, list[_T]]:
    """Call every subject ``runs`` times, in turn, every second time backwards, so that drift hits all alike."""
    results: dict[str, list[_T]] = {name: [] for name in subjects}
    for number in range(runs):
        names = list(subjects) if number % 2 == 0 else list(subjects)[::-1]
        for name in names:
            results[name].append(subjects[name]())
    return results


def table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head; the first column is set to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
