"""A daemon that is scripted: what it says, when it stops reading, and when it hangs up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.channel import Channel
from hf_pack.adapters.nix_daemon.connection import Connection, FilePart
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError, DaemonRefusedError
from hf_pack.adapters.nix_daemon.wire import number, text, texts
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import flat_content_address, flat_path

LAST = number(0x616C7473)
NEXT = number(0x6F6C6D67)
GREETING = number(0x6478696F) + number(0x122) + text("2.8.0") + LAST  # protocol 1.34
ABC = Hash.sha256_of(b"abc")
PATH = flat_path("w.bin", ABC)
INFO = (
    text("") + text("00" * 32) + texts([]) + number(7) + number(120) + number(0) + texts([])
    + text(flat_content_address(ABC))
)  # fmt: skip

Script = Callable[[socket.socket], None]


def error(message: str) -> bytes:
    traces = number(1) + number(0) + text("while adding")
    return number(0x63787470) + text("Error") + number(0) + text("Error") + text(message) + number(0) + traces


def activities() -> bytes:
    """A log line, an activity with fields of both kinds, a result, and its end."""
    fields = number(2) + number(0) + number(5) + number(1) + text("x")
    start = number(0x53545254) + number(1) + number(3) + number(101) + text("copying") + fields + number(0)
    result = number(0x52534C54) + number(1) + number(105) + fields
    return NEXT + text("line\n") + start + result + number(0x53544F50) + number(1)


@contextmanager
def channel_to(script: Script, *, patience: float = 20) -> Iterator[Channel]:
    ours, theirs = socket.socketpair()

    def play() -> None:
        with theirs:
            script(theirs)

    player = Thread(target=play)
    player.start()
    descriptor = ours.detach()
    channel = Channel(descriptor, descriptor, "here", patience=patience)
    try:
        yield channel
    finally:
        channel.close()
        player.join()


def exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += peer.recv(size - len(data))
    return data


def greet(peer: socket.socket, greeting: bytes = GREETING) -> None:
    assert exactly(peer, 16) == number(0x6E697863) + number(0x123)
    peer.sendall(greeting)
    assert exactly(peer, 16) == bytes(16)


def greeted(then: Script = lambda _peer: None) -> Script:
    def script(peer: socket.socket) -> None:
        greet(peer)
        then(peer)

    return script


def answering(answer: bytes, request: int = 16) -> Script:
    def script(peer: socket.socket) -> None:
        exactly(peer, request)
        peer.sendall(answer)

    return greeted(script)


def connect(channel: Channel) -> Connection:
    return Connection(channel, "here")


ASK = 8 + len(text(str(PATH)))


def test_the_greeting_says_who_is_there() -> None:
    with channel_to(greeted()) as channel:
        connection = connect(channel)
        assert (connection.minor, connection.nix_version, connection.trusted) == (34, "2.8.0", None)


def test_a_newer_daemon_is_spoken_to_in_the_protocol_that_we_know() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer, number(0x6478696F) + number(0x126) + text("2.34.8") + number(2) + LAST)

    with channel_to(script) as channel:
        connection = connect(channel)
        assert (connection.minor, connection.nix_version, connection.trusted) == (35, "2.34.8", False)


@pytest.mark.parametrize(("version", "words"), [(0x115, "too old"), (0x119, "found 1.25"), (0x222, "found 2.34")])
def test_another_protocol_is_refused_with_what_is_needed(version: int, words: str) -> None:
    def script(peer: socket.socket) -> None:
        exactly(peer, 16)
        peer.sendall(number(0x6478696F) + number(version))

    with channel_to(script) as channel, pytest.raises(DaemonGoneError, match=words) as caught:
        connect(channel)
    assert "update Nix" in caught.value.hint


def test_something_else_that_answers_is_refused() -> None:
    def script(peer: socket.socket) -> None:
        exactly(peer, 16)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n")

    with channel_to(script) as channel, pytest.raises(DaemonGoneError, match="no Nix daemon"):
        connect(channel)


def test_a_daemon_that_hangs_up_on_us_is_an_error() -> None:
    def script(peer: socket.socket) -> None:
        exactly(peer, 16)

    with channel_to(script) as channel, pytest.raises(DaemonGoneError, match="closed the connection"):
        connect(channel)


def test_what_it_says_while_it_works_is_passed_over() -> None:
    with channel_to(answering(activities() + LAST + number(1) + INFO, ASK)) as channel:
        info = operations.query_path_info(connect(channel), PATH)
        assert info is not None
        assert (info.store_path, info.nar_size, info.registration_time) == (PATH, 120, 7)
        assert info.content_address == flat_content_address(ABC)


def test_bytes_may_come_one_at_a_time() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ASK)
        for byte in activities() + LAST + number(0):
            peer.sendall(bytes([byte]))

    with channel_to(script) as channel:
        assert operations.query_path_info(connect(channel), PATH) is None


def test_its_error_is_told_without_colours() -> None:
    with channel_to(answering(error("path \x1b[35;1m'x'\x1b[0m is not valid"), ASK)) as channel:
        connection = connect(channel)
        with pytest.raises(DaemonRefusedError, match="path 'x' is not valid") as caught:
            operations.query_path_info(connection, PATH)
        assert "hf-pack build" in caught.value.hint


def test_an_error_that_it_logged_before_is_told_first_and_once() -> None:
    """Nix logs why a substituter failed, and answers only that it has nothing; warnings of retries are no reason."""
    log = [
        "\x1b[31;1merror:\x1b[0m the first try",
        "\x1b[31;1merror:\x1b[0m cannot download 'x': a partial file\n",
        "\x1b[35;1mwarning:\x1b[0m \x1b[31;1merror:\x1b[0m retrying in 300 ms",
        "copying path 'x'",
    ]

    def script(peer: socket.socket) -> None:
        greet(peer)
        for _ in range(2):
            exactly(peer, ASK)
            peer.sendall(b"".join(NEXT + text(line) for line in log) + error("path 'x' cannot be made"))
        exactly(peer, ASK)
        peer.sendall(NEXT + text(log[0]) + LAST + number(0))
        exactly(peer, ASK)
        peer.sendall(error("something else"))

    with channel_to(script) as channel:
        connection = connect(channel)
        for _ in range(2):
            with pytest.raises(DaemonRefusedError) as caught:
                operations.query_path_info(connection, PATH)
            assert caught.value.message.splitlines()[1:] == [
                "  cannot download 'x': a partial file",
                "  path 'x' cannot be made",
            ]
        assert operations.query_path_info(connection, PATH) is None
        with pytest.raises(DaemonRefusedError) as caught:
            operations.query_path_info(connection, PATH)
        assert caught.value.message.splitlines()[1:] == ["  something else"]


@pytest.mark.parametrize("answer", [b"", LAST, LAST + number(1) + text("deriver") + b"\1\0"])
def test_an_answer_that_ends_early_is_an_error(answer: bytes) -> None:
    with channel_to(answering(answer, ASK)) as channel:
        connection = connect(channel)
        with pytest.raises(DaemonGoneError, match="closed the connection"):
            operations.query_path_info(connection, PATH)


def test_an_unknown_message_is_an_error() -> None:
    with channel_to(answering(number(0x1234), ASK)) as channel:
        connection = connect(channel)
        with pytest.raises(DaemonGoneError, match="0x1234"):
            operations.query_path_info(connection, PATH)


def test_silence_ends_after_a_while() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer)
        assert peer.recv(1 << 16)
        peer.recv(1)  # until we hang up

    with channel_to(script) as channel:
        connection = connect(channel)
        connection.patience(0.01)
        with pytest.raises(DaemonGoneError, match="said nothing"):
            operations.query_path_info(connection, PATH)


def received_frames(peer: socket.socket) -> bytes:
    data = b""
    while size := int.from_bytes(exactly(peer, 8), "little"):
        data += exactly(peer, size)
    return data


ADD = 8 + len(text("w.bin") + text("fixed:sha256") + texts([])) + 8


def test_a_stream_arrives_whole_in_frames(tmp_path: Path) -> None:
    contents = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(contents)
    got: list[bytes] = []

    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ADD)
        got.append(received_frames(peer))
        peer.sendall(LAST + text(str(PATH)) + INFO)

    with channel_to(script) as channel, (tmp_path / "file").open("rb") as file:
        size = len(contents)
        body: list[bytes | FilePart]
        body = [b"before", b"", FilePart(file.fileno(), 0, size), b"x" * 700_000, FilePart(file.fileno(), size - 3, 3)]
        info = operations.add_to_store(connect(channel), "w.bin", operations.FLAT, body)
    assert info.store_path == PATH
    assert got == [b"before" + contents + b"x" * 700_000 + contents[-3:]]


def endless(stop_after: int = 1 << 14) -> Iterator[bytes]:
    for _ in range(stop_after):
        yield bytes(1 << 16)
    raise AssertionError("nobody stopped us")


def test_an_error_in_the_middle_of_a_stream_ends_it() -> None:
    """Also when the daemon reads no more: we listen while we wait for room."""
    hung_up = Event()

    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ADD + 100_000)
        peer.sendall(NEXT + text("oh") + error("No space left on device"))
        hung_up.wait()

    with channel_to(script) as channel:
        connection = connect(channel)
        with pytest.raises(DaemonRefusedError, match="No space left") as caught:
            operations.add_to_store(connection, "w.bin", operations.FLAT, endless())
        hung_up.set()
        assert "hf-pack gc" in caught.value.hint


def test_what_it_said_before_it_went_away_is_the_reason() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ADD + 100_000)
        peer.sendall(error("the machine goes down"))
        peer.close()  # with unread bytes: the stream breaks

    with channel_to(script) as channel:
        connection = connect(channel)
        with pytest.raises((DaemonRefusedError, DaemonGoneError), match=r"goes down|closed"):
            operations.add_to_store(connection, "w.bin", operations.FLAT, endless())


def test_a_daemon_that_goes_away_in_the_middle_is_an_error() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ADD + 100_000)

    with channel_to(script) as channel:
        connection = connect(channel)
        with pytest.raises(DaemonGoneError, match="closed the connection"):
            operations.add_to_store(connection, "w.bin", operations.FLAT, endless())


def test_an_answer_before_the_end_of_the_stream_is_an_error() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ADD + 100_000)
        peer.sendall(LAST)
        peer.recv(1)

    with channel_to(script) as channel:
        connection = connect(channel)
        with pytest.raises(DaemonGoneError, match="before it had everything"):
            operations.add_to_store(connection, "w.bin", operations.FLAT, endless())


def test_a_file_that_got_shorter_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")

    def script(peer: socket.socket) -> None:
        greet(peer)
        exactly(peer, ADD)
        while peer.recv(1 << 16):
            pass

    with channel_to(script) as channel, (tmp_path / "file").open("rb") as file:
        connection = connect(channel)
        with pytest.raises(EOFError):
            operations.add_to_store(connection, "w.bin", operations.FLAT, [FilePart(file.fileno(), 0, 10)])


def test_the_bytes_of_a_path_that_it_copies_are_told_as_they_come() -> None:
    def done(activity: int, kind: int, size: int) -> bytes:
        fields = number(4) + b"".join(number(0) + number(value) for value in (size, 100, 0, 0))
        return number(0x52534C54) + number(activity) + number(kind) + fields

    def start(activity: int, kind: int) -> bytes:
        return number(0x53545254) + number(activity) + number(3) + number(kind) + text("") + number(0) + number(0)

    said = start(1, 100) + start(2, 101) + done(1, 105, 60) + done(2, 105, 7) + done(1, 106, 9) + done(1, 105, 100)
    with channel_to(answering(said + number(0x53544F50) + number(1) + LAST + number(1), ASK)) as channel:
        connection = connect(channel)
        copied: list[int] = []
        connection.copied = copied.append
        operations.ensure_path(connection, PATH)
    assert copied == [60, 40]
