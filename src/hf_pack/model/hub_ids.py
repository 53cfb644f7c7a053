"""Names of the Hub: repo ids, their slugs and folders, snapshot ids.

The rules are the client's own (``huggingface_hub``, ``validate_repo_id``): ``name`` or
``namespace/name``, each part 1 to 96 characters of ``[A-Za-z0-9_.-]``, the first and the last one a
letter, a digit or ``_``, without ``--`` or ``..``, and no ``.git`` at the end. Upper and lower case differ.
Because no part holds ``--``, folder and slug can be split back without loss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SNAPSHOT_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?")
FOLDER_PREFIX = "models--"


class HubIdError(ValueError):
    """A text is not a repo id, slug, folder or snapshot id; the message says which rule it breaks."""


class SnapshotKind(StrEnum):
    """What a snapshot id is, so that a quantizer's fingerprint is never taken for a Hub commit."""

    COMMIT = "commit"  #: 40 hex digits of a commit on the Hub, as the source claims
    FINGERPRINT = "fingerprint"  #: made by a quantizer from its settings
    CONTENT = "content"  #: derived from the files themselves, by :func:`hf_pack.model.snapshots.content_id`


@dataclass(frozen=True, slots=True, order=True)
class RepoId:
    """A model repository on the Hub: ``namespace/name``, or ``name`` alone for the oldest ones."""

    namespace: str | None
    name: str

    def __post_init__(self) -> None:
        for part in self.parts:
            if not _PART.fullmatch(part) or "--" in part or ".." in part:
                raise HubIdError(
                    f"{part!r} is not a part of a repo id: 1 to 96 of [A-Za-z0-9_.-], first and last a letter, "
                    "digit or '_', without '--' or '..'"
                )
        if self.name.endswith(".git"):
            raise HubIdError(f"repo id {str(self)!r} ends in '.git'")

    @property
    def parts(self) -> tuple[str, ...]:
        """One or two parts."""
        return (self.name,) if self.namespace is None else (self.namespace, self.name)

    @property
    def slug(self) -> str:
        """``namespace--name``."""
        return "--".join(self.parts)

    @property
    def folder(self) -> str:
        """``models--namespace--name``, the directory in a Hub cache."""
        return FOLDER_PREFIX + self.slug

    def __str__(self) -> str:
        return "/".join(self.parts)

    @classmethod
    def parse(cls, text: str) -> RepoId:
        """``namespace/name`` or ``name``. Raises :class:`HubIdError`."""
        return cls._from_parts(text, text.split("/"))

    @classmethod
    def parse_slug(cls, text: str) -> RepoId:
        """``namespace--name`` or ``name``. Raises :class:`HubIdError`."""
        return cls._from_parts(text, text.split("--"))

    @classmethod
    def parse_folder(cls, text: str) -> RepoId:
        """``models--namespace--name``. Raises :class:`HubIdError`."""
        if not text.startswith(FOLDER_PREFIX):
            raise HubIdError(f"{text!r} does not start with {FOLDER_PREFIX!r}")
        return cls.parse_slug(text.removeprefix(FOLDER_PREFIX))

    @classmethod
    def _from_parts(cls, text: str, parts: list[str]) -> RepoId:
        if len(parts) > 2:
            raise HubIdError(f"{text!r} has {len(parts)} parts, a repo id has one or two")
        return cls(parts[0] if len(parts) == 2 else None, parts[-1])


def is_commit(snapshot_id: str) -> bool:
    """Whether the id has the form that the Hub's client resolves offline: 40 lower-case hex digits."""
    return _COMMIT.fullmatch(snapshot_id) is not None


def check_git_blob_id(text: str) -> str:
    """The id itself, if it is the sha1 of a git object. Raises :class:`HubIdError`."""
    if not is_commit(text):
        raise HubIdError(f"{text!r} is not a git blob id: 40 lower-case hex digits")
    return text


def check_snapshot_id(snapshot_id: str) -> str:
    """The id itself, if it can be a directory name in a Hub cache. Raises :class:`HubIdError`."""
    if not _SNAPSHOT_ID.fullmatch(snapshot_id) or ".." in snapshot_id:
        raise HubIdError(f"{snapshot_id!r} is not a snapshot id: 1 to 128 of [A-Za-z0-9_.-]")
    return snapshot_id
