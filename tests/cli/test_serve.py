"""``serve``, ``env`` and ``run``, with a real process in the runtimes' place."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import stand_in_runtime
from tests.cli.conftest import Damage, Place, Ran
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.adapters.runtimes_here.server import ServerProcess
from hf_pack.api import checking
from hf_pack.cli.commands.serve import seconds
from hf_pack.cli.serving import port
from hf_pack.ports import LocalGpu, LocalGpus

PROGRAM = [sys.executable, "-m", "hf_pack"]
TEXT = "".join(stand_in_runtime.TEXT)


@dataclass(frozen=True)
class Machine:
    """What the user's PATH has, beside what a shell needs; the stand-in's record."""

    home: Path

    @property
    def programs(self) -> Path:
        return self.home / "programs"

    @property
    def record(self) -> Path:
        return self.home / "record.json"

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "hf-pack" / "serve"

    def install(self, program: str) -> None:
        script = self.programs / program
        script.write_text(f"#!{sys.executable}\n{Path(stand_in_runtime.__file__).read_text()}")
        script.chmod(0o755)

    def install_sglang(self, monkeypatch: pytest.MonkeyPatch, version: str = "0.5.23") -> None:
        packages = self.home / "packages"
        (packages / "sglang").mkdir(parents=True)
        (packages / "sglang" / "__init__.py").touch()
        stand_in = Path(stand_in_runtime.__file__).read_text()
        (packages / "sglang" / "launch_server.py").write_text(stand_in)
        info = packages / f"sglang-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sglang\nVersion: {version}\n")
        monkeypatch.setenv("PYTHONPATH", str(packages))

    def started(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.record.read_text())
        return document

    def free_port(self) -> int:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def machine(place: Place, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Without any runtime; HF_TOKEN and an old cache are set, as on many machines."""
    machine = Machine(place.home)
    machine.programs.mkdir()
    monkeypatch.setenv("PATH", f"{machine.programs}:/usr/bin:/bin")
    monkeypatch.setenv("STAND_IN_RECORD", str(machine.record))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("TRANSFORMERS_CACHE", "/elsewhere")
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    return machine


@pytest.fixture
def package(place: Place) -> str:
    return place.build()


def real(place: Place, store_path: str) -> str:
    return str(place.real(store_path))


def build(place: Place, repo_id: str, *more: str, seed: int = 3) -> str:
    """Another package, of another model."""
    name = repo_id.rpartition("/")[2]
    place.done("add", write_hf_cache(place.home / "hub", repo_id, COMMIT, tiny_model(seed=seed)), *more)
    return place.done("build", name).out.strip()


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def start(machine: Machine) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start hf-pack as a process of its own; what it became is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


class TestServe:
    def test_it_becomes_the_runtime_with_its_environment_and_flags(
        self, place: Place, machine: Machine, package: str, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        machine.install("vllm")
        number = machine.free_port()
        process = start("serve", "tiny-llm", "--runtime", "vllm", "--port", str(number), "--", "--seed", "7")
        wait_for(machine.record.exists)
        started = machine.started()
        assert started["pid"] == process.pid  # no process stays between a supervisor and the runtime
        snapshot = f"{real(place, package)}/share/models/hub/models--acme--tiny-llm/snapshots/{COMMIT}"
        assert started["argv"] == [
            *("serve", snapshot, "--served-model-name", REPO_ID, "--dtype", "auto", "--max-model-len", "64"),
            *("--host", "127.0.0.1", "--port", str(number), "--seed", "7"),
        ]
        environ = started["environ"]
        assert environ["HF_HUB_OFFLINE"] == "1"
        assert environ["HF_HUB_CACHE"] == f"{real(place, package)}/share/models/hub"
        assert environ["PATH"] == os.environ["PATH"]
        assert not {"HF_TOKEN", "TRANSFORMERS_CACHE", "HF_ENDPOINT"} & environ.keys()
        for name in ("HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            assert Path(environ[name]).is_dir()
            assert Path(environ[name]).is_relative_to(machine.state)

    def test_what_is_served_is_no_garbage(
        self, place: Place, machine: Machine, package: str, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        machine.install("vllm")
        start("serve", package, "--runtime", "vllm", "--port", str(machine.free_port()))
        wait_for(machine.record.exists)
        (place.workspace / "result-tiny-llm").unlink()
        place.done("gc")
        assert place.real(package).is_dir()

    def test_what_was_refused_is_kept_by_nothing(
        self, place: Place, machine: Machine, package: str, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        machine.install("vllm")
        other = build(place, "acme/other", "--layout", "hf", seed=4)
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = str(taken.getsockname()[1])
            refused = start("serve", package, other, "--runtime", "vllm", "--port", port)
            assert "is taken" in refused.communicate()[1]
        assert refused.returncode == 2
        assert not (place.store / "nix" / "var" / "nix" / "temproots" / str(refused.pid)).exists()
        for name in ("tiny-llm", "other"):
            (place.workspace / f"result-{name}").unlink()
        place.done("gc")
        assert not place.real(package).exists() and not place.real(other).exists()

    def test_print_is_a_line_that_starts_the_same(self, place: Place, machine: Machine, package: str) -> None:
        machine.install("vllm")
        ran = place.done("serve", "tiny-llm", "--runtime", "vllm", "--print")
        assert ran.err == ""
        line = shlex.split(ran.out.replace("HOME", str(place.home)))
        assert line[0] == "env"
        assert [line[at + 1] for at, word in enumerate(line) if word == "-u"] == [
            "HF_ENDPOINT",
            "HF_TOKEN",
            "TRANSFORMERS_CACHE",
        ]
        assert "HF_HUB_OFFLINE=1" in line
        document = place.done("serve", "tiny-llm", "--runtime", "vllm", "--print", "--json").document
        assert line[-len(document["argv"]) :] == [word.replace("HOME", str(place.home)) for word in document["argv"]]
        assert document["environment"]["HF_HUB_OFFLINE"] == "1"
        assert (document["version"], document["url"]) == ("0.32.0", "http://127.0.0.1:8000")
        assert document["store_paths"] == [package]
        assert document["model_names"] == [REPO_ID]
        assert not machine.record.exists()

    def test_a_name_a_version_and_a_store_path_are_the_same(self, place: Place, machine: Machine, package: str) -> None:
        line = place.done("serve", "tiny-llm", "--runtime", "vllm", "--print").out
        for name in (package, real(place, package), "tiny-llm@1.0.0+0000000", "result-tiny-llm"):
            assert place.done("serve", name, "--runtime", "vllm", "--print").out == line

    def test_a_pulled_package_needs_no_workspace(
        self, place: Place, machine: Machine, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        elsewhere = place.home / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        assert "--max-model-len 64" in place.done("serve", package, "--runtime", "vllm", "--print").out

    def test_verify_first(self, place: Place, machine: Machine, package: str, damage: Damage) -> None:
        machine.install("vllm")
        place.done("serve", "tiny-llm", "--runtime", "vllm", "--print", "--verify")
        damage(place.real(f"{package}/share/models/tiny_llm/weights/config.json"))
        ran = place.run("serve", "tiny-llm", "--runtime", "vllm", "--verify")
        assert ran.code == 5
        assert "what is to be served is damaged" in ran.err
        assert f"snapshots/{COMMIT}/config.json: other bytes than it states" in ran.err
        assert not machine.record.exists()

    def test_a_changed_manifest_is_told_and_the_last_build_served(
        self, place: Place, machine: Machine, package: str
    ) -> None:
        place.manifest.write_text(place.manifest.read_text().replace("max_model_len = 64", "max_model_len = 32"))
        ran = place.done("serve", "tiny-llm", "--runtime", "vllm", "--print")
        assert "--max-model-len 64" in ran.out
        assert "tiny-llm: its manifest makes another package now, the last one is served" in ran.err
        place.manifest.write_text("pname")
        ran = place.done("serve", "tiny-llm", "--runtime", "vllm", "--print")
        assert "--max-model-len 64" in ran.out
        assert "the package built last is served" in ran.err

    def test_sglang_names_what_it_has_no_word_for(
        self, place: Place, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.install_sglang(monkeypatch)
        place.add()
        text = place.manifest.read_text()
        place.manifest.write_text(text.replace('dtype = "auto"\n', "speculative_config = { method = 'ngram' }\n"))
        place.done("build", "tiny-llm")
        ran = place.done("serve", "tiny-llm", "--runtime", "sglang", "--print")
        assert "SGLang has nothing for vLLM's speculative_config" in ran.err
        assert "-m sglang.launch_server --model-path" in ran.out


class TestRefusals:
    def refused(self, ran: Ran, *words: str, code: int = 2) -> None:
        assert ran.code == code, ran
        for word in words:
            assert word in ran.err
        assert "Traceback" not in ran.err

    def test_no_runtime(self, place: Place, machine: Machine, package: str) -> None:
        self.refused(place.run("serve", "tiny-llm"), "no runtime is installed here", "pip install vllm")
        for runtime, title in (("vllm", "vLLM"), ("sglang", "SGLang"), ("triton", "Triton")):
            self.refused(place.run("serve", "tiny-llm", "--runtime", runtime), f"{title} is not installed here")
        ran = place.done("serve", "tiny-llm", "--runtime", "vllm", "--print")
        assert "not installed here: the command is for a machine that has it" in ran.err

    def test_the_only_runtime_is_taken_and_of_several_one_must_be_named(
        self, place: Place, machine: Machine, package: str
    ) -> None:
        machine.install("tritonserver")
        assert "tritonserver" in place.done("serve", "tiny-llm", "--print").out
        machine.install("vllm")
        self.refused(place.run("serve", "tiny-llm", "--print"), "several runtimes", "--runtime vllm or triton")

    def test_a_runtime_that_cannot_serve_the_package_is_no_choice(self, place: Place, machine: Machine) -> None:
        build(place, "acme/plain", "--layout", "hf")
        machine.install("tritonserver")
        self.refused(place.run("serve", "plain", "--runtime", "triton"), "has no Triton model directory")
        machine.install("vllm")
        assert "vllm" in place.done("serve", "plain", "--print").out

    def test_a_port_that_is_taken(self, place: Place, machine: Machine, package: str) -> None:
        machine.install("vllm")
        with closing(socket.create_server(("127.0.0.1", 0))) as other:
            number = other.getsockname()[1]
            for arguments in (("--port", str(number)), ("--", "--port", str(number))):
                ran = place.run("serve", "tiny-llm", "--runtime", "vllm", *arguments)
                self.refused(ran, f"port {number} of 127.0.0.1 is taken", "--port NUMBER")
            machine.install("tritonserver")
            ran = place.run("serve", "tiny-llm", "--runtime", "triton", "--port", str(number - 2))
            self.refused(ran, f"port {number} of 127.0.0.1 is taken")  # metrics
        for host in ("no.such.host.invalid", "an..empty.part", "a" * 64):
            ran = place.run("serve", "tiny-llm", "--runtime", "vllm", "--host", host)
            self.refused(ran, f"{host} is no address of this machine")

    def test_a_port_that_is_none(self, place: Place, machine: Machine, package: str) -> None:
        machine.install("tritonserver")
        ran = place.run("serve", "tiny-llm", "--runtime", "triton", "--host", "::1", "--port", "65534")
        self.refused(ran, "65536 is no port\n  expected 65535 at most", "--port NUMBER")  # metrics

    def test_a_version_that_the_package_is_not_for(self, place: Place, machine: Machine) -> None:
        machine.install("vllm")
        place.add()
        text = place.manifest.read_text()
        place.manifest.write_text(text.replace("[source]", '[runtimes]\nvllm = ">=0.40"\n\n[source]'))
        place.done("build", "tiny-llm")
        ran = place.run("serve", "tiny-llm", "--runtime", "vllm")
        self.refused(ran, "is for vLLM >=0.40", "found 0.32.0", code=7)

    def test_what_is_no_package_or_not_there(self, place: Place, machine: Machine, package: str) -> None:
        blob = next(path for path in (place.store / "nix" / "store").iterdir() if path.name.endswith("safetensors"))
        self.refused(place.run("serve", blob, "--runtime", "vllm"), "is not a package", code=6)
        gone = package.replace("tiny", "tony")
        self.refused(place.run("serve", gone, "--runtime", "vllm"), "is not in the store", code=6)

    def test_a_version_that_is_not_told_is_not_held_against_it(self, place: Place, machine: Machine) -> None:
        machine.install("tritonserver")
        place.add()
        text = place.manifest.read_text()
        place.manifest.write_text(text.replace("[source]", '[runtimes]\ntriton = ">=2.40"\n\n[source]'))
        place.done("build", "tiny-llm")
        ran = place.done("serve", "tiny-llm", "--smoke")
        assert "is for Triton >=2.40; this one's version is unknown" in ran.err

    @pytest.mark.parametrize(
        ("key", "value"), [("repo_id", "a/b/c"), ("engine_parameters", []), ("engine_parameters", {"vllm": 1})]
    )
    def test_a_damaged_package(self, place: Place, machine: Machine, package: str, key: str, value: object) -> None:
        file = place.real(f"{package}/share/tiny-llm/hf-pack.json")
        document = json.loads(file.read_text())
        file.chmod(0o644)
        file.write_text(json.dumps({**document, key: value}))
        ran = place.run("serve", "tiny-llm", "--runtime", "vllm", "--print")
        self.refused(ran, "has a damaged hf-pack.json", f"hf-pack verify {package}", code=6)

    def test_a_runtime_that_cannot_be_started(self, place: Place, machine: Machine, package: str) -> None:
        (machine.programs / "vllm").write_text("#!/no/such/interpreter\n")
        (machine.programs / "vllm").chmod(0o755)
        for more in ((), ("--smoke",)):
            port = str(machine.free_port())
            ran = place.run("serve", "tiny-llm", "--runtime", "vllm", "--port", port, *more)
            self.refused(ran, "vllm cannot be started: No such file or directory")

    def test_a_store_that_no_container_can_mount(self, place: Place, machine: Machine) -> None:
        place.add()
        store = place.home / "a:b"
        place.done("build", "tiny-llm", "--store", store)
        ran = place.run("serve", "tiny-llm", "--runtime", "vllm", "--container", "docker", "--store", store)
        self.refused(ran, "cannot be mounted: it has a colon")

    def test_two_of_one_name(self, place: Place, machine: Machine, package: str) -> None:
        build(place, "acme/second", "--triton-name", "tiny_llm")
        ran = place.run("serve", "tiny-llm", "second", "--runtime", "triton")
        self.refused(ran, "tiny-llm-1.0.0+0000000 and second-1.0.0+0000000 have one Triton model name, tiny_llm")
        place.done("add", place.cache, "--name", "variant")
        place.manifest.with_name("variant.toml").write_text(
            place.manifest.with_name("variant.toml").read_text().replace("max_model_len = 64", "max_model_len = 32")
        )
        place.done("build", "variant")
        for runtime in ("vllm", "sglang", "triton"):
            ran = place.run("serve", "tiny-llm", "variant", "--runtime", runtime, "--print")
            self.refused(ran, "have one repo id, acme/tiny-llm")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root is warned")
    def test_root_over_a_writable_store_is_warned(
        self, place: Place, machine: Machine, package: str, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        machine.install("vllm")
        process = start("serve", "tiny-llm", "--runtime", "vllm", "--port", str(machine.free_port()))
        wait_for(machine.record.exists)
        process.kill()
        assert f"warning: root can change {place.real(package)}" in process.communicate()[1]

    def test_a_state_directory_that_cannot_be_written(
        self, place: Place, machine: Machine, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place.home / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(place.home / "file"))
        ran = place.run("serve", "tiny-llm", "--runtime", "vllm", "--print")
        self.refused(ran, "the runtime's state directory cannot be written", "XDG_STATE_HOME")
        ran = place.run("run", place.cache, "--runtime", "vllm", "--print")
        self.refused(ran, "the workspace cannot be used", "set XDG_STATE_HOME to a directory")

    @pytest.mark.parametrize("text", ["0", "65536", "x", "-1", ""])
    def test_no_port(self, place: Place, text: str) -> None:
        self.refused(place.run("serve", "x", f"--port={text}"), "expected a port from 1 to 65535")
        assert port("65535") == 65535

    @pytest.mark.parametrize("text", ["0", "inf", "x", "nan"])
    def test_no_time(self, place: Place, text: str) -> None:
        self.refused(place.run("serve", "x", f"--timeout={text}"), "expected seconds")
        assert seconds("0.5") == 0.5


class TestSeveral:
    def test_triton_has_a_repository_of_links(self, place: Place, machine: Machine, package: str) -> None:
        other, third = build(place, "acme/other", seed=4), build(place, "acme/third", "--layout", "single", seed=5)
        document = place.done(
            "serve", "tiny-llm", "other", "third", "--runtime", "triton", "--print", "--json"
        ).document
        repository = Path(document["loads"].replace("HOME", str(place.home)))
        assert sorted(path.name for path in repository.iterdir()) == ["other", "third", "tiny_llm"]
        assert repository.joinpath("tiny_llm").resolve() == place.real(package) / "share/triton/tiny_llm"
        assert (
            repository.joinpath("other", "1", "model.json").read_bytes()
            == (place.real(other) / "share/triton/other/1/model.json").read_bytes()
        )
        model = json.loads(repository.joinpath("third", "1", "model.json").read_text())
        assert Path(model["model"]) == place.real(third) / "share/models/third/weights"
        assert (repository / "third" / "config.pbtxt").read_bytes() == (
            place.real(third) / "share/models/third/config.pbtxt"
        ).read_bytes()
        hub = Path(document["environment"]["HF_HUB_CACHE"].replace("HOME", str(place.home)))
        assert sorted(path.name for path in hub.iterdir()) == ["models--acme--other", "models--acme--tiny-llm"]
        assert (hub / "models--acme--other" / "refs" / "main").read_text() == COMMIT

    def test_the_order_changes_what_vllm_serves_and_not_the_view(
        self, place: Place, machine: Machine, package: str
    ) -> None:
        build(place, "acme/other", seed=4)
        first = place.done("serve", "tiny-llm", "other", "--runtime", "vllm", "--print", "--json").document
        second = place.done("serve", "other", "tiny-llm", "--runtime", "vllm", "--print", "--json").document
        assert first["environment"]["HF_HUB_CACHE"] == second["environment"]["HF_HUB_CACHE"]
        assert (first["model_names"], second["model_names"]) == ([REPO_ID], ["acme/other"])
        assert (
            first["notes"][-1] == "vLLM serves one model, acme/tiny-llm; the repo ids of the others resolve: acme/other"
        )

    def test_the_clients_library_finds_every_repo_id_in_the_merged_cache(
        self, place: Place, machine: Machine, package: str
    ) -> None:
        build(place, "acme/other", seed=4)
        document = place.done("serve", "tiny-llm", "other", "--runtime", "vllm", "--print", "--json").document
        environment = {name: text.replace("HOME", str(place.home)) for name, text in document["environment"].items()}
        script = (
            "from huggingface_hub import snapshot_download, scan_cache_dir\n"
            "for name in ('acme/tiny-llm', 'acme/other'): print(snapshot_download(name))\n"
            "assert scan_cache_dir().warnings == [], scan_cache_dir().warnings\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert [Path(line).name for line in done.stdout.split()] == [COMMIT, COMMIT]

    def test_a_view_is_made_once_by_several_at_once(self, place: Place, machine: Machine, package: str) -> None:
        build(place, "acme/other", "--layout", "single", seed=4)
        command = [*PROGRAM, "serve", "tiny-llm", "other", "--runtime", "triton", "--print"]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        lines = {process.communicate()[0] for process in processes}
        assert len(lines) == 1
        (state,) = machine.state.iterdir()
        assert [path.name for path in state.iterdir() if path.name.startswith(".")] == []


class TestEnv:
    def test_lines_for_eval(self, place: Place, machine: Machine, package: str) -> None:
        build(place, "acme/other", "--layout", "single", seed=4)
        for name, variable in (("tiny-llm", "HF_PACK_MODEL"), ("other", "HF_PACK_MODEL")):
            lines = place.done("env", name, "--runtime", "vllm").out.replace("HOME/", f"{place.home}/")
            script = f'{lines}\n[ -z "$HF_TOKEN" ] && [ "$HF_HUB_OFFLINE" = 1 ] && cat "${variable}/config.json"'
            done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
            assert json.loads(done.stdout)["model_type"] == "llama"
        lines = place.done("env", "other", "--runtime", "triton").out.replace("HOME/", f"{place.home}/")
        script = f'{lines}\ncat "$HF_PACK_MODEL_REPOSITORY/other/1/model.json"'
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
        assert json.loads(done.stdout)["model"].endswith("/share/models/other/weights")

    def test_json(self, place: Place, machine: Machine, package: str) -> None:
        document = place.done("env", "tiny-llm", "--runtime", "triton", "--json").document
        assert not [name for name in document["environment"] if name.startswith("XDG_")]  # the shell's other programs'
        assert document["environment"]["HF_PACK_MODEL_REPOSITORY"] == f"HOME/store{package}/share/triton"


class TestContainer:
    def test_a_linked_package_is_mounted_object_by_object(self, place: Place, machine: Machine, package: str) -> None:
        ran = place.done("serve", "tiny-llm", "--runtime", "vllm", "--container", "docker", "--", "--seed", "7")
        (blob,) = place.done("plan", "tiny-llm", "--json").document["blobs"]
        words = shlex.split(ran.out)
        mounts = [words[at + 1] for at, word in enumerate(words) if word == "--volume"]
        assert mounts == [
            f"HOME/store{package}:{package}:ro",
            f"HOME/store{blob['store_path']}:{blob['store_path']}:ro",
            f"hf-pack-{package.removeprefix('/nix/store/')[:32]}:/var/lib/hf-pack",
        ]
        assert words[:6] == ["docker", "run", "--rm", "--gpus", "all", "--ipc=host"]
        assert words[words.index("--publish") + 1] == "127.0.0.1:8000:8000"
        environment = dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--env")
        assert environment["HF_HUB_CACHE"] == f"{package}/share/models/hub"
        assert environment["HF_HOME"] == "/var/lib/hf-pack/hf"
        start = words.index("--entrypoint")
        snapshot = f"{package}/share/models/hub/models--acme--tiny-llm/snapshots/{COMMIT}"
        assert words[start:] == [
            *("--entrypoint", "vllm", "vllm/vllm-openai:latest", "serve", snapshot),
            *("--served-model-name", REPO_ID, "--dtype", "auto", "--max-model-len", "64"),
            *("--host", "0.0.0.0", "--port", "8000", "--seed", "7"),
        ]

    def test_a_self_contained_package_is_one_mount(self, place: Place, machine: Machine) -> None:
        place.done("add", place.cache, "--storage", "self-contained")
        path = place.done("build", "tiny-llm").out.strip()
        arguments = (
            "--runtime",
            "sglang",
            "--container",
            "podman",
            "--image",
            "mine:1",
            "--gpus",
            "0",
            "--host",
            "::1",
        )
        words = shlex.split(place.done("serve", "tiny-llm", *arguments).out)
        mounts = [words[at + 1] for at, word in enumerate(words) if word == "--volume"]
        assert mounts[:-1] == [f"HOME/store{path}:{path}:ro"]
        assert words[3:5] == ["--device", "nvidia.com/gpu=0"]
        assert words[words.index("--publish") + 1] == "[::1]:30000:30000"
        assert words[words.index("--entrypoint") + 1 :][:3] == ["python3", "mine:1", "-m"]

    def test_triton_gets_the_view_of_a_single_package(self, place: Place, machine: Machine) -> None:
        path = build(place, "acme/other", "--layout", "single")
        arguments = ("--runtime", "triton", "--container", "docker", "--gpus", "none")
        words = shlex.split(place.done("serve", "other", *arguments).out.replace("HOME", str(place.home)))
        assert "--gpus" not in words
        assert [words[at + 1] for at, word in enumerate(words) if word == "--publish"] == [
            f"127.0.0.1:{port}:{port}" for port in (8000, 8001, 8002)
        ]
        (view,) = [words[at + 1] for at, word in enumerate(words) if word == "--volume" and "view-" in words[at + 1]]
        on_host, inside, mode = view.split(":")
        assert mode == "ro"
        assert f"--model-repository={inside}/triton" in words
        model = json.loads(Path(on_host, "triton", "other", "1", "model.json").read_text())
        assert model["model"] == f"{path}/share/models/other/weights"

    def test_the_runtime_must_be_named(self, place: Place, machine: Machine, package: str) -> None:
        ran = place.run("serve", "tiny-llm", "--container", "docker")
        assert (ran.code, "--runtime vllm or sglang or triton" in ran.err) == (2, True)

    def test_json(self, place: Place, machine: Machine, package: str) -> None:
        arguments = ("--runtime", "vllm", "--container", "docker", "--json", "--port", "90")
        document = place.done("serve", "tiny-llm", *arguments).document
        assert document["argv"][:3] == ["docker", "run", "--rm"]
        assert document["url"] == "http://127.0.0.1:90"


def gone(pid: int) -> bool:
    """Not running any more; one that waits to be reaped by somebody else counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class TestSmoke:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hf_pack.adapters.runtimes_here.server._GRACE", 1.0)

    @pytest.mark.parametrize("runtime", ["vllm", "sglang", "triton"])
    def test_text_and_times(
        self, place: Place, machine: Machine, package: str, runtime: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if runtime == "sglang":
            machine.install_sglang(monkeypatch)
        else:
            machine.install({"vllm": "vllm", "triton": "tritonserver"}[runtime])
        ran = place.done("serve", "tiny-llm", "--runtime", runtime, "--smoke", "--prompt", "I saw")
        assert ran.out == f"I saw{TEXT}\n"
        name = "tiny_llm" if runtime == "triton" else REPO_ID
        assert f"{name}: first token after 0." in ran.err
        assert gone(machine.started()["pid"])
        assert list((machine.state / "logs").iterdir()) == []

    def test_json(self, place: Place, machine: Machine, package: str) -> None:
        machine.install("vllm")
        document = place.done("serve", "tiny-llm", "--smoke", "--prompt", "x", "--json").document
        assert document["ok"] is True
        smoke = document["smoke"]
        (answer,) = smoke["answers"]
        assert (answer["text"], answer["model_name"], smoke["problem"]) == (f"x{TEXT}", REPO_ID, "")
        assert 0 < answer["first_token_seconds"] <= answer["seconds"]
        assert smoke["start_seconds"] > 0
        assert smoke["load_seconds"] > 0

    def test_every_model_of_triton_is_asked(self, place: Place, machine: Machine, package: str) -> None:
        machine.install("tritonserver")
        build(place, "acme/other", seed=4)
        ran = place.done("serve", "tiny-llm", "other", "--runtime", "triton", "--smoke", "--prompt", "x")
        assert ran.out == f"x{TEXT}\n" * 2

    @pytest.mark.parametrize(
        ("behaviour", "problem"),
        [
            ("exits", "the runtime ended with exit code 1"),
            ("deaf", "the runtime does not listen in time"),
            ("never-ready", "the runtime is not ready in time"),
            ("silent", "acme/tiny-llm answered without any text"),
            ("refuses", 'the runtime refused the request\n  /v1/completions: 404 {"message": "no such model"}'),
            ("breaks-off", "the runtime broke off its answer"),
            ("complains", "acme/tiny-llm gave no text: expected choices, found error"),
            ("slow", "the runtime broke off its answer\n  /v1/completions: timed out"),
        ],
    )
    def test_failures(
        self,
        place: Place,
        machine: Machine,
        package: str,
        monkeypatch: pytest.MonkeyPatch,
        behaviour: str,
        problem: str,
    ) -> None:
        machine.install("vllm")
        monkeypatch.setenv("STAND_IN", behaviour)
        ran = place.run(
            "serve", "tiny-llm", "--smoke", "--timeout", "2" if behaviour in ("deaf", "never-ready", "slow") else "60"
        )
        assert (ran.code, ran.out) == (1, "")
        assert f"error: {problem}" in ran.err
        (log,) = (machine.state / "logs").iterdir()
        assert log.name in ran.err
        if behaviour == "exits":
            assert "  a key is unknown\n" in ran.err
        assert gone(machine.started()["pid"])

    @pytest.mark.parametrize(("behaviour", "problem"), [("silent", "answered without any text"), ("ok", "")])
    def test_a_log_that_was_taken_away(
        self,
        place: Place,
        machine: Machine,
        package: str,
        monkeypatch: pytest.MonkeyPatch,
        behaviour: str,
        problem: str,
    ) -> None:
        machine.install("vllm")
        monkeypatch.setenv("STAND_IN", behaviour)
        accepts = ServerProcess.accepts

        def tidied(server: ServerProcess) -> bool:
            server._log.unlink(missing_ok=True)
            return accepts(server)

        monkeypatch.setattr(ServerProcess, "accepts", tidied)
        ran = place.run("serve", "tiny-llm", "--smoke")
        assert (ran.code, problem in ran.err) == (1 if problem else 0, True)
        assert gone(machine.started()["pid"])

    def test_what_triton_says_is_told(
        self, place: Place, machine: Machine, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.install("tritonserver")
        monkeypatch.setenv("STAND_IN", "complains")
        ran = place.run("serve", "tiny-llm", "--smoke")
        assert (ran.code, "tiny_llm gave no text: out of memory" in ran.err) == (1, True)

    def test_nothing_is_left_of_a_runtime_that_hears_no_signal_and_scatters(
        self, place: Place, machine: Machine, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.install("vllm")
        monkeypatch.setenv("STAND_IN", "stubborn")
        bystander = subprocess.Popen(["sleep", "1000"])
        try:
            place.done("serve", "tiny-llm", "--smoke")
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()
        assert gone(machine.started()["pid"])
        assert gone(int((place.home / "child").read_text()))

    def test_an_interrupted_test_leaves_nothing(
        self,
        place: Place,
        machine: Machine,
        package: str,
        start: Callable[..., subprocess.Popen[str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        machine.install("vllm")
        monkeypatch.setenv("STAND_IN", "never-ready")
        process = start("serve", "tiny-llm", "--smoke")
        wait_for(machine.record.exists)
        process.terminate()
        assert process.wait(60) == 130
        assert gone(machine.started()["pid"])


class TestGpus:
    @pytest.fixture
    def gpus(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """This machine gets GPUs of so many bytes."""

        def have(*memories: int, sm: int = 89) -> None:
            devices = tuple(
                LocalGpu(index=at, name="NVIDIA L4", uuid=f"GPU-{at}", sm=sm, memory=size, free=size, is_slice=False)
                for at, size in enumerate(memories)
            )
            monkeypatch.setattr(checking, "local_gpus", lambda: LocalGpus(gpus=devices))

        return have

    def test_a_model_that_fits_is_served(
        self, place: Place, machine: Machine, package: str, gpus: Callable[..., None]
    ) -> None:
        machine.install("vllm")
        gpus(24 << 30)
        assert place.done("serve", "tiny-llm", "--smoke", "--prompt", "x").out == f"x{TEXT}\n"

    def test_one_that_does_not_fit_is_not_unless_told(
        self, place: Place, machine: Machine, package: str, gpus: Callable[..., None]
    ) -> None:
        machine.install("vllm")
        gpus(1 << 20)
        ran = place.run("serve", "tiny-llm", "--smoke")
        assert ran.code == 7
        assert "tiny-llm-1.0.0+0000000 on NVIDIA L4: does-not-fit\n" in ran.err
        assert f"hf-pack check {package}" in ran.err
        assert not machine.record.exists()
        place.done("serve", "tiny-llm", "--smoke", "--no-check")

    def test_what_the_runtime_is_told_is_what_is_checked(
        self, place: Place, machine: Machine, package: str, gpus: Callable[..., None]
    ) -> None:
        machine.install("vllm")
        gpus(24 << 30)
        for words in ("--tensor-parallel-size 2", "--tensor_parallel_size=2", "--tensor-parallel-size 1 -tp 2"):
            ran = place.run("serve", "tiny-llm", "--smoke", "--", *words.split())
            assert (ran.code, "is to be served by 2 GPUs\n  here: 1" in ran.err) == (7, True)
        ran = place.run("serve", "tiny-llm", "--smoke", "--", "--gpu-memory-utilization=0.0001")
        assert (ran.code, "does-not-fit" in ran.err) == (7, True)
        gpus(1 << 20)
        place.done("serve", "tiny-llm", "--smoke", "--", "--device", "cpu")


class TestRun:
    @pytest.fixture(autouse=True)
    def _no_workspace(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        elsewhere = place.home / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)

    def test_a_path_is_packaged_and_served(self, place: Place, machine: Machine) -> None:
        machine.install("vllm")
        ran = place.done("run", place.cache, "--smoke", "--prompt", "x")
        assert ran.out == f"x{TEXT}\n"
        (workspace,) = (place.home / ".local/state/hf-pack/run").iterdir()
        assert (workspace / "models" / "tiny-llm.toml").is_file()
        assert list(Path().iterdir()) == []

    def test_it_is_the_first_command_of_a_machine_without_nix(
        self, place: Place, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_PACK_STORE")
        monkeypatch.setattr("hf_pack.adapters.nix_daemon.routes.is_here", lambda environ: False)
        (path,) = place.done("run", place.cache, "--runtime", "vllm", "--print", "--json").document["store_paths"]
        assert (place.home / ".local/share/hf-pack" / path.removeprefix("/")).is_dir()

    def test_a_second_time_reads_and_writes_nothing_new(self, place: Place, machine: Machine) -> None:
        first = place.done("run", place.cache, "--runtime", "vllm", "--print")
        workspace = next((place.home / ".local/state/hf-pack/run").iterdir())
        lock = (workspace / "models" / "tiny-llm.lock").stat()
        second = place.done("run", place.cache, "--runtime", "vllm", "--print")
        assert second.out == first.out
        assert (workspace / "models" / "tiny-llm.lock").stat() == lock

    def test_a_path_that_changed_is_packaged_anew(self, place: Place, machine: Machine) -> None:
        before = place.done("run", place.cache, "--runtime", "vllm", "--print", "--json").document["store_paths"]
        config = next(place.cache.glob("snapshots/*/config.json")).resolve()
        config.write_text(config.read_text().replace('"model_type": "llama"', '"model_type":  "llama"'))
        after = place.done("run", place.cache, "--runtime", "vllm", "--print", "--json").document["store_paths"]
        assert before != after

    def test_a_repo_id_is_not_asked_for_twice(self, place: Place, machine: Machine) -> None:
        ran = place.run("run", REPO_ID, "--runtime", "vllm", "--print")
        assert ran.code == 4  # no Hub answers in these tests

    def test_no_runtime_is_told_before_anything_is_packaged(self, place: Place, machine: Machine) -> None:
        ran = place.run("run", place.cache)
        assert (ran.code, "no runtime is installed here" in ran.err) == (2, True)
        assert not (place.home / ".local/state/hf-pack/run").exists()

    def test_of_several_runtimes_the_first_is_taken(self, place: Place, machine: Machine) -> None:
        machine.install("tritonserver")
        machine.install("vllm")
        assert place.done("run", place.cache, "--print", "--json").document["runtime"] == "vllm"
