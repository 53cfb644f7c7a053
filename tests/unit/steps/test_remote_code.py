from __future__ import annotations

from collections.abc import Mapping

from tests.models import as_json

from hf_pack.steps.remote_code import needed_code


def needed(files: Mapping[str, bytes]) -> tuple[str, ...]:
    return needed_code(files.keys(), files.__getitem__)


def auto_map(**classes: str | list[str | None]) -> bytes:
    return as_json({"auto_map": classes})


def test_what_each_configuration_names() -> None:
    files = {
        "config.json": auto_map(AutoConfig="configuration_x.X", AutoModel="modeling_x.X"),
        "tokenizer_config.json": auto_map(AutoTokenizer=["tokenization_x.T", None]),
        "processor_config.json": auto_map(AutoProcessor="processing_x.P"),
        "preprocessor_config.json": auto_map(AutoImageProcessor="image_x.I"),
        "configuration_x.py": b"",
        "modeling_x.py": b"",
        "tokenization_x.py": b"",
        "processing_x.py": b"",
        "image_x.py": b"",
        "train.py": b"",
    }
    assert needed(files) == (
        "configuration_x.py",
        "image_x.py",
        "modeling_x.py",
        "processing_x.py",
        "tokenization_x.py",
    )


def test_relative_imports_are_followed_and_others_are_not() -> None:
    files = {
        "config.json": auto_map(AutoModel="modeling_x.X"),
        "modeling_x.py": b"import torch\nfrom .layers import Layer\nfrom . import rope, absent\nfrom train import x\n"
        b"def f():\n    from .pkg.deep import y\n",
        "layers.py": b"from .modeling_x import X\n",
        "rope.py": b"",
        "pkg/deep.py": b"from ..util import z\nfrom . import sibling\n",
        "pkg/sibling.py": b"",
        "util.py": b"",
        "train.py": b"",
    }
    assert needed(files) == (
        "layers.py",
        "modeling_x.py",
        "pkg/deep.py",
        "pkg/sibling.py",
        "rope.py",
        "util.py",
    )


def test_code_of_another_repository_and_missing_code_are_not_named() -> None:
    files = {"config.json": auto_map(AutoModel="acme/code--modeling_x.X", AutoConfig="gone.X"), "modeling_x.py": b""}
    assert needed(files) == ()


def test_modules_of_sentence_transformers() -> None:
    modules = [{"type": "sentence_transformers.models.Pooling"}, {"type": "custom_st.Transformer"}, {"type": 1}, 2]
    files = {"modules.json": as_json(modules), "custom_st.py": b""}
    assert needed(files) == ("custom_st.py",)


def test_broken_files_name_nothing() -> None:
    files = {
        "config.json": auto_map(AutoModel="a.X"),
        "tokenizer_config.json": b"{",
        "modules.json": b"{}",
        "a.py": b"def (",
    }
    assert needed(files) == ("a.py",)
