from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hf_pack import durable
from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.errors import UsageError
from hf_pack.model import workspace_document
from hf_pack.ports import Workspace

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceOnDisk:
    return WorkspaceOnDisk.create(tmp_path / "w")


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_the_port(workspace: WorkspaceOnDisk) -> None:
    port: Workspace = workspace
    assert port.root.is_absolute()


def test_create_makes_the_files_of_a_workspace(workspace: WorkspaceOnDisk) -> None:
    names = sorted(path.name for path in workspace.root.iterdir())
    assert names == [".gitignore", "build-meta", "hf-pack.toml", "models"]
    assert (workspace.root / ".gitignore").read_text() == "/result\nresult-*\n*.hf-pack-tmp\n"
    text = (workspace.root / "hf-pack.toml").read_text()
    assert workspace_document.parse(text) == workspace_document.WorkspaceSettings()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a", "a\n/result\nresult-*\n*.hf-pack-tmp\n"),
        ("a\r\n/result\r\nresult-*\r\n", "a\r\n/result\r\nresult-*\r\n*.hf-pack-tmp\n"),
        ("*.hf-pack-tmp\nresult-*\n/result\n", "*.hf-pack-tmp\nresult-*\n/result\n"),
    ],
)
def test_create_adds_to_a_gitignore(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / ".gitignore").write_bytes(before.encode())
    WorkspaceOnDisk.create(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == after.encode()


def test_create_refuses_a_workspace_and_changes_nothing(workspace: WorkspaceOnDisk) -> None:
    (workspace.root / "hf-pack.toml").write_text("# mine\n")
    with pytest.raises(UsageError, match="is a workspace already"):
        WorkspaceOnDisk.create(workspace.root)
    assert (workspace.root / "hf-pack.toml").read_text() == "# mine\n"


def test_create_where_a_file_lies_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        WorkspaceOnDisk.create(tmp_path / "w")
    assert str(tmp_path / "w") in caught.value.message


def test_find_walks_up(workspace: WorkspaceOnDisk) -> None:
    inner = workspace.root / "models" / "a" / "b"
    inner.mkdir(parents=True)
    assert WorkspaceOnDisk.find(inner).root == workspace.root
    assert WorkspaceOnDisk.find(workspace.root).root == workspace.root


def test_find_without_a_workspace_says_init(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        WorkspaceOnDisk.find(tmp_path)
    assert caught.value.hint == "hf-pack init"
    assert str(tmp_path) in caught.value.message


def test_names_are_the_stems_of_manifests(workspace: WorkspaceOnDisk) -> None:
    assert workspace.names() == ()
    for name in ("b.toml", "a.toml", "a.lock", ".b.toml", "c.toml.hf-pack-tmp"):
        workspace.write(f"models/{name}", b"")
    (workspace.root / "models" / "d.toml").mkdir()
    assert workspace.names() == ("a", "b")
    shutil.rmtree(workspace.root / "models")
    assert workspace.names() == ()


def test_what_is_written_is_read(workspace: WorkspaceOnDisk) -> None:
    assert workspace.read("build-meta/x.json") is None
    assert workspace.read("hf-pack.toml/x") is None
    workspace.write("new/x.json", b"1")
    workspace.write("new/x.json", b"2")
    assert workspace.read("new/x.json") == b"2"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "models/../../x", "a//b", "a\0b"])
def test_no_path_leads_out(workspace: WorkspaceOnDisk, path: str) -> None:
    with pytest.raises(UsageError, match="not a path in the workspace"):
        workspace.read(path)
    with pytest.raises(UsageError, match="not a path in the workspace"):
        workspace.write(path, b"")


def test_no_name_leads_out(workspace: WorkspaceOnDisk) -> None:
    with pytest.raises(UsageError):
        workspace.kept_files("../x")
    with pytest.raises(UsageError):
        workspace.link_result("/../../x", Path("y"))
    with pytest.raises(UsageError):
        workspace.replace_kept_files("x", [("../a", b"")])


def test_a_directory_for_a_file_is_a_usage_error(workspace: WorkspaceOnDisk) -> None:
    with pytest.raises(UsageError) as caught:
        workspace.read("models")
    assert f"{workspace.root / 'models'}: Is a directory" in caught.value.message
    with pytest.raises(UsageError):
        workspace.write("models", b"")


def test_a_file_for_the_kept_files_is_a_usage_error(workspace: WorkspaceOnDisk) -> None:
    (workspace.root / "models" / "x.files").write_bytes(b"")
    with pytest.raises(UsageError, match="Not a directory"):
        workspace.kept_files("x")


def test_kept_files_are_exactly_what_was_given(workspace: WorkspaceOnDisk) -> None:
    assert workspace.kept_files("x") == ()
    workspace.replace_kept_files("x", [("b/c.json", b"2"), ("a.json", b"1")])
    assert workspace.kept_files("x") == ("a.json", "b/c.json")
    assert workspace.read("models/x.files/b/c.json") == b"2"
    workspace.replace_kept_files("x", [("a.json", b"3")])
    assert workspace.kept_files("x") == ("a.json",)
    assert workspace.read("models/x.files/a.json") == b"3"
    workspace.replace_kept_files("x", [])
    assert workspace.kept_files("x") == ()
    assert not (workspace.root / "models" / "x.files").exists()


def test_equal_kept_files_are_not_written_again(workspace: WorkspaceOnDisk) -> None:
    workspace.replace_kept_files("x", [("a", b"1"), ("b", b"2")])
    before = (workspace.root / "models/x.files/a").stat()
    workspace.replace_kept_files("x", [("b", b"2"), ("a", b"1")])
    after = (workspace.root / "models/x.files/a").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_killed_replacement_is_mended_by_any_reader(workspace: WorkspaceOnDisk) -> None:
    workspace.replace_kept_files("x", [("a", b"1")])
    models = workspace.root / "models"
    for look in (lambda: workspace.read("models/x.files/a"), lambda: workspace.kept_files("x")):
        # Between its two renames: the old directory moved away, the new one not yet in its place.
        (models / "x.files").rename(models / ".x.files.old.hf-pack-tmp")
        (models / ".x.files.new.hf-pack-tmp").mkdir()
        assert look() in (b"1", ("a",))
        assert sorted(path.name for path in models.iterdir()) == ["x.files"]


def test_a_duplicate_kept_file_is_refused_and_the_old_ones_stay(workspace: WorkspaceOnDisk) -> None:
    workspace.replace_kept_files("x", [("a", b"1")])
    with pytest.raises(UsageError):
        workspace.replace_kept_files("x", [("b", b"1"), ("b", b"2")])
    assert workspace.kept_files("x") == ("a",)


def test_the_result_link_moves(workspace: WorkspaceOnDisk) -> None:
    assert workspace.link_result("x", Path("/one")) == workspace.root / "result-x"
    workspace.link_result("x", Path("/two"))
    assert (workspace.root / "result-x").readlink() == Path("/two")


def test_the_result_link_spares_a_file_of_the_users(workspace: WorkspaceOnDisk) -> None:
    (workspace.root / "result-x").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not a link"):
        workspace.link_result("x", Path("/one"))
    assert (workspace.root / "result-x").read_bytes() == b"mine"


@needs_git
def test_git_head_is_the_commit_of_the_repository_around(workspace: WorkspaceOnDisk) -> None:
    around = workspace.root.parent
    git(around, "init", "-q")
    assert workspace.git_head() is None
    git(around, "commit", "-q", "--allow-empty", "-m", "first")
    assert workspace.git_head() == git(around, "rev-parse", "HEAD")


@needs_git
def test_a_file_is_read_at_a_revision(workspace: WorkspaceOnDisk) -> None:
    git(workspace.root.parent, "init", "-q")
    workspace.write("models/x.lock", b"old")
    git(workspace.root, "add", "models")
    git(workspace.root, "commit", "-q", "-m", "first")
    workspace.write("models/x.lock", b"new")
    assert workspace.read_at("HEAD", "models/x.lock") == b"old"
    assert workspace.read_at("HEAD", "models/y.lock") is None
    assert workspace.read_at("--output=/x", "models/x.lock") is None
    assert workspace.read_at("nowhere", "models/x.lock") is None


def test_exists_is_about_files(workspace: WorkspaceOnDisk) -> None:
    assert workspace.exists("hf-pack.toml")
    assert not workspace.exists("models")
    assert not workspace.exists("x")


def test_git_head_without_git_is_none(workspace: WorkspaceOnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert workspace.git_head() is None


@pytest.mark.parametrize(("code", "hint"), [(errno.EACCES, "ls -ld {}; "), (errno.ENOSPC, "free some space and run")])
def test_what_the_disk_refuses_names_the_file_that_a_person_knows(
    workspace: WorkspaceOnDisk, monkeypatch: pytest.MonkeyPatch, code: int, hint: str
) -> None:
    def refuse(path: Path, contents: bytes) -> None:
        raise OSError(code, os.strerror(code), str(path.with_name(f".x{durable.SUFFIX}")))

    monkeypatch.setattr(durable, "replace_file", refuse)
    with pytest.raises(UsageError) as caught:
        workspace.write("models/m.toml", b"")
    assert caught.value.message.endswith(f"\n  {workspace.root}/models/m.toml: {os.strerror(code)}")
    assert caught.value.hint.startswith(hint.format(workspace.root / "models"))
