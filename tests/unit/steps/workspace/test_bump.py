from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import tiny_model, write_flat

from hf_pack.errors import UsageError
from hf_pack.steps.workspace.bump import bump, next_version


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--tiny", tiny_model()))
    return bench


def commit(bench: Bench, message: str) -> str:
    root = bench.workspace.root
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", message, "--allow-empty"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1.0.0", "1.0.1"),
        ("1.0.9", "1.0.10"),
        ("1.9", "1.10"),
        ("7", "8"),
        ("2.0rc1", "2.0rc2"),
        ("1.0.post9", "1.0.post10"),
        ("1.0a", "1.1a"),
    ],
)
def test_next_version(before: str, after: str) -> None:
    assert next_version(before) == after


def test_without_git_the_base_version_is_raised_each_time(bench: Bench) -> None:
    comment = "# a comment of mine\n"
    bench.manifest("tiny").write_text(comment + bench.manifest("tiny").read_text())
    version, meta = bump("tiny", "Second.", bench.workspace)
    assert (version, meta.build_version, meta.changelog) == ("1.0.1+0000000", 2, "Second.")
    assert bump("tiny", "Third.", bench.workspace)[0] == "1.0.2+0000000"
    text = bench.manifest("tiny").read_text()
    assert text.startswith(comment) and 'base_version = "1.0.2"' in text
    package = bench.load("tiny")  # the lock is still fresh
    assert (package.version, package.build_meta.build_version) == ("1.0.2+0000000", 3)


def test_a_moved_head_alone_changes_the_version(bench: Bench) -> None:
    head = commit(bench, "one")
    version, meta = bump("tiny", "Second.", bench.workspace)
    assert (version, meta.git_rev) == (f"1.0.0+{head[:7]}", head)
    assert bump("tiny", "Third.", bench.workspace)[0] == f"1.0.1+{head[:7]}"
    newer = commit(bench, "two")
    assert bump("tiny", "Fourth.", bench.workspace)[0] == f"1.0.1+{newer[:7]}"


def test_a_package_without_metadata_gets_its_first(bench: Bench) -> None:
    (bench.workspace.root / "build-meta" / "tiny.json").unlink()
    version, meta = bump("tiny", "Initial package.", bench.workspace)
    assert (version, meta.build_version) == ("1.0.0+0000000", 1)
    assert bench.load("tiny").build_meta == meta


def test_force_increment_is_kept(bench: Bench) -> None:
    text = bench.files()["build-meta/tiny.json"]
    bench.workspace.write("build-meta/tiny.json", text.replace(b'"force_increment": 0', b'"force_increment": 4'))
    assert bump("tiny", "x", bench.workspace)[1].force_increment == 4


def test_a_bumped_package_is_another_object_of_the_same_weights(bench: Bench) -> None:
    first = bench.build("tiny").info
    bump("tiny", "x", bench.workspace)
    second = bench.build("tiny")
    assert second.info.store_path.name == "tiny-1.0.1+0000000"
    assert second.info.references == first.references
    assert bench.notes.lines == []


def test_a_package_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(UsageError):
        bump("other", "x", bench.workspace)
