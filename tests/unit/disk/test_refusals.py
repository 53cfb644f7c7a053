from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from hf_pack.disk.refusals import out_of_space, refusing
from hf_pack.errors import IntegrityError, StoreError

_ROOT = Path("/stores/mine")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EACCES, "as the owner"),
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "hf-pack gc"),
        (errno.EDQUOT, "quota"),
        (errno.ENOENT, ""),
    ],
)
def test_an_error_of_the_system_says_what_where_and_what_to_do(code: int, hint: str) -> None:
    with pytest.raises(StoreError) as caught, refusing("add it", _ROOT):
        raise OSError(code, "No luck", str(_ROOT / "nix" / "x"))
    assert caught.value.message == "cannot add it: No luck\n  at /stores/mine/nix/x"
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


def test_a_store_that_cannot_be_made_is_told_as_one() -> None:
    with pytest.raises(StoreError) as caught, refusing("add it", _ROOT):
        raise PermissionError(errno.EACCES, "Permission denied", "/stores")
    assert caught.value.hint.endswith("choose another store with --store")


def test_a_file_elsewhere_is_not_mended_by_another_store() -> None:
    with pytest.raises(StoreError) as caught, refusing("add it", _ROOT):
        raise PermissionError(errno.EACCES, "Permission denied", "/home/me/model")
    assert (caught.value.message, caught.value.hint) == (
        "cannot add it: Permission denied\n  at /home/me/model",
        "",
    )


def test_an_error_without_a_file_names_the_store() -> None:
    with pytest.raises(StoreError, match="No space left\n  at /stores/mine"), refusing("add it", _ROOT):
        raise OSError(errno.ENOSPC, "No space left")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SQLITE_READONLY", "as the owner"),
        ("SQLITE_CANTOPEN_FULLPATH", "as the owner"),
        ("SQLITE_FULL", "hf-pack gc"),
        ("SQLITE_BUSY", "another process"),
        ("SQLITE_CORRUPT_VTAB", "store repair"),
        ("SQLITE_ERROR", ""),
    ],
)
def test_an_error_of_the_database(name: str, hint: str) -> None:
    error = sqlite3.OperationalError("no luck")
    error.sqlite_errorname = name
    said = pytest.raises(StoreError, match="database: no luck\n  at /stores/mine/nix/var/nix/db")
    with said as caught, refusing("read it", _ROOT):
        raise error
    assert hint in caught.value.hint


def test_our_own_errors_pass() -> None:
    with pytest.raises(IntegrityError, match="wrong bytes"), refusing("add it", _ROOT):
        raise IntegrityError("wrong bytes")


def test_out_of_space_gives_both_numbers() -> None:
    error = out_of_space(needed=2_000_000, free=10, place=_ROOT)
    assert error.message == "the store needs 2,000,000 bytes, 10 are free\n  at /stores/mine"
