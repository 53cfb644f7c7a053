from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hf_pack import durable


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def run_and_die_at(call: int, directory: Path, files: list[tuple[str, bytes]]) -> bool:
    """Run replace_directory in a child that exits at its n-th system call of interest; whether it got there."""
    child = os.fork()
    if child == 0:
        count = 0

        def guard(original: object) -> object:
            def wrapped(*args: object, **kwargs: object) -> object:
                nonlocal count
                count += 1
                if count == call:
                    os._exit(9)
                return original(*args, **kwargs)  # type: ignore[operator]

            return wrapped

        for name in ("open", "mkdir", "fsync", "rename", "unlink", "rmdir"):
            setattr(os, name, guard(getattr(os, name)))
        try:
            durable.replace_directory(directory, files)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.replace_file(path, b"one")
    durable.replace_file(path, b"two")
    assert tree(tmp_path) == {"file": b"two"}


def test_the_mode_is_what_was_asked_less_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        durable.replace_file(tmp_path / "a", b"")
        durable.replace_file(tmp_path / "b", b"", mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to("elsewhere/real")
    durable.replace_file(link, b"one")
    assert link.is_symlink()
    assert tree(tmp_path / "elsewhere") == {"real": b"one"}


def test_a_long_name_leaves_room_for_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    durable.replace_file(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file"
    durable.replace_file(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, {"fsync": "fsync", "rename": "replace"}[step], fail)
    with pytest.raises(OSError, match="No space left"):
        durable.replace_file(path, b"new")
    assert tree(tmp_path) == {"file": b"old"}


def test_the_bytes_are_on_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append("directory" if Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path else "file")
        assert path.exists() == (synced[-1] == "directory")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    durable.replace_file(path, b"new")
    assert synced == ["file", "directory"]


def test_a_link_is_made_and_moved(tmp_path: Path) -> None:
    link = tmp_path / "result"
    durable.replace_symlink(link, "/nowhere")
    durable.replace_symlink(link, tmp_path / "two")
    assert link.readlink() == tmp_path / "two"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_link_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        durable.replace_symlink(path, "x")
    assert path.read_bytes() == b"mine"


def test_a_failed_link_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "result"
    durable.replace_symlink(link, "old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        durable.replace_symlink(link, "new")
    assert [(path.name, str(path.readlink())) for path in tmp_path.iterdir()] == [("result", "old")]


def test_a_directory_holds_exactly_the_files(tmp_path: Path) -> None:
    directory = tmp_path / "x.files"
    durable.replace_directory(directory, [("a", b"1"), ("b/c/d", b"2")])
    assert tree(tmp_path) == {"x.files/a": b"1", "x.files/b/c/d": b"2"}
    durable.replace_directory(directory, [("b", b"3")])
    assert tree(tmp_path) == {"x.files/b": b"3"}
    durable.replace_directory(directory, [])
    assert list(tmp_path.iterdir()) == []
    durable.replace_directory(directory, [])
    assert list(tmp_path.iterdir()) == []


def test_a_linked_directory_stays_linked(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to("elsewhere/real")
    durable.replace_directory(tmp_path / "link", [("a", b"1")])
    durable.mend_directory(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert tree(tmp_path / "elsewhere") == {"real/a": b"1"}


@pytest.mark.parametrize("new", [[("a", b"new"), ("d/e", b"new")], []])
def test_a_kill_at_any_step_leaves_old_or_new_and_the_next_run_mends(
    tmp_path: Path, new: list[tuple[str, bytes]]
) -> None:
    states = set()
    for call in range(1, 100):
        parent = tmp_path / str(call)
        directory = parent / "x.files"
        directory.mkdir(parents=True)
        (directory / "a").write_bytes(b"old")
        reached = run_and_die_at(call, directory, new)
        durable.mend_directory(directory)
        state = tree(parent)
        assert state in ({"x.files/a": b"old"}, {f"x.files/{path}": data for path, data in new})
        states.add(state.get("x.files/a"))
        # The directory can be replaced again, whatever the kill left.
        durable.replace_directory(directory, [("z", b"z")])
        assert tree(parent) == {"x.files/z": b"z"}
        if not reached:
            break
    else:
        raise AssertionError("the kills never ended")
    assert call > 5
    assert len(states) == 2


def test_an_error_puts_the_old_directory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "x.files"
    durable.replace_directory(directory, [("a", b"old")])
    rename = os.rename

    def fail_for_new(source: Path, target: Path) -> None:
        if ".new" in str(source):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_for_new)
    with pytest.raises(OSError, match="Input/output"):
        durable.replace_directory(directory, [("a", b"new")])
    assert tree(tmp_path) == {"x.files/a": b"old"}


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    directory = tmp_path / "x.files"
    choices = [[(f"{number}-{part}", b"x") for part in range(3)] for number in range(8)]
    errors: list[OSError] = []

    def write(files: list[tuple[str, bytes]]) -> None:
        try:
            durable.replace_directory(directory, files)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(files,)) for files in choices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(tree(directory)) in [[path for path, _ in files] for files in choices]
    assert [path.name for path in tmp_path.iterdir()] == ["x.files"]


def test_a_directory_is_created_once_with_its_links(tmp_path: Path) -> None:
    place = tmp_path / "view"
    assert durable.create_directory(place, [("a/file", b"one"), ("a/b/link", "../file")])
    assert (place / "a" / "b" / "link").readlink() == Path("../file")
    assert not durable.create_directory(place, [("other", b"two")])
    assert tree(tmp_path) == {"view/a/file": b"one", "view/a/b/link": b"one"}


def test_of_two_that_create_a_directory_the_second_finds_that_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "view"
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        monkeypatch.undo()
        assert durable.create_directory(place, [("file", b"first")])
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    assert not durable.create_directory(place, [("file", b"second")])
    assert tree(tmp_path) == {"view/file": b"first"}


def test_a_directory_that_cannot_be_created_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        durable.create_directory(tmp_path / "view", [("file", b"one"), ("x" * 300, b"two")])
    assert tree(tmp_path) == {}
