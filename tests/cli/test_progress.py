from __future__ import annotations

import io
import threading

import pytest

from hf_pack.cli.progress import TerminalProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watch(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Take stderr's place; pytest takes it back after a fixture, so each test does this itself."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def last_line(stream: io.StringIO) -> str:
    """What is left on the line that is drawn again and again."""
    return stream.getvalue().rsplit("\n", 1)[-1].rsplit("\r", 1)[-1].strip()


def test_a_terminal_sees_bytes_and_no_line_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watch(monkeypatch)
    progress = TerminalProgress()
    progress.start("adding to the store", 3 << 20)
    progress.advance(1 << 20)
    assert "adding to the store" in terminal.getvalue()
    assert "3.00M" in terminal.getvalue()
    progress.note("a note")
    progress.detail("a detail")
    progress.finish()
    assert "a note\n" in terminal.getvalue() and "a detail\n" in terminal.getvalue()
    assert last_line(terminal) == ""


def test_a_child_moves_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watch(monkeypatch)
    progress = TerminalProgress()
    progress.start("fetch", 100)
    children = [progress.child(f"file {n}", 50) for n in range(2)]
    threads = [threading.Thread(target=child.advance, args=(50,)) for child in children]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for child in children:
        child.note("said by a file")
        child.finish()
    assert terminal.getvalue().count("said by a file") == 2
    assert progress._bar is not None and progress._bar.n == 100
    progress.finish()
    assert last_line(terminal) == ""


def test_a_pipe_gets_notes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    progress = TerminalProgress()
    progress.start("verify", 100)
    progress.advance(50)
    progress.child("file", 50).advance(50)
    progress.detail("for who watches")
    progress.note("a note")
    progress.finish()
    assert stream.getvalue() == "a note\n"


def test_nothing_to_do_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watch(monkeypatch)
    progress = TerminalProgress()
    progress.start("adding to the store", 0)
    progress.finish()
    assert terminal.getvalue() == ""
