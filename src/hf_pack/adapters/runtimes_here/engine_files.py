"""The source files of an installed runtime that declare its engine parameters; nothing of it is imported."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hf_pack.adapters.runtimes_here.finding import SAFELY, python_of
from hf_pack.model.launch import InstalledRuntime

_SECONDS = 60
#: A top-level name is found without running anything of the package.
_ASK = SAFELY + ("import importlib.util\nprint(next(iter(importlib.util.find_spec(%r).submodule_search_locations)))")


def engine_files(installed: InstalledRuntime, pattern: str) -> Mapping[str, str]:
    """Texts by path below the directory that holds the package, of the paths that ``pattern`` matches whole.

    Empty where its Python cannot be told, or does not have it.
    """
    program = installed.command[0]
    python = program if "-m" in installed.command else python_of(program)
    if python is None:
        return {}
    try:
        done = subprocess.run(
            [python, "-c", _ASK % installed.runtime], capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    if done.returncode != 0:
        return {}
    package = Path(done.stdout.strip())
    found = {}
    for part in (".", "engine", "config", "srt", "srt/arg_groups", "srt/arg_groups/fields"):
        for file in sorted((package / part).glob("*.py")):
            path = str(file.relative_to(package.parent))
            if re.fullmatch(pattern, path):
                found[path] = file.read_text("utf-8")
    return found
