from __future__ import annotations

import pytest

from hf_pack.model.file_names import CASE_HACK, colliding, is_bookkeeping, path_problem, shown


@pytest.mark.parametrize(
    "path",
    [
        ".git/HEAD",
        ".cache/huggingface/download/config.json.metadata",
        "sub/.cache/x",
        ".locks/models--a--b/x.lock",
        "model.safetensors.lock",
        ".no_exist/abc/adapter_config.json",
        "trees/1110a243fdf4706b3f48f1d95db1a4f5529b4d41.json",
        ".msc",
        ".mdl",
        ".mv",
        "CACHEDIR.TAG",
        ".DS_Store",
        "._config.json",
        "__MACOSX/config.json",
        "config.json~",
        ".config.json.swp",
        "__pycache__/modeling.cpython-311.pyc",
        ".ipynb_checkpoints/x.ipynb",
    ],
)
def test_bookkeeping(path: str) -> None:
    assert is_bookkeeping(path)


@pytest.mark.parametrize(
    "path", ["config.json", ".gitattributes", ".gitignore", "trees/oak/model.safetensors", "sub/trees/x.json", "git/x"]
)
def test_files_of_the_model(path: str) -> None:
    assert not is_bookkeeping(path)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/passwd", "expected a relative path with usable names, but it is absolute"),
        ("C:/x", "expected a relative path with usable names, but it starts with a drive"),
        ("", "expected a relative path with usable names, but it is empty"),
        ("a/../b", "expected a relative path with usable names, but it has the part '..'"),
        ("a//b", "expected a relative path with usable names, but it has the part ''"),
        ("é" * 128, "expected a relative path with usable names, but a part is longer than 255 bytes"),
        ("a\nb", "expected a name without control characters"),
        ("a\x7f", "expected a name without control characters"),
        ("a\udcff", "expected a name in UTF-8, found other bytes"),
        ("a\\b", "expected a name without backslashes"),
        (f"a{CASE_HACK}1", f"expected a name without {CASE_HACK!r}, which Nix cuts off on macOS"),
    ],
)
def test_paths_that_cannot_be_packaged(path: str, problem: str) -> None:
    assert path_problem(path) == problem


@pytest.mark.parametrize(
    "path", ["config.json", "1_Pooling/config.json", "ünï cødé.txt", "a..b", "é" * 127, "-x", "$(x)"]
)
def test_paths_that_can(path: str) -> None:
    assert path_problem(path) is None


def test_shown_escapes_what_would_garble_a_terminal() -> None:
    assert shown("modèle.bin") == "modèle.bin"
    assert shown("a\x1b[2J\udcff") == "a\\x1b[2J\\udcff"


def test_colliding() -> None:
    assert colliding(["config.json", "model.bin", "tokenizer/x"]) == ()
    assert colliding(["Config.json", "config.json"]) == (("Config.json", "config.json"),)
    assert colliding(["A/x", "a/y"]) == (("A", "a"),)
    assert colliding(["\u00e9.txt", "e\u0301.txt"]) == (("e\u0301.txt", "\u00e9.txt"),)
    assert colliding(["stra\u00dfe", "STRASSE"]) == (("STRASSE", "stra\u00dfe"),)
