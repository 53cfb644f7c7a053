"""The table of known issues: sound, and each entry found in a model that has it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hf_pack.model import patches
from hf_pack.model.json_value import JsonObject
from hf_pack.runtimes.known_issues import Issue, ModelSigns, find, mend, parse_issues, sentence
from hf_pack.runtimes.requirement import exactly, overlap

TEXT = (Path(__file__).parents[3] / "src" / "hf_pack" / "data" / "known-issues.toml").read_text()
ISSUES = parse_issues(TEXT)


def signs(
    *, config: JsonObject | None = None, tokenizer: JsonObject | None = None, dtypes: tuple[str, ...] = ("BF16",),
    files: tuple[str, ...] = (), repo_id: str = "acme/tiny",
) -> ModelSigns:  # fmt: skip
    given = {"config.json": config or {}, "tokenizer_config.json": tokenizer or {"chat_template": "x"}}
    return ModelSigns(configs=given, files=(*given, *files), tensor_dtypes=dtypes, repo_id=repo_id)


ROPE: JsonObject = {"rope_parameters": {"rope_type": "yarn", "rope_theta": 7.0, "factor": 2.0}}
HAS_IT: dict[str, ModelSigns] = {
    "tokenizers-backend": signs(tokenizer={"tokenizer_class": "TokenizersBackend"}),
    "quant-method-at-the-top": signs(config={"quant_method": "torchao", "quant_type": "x"}, dtypes=("F8_E4M3", "F32")),
    "fp8-without-configuration": signs(dtypes=("F8_E4M3",)),
    "no-chat-template": signs(tokenizer={"eos_token": "x"}, repo_id="acme/Tiny-Instruct"),
    "rope-parameters": signs(config=ROPE),
}
HAS_NONE = [
    signs(),
    signs(config={"quantization_config": {"quant_method": "fp8"}}, dtypes=("F8_E4M3",)),
    signs(dtypes=("F8_E4M3",), files=("hf_quant_config.json",)),
    ModelSigns(configs={"config.json": {}}, files=(), tensor_dtypes=("F8_E4M3",), repo_id="a/b"),  # a cache's index
    signs(tokenizer={"eos_token": "x"}, repo_id="acme/Tiny-Base"),
    signs(tokenizer={"eos_token": "x"}, repo_id="acme/Tiny-Instruct", files=("chat_template.jinja",)),
    signs(config={**ROPE, "rope_theta": 7.0}),
]


def test_every_entry_has_a_model_that_shows_it() -> None:
    assert [issue.id for issue in ISSUES] == list(HAS_IT)


@pytest.mark.parametrize("issue", ISSUES, ids=lambda issue: issue.id)
def test_an_entry_is_found_in_its_model_and_its_patch_mends_it(issue: Issue) -> None:
    model = HAS_IT[issue.id]
    (found,) = find(ISSUES, model, {})
    assert found.id == issue.id
    assert issue.symptom in sentence(found)
    text = mend(found)
    if found.patch is None:
        assert text == found.advice
        return
    (entry,) = tomllib.loads("[[patch]]" + text.partition("[[patch]]")[2])["patch"]
    assert entry["file"] == found.patch.file
    mended = json.loads(patches.apply(found.patch, json.dumps(model.configs[found.patch.file]).encode(), None))
    configs = {**model.configs, found.patch.file: mended}
    after = ModelSigns(configs=configs, files=model.files, tensor_dtypes=model.tensor_dtypes, repo_id=model.repo_id)
    assert issue.id not in {one.id for one in find(ISSUES, after, {})}


@pytest.mark.parametrize("model", HAS_NONE)
def test_a_sound_model_has_no_issue(model: ModelSigns) -> None:
    assert find(ISSUES, model, {}) == ()


@pytest.mark.parametrize(
    ("runtimes", "is_found"),
    [
        ({}, True),
        ({"vllm": ">=0.30"}, False),
        ({"vllm": ">=0.18"}, True),
        ({"vllm": "==0.19.0"}, True),
        ({"vllm": "==0.19.1"}, False),
        ({"sglang": "==0.5.6.post1"}, False),
        ({"sglang": "==0.5.9"}, True),
        ({"sglang": ">=0.5.10"}, False),
        ({"triton": ""}, True),
    ],
)
def test_an_issue_concerns_the_versions_that_have_it(runtimes: dict[str, str], is_found: bool) -> None:
    assert bool(find(ISSUES, HAS_IT["tokenizers-backend"], runtimes)) is is_found


def test_the_patch_of_rope_keys_has_the_models_own_values() -> None:
    (found,) = find(ISSUES, HAS_IT["rope-parameters"], {})
    assert found.patch is not None
    assert found.patch.set == {"rope_theta": 7.0, "rope_scaling": ROPE["rope_parameters"]}


@pytest.mark.parametrize(
    "change",
    [
        ("version = 1", "version = 2"),
        ('expires = "never', 'expired = "never'),
        ("lacks =", "lack ="),
        ("[issue.when]", ""),
    ],
)
def test_a_malformed_table_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_issues(TEXT.replace(*change))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [("<1", ">=1", False), ("<1", ">=0.5", True), ("", "", True), (">1,<1.1", "<2", True), ("!=1.0", "==1.0", False)],
)
def test_specifiers_overlap(one: str, other: str, both: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is both


@pytest.mark.parametrize(
    ("version", "specifier"), [(None, ""), ("0.33.0", "==0.33.0"), ("0.33.0+cpu", "==0.33.0+cpu"), ("nightly", "")]
)
def test_one_version_as_a_specifier(version: str | None, specifier: str) -> None:
    assert exactly(version) == specifier
    assert overlap(">=0.33", exactly(version))
