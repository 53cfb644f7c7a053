"""The wheel installs by each of the usual tools, and as an extension of the Hub's own command line."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.end_to_end import ROOT

VERSION = version("hf-pack")
TOOLS = ROOT / ".build" / "install-tools"


def _run(*command: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [*map(str, command)], env={**environment, **(env or {})}, capture_output=True, text=True, check=False
    )


def _pip(python: Path | str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return _run(python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    made = _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", directory, ROOT)
    if made.returncode != 0 and "hatchling" in made.stderr:
        pytest.skip("needs hatchling from the package registry")
    assert made.returncode == 0, made.stderr
    (found,) = directory.iterdir()
    return found


def _new_venv(directory: Path, *packages: str | Path) -> Path:
    """A fresh environment with these packages; its ``bin``."""
    assert _run(sys.executable, "-m", "venv", directory).returncode == 0
    done = _pip(directory / "bin" / "python", "install", *packages)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("needs the dependencies from the package registry")
    assert done.returncode == 0, done.stderr
    return directory / "bin"


@pytest.fixture(scope="module")
def tools() -> Path:
    """An environment with uv and pipx, made once."""
    if not (TOOLS / ".done").exists():
        subprocess.run(["rm", "-rf", TOOLS], check=True)
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
        if _pip(TOOLS / "bin" / "python", "install", "uv", "pipx").returncode != 0:
            pytest.skip("needs uv and pipx from the package registry")
        (TOOLS / ".done").touch()
    return TOOLS / "bin"


def _assert_works(program: Path) -> None:
    done = _run(program, "--version")
    assert (done.stdout.strip(), done.returncode) == (VERSION, 0), done.stderr
    helped = _run(program, "build", "--help")
    assert "--store URL" in helped.stdout, helped.stderr


def test_pip(wheel: Path, tmp_path: Path) -> None:
    binaries = _new_venv(tmp_path / "venv", wheel)
    _assert_works(binaries / "hf-pack")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    assert _run(binaries / "hf-pack", "-C", workspace, "init").returncode == 0
    assert _run(binaries / "python", "-c", "import hf_pack; hf_pack.add").returncode == 0
    checked = _pip(binaries / "python", "check")
    assert checked.returncode == 0, checked.stdout


def test_uv_tool(wheel: Path, tools: Path, tmp_path: Path) -> None:
    env = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    done = _run(tools / "uv", "tool", "install", "--python", sys.executable, wheel, env=env)
    if "No solution found" in done.stderr or "error sending request" in done.stderr:
        pytest.skip("needs the dependencies from the package registry")
    assert done.returncode == 0, done.stderr
    _assert_works(tmp_path / "bin" / "hf-pack")


def test_pipx(wheel: Path, tools: Path, tmp_path: Path) -> None:
    env = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    done = _run(tools / "pipx", "install", "--python", sys.executable, wheel, env=env)
    if "No matching distribution" in done.stderr:
        pytest.skip("needs the dependencies from the package registry")
    assert done.returncode == 0, done.stdout + done.stderr
    _assert_works(tmp_path / "bin" / "hf-pack")


needs_hub_tool = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None
    or importlib.util.find_spec("huggingface_hub.cli.extensions") is None,
    reason="needs huggingface_hub with extensions of its command line",
)


@needs_hub_tool
def test_hf_pack_as_an_extension(wheel: Path, tmp_path: Path) -> None:
    """As ``hf extensions install OWNER/hf-pack`` leaves it, but for the download."""
    from huggingface_hub.cli import extensions

    # ~/.local/share/hf/extensions/hf-<name>/: an environment with the package, and a manifest that names its script.
    directory = tmp_path / extensions.EXTENSIONS_ROOT.relative_to("~") / "hf-pack"
    binaries = _new_venv(directory / "venv", wheel)
    script = extensions._get_venv_bin_path(directory / "venv", extensions._get_executable_name("pack"))
    assert script == binaries / "hf-pack"
    extensions.ExtensionManifest(
        owner="someone",
        repo="hf-pack",
        repo_id="someone/hf-pack",
        short_name="pack",
        executable_path=str(script),
        type="python",
        installed_at=datetime.now(UTC),
        description="Packages models",
    ).save(directory)
    hf = Path(sysconfig.get_path("scripts")) / "hf"
    env = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    helped = _run(hf, "pack", "--help", env=env)
    assert helped.returncode == 0, helped.stderr
    assert helped.stdout == _run(binaries / "hf-pack", "--help").stdout
    assert _run(hf, "pack", "--version", env=env).stdout.strip() == VERSION
    # Arguments and exit codes pass through.
    assert _run(hf, "pack", "-C", tmp_path, "plan", "none", env=env).returncode == 2
    assert "Packages models" in _run(hf, "--help", env=env).stdout
    listed = _run(hf, "extensions", "list", env=env)
    assert "hf pack" in listed.stdout and "someone/hf-pack" in listed.stdout


@needs_hub_tool
def test_the_repository_is_one_that_the_hubs_tool_can_install() -> None:
    """It takes a file ``hf-<name>`` at the top, alone, for the whole program; without one it installs the package."""
    from huggingface_hub.cli import extensions

    assert extensions._normalize_repo_id("someone/hf-pack") == ("someone", "hf-pack", "pack")
    assert not (ROOT / "hf-pack").exists()
    assert not (ROOT / extensions.MANIFEST_FILENAME).exists()
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert 'hf-pack = "hf_pack.cli.main:main"' in lines
    # Its reader of pyproject.toml takes the first line that starts so.
    assert next(line for line in lines if line.startswith("description")).startswith('description = "Packages ')
