from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from hf_pack.adapters.embedded.gc_socket import serving, socket_address


def _connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket_address(path) as address:
        client.connect(address)
    return client


@pytest.mark.parametrize("depth", [1, 30])
def test_each_line_is_answered_at_any_depth(tmp_path: Path, depth: int) -> None:
    path = tmp_path.joinpath(*["deep"] * depth) / "gc-socket" / "socket"
    path.parent.parent.mkdir(parents=True)
    heard: list[str] = []
    with serving(path, heard.append), _connect(path) as one, _connect(path) as two:
        one.sendall(b"first\nsec")
        assert one.recv(10) == b"1"
        two.sendall(b"third\n")
        assert two.recv(10) == b"1"
        one.sendall(b"ond\n")
        assert one.recv(10) == b"1"
    assert heard == ["first", "third", "second"]


def test_an_answer_waits_until_it_is_true(tmp_path: Path) -> None:
    sent = threading.Event()
    events = []

    def protect(_line: str) -> None:
        sent.wait()
        events.append("safe")

    path = tmp_path / "socket"
    with serving(path, protect), _connect(path) as client:
        client.sendall(b"x\n")
        sent.set()
        assert client.recv(1) == b"1"
        events.append("answered")
    assert events == ["safe", "answered"]


def test_at_the_end_clients_are_let_go(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving(path, lambda _line: None):
        client = _connect(path)
        client.sendall(b"x\n")
        assert client.recv(1) == b"1"
    with client:
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        _connect(path)
    with serving(path, lambda _line: None), _connect(path) as again:
        again.sendall(b"x\n")
        assert again.recv(1) == b"1"


def test_a_line_without_end_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    heard: list[str] = []
    with serving(path, heard.append), _connect(path) as client:
        client.sendall(b"x" * 5000)
        assert client.recv(1) == b""
    assert heard == []
