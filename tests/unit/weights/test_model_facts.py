from __future__ import annotations

from collections.abc import Mapping

import pytest

from hf_pack.weights.model_facts import ModelFacts, language_configs, model_facts
from hf_pack.weights.strict_json import JsonValue


def test_a_causal_model() -> None:
    facts = model_facts(
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "bfloat16",
            "max_position_embeddings": 131072,
        },
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 2048},
    )
    assert facts == ModelFacts(
        architectures=("LlamaForCausalLM",),
        model_type="llama",
        dtype="bfloat16",
        context_length=131072,
        auto_map_files=(),
        auto_map_repos=(),
    )


def test_nothing_is_known_of_nothing() -> None:
    facts = model_facts(None, None)
    assert facts.architectures == ()
    assert (facts.dtype, facts.model_type) == (None, None)
    assert facts.context_length is None
    assert list(language_configs(None)) == []


def test_a_multimodal_model_keeps_its_facts_in_text_config() -> None:
    config: Mapping[str, JsonValue] = {
        "architectures": ["Qwen3_5ForConditionalGeneration"],
        "text_config": {"dtype": "torch.bfloat16", "max_position_embeddings": 262144},
        "vision_config": {"dtype": "float32", "max_position_embeddings": 7},
    }
    facts = model_facts(config, None)
    assert (facts.dtype, facts.context_length) == ("bfloat16", 262144)


@pytest.mark.parametrize(
    "key",
    [
        "max_position_embeddings",
        "n_positions",
        "n_ctx",
        "max_seq_len",
        "max_sequence_length",
        "seq_length",
        "model_max_length",
    ],
)
def test_context_length_spellings(key: str) -> None:
    assert model_facts({key: 4096}, None).context_length == 4096


@pytest.mark.parametrize("value", [10**30, 0, -1, True, 4096.0, "4096", None])
def test_context_lengths_that_mean_nothing(value: JsonValue) -> None:
    assert model_facts({"n_ctx": value}, {"model_max_length": value}).context_length is None
    assert model_facts({"n_ctx": value}, {"model_max_length": 512}).context_length == 512


def test_auto_map_names_local_files_and_other_repositories() -> None:
    config: Mapping[str, JsonValue] = {
        "auto_map": {
            "AutoConfig": "configuration_x.XConfig",
            "AutoModel": "org/code--modeling_x.XModel",
            "AutoModelForCausalLM": "modeling_x.XForCausalLM",
            "AutoOther": 3,
        }
    }
    tokenizer: Mapping[str, JsonValue] = {"auto_map": {"AutoTokenizer": ["tokenization_x.XTokenizer", None]}}
    facts = model_facts(config, tokenizer)
    assert facts.auto_map_files == ("configuration_x.py", "modeling_x.py", "tokenization_x.py")
    assert facts.auto_map_repos == ("org/code",)


@pytest.mark.parametrize("reference", ["../../evil.Class", "nodot", "/etc/x.C", "a/b.C", "a.b.C"])
def test_auto_map_never_names_a_path(reference: str) -> None:
    facts = model_facts({"auto_map": {"AutoModel": reference}}, None)
    assert facts.auto_map_files == ()


def test_fields_out_of_shape_count_as_absent() -> None:
    facts = model_facts(
        {"architectures": "Llama", "model_type": 3, "torch_dtype": "", "auto_map": ["x"], "text_config": []},
        {"model_max_length": None},
    )
    assert facts.architectures == ()
    assert facts.model_type is facts.dtype is None
    assert facts.auto_map_files == facts.auto_map_repos == ()
