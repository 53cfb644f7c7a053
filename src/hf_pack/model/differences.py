"""What differs between two packages, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hf_pack.model.json_value import JsonValue
from hf_pack.model.lock import FileDigest


class Change(StrEnum):
    """How a thing differs from the first package to the second."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that only one side has (the other digest is None), or whose bytes differ."""

    path: str
    change: Change
    before: FileDigest | None
    after: FileDigest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """A key of a JSON file; ``key`` is dotted, list elements are ``[index]``."""

    path: str
    key: str
    change: Change
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorChange:
    """A tensor of the safetensors files of one directory, whichever shard it lies in.

    ``name`` begins with the directory where that is not the top: ``unet/conv.weight``. ``aspect`` is ``presence``,
    ``dtype``, ``shape`` or ``content``; before and after are ``BF16 [64, 64]`` or empty.
    """

    name: str
    aspect: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that differs. ``notes`` says what could not be compared, and why."""

    files: tuple[FileChange, ...] = ()
    keys: tuple[KeyChange, ...] = ()
    tensors: tuple[TensorChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the packages hold the same files."""
        return not self.files
