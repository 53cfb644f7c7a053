from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.bench import Notes
from tests.embedded_stores import add_bytes

from hf_pack import wiring
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.errors import HubError, StoreError, UsageError
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.workspace_template import FILE_NAME
from hf_pack.ports import WantedBlob, Workspace
from hf_pack.steps.building.fetch import Elsewhere, fetch


def url(wanted: str | None, **environ: str) -> str:
    return wiring.open_store(wanted, {"NIX_STATE_DIR": "/nowhere", **environ}).url


def test_a_store_is_named_by_option_then_variable_then_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path.resolve()
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root)
    one, two = str(root / "one"), str(root / "two")
    assert url(one, HF_PACK_STORE=two) == f"local?root={one}"
    assert url(None, HF_PACK_STORE=two) == f"local?root={two}"
    assert url(f"local?root={one}") == url("one") == url("~/one") == f"local?root={one}"
    assert url(None) == url("auto") == url(None, HF_PACK_STORE="") == f"local?root={root}/.local/share/hf-pack"
    assert url(None, XDG_DATA_HOME=one) == f"local?root={one}/hf-pack"


@pytest.mark.parametrize("wanted", ["s3://b", "file:///x", "local", "local?root=", "x?y", "https://h"])
def test_another_kind_of_store_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="no such kind of store"):
        url(wanted)


def test_auto_is_the_nix_store_of_this_machine_where_it_can_be_written(tmp_path: Path) -> None:
    """A state directory that this user can write, and Nix's program: that is how Nix itself decides."""
    environ = {"NIX_STATE_DIR": str(tmp_path), "PATH": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    own = f"local?root={tmp_path.resolve()}/hf-pack"
    assert url("auto", **environ) == own
    assert wiring.store_note(None, environ) is None
    program = tmp_path / "nix-daemon"
    program.write_text("")
    program.chmod(0o755)
    assert url("auto", **environ) == url(None, **environ) == "daemon"
    assert wiring.store_note(None, environ) is not None
    assert wiring.store_note("daemon", environ) is None
    assert wiring.store_note(None, {**environ, "HF_PACK_STORE": own}) is None
    assert url(own, **environ) == own


def test_auto_uses_a_daemon_that_this_user_may_talk_to(tmp_path: Path) -> None:
    environ = {"NIX_REMOTE": "daemon", "NIX_DAEMON_SOCKET_PATH": str(tmp_path / "socket"), "XDG_DATA_HOME": "/own"}
    assert url("auto", **environ) == "local?root=/own/hf-pack"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(environ["NIX_DAEMON_SOCKET_PATH"])
        assert url("auto", **environ) == "daemon"


# --- places beside the manifest's ----------------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("NIX_STATE_DIR", "/nowhere")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return WorkspaceOnDisk.create(tmp_path / "workspace")


def elsewhere(workspace: Workspace, chosen: Path) -> Elsewhere:
    return wiring.open_places(workspace, EmbeddedStore(chosen), Notes()).elsewhere()


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("full", "not a store, and not empty"),
        ("daemon", "not on this machine"),
        ("s3://bucket", "no such kind of store"),
    ],
)
def test_another_store_that_is_broken_is_passed_over(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, variable: str, reason: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a file").write_text("")
    monkeypatch.setenv("NIX_REMOTE", "ssh://nowhere")
    monkeypatch.setenv("HF_PACK_STORE", str(tmp_path / variable) if variable == "full" else variable)
    with pytest.raises((StoreError, UsageError)):
        wiring.open_store()
    (note,) = elsewhere(workspace, tmp_path / "chosen").notes
    assert note.startswith("note: the store ") and variable in note and reason in note and "\n" not in note


def test_caches_of_other_kinds_are_passed_over_and_what_is_no_url_is_an_error(
    tmp_path: Path, workspace: Workspace
) -> None:
    workspace.write(FILE_NAME, b'caches = ["ssh://key:secret@host/a?secret=b", "https://cache.example:444/x"]\n')
    found = elsewhere(workspace, tmp_path / "chosen")
    assert found.notes == ("note: the cache ssh://host/a is passed over: no such kind of cache",)
    assert found.sources[0].name == "https://cache.example:444/x"
    for wrong in ("cache.example", "https://", "http://[", "file://here", "https://host:port/", "file:"):
        workspace.write(FILE_NAME, f'caches = ["{wrong}"]\n'.encode())
        with pytest.raises(UsageError, match="this is not the URL of a cache"):
            elsewhere(workspace, tmp_path / "chosen")


def test_what_another_store_gives_is_kept_from_its_collector(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_PACK_STORE", str(tmp_path / "other"))
    other = EmbeddedStore(tmp_path / "other")
    blob = add_bytes(other, tmp_path, "model.safetensors", b"weights").blob
    wanted = WantedBlob(blob=blob, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path="model.safetensors")
    (finder, *_) = elsewhere(workspace, tmp_path / "chosen").finders
    with finder.session():
        assert finder.find(wanted) == other.real_path(blob.store_path)
        other.collect_garbage(dry_run=False)
        assert finder.find(wanted) is not None
    other.collect_garbage(dry_run=False)
    assert finder.find(wanted) is None


@pytest.mark.parametrize("damage", ["gone", "short", "a directory"])
def test_what_is_not_whole_in_another_store_is_not_offered(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("HF_PACK_STORE", str(tmp_path / "other"))
    other = EmbeddedStore(tmp_path / "other")
    blob = add_bytes(other, tmp_path, "model.safetensors", b"weights").blob
    wanted = WantedBlob(blob=blob, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path="model.safetensors")
    place = other.real_path(blob.store_path)
    place.chmod(0o644)
    if damage == "short":
        place.write_bytes(b"weight")
    else:
        place.unlink()
    if damage == "a directory":
        place.mkdir()
    (finder, *_) = elsewhere(workspace, tmp_path / "chosen").finders
    assert finder.find(wanted) is None


def test_a_daemon_that_does_not_run_is_found_out_when_it_is_asked(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_PACK_STORE", "daemon")
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    monkeypatch.setenv("NIX_DAEMON_SOCKET_PATH", str(tmp_path / "socket"))
    found = elsewhere(workspace, tmp_path / "chosen")
    blob = add_bytes(EmbeddedStore(tmp_path / "own"), tmp_path, "model.safetensors", b"weights").blob
    wanted = WantedBlob(blob=blob, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path="model.safetensors")
    notes = Notes()
    chosen = EmbeddedStore(tmp_path / "chosen")
    with pytest.raises(HubError, match="1 file is not on this machine"):
        fetch([wanted], Elsewhere(finders=found.finders[:1], notes=found.notes), chosen, notes)
    (note,) = notes.lines
    assert note.startswith("note: the store daemon is passed over: ")
