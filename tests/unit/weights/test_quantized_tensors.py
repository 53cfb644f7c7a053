from __future__ import annotations

import pytest
from tests.unit.weights.model_bytes import header

from hf_pack.weights.quantized_tensors import scheme_of

Spec = tuple[str, str, tuple[int, ...]]

PLAIN: tuple[Spec, ...] = (("model.embed_tokens.weight", "BF16", (8, 4)), ("model.norm.weight", "BF16", (4,)))
Q = "model.layers.0.self_attn.q_proj."
EXPERTS = "model.layers.0.mlp.experts."


@pytest.mark.parametrize(
    ("tensors", "method", "bits", "group_size"),
    [
        ([(Q + "weight", "F8_E4M3", (4, 4)), (Q + "weight_scale", "F32", (4, 1))], "fp8", 8, None),
        ([(Q + "weight", "F8_E4M3", (4, 4)), (Q + "weight_scale_inv", "F32", (1, 1))], "fp8", 8, None),
        ([(Q + "weight", "F8_E4M3", (4, 4))], "fp8", 8, None),
        ([(Q + "weight", "F8_E4M3", (4, 32)), (Q + "weight_scale", "U8", (4, 1))], "mxfp8", 8, 32),
        ([(Q + "weight", "F8_E4M3", (4, 32)), (Q + "weight_scale", "F8_E8M0", (4, 1))], "mxfp8", 8, 32),
        (
            [(Q + "qweight", "I32", (256, 8)), (Q + "qzeros", "I32", (2, 8)), (Q + "scales", "F16", (2, 64))],
            "awq",
            4,
            None,
        ),
        (
            [(Q + "qweight", "I32", (32, 64)), (Q + "qzeros", "I32", (2, 8)), (Q + "scales", "F16", (2, 64))],
            "gptq",
            None,
            None,
        ),
        (
            [
                (Q + "qweight", "I32", (32, 64)),
                (Q + "qzeros", "I32", (2, 8)),
                (Q + "scales", "F16", (2, 512)),
                (Q + "g_idx", "I32", (256,)),
            ],
            "gptq",
            None,
            None,
        ),
        (
            [(Q + "weight_packed", "I32", (4, 4)), (Q + "weight_shape", "I64", (2,))],
            "compressed-tensors",
            None,
            None,
        ),
        ([(Q + "weight", "I8", (4, 4)), (Q + "weight_scale", "F32", (4, 1))], "compressed-tensors", 8, None),
        (
            [
                (Q + "weight_packed", "U8", (4, 8)),
                (Q + "weight_scale", "F8_E4M3", (4, 1)),
                (Q + "weight_global_scale", "F32", (1,)),
            ],
            "compressed-tensors",
            4,
            16,
        ),
        (
            [(Q + "weight_packed", "U8", (4, 16)), (Q + "weight_scale", "U8", (4, 1))],
            "compressed-tensors",
            4,
            32,
        ),
        (
            [
                (Q + "weight", "U8", (4, 8)),
                (Q + "weight_scale", "F8_E4M3", (4, 1)),
                (Q + "weight_scale_2", "F32", ()),
            ],
            "modelopt",
            4,
            16,
        ),
        (
            [
                (EXPERTS + "gate_up_proj_blocks", "U8", (4, 8, 16)),
                (EXPERTS + "gate_up_proj_scales", "U8", (4, 8)),
                (EXPERTS + "gate_up_proj_bias", "BF16", (4, 8)),
            ],
            "mxfp4",
            4,
            32,
        ),
        ([(Q + "weight", "U8", (4, 16)), (Q + "weight_scale", "U8", (4, 1))], "mxfp4", 4, 32),
        (
            [
                (Q + "weight", "U8", (8, 1)),
                (Q + "weight.absmax", "U8", (1,)),
                (Q + "weight.quant_state.bitsandbytes__nf4", "U8", (80,)),
            ],
            "bitsandbytes",
            4,
            None,
        ),
        ([(Q + "weight", "I8", (8, 1)), (Q + "SCB", "F32", (8,))], "bitsandbytes", 8, None),
    ],
)
def test_each_naming_convention(tensors: list[Spec], method: str, bits: int | None, group_size: int | None) -> None:
    scheme = scheme_of([header(*PLAIN), header(*tensors)])
    assert scheme is not None
    assert (scheme.method, scheme.bits, scheme.group_size) == (method, bits, group_size)
    assert scheme.evidence


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        list(PLAIN),
        [*PLAIN, ("model.embeddings.position_ids", "I64", (1, 4))],
        [*PLAIN, (Q + "k_scale", "F32", ())],
        [*PLAIN, (Q + "k_scale", "F8_E4M3", ())],
        [(Q + "qweight", "I32", (4, 4))],
        [("mask", "U8", (4,))],
    ],
)
def test_plain_models_show_nothing(tensors: list[Spec]) -> None:
    assert scheme_of([header(*tensors)]) is None
    assert scheme_of([]) is None


def test_torchao_lists_its_flattened_tensors_in_the_metadata() -> None:
    scheme = scheme_of([header((Q + "_weight_qdata", "F8_E4M3", (4, 4)), metadata={"tensor_names": "[]"})])
    assert scheme is not None
    assert scheme.method == "torchao"


def test_awq_is_assumed_where_shapes_do_not_tell() -> None:
    scheme = scheme_of([header(("a.qweight", "I32", (4,)), ("a.qzeros", "I32", (4,)), ("a.scales", "F16", (4,)))])
    assert scheme is not None
    assert scheme.method == "awq"
