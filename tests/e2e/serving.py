"""A real runtime, started by ``hf-pack serve`` in a sandbox, asked over HTTP, and stopped."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.environments import HERE, directory
from tests.e2e.sandbox import Sandbox
from tests.end_to_end import NOBODY

_READY_SECONDS = 400  #: a busy machine is slow to import; what goes wrong ends the process at once
_ANSWER_SECONDS = 120
#: How often SGLang looks for a route elsewhere when it starts, from a plain directory too; not its Python code.
SGLANG_ATTEMPTS = 2
_HEALTH = {"vllm": "/health", "sglang": "/health", "triton": "/v2/health/ready"}


@dataclass(frozen=True, kw_only=True)
class Host:
    """Who serves: a user with a ``home`` that it may write, in a sandbox; ``variables`` are in its environment."""

    home: Path
    store: Path
    sandbox: Sandbox
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, runtime: str) -> dict[str, str]:
        """With the runtime first on PATH. The KV cache is the smallest that there is."""
        path = [directory(runtime) / "bin", *([self.home / "triton-server" / "bin"] if runtime == "triton" else [])]
        return {
            "PATH": ":".join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "HF_PACK_STORE": str(self.store),
            "OMP_NUM_THREADS": "2",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            # Else they find their own address by a connection to one outside.
            "VLLM_HOST_IP": "127.0.0.1",
            "SGLANG_HOST_IP": "127.0.0.1",
            **self.variables,
        }

    def run(self, runtime: str, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program that ends by itself."""
        done = subprocess.run(
            self.sandbox.command(command),
            env=self.environment(runtime),
            cwd=self.home,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


def new_host(home: Path, store: Path, sandbox: Sandbox, **variables: str) -> Host:
    """With Triton's files where its Python backend wants them: it changes the mode of its stub, so owns it."""
    home.mkdir()
    source = directory("triton") / "server"
    if source.exists():
        _install_triton(home / "triton-server", source)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", home], check=True)
    return Host(home=home, store=store, sandbox=sandbox, variables=variables)


def _install_triton(place: Path, source: Path) -> None:
    server = source / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(server / "backends", place / "backends")
    shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", place / "backends" / "python")
    shutil.copytree(HERE / "triton_backend", place / "backends" / "vllm")
    program = place / "bin" / "tritonserver"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH='{source}/nvidia_pytriton.libs'\n"
        f"exec '{server}/bin/tritonserver' --backend-directory='{place}/backends' --exit-timeout-secs=20 \"$@\"\n"
    )
    program.chmod(0o755)


@dataclass(frozen=True, kw_only=True)
class Server:
    """One that is ready. ``seconds`` it took from the start of the process."""

    port: int
    host: Host
    log: Path
    seconds: float

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that is answered."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        status, text = self.host.sandbox.inside(lambda: _request(self.port, method, path, body))
        assert status == 200, f"{path}: {status} {text}\n{tail(self.log)}"
        return json.loads(text) if text else None

    def status(self, path: str) -> int:
        """What GET answers."""
        return self.host.sandbox.inside(lambda: _request(self.port, "GET", path, None))[0]


def serve_command(names: Sequence[str], runtime: str, port: int, arguments: Sequence[str] = ()) -> list[str]:
    """``hf-pack serve``."""
    command = [sys.executable, "-m", "hf_pack", "serve", *names, "--runtime", runtime, "--port", str(port)]
    return [*command, "--", *arguments]


@contextmanager
def serving(host: Host, names: Sequence[str], runtime: str, *arguments: str) -> Iterator[Server]:
    """``hf-pack serve`` of these packages (store paths), until the block ends."""
    with started(host, runtime, lambda port: serve_command(names, runtime, port, arguments)) as server:
        yield server


@contextmanager
def started(host: Host, runtime: str, command: Callable[[int], Sequence[str]]) -> Iterator[Server]:
    """A server by its command line, made for a port, when it is ready; its log's end is in the error if it never is."""
    port = free_port(host.sandbox)
    log = host.home / f"{runtime}-{port}.log"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            host.sandbox.command(command(port)),
            env=host.environment(runtime),
            cwd=host.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(host, runtime, process, port, log)
        yield Server(port=port, host=host, log=log, seconds=time.monotonic() - began)
    finally:
        _stop(process)


def _wait_until_ready(host: Host, runtime: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _READY_SECONDS

    def is_ready() -> bool:
        with suppress(OSError, http.client.HTTPException):
            return _request(port, "GET", _HEALTH[runtime], None)[0] == 200
        return False

    while not host.sandbox.inside(is_ready):
        assert time.monotonic() < until, f"{runtime} is not ready in time\n{tail(log)}"
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.poll() is None, f"{runtime} ended with {process.returncode}\n{tail(log)}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """As a supervisor does; then what is left of its session is killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _request(port: int, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def free_port(sandbox: Sandbox) -> int:
    """One that is free now, with the two after it, as Triton wants them."""

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            with suppress(OSError):
                for more in (1, 2):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", port + more))
                return port

    return sandbox.inside(find)


def tail(log: Path) -> str:
    """The end of what a server printed."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


def vllm_ids(server: Server, model: str, prompt: str, tokens: int) -> list[int]:
    """The greedy continuation."""
    asked = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "return_token_ids": True}
    ids: list[int] = server.post("/v1/completions", asked)["choices"][0]["token_ids"]
    return ids


def sglang_ids(server: Server, prompt: str, tokens: int) -> list[int]:
    """The greedy continuation."""
    asked = {"text": prompt, "sampling_params": {"max_new_tokens": tokens, "temperature": 0}}
    ids: list[int] = server.post("/generate", asked)["output_ids"]
    return ids


def triton_text(server: Server, model: str, prompt: str, tokens: int) -> str:
    """The greedy continuation."""
    sampling = json.dumps({"max_tokens": tokens, "temperature": 0})
    asked = {"text_input": prompt, "sampling_parameters": sampling, "exclude_input_in_output": True}
    text: str = server.post(f"/v2/models/{model}/generate", asked)["text_output"]
    return text


def chat(server: Server, model: str, question: str, tokens: int) -> str:
    """The greedy answer of OpenAI's chat interface."""
    messages = [{"role": "user", "content": question}]
    asked = {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0}
    text: str = server.post("/v1/chat/completions", asked)["choices"][0]["message"]["content"]
    return text
