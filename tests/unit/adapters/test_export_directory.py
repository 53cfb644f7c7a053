"""Exported files on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from hf_pack.adapters.export_directory import add_lines, write_files, write_missing
from hf_pack.errors import UsageError

OURS = b"# Written by `hf-pack export --to nix`.\n{ }\n"


def test_files_are_written_where_they_differ(tmp_path: Path) -> None:
    files = {"a.nix": OURS, "deep/er/b.json": b"{}"}
    assert write_files(tmp_path, files) == (tmp_path / "deep/er/b.json", tmp_path / "a.nix")
    assert write_files(tmp_path, files) == ()
    assert write_files(tmp_path, {**files, "deep/er/b.json": b"[]"}) == (tmp_path / "deep/er/b.json",)
    assert (tmp_path / "deep/er/b.json").read_bytes() == b"[]"


def test_an_expression_of_somebody_else_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "z.nix").write_bytes(b"{ mine = true; }")
    with pytest.raises(UsageError, match=r"z\.nix was not written by an export"):
        write_files(tmp_path, {"a.nix": OURS, "z.nix": OURS})
    assert [path.name for path in tmp_path.iterdir()] == ["z.nix"]


def test_what_is_missing_is_written_once(tmp_path: Path) -> None:
    assert write_missing(tmp_path, {"env.json": b"{}"}) == (tmp_path / "env.json",)
    (tmp_path / "env.json").write_bytes(b"mine")
    assert write_missing(tmp_path, {"env.json": b"{}"}) == ()
    assert (tmp_path / "env.json").read_bytes() == b"mine"


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / ".gitignore"
    path.write_bytes(b"mine\nresult-*")
    add_lines(path, ("result-*", ".flox/log/"))
    add_lines(path, ("result-*", ".flox/log/"))
    assert path.read_bytes() == b"mine\nresult-*\n.flox/log/\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        write_files(tmp_path / "file", {"a.json": b""})
