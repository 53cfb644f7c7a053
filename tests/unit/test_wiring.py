from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hf_pack import wiring
from hf_pack.errors import UsageError


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
