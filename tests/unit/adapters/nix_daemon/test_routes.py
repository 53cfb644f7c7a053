from __future__ import annotations

from pathlib import Path

import pytest

from hf_pack.adapters.nix_daemon import routes
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.routes import Socket, Spawn, find_route, is_here


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "bin" / "nix-daemon"
    path.parent.mkdir()
    path.write_text("")
    path.chmod(0o755)
    return str(path)


def environ(program: str, **more: str) -> dict[str, str]:
    return {"PATH": str(Path(program).parent), **more}


def test_who_can_write_nix_s_state_needs_no_daemon(program: str, tmp_path: Path) -> None:
    found = environ(program, NIX_STATE_DIR=str(tmp_path))
    assert find_route(found) == Spawn(program=program, real_store_dir=Path("/nix/store"), environment=found)
    assert is_here(found)


def test_others_talk_to_the_daemon(program: str, tmp_path: Path) -> None:
    found = environ(program, NIX_STATE_DIR=str(tmp_path / "none"))
    socket = tmp_path / "none" / "daemon-socket" / "socket"
    assert find_route(found) == Socket(path=socket, real_store_dir=Path("/nix/store"))
    assert not is_here(found)


@pytest.mark.parametrize(
    ("remote", "socket"),
    [("daemon", "/x/socket"), ("unix:///y/so%20cket", "/y/so cket"), ("auto", "/x/socket"), ("", "/x/socket")],
)
def test_the_socket_is_where_the_environment_says(remote: str, socket: str) -> None:
    found = find_route({"NIX_REMOTE": remote, "NIX_DAEMON_SOCKET_PATH": "/x/socket", "NIX_STATE_DIR": "/nowhere"})
    assert found == Socket(path=Path(socket), real_store_dir=Path("/nix/store"))


@pytest.mark.parametrize(
    ("remote", "real"),
    [
        ("local", "/nix/store"),
        ("local?root=/srv/x", "/srv/x/nix/store"),
        ("/srv/x", "/srv/x/nix/store"),
        ("local?root=/srv/x&real=/srv/y", "/srv/y"),
        ("local://?root=/srv/x", "/srv/x/nix/store"),
    ],
)
def test_a_store_of_its_own_is_opened_by_a_process_of_ours(program: str, remote: str, real: str) -> None:
    found = find_route(environ(program, NIX_REMOTE=remote))
    assert isinstance(found, Spawn)
    assert found.real_store_dir == Path(real)
    assert found.environment["NIX_REMOTE"] == remote


@pytest.mark.parametrize("remote", ["ssh-ng://host", "https://cache.example"])
def test_a_store_on_another_machine_is_refused(program: str, remote: str) -> None:
    with pytest.raises(DaemonGoneError, match="not on this machine"):
        find_route(environ(program, NIX_REMOTE=remote))
    assert not is_here(environ(program, NIX_REMOTE=remote))


def test_another_store_directory_is_refused(program: str) -> None:
    with pytest.raises(DaemonGoneError, match="/gnu/store"):
        find_route(environ(program, NIX_STORE_DIR="/gnu/store"))
    assert find_route(environ(program, NIX_STORE_DIR="/nix/store/", NIX_REMOTE="local"))


def test_without_nix_the_error_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_PROFILE", str(tmp_path))
    with pytest.raises(DaemonGoneError, match="there is no nix-daemon here") as caught:
        find_route({"PATH": str(tmp_path), "NIX_REMOTE": "local"})
    assert "--store" in caught.value.hint
