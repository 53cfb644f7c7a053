from __future__ import annotations

import pytest

from hf_pack.model.hub_ids import RepoId
from hf_pack.model.manifest import HubSource, Layout, Patch, PathSource, Selection, Storage
from hf_pack.model.manifest_document import ManifestProblems, parse

#: The example of DESIGN.md, section 4.
EXAMPLE = """
pname = "vllm-qwen3.5-2b"
base_version = "1.0.0"
layout = "dual"                      # "dual" | "single" (Triton only) | "hf" (Hub cache only)
triton_model_name = "qwen3_5_2b"     # layouts single and dual
storage = "linked"                   # or "self-contained"
runtimes = { vllm = ">=0.30", sglang = ">= 0.5, <1" }

[source]
repo_id = "Qwen/Qwen3.5-2B"
revision = "15852e8c16360a2fea060d615a32b45270f8a8fc"
include = ["*.safetensors", "*.json"]
exclude = []

[vllm]
gpu_memory_utilization = 0.85
max_model_len = 4096
dtype = "auto"

[[patch]]
file = "tokenizer_config.json"
when = { tokenizer_class = "TokenizersBackend" }
set = { tokenizer_class = "PreTrainedTokenizerFast" }
reason = "runtimes on transformers 4 do not know TokenizersBackend"
"""

SMALL = """
pname = "p"
base_version = "1"
layout = "hf"
[source]
path = "models/x"
"""


def problems_of(text: str, name: str = "x") -> list[str]:
    with pytest.raises(ManifestProblems) as caught:
        parse(text, name)
    return [str(problem) for problem in caught.value.problems]


def edited(**replaced: str) -> str:
    """The example with some of its lines replaced (by key); an empty text removes the line."""
    lines = []
    for line in EXAMPLE.splitlines():
        key = line.split(" =")[0]
        lines.append(replaced.pop(key, line))
    assert not replaced
    return "\n".join(lines)


def test_the_example_of_the_design_is_read_whole() -> None:
    manifest = parse(EXAMPLE, "vllm-qwen3-5-2b")
    assert manifest.name == "vllm-qwen3-5-2b"
    assert manifest.pname == "vllm-qwen3.5-2b"
    assert manifest.layout is Layout.DUAL
    assert manifest.storage is Storage.LINKED
    assert manifest.triton_model_name == "qwen3_5_2b"
    assert manifest.source == HubSource(
        repo_id=RepoId("Qwen", "Qwen3.5-2B"), revision="15852e8c16360a2fea060d615a32b45270f8a8fc"
    )
    assert manifest.selection == Selection(include=("*.safetensors", "*.json"))
    assert manifest.vllm == {"gpu_memory_utilization": 0.85, "max_model_len": 4096, "dtype": "auto"}
    assert manifest.sglang == manifest.triton == {}
    assert manifest.runtimes == {"vllm": ">=0.30", "sglang": ">= 0.5, <1"}
    assert manifest.patches == (
        Patch(
            file="tokenizer_config.json",
            when={"tokenizer_class": "TokenizersBackend"},
            set={"tokenizer_class": "PreTrainedTokenizerFast"},
            reason="runtimes on transformers 4 do not know TokenizersBackend",
        ),
    )


def test_what_is_left_out_has_its_default() -> None:
    manifest = parse(SMALL, "x")
    assert manifest.storage is Storage.LINKED
    assert manifest.source == PathSource(path="models/x")
    assert manifest.selection == Selection(include=None, exclude=(), allow_pickle=False)
    assert manifest.runtimes == {}
    assert manifest.patches == ()


def test_a_repo_id_alone_means_main() -> None:
    source = parse(SMALL.replace('path = "models/x"', 'repo_id = "gpt2"'), "x").source
    assert source == HubSource(repo_id=RepoId(None, "gpt2"), revision="main")


def test_slug_and_snapshot_id_say_what_a_path_is() -> None:
    text = SMALL + 'slug = "Qwen--Qwen3.5-2B"\nsnapshot_id = "content"\n'
    assert parse(text, "x").source == PathSource(
        path="models/x", slug=RepoId("Qwen", "Qwen3.5-2B"), snapshot_id="content"
    )


def test_all_problems_come_at_once_in_the_order_of_the_document() -> None:
    text = """
pnmae = "p"
base_version = 1.0
layout = "daul"
[source]
path = "x"
slug = "a/b"
[vllm]
dtype = 1979-05-27
[[patch]]
file = "../config.json"
"""
    assert problems_of(text, "x.y") == [
        "'x.y' is not a manifest name: 1 to 200 letters, digits and dashes, no dash first "
        "(rename the file; pname may keep its dots)",
        "pnmae: unknown key: expected one of pname, base_version, layout, triton_model_name, storage, runtimes, "
        "targets, source, allow, vllm, sglang, triton, patch (did you mean 'pname'?)",
        "pname: missing: expected a string",
        "base_version: unexpected type: expected a string, found 1.0",
        "layout: unknown value: expected one of dual, single, hf, found \"daul\" (did you mean 'dual'?)",
        "source.slug: 'a/b' is not a slug: write 'a--b'",
        "source.snapshot_id: missing beside slug: expected both of slug and snapshot_id, or neither",
        "vllm.dtype: a date or time is no JSON value: found 1979-05-27 (write it as a string)",
        "patch[0].file: '../config.json' is not a relative path inside the directory: it has the part '..'",
        "patch[0].reason: missing: expected a string",
        "patch[0].set: the patch changes nothing: expected one of set, delete, merge, replace",
    ]


def test_a_problem_is_data() -> None:
    with pytest.raises(ManifestProblems) as caught:
        parse(edited(storage='storage = "lnked"'), "x")
    (problem,) = caught.value.problems
    assert problem.path == "storage"
    assert problem.message == "unknown value"
    assert problem.expected == "one of linked, self-contained"
    assert problem.found == '"lnked"'
    assert problem.hint == "did you mean 'linked'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "not TOML: Invalid value (at end of document)"),
        ("a = 1\na = 2\n", "not TOML: Cannot overwrite a value (at line 2, column 6)"),
        ("a = " + "[" * 5000, "not TOML: nested too deep"),
        ("a = " + "1" * 5000, "not TOML: Exceeds the limit"),
    ],
)
def test_bad_toml_says_where(text: str, message: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        # names and versions
        (edited(pname='pname = "a b"'), "pname", "' ' cannot be in a store name"),
        (edited(pname='pname = ""'), "pname", "1 to 211 characters"),
        (edited(pname='pname = "-a"'), "pname", "starts with '-'"),
        (edited(pname='pname = "models"'), "pname", "directory that every package has"),
        (edited(pname=f'pname = "{"a" * 165}"'), "pname", "found 212"),
        (edited(base_version='base_version = "1.0+x"'), "base_version", "is not a base version"),
        (edited(base_version='base_version = "1-0"'), "base_version", "is not a base version"),
        (edited(base_version='base_version = "v1"'), "base_version", "is not a base version"),
        (edited(base_version='base_version = ""'), "base_version", "is not a base version"),
        # Triton's name
        (edited(triton_model_name=""), "triton_model_name", "missing, layout 'dual' needs it"),
        (edited(triton_model_name="", layout='layout = "single"'), "triton_model_name", "'single' needs it"),
        (edited(layout='layout = "hf"'), "triton_model_name", "layout 'hf' has no Triton directory"),
        (edited(triton_model_name='triton_model_name = "hub"'), "triton_model_name", "Hub cache"),
        (edited(triton_model_name='triton_model_name = "a/b"'), "triton_model_name", "no dot or dash first"),
        (edited(triton_model_name='triton_model_name = ".."'), "triton_model_name", "no dot or dash first"),
        (edited(triton_model_name='triton_model_name = "a_ensemble"'), "triton_model_name", "'_ensemble'"),
        (edited(triton_model_name='triton_model_name = "a_preprocessing"'), "triton_model_name", "ends in"),
        (edited(triton_model_name='triton_model_name = "a_postprocessing"'), "triton_model_name", "ends in"),
        (edited(layout=""), "layout", "missing"),
        # runtimes
        (edited(runtimes='runtimes = { vllm = "new" }'), "runtimes.vllm", "not a version specifier"),
        (edited(runtimes='runtimes = { vlm = ">=1" }'), "runtimes.vlm", "did you mean 'vllm'?"),
        (edited(runtimes="runtimes = 3"), "runtimes", "expected a table, found 3"),
        # source
        (edited(revision='revision = "a..b"'), "source.revision", "not a branch, tag or commit"),
        (edited(revision='revision = ""'), "source.revision", "not a branch, tag or commit"),
        (edited(repo_id='repo_id = "a/b/c"'), "source.repo_id", "has 3 parts"),
        (edited(repo_id='repo_id = "a/b"\npath = "x"', revision=""), "source.path", "exclude each other"),
        (edited(repo_id="", revision=""), "source.repo_id", "missing: expected one of repo_id"),
        (edited(repo_id='repo_id = "a/b"\nslug = "a--b"'), "source.slug", "only a path needs it"),
        (edited(repo_id='repo_id = "a/b"\nstorage = "linked"'), "source.storage", "belongs at the top"),
        (edited(include="include = []"), "source.include", "selects nothing"),
        (edited(include='include = "*"'), "source.include", 'expected a list of strings, found "*"'),
        (edited(include='include = ["a", 2]'), "source.include[1]", "expected a string, found 2"),
        (edited(include='include = ["a", ""]'), "source.include[1]", "expected a glob pattern"),
        (edited(exclude='exclude = [""]'), "source.exclude[0]", "expected a glob pattern"),
        (edited(exclude="allow_pickle = 1"), "source.allow_pickle", "expected true or false, found 1"),
        (SMALL.replace('"models/x"', '""'), "source.path", "is not a path"),
        (SMALL + 'revision = "main"', "source.revision", "a path has no revision"),
        (SMALL + 'snapshot_id = "abc"', "source.slug", "missing beside snapshot_id"),
        (SMALL + 'slug = "a--b"\nsnapshot_id = "a/b"', "source.snapshot_id", "is not a snapshot id"),
        (SMALL.replace("[source]", "[sources]"), "source", "missing: expected a table"),
        ("repo_id = 'x'" + SMALL, "repo_id", "it belongs in [source]"),
        # engine parameters
        (edited(dtype='model = "x"'), "vllm.model", "the package sets it itself"),
        (edited(dtype='[triton]\nrevision = "x"'), "triton.revision", "the package sets it itself"),
        (edited(dtype='storage = "linked"'), "vllm.storage", "it belongs at the top"),
        (edited(dtype="x = [{ a = nan }]"), "vllm.x[0].a", "64 bits, finite, found NaN"),
        (edited(dtype="x = -inf"), "vllm.x", "64 bits, finite"),
        (edited(dtype=f"x = {2**63}"), "vllm.x", "64 bits, finite"),
        (edited(dtype="x = [07:32:00]"), "vllm.x[0]", "a date or time"),
        ("vllm = 1" + SMALL, "vllm", "expected a table, found 1"),
        # patches
        (edited(file='file = "/etc/x"'), "patch[0].file", "it is absolute"),
        (edited(file='file = "a.safetensors"'), "patch[0].file", "a weight file cannot be patched"),
        (edited(file='file = "README.md"'), "patch[0].set", "only .json files can be edited by key"),
        (edited(file='file = "README.md"', set='replace = "x"'), "patch[0].when", "only .json files"),
        (edited(reason='reason = " "'), "patch[0].reason", "empty"),
        (edited(set="set = {}"), "patch[0].set", "empty"),
        (edited(when="when = {}"), "patch[0].when", "empty"),
        (edited(when="delete = []"), "patch[0].delete", "empty"),
        (edited(when="merge = {}"), "patch[0].merge", "empty"),
        (edited(when="when = { a = 1979-05-27 }"), "patch[0].when.a", "a date or time"),
        (edited(when='replace = "x"'), "patch[0].replace", "it excludes set"),
        (edited(set='replace = "../x"'), "patch[0].replace", "it has the part '..'"),
        (edited(set="sett = 1"), "patch[0].sett", "did you mean 'set'?"),
        ("patch = [1]" + SMALL, "patch[0]", "expected a table, found 1"),
        ("patch = 1" + SMALL, "patch", "expected a list of tables, found 1"),
    ],
)
def test_a_rule_names_its_place(text: str, place: str, message: str) -> None:
    found = problems_of(text)
    assert any(line.startswith(f"{place}: ") and message in line for line in found), found


@pytest.mark.parametrize("name", ["", "-a", "a.b", "a_b", "a/b", "é", "a" * 201])
def test_bad_manifest_names(name: str) -> None:
    (problem,) = problems_of(SMALL, name)
    assert "is not a manifest name" in problem


@pytest.mark.parametrize("version", ["1", "1.0.0", "2.1rc1", "1.0.post2", "2024.05.1a.b2"])
def test_good_base_versions(version: str) -> None:
    assert parse(SMALL.replace('"1"', f'"{version}"'), "x").base_version == version


def test_the_longest_store_name_is_allowed() -> None:
    pname = "a" * (211 - len("-1+") - 40)
    assert parse(SMALL.replace('"p"', f'"{pname}"'), "x").pname == pname


def test_the_largest_integers_are_allowed() -> None:
    manifest = parse(SMALL + f"[vllm]\na = {2**63 - 1}\nb = -{2**63}\nc = true\nd = []\n", "x")
    assert manifest.vllm == {"a": 2**63 - 1, "b": -(2**63), "c": True, "d": []}


def test_targets_are_gpus_by_name() -> None:
    assert parse(f'targets = ["L4", "2x H100"]\n{SMALL}', "x").targets == ("L4", "2x H100")
    assert "is not a GPU" in problems_of(f'targets = [" "]\n{SMALL}', "x")[0]
    assert "it belongs at the top" in problems_of(SMALL + 'targets = ["L4"]\n', "x")[0]
