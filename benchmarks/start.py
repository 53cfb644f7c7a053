"""How long a runtime takes from its start until it serves, and until it has said the first token: from a package, from
the plain directory of the same files, and from a Hub cache. Same flags, same environment; the page cache is warm.

python -m benchmarks.start --runtime vllm --runs 3    # with the runtime on PATH
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import alternate, compile_package, remove, table

MODEL = Path(__file__).parents[1] / ".build" / "e2e" / "smollm2" / "model"
REPO_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
COMMIT = "0" * 39 + "1"
ENGINE = '[vllm]\nmax_model_len = 512\nenforce_eager = true\n\n[sglang]\ndevice = "cpu"\nmax_total_tokens = 2048\n'


@dataclass(frozen=True, kw_only=True)
class Start:
    """Seconds since the process was started."""

    ready: float
    first_token: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=("vllm", "sglang"), default="vllm")
    parser.add_argument(
        "--model", type=Path, default=MODEL, help="a directory (default: the end-to-end tests' SmolLM2)"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--port", type=int, default=18431)
    arguments = parser.parse_args()
    compile_package()
    home = Path(tempfile.mkdtemp(prefix="hf-pack-start-"))
    try:
        starts = alternate(subjects(home, arguments), arguments.runs)
    finally:
        remove(home)
    medians = {
        name: Start(
            ready=statistics.median(start.ready for start in several),
            first_token=statistics.median(start.first_token for start in several),
        )
        for name, several in starts.items()
    }
    package = medians["package"]
    rows = [("from", "ready s", "package / this", "first token s", "package / this")]
    for name, start in medians.items():
        rows.append(
            (
                name,
                f"{start.ready:.2f}",
                f"{package.ready / start.ready:.3f}",
                f"{start.first_token:.2f}",
                f"{package.first_token / start.first_token:.3f}",
            )
        )
    print(table(rows))


def subjects(home: Path, arguments: argparse.Namespace) -> dict[str, Callable[[], Start]]:
    """The three places, from one copy of the files each."""
    repo = home / "hub" / f"models--{REPO_ID.replace('/', '--')}"
    plain, cached = home / "plain", repo / "snapshots" / COMMIT
    for copy in (plain, cached):
        shutil.copytree(arguments.model, copy)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    launch = made_package(home, repo, arguments)
    argv, loads = launch["argv"], launch["loads"]
    environment = {**os.environ, **launch["environment"], "OMP_NUM_THREADS": "2", "VLLM_CPU_KVCACHE_SPACE": "1"}
    for name in launch["unset"]:
        environment.pop(name, None)

    def of(place: str, more: Mapping[str, str]) -> Callable[[], Start]:
        command = [place if word == loads else word for word in argv]
        return lambda: start(command, {**environment, **more}, arguments.port, launch["model_names"][0])

    return {
        "package": of(loads, {}),
        "plain directory": of(str(plain), {}),
        "HF cache": of(REPO_ID, {"HF_HUB_CACHE": str(home / "hub")}),
    }


def made_package(home: Path, repo: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``serve --print --json`` says of it."""
    workspace = home / "workspace"
    workspace.mkdir()
    environment = {**os.environ, "HF_PACK_STORE": str(home / "store"), "HOME": str(home)}

    def hf_pack(*words: str) -> str:
        command = [sys.executable, "-m", "hf_pack", *words]
        return subprocess.run(
            command, cwd=workspace, env=environment, check=True, stdout=subprocess.PIPE
        ).stdout.decode()

    hf_pack("init")
    hf_pack("add", str(repo), "--name", "model", "--layout", "dual")
    manifest = workspace / "models" / "model.toml"
    manifest.write_text(manifest.read_text().partition("\n[vllm]")[0] + f"\n{ENGINE}")
    hf_pack("lock", "model")
    hf_pack("build", "model")
    how = ("--runtime", arguments.runtime, "--port", str(arguments.port), "--print", "--json")
    found: dict[str, Any] = json.loads(hf_pack("serve", "model", *how))
    return found


def start(command: Sequence[str], environment: Mapping[str, str], port: int, model: str) -> Start:
    """Start it, wait, have it say one token, stop it. Raises RuntimeError when it ends before it is ready."""
    with tempfile.TemporaryFile("w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while not is_ready(port):
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{log.read()[-4000:]}")
                time.sleep(0.05)
            ready = time.perf_counter() - began
            ask(port, "POST", "/v1/completions", {"model": model, "prompt": "The", "max_tokens": 1, "temperature": 0})
            return Start(ready=ready, first_token=time.perf_counter() - began)
        finally:
            for number, patience in ((signal.SIGTERM, 30.0), (signal.SIGKILL, None)):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)


def is_ready(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return ask(port, "GET", "/health", None) == 200
    return False


def ask(port: int, method: str, path: str, body: Mapping[str, object] | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


if __name__ == "__main__":
    main()
