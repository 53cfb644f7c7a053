"""Engine parameters against schemas: the generated ones, and what a runtime's own text says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from hf_pack.model.json_value import JsonObject
from hf_pack.runtimes.engine_schema import EngineSchema, parameter_problems, parse_schema, schema_of
from hf_pack.runtimes.engine_source import engine_keys

DATA = Path(__file__).parents[3] / "src" / "hf_pack" / "data"


def released(runtime: str) -> EngineSchema:
    return parse_schema((DATA / f"engine-{runtime}.json").read_text())


def said(runtime: str, parameters: JsonObject, requirement: str | None = None) -> str:
    return "\n".join(map(str, parameter_problems(released(runtime), parameters, requirement)))


@pytest.mark.parametrize(
    ("runtime", "parameters", "requirement"),
    [
        ("vllm", {"gpu_memory_utilization": 1, "max_model_len": 4096, "dtype": "auto"}, ">=0.10"),
        ("vllm", {"served_model_name": ["a", "b"], "compilation_config": {"level": 3}}, None),
        ("vllm", {"disable_log_requests": True}, "<0.10.1"),
        ("vllm", {"enable_log_requests": False}, ">=0.10.1"),
        ("sglang", {"context_length": 4096, "tp_size": 2, "json_model_override_args": {"a": 1}}, None),
        ("vllm", {"of_the_future": 1}, ">=999"),
    ],
)
def test_what_a_runtime_takes_has_no_problem(runtime: str, parameters: JsonObject, requirement: str | None) -> None:
    assert said(runtime, parameters, requirement) == ""


@pytest.mark.parametrize(
    ("runtime", "parameters", "requirement", "words"),
    [
        ("vllm", {"max_model_length": 1}, None, ("no engine parameter of vllm", "did you mean max_model_len?")),
        ("sglang", {"contxt_length": 1}, None, ("did you mean context_length?",)),
        ("vllm", {"max_model_len": "4096"}, None, ("expected a whole number, found 4096",)),
        ("vllm", {"max_model_len": True}, None, ("expected a whole number, found true",)),
        ("vllm", {"max_model_len": 1.5}, None, ("expected a whole number",)),
        ("vllm", {"trust_remote_code": 1}, None, ("expected true or false, found 1",)),
        ("vllm", {"hf_overrides": "{}"}, None, ("expected a table",)),
        ("vllm", {"dtype": "bfloat61"}, None, ("expected one of auto", "did you mean bfloat16?")),
        ("vllm", {"model": "a/b"}, None, ("the package sets it itself",)),
        ("sglang", {"model_path": "a/b", "download_dir": "/x"}, None, ("model_path: the", "download_dir: the")),
        (
            "vllm",
            {"disable_log_requests": True},
            ">=0.30",
            ("removed in vllm 0.10.1", "enable_log_requests", "<0.10.1"),
        ),
        ("vllm", {"disable_log_requests": True}, None, ("removed in vllm 0.10.1; vllm 0.33.0, the newest known",)),
        (
            "vllm",
            {"cuda_graph_sizes": [1, 2]},
            None,
            ("renamed in vllm 0.13.0, now cudagraph_capture_sizes", "write cudagraph_capture_sizes, as vllm/engine/"),
        ),
        (
            "sglang",
            {"nsa_decode": "fa3"},
            ">=0.5.20",
            ("renamed in sglang 0.5.4, now dsa_decode_backend; ", '{ sglang = "<0.5.4" }'),
        ),
        ("sglang", {"nsa_decode": "fa3"}, ">=0.5.4,<0.5.13", ("renamed in sglang 0.5.4, now nsa_decode_backend; ",)),
        (
            "sglang",
            {"enable_deepep_moe": True},
            None,
            (
                "removed in sglang 0.5.3;",
                'write moe_a2a_backend = "deepep", as sglang/srt/server_args.py of 0.5.2 says',
            ),
        ),
        ("vllm", {"disable_log_requests": True}, None, ("write enable_log_requests, the other way round",)),
        ("vllm", {"enable_log_requests": True}, ">=0.10", ("not in vllm before 0.10.1", ">=0.10.1")),
    ],
)
def test_what_a_runtime_does_not_take_is_said_with_a_way_out(
    runtime: str, parameters: JsonObject, requirement: str | None, words: tuple[str, ...]
) -> None:
    text = said(runtime, parameters, requirement)
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_the_generated_schemas_are_sound(runtime: str) -> None:
    schema = released(runtime)
    assert schema.runtime == runtime and len(schema.versions) > 30
    for key, spans in schema.keys.items():
        assert spans, key
        assert all(0 <= span.first <= span.last < len(schema.versions) for span in spans), key
        assert all(one.last < other.first for one, other in pairwise(spans)), key


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_what_is_said_of_a_key_that_is_gone_is_there_in_its_place(runtime: str) -> None:
    schema = released(runtime)
    last = len(schema.versions) - 1
    assert len(schema.renamed) > 10
    for key, renamed in schema.renamed.items():
        gone = schema.keys[key][-1].last + 1
        assert gone <= last, key
        assert schema.at(renamed.key, gone) is not None, key
        assert any(version in renamed.source for version in schema.versions), key


def test_a_name_that_left_before_the_schema_of_an_installed_version_is_told_too() -> None:
    keys = engine_keys("vllm", VLLM) | {"pooler_config": "table"}
    schema = replace(schema_of("vllm", "0.99.0", keys), renamed=released("vllm").renamed)
    (problem,) = parameter_problems(schema, {"override_pooler_config": {}}, None)
    assert str(problem).startswith(
        "override_pooler_config: no engine parameter of vllm 0.99.0 (write pooler_config, as"
    )
    (problem,) = parameter_problems(schema, {"cuda_graph_sizes": [1]}, None)  # its new name is not there either
    assert "write" not in str(problem)


VLLM = {
    "vllm/config/model.py": (
        'ModelDType = Literal["auto", "half"]\nRunner = Literal["auto", Inner]\nInner = Literal["draft"]\n'
    ),
    "vllm/engine/arg_utils.py": (
        "class EngineArgs:\n"
        "    dtype: ModelDType = ModelConfig.dtype\n"
        "    runner: Runner = 'auto'\n"
        "    cache: ModelDType | str = 'auto'\n"
        "    names: Optional[Union[str, List[str]]] = None\n"
        "    compilation_config: CompilationConfig = None\n"
        "    backend: str | type[Executor] | None = None\n"
        "    plugin: Something = None\n"
        "    _private: int = 1\n"
        "    known: ClassVar[int] = 1\n"
        "class AsyncEngineArgs(EngineArgs):\n"
        "    enable_log_requests: bool = False\n"
        "class Another:\n"
        "    stranger: int = 1\n"
    ),
}


def test_types_are_read_from_vllms_text() -> None:
    assert engine_keys("vllm", VLLM) == {
        "backend": "str",
        "cache": "str",
        "compilation_config": "table",
        "dtype": "=auto|=half",
        "enable_log_requests": "bool",
        "names": "list|str",
        "plugin": "any",
        "runner": "=auto|=draft",
    }


def test_types_are_read_from_sglangs_text_in_both_spellings() -> None:
    older = {
        "sglang/srt/server_args.py": (
            'class ServerArgs:\n    tokenizer_mode: str = "auto"\n    tp_size: int = 1\n'
            "    @staticmethod\n    def add_cli_args(parser):\n"
            '        parser.add_argument("--tokenizer-mode", type=str, choices=["auto", "slow"])\n'
            '        parser.add_argument("--tp-size", type=int)\n'
        )
    }
    newer = {
        "sglang/srt/arg_groups/choices.py": 'MODES = ["auto", "slow"]\n',
        "sglang/srt/arg_groups/fields/model.py": (
            'class Model(msgspec.Struct):\n    _NS_PATH = "model"\n    derived = Derived(fn="x")\n'
            '    tokenizer_mode: A[str, Arg(help="x", choices=MODES)] = "auto"\n    tp_size: A[int, "help"] = 1\n'
            "    length: A[Optional[int], Arg(help='x', type_parser=human)] = None\n"
        ),
    }
    assert engine_keys("sglang", older) == {"tokenizer_mode": "=auto|=slow", "tp_size": "int"}
    assert engine_keys("sglang", newer) == {"tokenizer_mode": "=auto|=slow", "tp_size": "int", "length": "int|str"}


def test_an_installed_version_has_a_schema_of_its_own() -> None:
    schema = schema_of("vllm", "0.99.0", engine_keys("vllm", VLLM))
    assert parameter_problems(schema, {"runner": "draft"}, ">=0.99") == ()
    (problem,) = parameter_problems(schema, {"runner": "draught"}, ">=0.99")
    assert "vllm 0.99.0 does not take" in str(problem) and "did you mean draft?" in str(problem)
