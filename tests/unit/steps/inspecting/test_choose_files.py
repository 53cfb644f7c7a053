from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.models import as_json, gguf, tiny_model

from hf_pack.errors import Error, ManifestError, SourceError
from hf_pack.model.manifest import Selection
from hf_pack.model.selection import Selected
from hf_pack.steps.inspecting.choose_files import choose


def chosen(files: Mapping[str, bytes], selection: Selection | None = None) -> Selected:
    sizes = [(path, len(data)) for path, data in files.items()]
    return choose("/model", sizes, selection or Selection(), files.__getitem__)


def refused(files: Mapping[str, bytes], kind: type[Error], selection: Selection | None = None) -> tuple[str, str]:
    with pytest.raises(Error) as caught:
        chosen(files, selection)
    assert type(caught.value) is kind
    return caught.value.message, caught.value.hint


def test_remote_code_and_side_files_are_known_by_content_and_name() -> None:
    files = tiny_model(
        config={"auto_map": {"AutoModel": "modeling_x.X"}},
        extra={"modeling_x.py": b"", "train.py": b"", "FINGERPRINT.json": b"{}", "CHECKSUMS.sha256.json": b"{}"},
    )
    selected = chosen(files)
    assert "modeling_x.py" in selected.files
    assert {file.path: file.reason for file in selected.omitted} == {
        ".gitattributes": "hidden file",
        "CHECKSUMS.sha256.json": "checksums of the other files, verified and then left out",
        "FINGERPRINT.json": "the quantizer's inputs, kept in the lock instead",
        "train.py": "code that no auto_map names",
    }


def test_a_pattern_that_matches_nothing() -> None:
    assert refused(tiny_model(), ManifestError, Selection(include=("*.json", "*.safetensor"))) == (
        'source.include: no file of /model matches "*.safetensor"',
        "see the file names with `ls`; a pattern speaks of the whole path, and * crosses /",
    )


def test_several_quantizations() -> None:
    assert refused({"m-Q8_0.gguf": gguf(), "m-Q4_K_M.gguf": gguf()}, SourceError) == (
        "/model: expected one GGUF quantization, found 2: Q4_K_M, Q8_0",
        "hf-pack add SOURCE --file '*Q4_K_M*', or in the manifest, under [source]: "
        'include = ["*Q4_K_M*", "*.json", "README*", "LICENSE*"]',
    )


def test_pickles_are_chosen_and_left_to_the_gates() -> None:
    pair = {"a-00001-of-00002.bin": b"x", "a-00002-of-00002.bin": b"x"}
    assert set(pair) < set(chosen({"config.json": as_json({}), **pair}).files)
    files = tiny_model(extra={"pytorch_model.bin": b"x"})
    assert "pytorch_model.bin" in chosen(files, Selection(include=("*",))).files


def test_no_weights() -> None:
    hint = "is the model whole? otherwise name its weights with include under [source] in a manifest"
    start = "/model: expected weights (safetensors, GGUF, or pickles with allow_pickle), "
    assert refused({"config.json": b"{}"}, SourceError) == (f"{start}found none", hint)
    assert refused({"config.json": b"{}", "model.safetensors.index.json": b"{}"}, SourceError) == (
        f"{start}found model.safetensors.index.json without any of the shards that it lists",
        hint,
    )
    assert refused({"config.json": b"{}", "flax_model.msgpack": b"x"}, SourceError) == (
        f"{start}found flax_model.msgpack (Flax weights, a duplicate format)",
        hint,
    )
