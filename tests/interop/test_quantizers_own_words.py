"""Detection against configurations that the quantization library itself writes, not ones typed here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hf_pack.weights.quantization import detect

#: The environment that holds a real vLLM for the end-to-end tests; compressed-tensors comes with it.
PYTHON = Path(__file__).parent.parent.parent / ".build" / "e2e" / "vllm" / "bin" / "python"

SCRIPT = """
import json
from compressed_tensors.quantization import QuantizationConfig, preset_name_to_scheme
found = {}
for name, form in FORMS.items():
    scheme = preset_name_to_scheme(name, ["Linear"])
    config = QuantizationConfig(config_groups={"group_0": scheme}, format=form, ignore=["lm_head"])
    found[name] = json.loads(config.model_dump_json())
print(json.dumps(found))
"""
FORMS = {
    "FP8": "float-quantized",
    "FP8_DYNAMIC": "float-quantized",
    "FP8_BLOCK": "float-quantized",
    "W4A16": "pack-quantized",
    "W8A8": "int-quantized",
    "NVFP4": "nvfp4-pack-quantized",
    "NVFP4A16": "nvfp4-pack-quantized",
    "MXFP4": "mxfp4-pack-quantized",
    "MXFP8": "mxfp8-quantized",
}


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    if not PYTHON.exists():
        pytest.skip("compressed-tensors is not here (.build/e2e/vllm)")
    program = f"FORMS = {FORMS!r}\n{SCRIPT}"
    ran = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=False)
    if "No module named" in ran.stderr:
        pytest.skip("compressed-tensors is not installed beside vLLM")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize(
    ("preset", "scheme", "activations", "bits", "group_size"),
    [
        ("FP8", "fp8-channel", "static", 8, None),
        ("FP8_DYNAMIC", "fp8-channel", "dynamic", 8, None),
        ("FP8_BLOCK", "fp8-block", "dynamic", 8, None),
        ("W4A16", "wna16", None, 4, 128),
        ("W8A8", "int8-w8a8", "dynamic", 8, None),
        ("NVFP4", "nvfp4", "dynamic", 4, 16),
        ("NVFP4A16", "nvfp4-w4a16", None, 4, 16),
        ("MXFP4", "mxfp4-dense", "dynamic", 4, 32),
        ("MXFP8", "mxfp8", "dynamic", 8, 32),
    ],
)
def test_presets_of_compressed_tensors(
    written: dict[str, Any], preset: str, scheme: str, activations: str | None, bits: int, group_size: int | None
) -> None:
    found = detect({"quantization_config": written[preset]}, [])
    assert (found.method, found.scheme, found.activations) == ("compressed-tensors", scheme, activations)
    assert (found.bits, found.group_size) == (bits, group_size)
