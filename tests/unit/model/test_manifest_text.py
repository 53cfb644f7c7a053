from __future__ import annotations

import re

import pytest

from hf_pack.model.hub_ids import RepoId
from hf_pack.model.manifest import HubSource, Layout, Manifest, Patch, PathSource, Selection, Storage
from hf_pack.model.manifest_document import parse
from hf_pack.model.manifest_text import set_base_version, write

PLAIN = Manifest(
    name="x",
    pname="x",
    base_version="1.0.0",
    layout=Layout.DUAL,
    storage=Storage.LINKED,
    triton_model_name="x",
    source=PathSource(path="~/models/x"),
    selection=Selection(),
    vllm={"max_model_len": 4096},
)
PATCH = Patch(file="config.json", reason="why", set={"a.b": {"c d": [1, True, 'q"\x7f']}}, delete=("e",))

COMMENTED = """\
# mine
pname = "x"
base_version  =  "1.0.0"   # as released
layout = "hf"

# the source
[source]
path = "y"     # here
"""


def test_a_manifest_reads_like_the_design() -> None:
    assert write(PLAIN, comments=("licence: mit", "two\nlines")) == (
        "# licence: mit\n"
        "# two lines\n"
        'pname = "x"\n'
        'base_version = "1.0.0"\n'
        'layout = "dual"                      # "dual" | "single" (Triton only) | "hf" (Hub cache only)\n'
        'triton_model_name = "x"              # layouts single and dual\n'
        'storage = "linked"                   # "linked" | "self-contained"\n'
        '# runtimes = { vllm = ">=0.30" }     # what the package is for\n'
        "\n"
        "[source]\n"
        'path = "~/models/x"\n'
        '# slug = "org--name"                 # where the path does not say what it is\n'
        '# snapshot_id = "content"            # derived from the files; or a commit\n'
        '# include = ["*.safetensors", "…"]   # instead of the default choice\n'
        '# exclude = ["*.md"]                 # whole paths; * crosses /\n'
        "\n"
        "[vllm]                               # engine parameters -> model-defaults.json, model.json\n"
        "max_model_len = 4096\n"
        "\n"
        "# [sglang]                           # overrides or adds to [vllm] for SGLang\n"
        "\n"
        "# [triton]                           # overrides or adds to [vllm] for Triton\n"
        "\n"
        "# [[patch]]                          # changes small text files, recorded in the lock\n"
        '# file = "tokenizer_config.json"\n'
        '# when = { tokenizer_class = "Old" } # must match, or locking fails\n'
        '# set = { tokenizer_class = "New" }  # or delete = ["key"], merge = { … }, '
        'replace = "file beside this"\n'
        '# reason = "why it differs from its source"\n'
    )


def test_the_commented_parts_are_right_when_uncommented() -> None:
    text = re.sub("^# ", "", write(PLAIN), flags=re.M)
    manifest = parse(text, "x")
    assert manifest.source == PathSource(path="~/models/x", slug=RepoId("org", "name"), snapshot_id="content")
    assert manifest.patches[0].set == {"tokenizer_class": "New"}
    assert manifest.runtimes == {"vllm": ">=0.30"}


def test_long_lists_get_a_line_for_each_member() -> None:
    include = tuple(f"shard-{number:02}-of-20.safetensors" for number in range(20))
    text = write(
        Manifest(
            name="x",
            pname="x",
            base_version="1",
            layout=Layout.HF,
            storage=Storage.LINKED,
            source=HubSource(repo_id=RepoId("a", "b"), revision="main"),
            selection=Selection(include=include),
        )
    )
    assert '\n  "shard-07-of-20.safetensors",\n' in text
    assert parse(text, "x").selection.include == include


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [None]])
def test_what_no_manifest_can_hold_is_refused(value: float | None) -> None:
    with pytest.raises(ValueError, match=r"null|JSON compliant"):
        write(
            Manifest(
                name="x",
                pname="x",
                base_version="1",
                layout=Layout.HF,
                storage=Storage.LINKED,
                source=PathSource(path="x"),
                selection=Selection(),
                vllm={"a": value},
            )
        )


@pytest.mark.parametrize("text", [COMMENTED, COMMENTED.replace("\n", "\r\n")])
def test_a_new_version_changes_nothing_else(text: str) -> None:
    assert set_base_version(text, "1.0.1") == text.replace("1.0.0", "1.0.1")
