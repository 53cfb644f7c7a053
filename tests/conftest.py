"""What was not tested is said at the end of every run, by reason; and how much tests that try much have tried."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_pack.disk.clone import clone


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report.longrepr) for report in skipped)
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"  {count} {reason}")

    for report in terminalreporter.stats.get("passed", []):
        for name, text in getattr(report, "user_properties", ()):
            if name == "tried":
                terminalreporter.write_line(f"tried: {text}")


def _reason(longrepr: object) -> str:
    """Of ``(file, line, "Skipped: reason")``; an expected failure has its text alone."""
    text = longrepr[2] if isinstance(longrepr, tuple) else longrepr
    return str(text).removeprefix("Skipped: ")


@pytest.fixture
def sharing_directory(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that shares extents: this one, else a small btrfs of the test's own."""
    probe = tmp_path / "probe"
    probe.write_bytes(b"x" * 65536)
    with probe.open("rb") as source, (tmp_path / "clone").open("wb") as target:
        if clone(source.fileno(), target.fileno()):
            yield tmp_path
            return
    maker = shutil.which("mkfs.btrfs")
    if os.geteuid() != 0 or maker is None:
        pytest.skip("needs a file system that shares extents")
    image, directory = tmp_path / "image", tmp_path / "btrfs"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    directory.mkdir()
    subprocess.run([maker, "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, directory], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a file system that shares extents")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
