"""What is wrong with the files that a store is to take, and what a tree lacks: the same words for every store."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path

from hf_pack.errors import IntegrityError, StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath


class MissingBlobError(StoreError):
    """A tree cannot be made: the bytes of one of its files are nowhere."""


def require_blobs(name: str, wanted: AbstractSet[StorePath], valid: AbstractSet[StorePath]) -> None:
    """Raise MissingBlobError unless all blobs that the package ``name`` needs are valid."""
    if missing := sorted(wanted - valid):
        raise MissingBlobError(
            f"{name} needs a blob that is not in the store\n  {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint="run `hf-pack build` to fetch what is missing",
        )


def wrong_sha256(file: Path, *, expected: Hash, found: Hash) -> IntegrityError:
    """A file to add does not hold the bytes that it was said to hold."""
    return wrong_bytes(file, f"expected sha256 {expected.hex()}, found {found.hex()}")


def wrong_bytes(file: Path, difference: str) -> IntegrityError:
    """The same, by whatever tells the two apart."""
    return IntegrityError(
        f"a file has other bytes than it must have\n  {file}: {difference}",
        hint="fetch the file again; if the change is wanted, hf-pack lock NAME",
    )
