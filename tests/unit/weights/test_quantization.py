from __future__ import annotations

from typing import Any

import pytest
from tests.unit.weights.model_bytes import gguf_file, gguf_pair, header

from hf_pack.weights.gguf import parse_prefix
from hf_pack.weights.quantization import Quantization, detect
from hf_pack.weights.safetensors import Header
from hf_pack.weights.strict_json import JsonValue

Config = dict[str, JsonValue]

FP8 = header(("q.weight", "F8_E4M3", (4, 4)), ("q.weight_scale", "F32", (4, 1)))
FP8_BLOCK = header(("q.weight", "F8_E4M3", (4, 4)), ("q.weight_scale_inv", "F32", (1, 1)))
PLAIN = header(("q.weight", "BF16", (4, 4)))
AWQ = header(("q.qweight", "I32", (64, 8)), ("q.qzeros", "I32", (1, 8)), ("q.scales", "F16", (1, 64)))
GPT_OSS = header(("e.gate_up_proj_blocks", "U8", (4, 16)), ("e.gate_up_proj_scales", "U8", (4,)))
BNB = header(("q.weight", "U8", (8, 1)), ("q.weight.absmax", "U8", (1,)))
NVFP4 = header(("q.weight", "U8", (4, 8)), ("q.weight_scale", "F8_E4M3", (4, 1)), ("q.weight_scale_2", "F32", ()))
TORCHAO = header(("q._weight_qdata", "F8_E4M3", (4, 4)), metadata={"tensor_names": "[]"})


def ct(weights: Config, inputs: Config | None) -> Config:
    group: Config = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


def quark(weight: JsonValue, inputs: JsonValue) -> Config:
    return {"quant_method": "quark", "global_quant_config": {"weight": weight, "input_tensors": inputs}}


def facts(found: Quantization) -> tuple[str, int | None, int | None]:
    return found.method, found.bits, found.group_size


# The configs are abridged from what the quantizers' own config classes write.
@pytest.mark.parametrize(
    ("quantization_config", "headers", "expected"),
    [
        (
            {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
            [FP8_BLOCK],
            ("fp8", 8, None),
        ),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
            [AWQ],
            ("awq", 4, 128),
        ),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, [AWQ], ("awq", 4, 64)),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": True}, [], ("gptq", 8, -1)),
        ({"quant_method": "gptq_marlin", "bits": 4}, [], ("gptq", 4, None)),
        (
            ct({"num_bits": 8, "type": "float"}, {"num_bits": 8, "dynamic": True}),
            [FP8],
            ("compressed-tensors", 8, None),
        ),
        (
            ct({"num_bits": 8}, {"num_bits": 8, "dynamic": False}),
            [FP8],
            ("compressed-tensors", 8, None),
        ),
        (
            ct({"num_bits": 4, "group_size": 16}, {"dynamic": "local"}),
            [],
            ("compressed-tensors", 4, 16),
        ),
        (ct({"num_bits": 4, "group_size": 128}, None), [], ("compressed-tensors", 4, 128)),
        ({"quant_method": "compressed_tensors"}, [FP8], ("compressed-tensors", 8, None)),
        ({"config_groups": {}}, [FP8], ("compressed-tensors", 8, None)),
        (
            {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
            [GPT_OSS],
            ("mxfp4", 4, None),
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, [BNB], ("bitsandbytes", 4, None)),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, [], ("bitsandbytes", 8, None)),
        (
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16},
            [NVFP4],
            ("modelopt", 4, 16),
        ),
        ({"quant_algo": "FP8"}, [FP8], ("modelopt", 8, None)),
        ({"quant_algo": "MIXED_PRECISION"}, [], ("modelopt", None, None)),
        (
            {
                "quant_method": "torchao",
                "quant_type": {"default": {"_type": "Float8DynamicActivationFloat8WeightConfig", "_data": {}}},
            },
            [TORCHAO],
            ("torchao", 8, None),
        ),
        (
            {
                "quant_method": "torchao",
                "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 128}}},
            },
            [TORCHAO],
            ("torchao", 4, 128),
        ),
        (
            {"quant_method": "torchao", "quant_type": "int8_dynamic_activation_int4_weight"},
            [],
            ("torchao", 4, None),
        ),
        (
            {"quant_method": "torchao", "quant_type": {"_type": "Float8StaticActivationFloat8WeightConfig"}},
            [],
            ("torchao", 8, None),
        ),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": 3}}},
            [],
            ("torchao", None, None),
        ),
        ({"quant_method": "quark"}, [FP8], ("quark", 8, None)),
        (quark({"dtype": "fp4", "qscheme": "per_group", "group_size": 32}, None), [], ("quark", 4, 32)),
        (quark([{"dtype": "fp8_e4m3"}, {"dtype": "int4"}], None), [], ("quark", 4, None)),
        (quark({"dtype": "fp4"}, None) | {"layer_quant_config": {"*.k_proj": {}}}, [], ("quark", None, None)),
        (quark("fp8", 3), [], ("quark", None, None)),
        ({"quant_method": 3}, [PLAIN], ("unknown", None, None)),
    ],
)
def test_what_config_states(
    quantization_config: Config,
    headers: list[Header],
    expected: tuple[str, int | None, int | None],
) -> None:
    found = detect({"quantization_config": quantization_config}, headers)
    assert facts(found) == expected
    assert found.source == "config.json: quantization_config"
    assert found.notes == ()
    assert not found.broken


def test_mixed_precision_has_no_single_number_of_bits() -> None:
    config = ct({"num_bits": 8, "group_size": 32}, None)
    groups = config["config_groups"]
    assert isinstance(groups, dict)
    groups["group_1"] = {
        "weights": {"num_bits": 4, "group_size": 128},
        "input_activations": {"dynamic": True},
    }
    groups["group_2"] = "out of shape"
    found = detect({"quantization_config": config}, [])
    assert facts(found) == ("compressed-tensors", None, None)


def test_an_unquantized_model() -> None:
    for found in (detect({}, [PLAIN]), detect(None, [])):
        assert facts(found) == ("none", None, None)
        assert (found.notes, found.broken) == ((), False)


@pytest.mark.parametrize(
    ("config", "source"),
    [
        (
            {"text_config": {"quantization_config": {"quant_method": "fp8"}}},
            "config.json: text_config.quantization_config",
        ),
        ({"compression_config": {"quant_method": "fp8"}}, "config.json: compression_config"),
    ],
)
def test_other_places_in_config(config: Config, source: str) -> None:
    found = detect(config, [FP8_BLOCK])
    assert (found.method, found.source, found.notes) == ("fp8", source, ())


def test_files_beside_config() -> None:
    found = detect(
        {},
        [NVFP4],
        hf_quant_config={
            "producer": {"name": "modelopt"},
            "quantization": {"quant_algo": "NVFP4", "group_size": 16},
        },
    )
    assert (facts(found), found.source) == (("modelopt", 4, 16), "hf_quant_config.json")
    found = detect({}, [AWQ], quantize_config={"zero_point": True, "q_group_size": 128, "w_bit": 4})
    assert (facts(found), found.source) == (("awq", 4, 128), "quantize_config.json")
    assert detect({}, [], quantize_config={"bits": 4, "desc_act": False}).method == "gptq"


def test_the_first_source_wins_and_the_disagreement_is_told() -> None:
    found = detect(
        {
            "quantization_config": {"quant_method": "fp8"},
            "text_config": {"quantization_config": {"quant_method": "fp8"}},
        },
        [FP8],
        hf_quant_config={"quantization": {"quant_algo": "FP8"}},
    )
    assert found.method == "fp8"
    assert found.notes == (
        "hf_quant_config.json says modelopt, but config.json: quantization_config says fp8 and is read first.",
    )
    assert not found.broken


def test_quantized_tensors_without_any_config_are_broken() -> None:
    found = detect({"model_type": "llama"}, [FP8])
    assert facts(found) == ("fp8", 8, None)
    assert (found.source, found.broken) == ("tensors", True)
    assert found.notes == (
        "The tensors are quantized (FP8 weights with *_scale) but config.json has no quantization_config: "
        "runtimes refuse the model or load it without its scales.",
    )


def test_a_quant_method_at_the_top_level_is_told() -> None:
    found = detect({"quant_method": "torchao", "quant_type": "x"}, [FP8])
    assert found.broken
    assert len(found.notes) == 2
    assert found.notes[0].startswith("config.json says quant_method 'torchao' at its top level")
    assert detect({"quant_method": "torchao"}, [PLAIN]).broken


def test_torchao_without_torchao_tensors_is_broken() -> None:
    found = detect({"quantization_config": {"quant_method": "torchao"}}, [FP8])
    assert found.broken
    assert found.notes == (
        "config.json: quantization_config says torchao, but the tensors look like fp8 (FP8 weights with *_scale).",
    )


def test_a_config_over_plain_tensors_is_only_noted() -> None:
    found = detect({"quantization_config": {"quant_method": "fp8"}}, [PLAIN])
    assert found.notes == ("config.json: quantization_config says fp8, but no tensor looks quantized.",)
    assert not found.broken


def test_gguf_counts_alone() -> None:
    named = parse_prefix(gguf_file(gguf_pair("general.file_type", 4, (3).to_bytes(4, "little"))))
    found = detect({"quantization_config": {"quant_method": "fp8"}}, [], gguf=named)
    assert (found.method, found.source, found.notes) == ("gguf", "gguf header", ("The file's mix is Q4_1.",))
    assert detect(None, [], gguf=parse_prefix(gguf_file())).notes == ()


@pytest.mark.parametrize(
    ("stated", "tensors", "right", "wrong"),
    [
        (
            {"quant_method": "gptq", "group_size": 32, "sym": True, "desc_act": False},
            [("a.qweight", "I32", (16, 64)), ("a.qzeros", "I32", (4, 8)), ("a.scales", "F16", (4, 64)),
             ("a.g_idx", "I32", (128,))],
            4,
            8,
        ),
        (
            {"quant_method": "awq", "group_size": 32, "zero_point": True},
            [("a.qweight", "I32", (128, 8)), ("a.qzeros", "I32", (4, 8)), ("a.scales", "F16", (4, 64))],
            4,
            8,
        ),
    ],
)  # fmt: skip
def test_tensors_packed_with_another_number_of_bits(
    stated: Config, tensors: list[tuple[str, str, tuple[int, ...]]], right: int, wrong: int
) -> None:
    assert not detect({"quantization_config": {**stated, "bits": right}}, [header(*tensors)]).broken
    found = detect({"quantization_config": {**stated, "bits": wrong}}, [header(*tensors)])
    assert found.broken
    assert f"says {wrong} bits, but the tensors are packed with {right} bits" in found.notes[0]


@pytest.mark.parametrize(
    ("stated", "scheme", "activations"),
    [
        ({"quant_method": "fp8", "activation_scheme": "static"}, "fp8-tensor", "static"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block", "dynamic"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", "dynamic"),
        ({"quant_algo": "W4A16_NVFP4"}, "nvfp4-w4a16", None),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "modelopt-fp8", "static"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "unknown", None),
        ({"quant_method": "mxfp4"}, "mxfp4-moe", None),
        ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}},
         "torchao-int4-weight-only", None),
        ({"quant_method": "torchao", "quant_type": "float8_weight_only"}, "torchao-fp8-weight-only", None),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", None),
        ({"quant_method": "quark"}, "quark", None),
        (quark({"dtype": "fp8_e4m3"}, {"dtype": "fp8_e4m3", "is_dynamic": True}), "quark", "dynamic"),
        (quark({"dtype": "fp8_e4m3"}, {"dtype": "fp8_e4m3", "is_dynamic": False}), "quark", "static"),
    ],
)  # fmt: skip
def test_the_row_of_the_matrix(stated: Config, scheme: str, activations: str | None) -> None:
    found = detect({"quantization_config": stated}, [])
    assert (found.scheme, found.activations) == (scheme, activations)


@pytest.mark.parametrize(
    ("weights", "inputs", "form", "scheme"),
    [
        ({"num_bits": 8, "type": "float", "strategy": "channel"}, {"num_bits": 8, "dynamic": True}, "", "fp8-channel"),
        ({"num_bits": 8, "type": "float", "strategy": "block"}, {"num_bits": 8, "dynamic": True}, "", "fp8-block"),
        ({"num_bits": 8, "type": "float", "strategy": "channel"}, None, "", "fp8-w8a16"),
        ({"num_bits": 8, "type": "int", "strategy": "channel"}, {"num_bits": 8, "dynamic": True}, "", "int8-w8a8"),
        ({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}, None, "pack-quantized", "wna16"),
        ({"num_bits": 4, "type": "int", "strategy": "group"}, {"num_bits": 8, "type": "float"}, "", "w4a8-fp8"),
        ({"num_bits": 4, "type": "float", "group_size": 16}, {"num_bits": 4, "dynamic": "local"}, "", "nvfp4"),
        ({"num_bits": 4, "type": "float", "group_size": 16}, None, "", "nvfp4-w4a16"),
        ({"num_bits": 4, "type": "float", "group_size": 32}, {"num_bits": 4}, "mxfp4-pack-quantized", "mxfp4-dense"),
        ({"num_bits": 8, "type": "float", "group_size": 32}, {"num_bits": 8}, "mxfp8-quantized", "mxfp8"),
    ],
)
def test_the_schemes_of_compressed_tensors(weights: Config, inputs: Config | None, form: str, scheme: str) -> None:
    group: Config = {"weights": weights, "input_activations": inputs}
    stated: dict[str, Any] = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group}}
    assert detect({"quantization_config": stated}, []).scheme == scheme
    mixed: Config = {**stated, "config_groups": {"group_0": group, "group_1": {"weights": {"num_bits": 2}}}}
    assert detect({"quantization_config": mixed}, []).scheme == "+".join(sorted((scheme, "unknown")))


def test_layers_of_several_kinds_are_all_named() -> None:
    """ModelOpt's MIXED_PRECISION, as vLLM's ModelOptMixedPrecisionConfig reads it."""
    layers: Config = {
        "model.layers.0.mlp": {"quant_algo": "NVFP4", "group_size": 16},
        "model.layers.0.self_attn": {"quant_algo": "FP8"},
        "model.layers.1.self_attn": {"quant_algo": "FP8"},
    }
    stated: Config = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    found = detect({"quantization_config": stated}, [])
    assert (found.scheme, found.activations, found.bits) == ("modelopt-fp8+nvfp4", "dynamic", None)
    old: Config = {"producer": {"name": "modelopt"}, "quantization": {**stated}}
    assert detect({}, [], hf_quant_config=old).scheme == "modelopt-fp8+nvfp4"
    assert detect({"quantization_config": {**stated, "quantized_layers": {}}}, []).scheme == "unknown"


@pytest.mark.parametrize(
    ("packing", "scheme"),
    [("auto_round:auto_gptq", "gptq"), ("auto_round:auto_awq", "awq"), ("auto_round:llm_compressor", "unknown")],
)
def test_auto_round_is_what_its_files_are_packed_as(packing: str, scheme: str) -> None:
    stated: Config = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": packing}
    assert detect({"quantization_config": stated}, []).scheme == scheme
