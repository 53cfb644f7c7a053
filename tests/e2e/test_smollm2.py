"""A real pretrained chat model, SmolLM2-135M-Instruct, in shards and as the GGUF file that it came in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.environments import HERE, SMOLLM2_GGUF, SMOLLM2_SHA256, directory, missing, python
from tests.e2e.packages import read_files
from tests.e2e.sandbox import Sandbox
from tests.e2e.serving import SGLANG_ATTEMPTS, Host, chat, new_host, serving
from tests.end_to_end import Built, Place, new_place, open_directory
from tests.models import COMMIT, OTHER_COMMIT, write_hf_cache

_MISSING = missing("vllm", "sglang", "smollm2")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]

REPO_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
GGUF_REPO_ID = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"
QUESTION = "What is the capital of France?"
ENGINE = """
[vllm]
max_model_len = 512
enforce_eager = true

[sglang]
device = "cpu"
max_total_tokens = 2048
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with open_directory() as home:
        yield new_place(home)


@pytest.fixture(scope="module")
def packages(place: Place) -> dict[str, Built]:
    """``smollm2``, in three shards with its chat template, and ``smollm2-gguf``."""
    gguf = directory("smollm2") / SMOLLM2_GGUF
    sources = {
        "smollm2": (REPO_ID, COMMIT, read_files(directory("smollm2") / "model"), "dual"),
        "smollm2-gguf": (GGUF_REPO_ID, OTHER_COMMIT, {gguf.name: gguf.read_bytes()}, "hf"),
    }
    built = {}
    for name, (repo_id, commit, files, layout) in sources.items():
        place.add(write_hf_cache(place.home / "cache", repo_id, commit, files), name, layout=layout)
        manifest = place.workspace / "models" / f"{name}.toml"
        manifest.write_text(manifest.read_text().partition("\n[vllm]")[0] + ENGINE)
        place.run("lock", name)
        built[name] = place.build(name)
    subprocess.run(["chmod", "-R", "a-w", place.store], check=True)
    return built


@pytest.fixture(scope="module")
def store(place: Place, packages: dict[str, Built]) -> Path:
    return place.store


@pytest.fixture(scope="module")
def host(place: Place, box: Sandbox) -> Host:
    return new_host(place.home / "user", place.store, box)


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_it_answers_rightly(runtime: str, packages: dict[str, Built], host: Host) -> None:
    assert len(packages["smollm2"].references) >= 3
    before = host.sandbox.attempts()
    with serving(host, [packages["smollm2"].store_path], runtime) as server:
        assert "Paris" in chat(server, REPO_ID, QUESTION, 16)
    assert host.sandbox.attempts() - before <= (SGLANG_ATTEMPTS if runtime == "sglang" else 0)


def test_the_gguf_file_loads(packages: dict[str, Built], host: Host) -> None:
    """With ``transformers``: this vLLM takes no GGUF, and SGLang takes it on GPUs alone."""
    hub = Path(packages["smollm2-gguf"].real_path, "share", "models", "hub")
    script = HERE / "scripts" / "chat_gguf.py"
    variables = [f"HF_HUB_CACHE={hub}", "HF_HUB_OFFLINE=1"]
    before = host.sandbox.attempts()
    done = host.run("vllm", "env", *variables, python("vllm"), script, GGUF_REPO_ID, SMOLLM2_GGUF, QUESTION)
    assert "Paris" in json.loads(done.stdout)
    assert any(SMOLLM2_GGUF in path for path in packages["smollm2-gguf"].references), SMOLLM2_SHA256
    assert host.sandbox.attempts() == before
