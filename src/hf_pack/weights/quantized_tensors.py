"""How a model is quantized, told from nothing but its tensors' names and dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_pack.weights.safetensors import Header, Tensor

_FP8 = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
_INT32 = frozenset({"I32"})
_BYTE = frozenset({"U8"})
_BYTE_SCALE = frozenset({"U8", "F8_E8M0"})
_SIGNED_BYTE = frozenset({"I8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorScheme:
    """What the tensors show: a method word (see ``quantization``), bits a weight, weights a scale (group)."""

    method: str
    bits: int | None
    group_size: int | None
    evidence: str


def scheme_of(headers: Iterable[Header]) -> TensorScheme | None:
    """The first pattern that the tensors fit, None where they are plain floating point.

    The patterns are the naming conventions of the quantizers: GPTQ and AWQ (``qweight``), compressed-tensors
    (``weight_packed``), ModelOpt (``weight_scale_2``), gpt-oss (``*_blocks``), bitsandbytes (``absmax``) and
    scaled FP8 or INT8 weights.
    """
    headers = tuple(headers)
    if any(key == "tensor_names" for header in headers for key, _ in header.metadata):
        # torchao's safetensors support flattens its tensor subclasses and lists them under this key
        return TensorScheme(method="torchao", bits=None, group_size=None, evidence="torchao's tensor list")
    names = {tensor.name: tensor for header in headers for tensor in header.tensors}
    roles = _Roles(names.values())
    return _packed(roles, names) or _four_bit(roles) or _eight_bit(roles)


class _Roles:
    """Which dtypes stand under which last word of a name."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self.dtypes: dict[str, set[str]] = {}
        for tensor in tensors:
            self.dtypes.setdefault(tensor.name.rpartition(".")[2], set()).add(tensor.dtype)

    def has(self, ending: str, dtypes: frozenset[str] | None = None) -> bool:
        return any(
            role.endswith(ending) and (dtypes is None or not dtypes.isdisjoint(found))
            for role, found in self.dtypes.items()
        )

    def has_weight(self, dtypes: frozenset[str]) -> bool:
        """A tensor of these dtypes that is no scale itself."""
        return any("scale" not in role and not dtypes.isdisjoint(found) for role, found in self.dtypes.items())


def _packed(roles: _Roles, names: Mapping[str, Tensor]) -> TensorScheme | None:
    if roles.has("qweight", _INT32) and roles.has("qzeros") and roles.has("scales"):
        if roles.has("g_idx") or not _packs_along_output(names):
            return TensorScheme(
                method="gptq", bits=None, group_size=None, evidence="int32 qweight packed along the input"
            )
        return TensorScheme(method="awq", bits=4, group_size=None, evidence="int32 qweight packed along the output")
    if roles.has("weight_packed", _INT32) and roles.has("weight_shape"):
        return TensorScheme(method="compressed-tensors", bits=None, group_size=None, evidence="int32 weight_packed")
    return None


def _packs_along_output(names: Mapping[str, Tensor]) -> bool:
    # AWQ packs 8 output columns into one int32, GPTQ packs input rows: its columns are those of the scales.
    for name, tensor in names.items():
        scales = names.get(name.removesuffix("qweight") + "scales")
        if name.endswith("qweight") and scales is not None and len(tensor.shape) == len(scales.shape) == 2:
            return tensor.shape[1] * 8 == scales.shape[1]
    return True


def _four_bit(roles: _Roles) -> TensorScheme | None:
    if roles.has("weight_packed", _BYTE):
        group = 16 if roles.has("weight_global_scale") else 32
        return TensorScheme(method="compressed-tensors", bits=4, group_size=group, evidence="uint8 weight_packed")
    if roles.has("weight_scale_2") and roles.has_weight(_BYTE):
        return TensorScheme(method="modelopt", bits=4, group_size=16, evidence="weight_scale_2")
    if roles.has("_blocks", _BYTE) and roles.has("_scales", _BYTE_SCALE):
        return TensorScheme(method="mxfp4", bits=4, group_size=32, evidence="uint8 *_blocks and *_scales")
    if roles.has("absmax") or roles.has("SCB"):
        bits = 8 if roles.has("SCB") else 4
        return TensorScheme(method="bitsandbytes", bits=bits, group_size=None, evidence="absmax or SCB statistics")
    if roles.has("weight", _BYTE) and roles.has("weight_scale", _BYTE_SCALE):
        return TensorScheme(method="mxfp4", bits=4, group_size=32, evidence="uint8 weights and scales")
    return None


def _eight_bit(roles: _Roles) -> TensorScheme | None:
    if roles.has_weight(_FP8):
        if roles.has("_scale", _BYTE_SCALE):
            return TensorScheme(method="mxfp8", bits=8, group_size=32, evidence="FP8 weights, uint8 scales")
        if roles.has("_scale_inv"):
            return TensorScheme(method="fp8", bits=8, group_size=None, evidence="FP8 weights with *_scale_inv")
        scaled = "with *_scale" if roles.has("_scale") else "without scales"
        return TensorScheme(method="fp8", bits=8, group_size=None, evidence=f"FP8 weights {scaled}")
    if roles.has("weight", _SIGNED_BYTE) and roles.has("weight_scale"):
        return TensorScheme(
            method="compressed-tensors", bits=8, group_size=None, evidence="INT8 weights with weight_scale"
        )
    return None


def packed_bits(headers: Iterable[Header], method: str, group_size: int | None) -> int | None:
    """Bits a weight by the shape of the first packed tensor beside its scales; None where it cannot be told.

    GPTQ packs rows into int32, AWQ columns, compressed-tensors' ``weight_packed`` columns too. The groups along the
    input (``group_size`` weights share a scale) tell how many inputs there are.
    """
    names = {tensor.name: tensor for header in headers for tensor in header.tensors}
    for name, packed in names.items():
        if method in ("awq", "gptq") and name.endswith(".qweight"):
            scales = names.get(name.removesuffix("qweight") + "scales")
        elif method == "compressed-tensors" and name.endswith(".weight_packed") and packed.dtype == "I32":
            scales = names.get(name.removesuffix("weight_packed") + "weight_scale")
        else:
            continue
        if scales is None or len(packed.shape) != 2 or len(scales.shape) != 2:
            continue
        if method == "awq":
            words, values = packed.shape[1], scales.shape[1]
        elif group_size is None or group_size <= 0:
            continue
        elif method == "gptq":
            words, values = packed.shape[0], scales.shape[0] * group_size
        else:
            words, values = packed.shape[1], scales.shape[1] * group_size
        if values and words * 32 % values == 0:
            return words * 32 // values
    return None
