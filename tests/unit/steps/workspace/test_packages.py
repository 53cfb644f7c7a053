from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import tiny_model, write_flat

from hf_pack.errors import LockError, ManifestError, UsageError
from hf_pack.steps.workspace import packages


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--tiny-llm", tiny_model()))
    return bench


def replace(bench: Bench, before: str, after: str) -> None:
    text = bench.manifest("tiny-llm").read_text()
    assert before in text
    bench.manifest("tiny-llm").write_text(text.replace(before, after))


def why(bench: Bench) -> str:
    with pytest.raises(LockError) as caught:
        bench.load("tiny-llm")
    assert caught.value.exit_code == 3
    assert caught.value.hint.startswith("hf-pack lock tiny-llm")
    return caught.value.message


def test_a_fresh_package_is_loaded_whole(bench: Bench) -> None:
    package = bench.load("tiny-llm")
    assert package.version == "1.0.0+0000000"
    assert package.plan is package.plan
    assert package.plan.name == "tiny-llm-1.0.0+0000000"
    assert package.record is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('base_version = "1.0.0"', 'base_version = "2.0.0"'),
        ('layout = "dual"', 'layout = "single"'),
        ('storage = "linked"', 'storage = "self-contained"'),
        ("max_model_len = 64", "max_model_len = 32"),
        ('pname = "tiny-llm"', 'pname = "other"'),
    ],
)
def test_what_decides_no_file_leaves_the_lock_fresh(bench: Bench, before: str, after: str) -> None:
    digest = bench.load("tiny-llm").plan.digest()
    replace(bench, before, after)
    assert bench.load("tiny-llm").plan.digest() != digest


def test_every_reason_of_a_stale_lock_is_said_at_once(bench: Bench) -> None:
    replace(bench, "[source]", '[source]\ninclude = ["*.safetensors"]')
    bench.append("tiny-llm", '\n[[patch]]\nfile = "config.json"\nset = { a = 1 }\nreason = "r"\n')
    files = bench.workspace.root / "models" / "tiny-llm.files"
    (files / "LICENSE").unlink()
    (files / "config.json").write_bytes(b"{}")
    (files / "stranger").write_bytes(b"")
    message = why(bench)
    assert message.startswith("tiny-llm: the lock is stale\n")
    for words in (
        "source.include: locked with the default choice",
        "patch[0]: new, changes config.json",
        "LICENSE: the lock names it, but it does not lie beside the lock",
        "config.json: beside the lock with 2 bytes",
        "stranger: lies beside the lock, which does not name it",
    ):
        assert words in message


def test_a_missing_lock(bench: Bench) -> None:
    (bench.workspace.root / "models" / "tiny-llm.lock").unlink()
    assert why(bench) == "tiny-llm is not locked\n  models/tiny-llm.lock: not there"


def test_an_unreadable_lock(bench: Bench) -> None:
    bench.workspace.write("models/tiny-llm.lock", b"{")
    assert why(bench).startswith("models/tiny-llm.lock: ")


def test_a_lock_of_another_layout_version(bench: Bench) -> None:
    lock = bench.workspace.root / "models" / "tiny-llm.lock"
    text = lock.read_text()
    assert '"layout_version": 1' in text
    lock.write_text(text.replace('"layout_version": 1', '"layout_version": 7'))
    assert "layout_version: expected 1, found 7" in why(bench)


def test_a_bad_manifest_says_all_its_problems(bench: Bench) -> None:
    bench.manifest("tiny-llm").write_text('pname = ".x"\nlayout = "triple"\nextra = 1\n')
    with pytest.raises(ManifestError) as caught:
        bench.load("tiny-llm")
    first, *lines = caught.value.message.split("\n")
    assert first == f"models/tiny-llm.toml: {len(lines)} problems"
    for word in ("pname", "layout", "extra", "base_version", "source"):
        assert any(word in line for line in lines), word


def test_a_manifest_that_is_no_text(bench: Bench) -> None:
    bench.manifest("tiny-llm").write_bytes(b'pname = "\xff"')
    with pytest.raises(ManifestError, match="not UTF-8 at byte 9"):
        bench.load("tiny-llm")


def test_no_manifest_is_a_usage_error(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"models/other\.toml: not there"):
        packages.load(bench.workspace, "other")


def test_build_metadata_that_is_missing_or_wrong(bench: Bench) -> None:
    bench.workspace.write("build-meta/tiny-llm.json", b'{"build_version": "1"}')
    with pytest.raises(ManifestError, match=r"build-meta/tiny-llm\.json: build_version: expected int"):
        bench.load("tiny-llm")
    (bench.workspace.root / "build-meta" / "tiny-llm.json").unlink()
    with pytest.raises(ManifestError) as caught:
        bench.load("tiny-llm")
    assert caught.value.hint == "hf-pack bump tiny-llm -m 'Initial package.'"


def test_a_damaged_record_is_a_lock_error(bench: Bench) -> None:
    bench.workspace.write("models/tiny-llm.record", b"{}")
    with pytest.raises(LockError, match=r"models/tiny-llm\.record: store_path: missing") as caught:
        bench.load("tiny-llm")
    assert caught.value.hint == "rm models/tiny-llm.record && hf-pack build tiny-llm"
