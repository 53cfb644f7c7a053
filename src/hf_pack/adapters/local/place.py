"""What a directory on disk is, before its files are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hf_pack.errors import SourceError
from hf_pack.model.hub_ids import RepoId, SnapshotKind, is_commit
from hf_pack.model.source_problems import SourceProblem

#: Records that quantizers leave at the top of what they made; the snapshot's id is theirs then, no commit.
QUANTIZER_RECORDS = (
    "FINGERPRINT.json",
    "FINGERPRINT.sha256",
    "quantize_meta.json",
    "awq_quantize_meta.json",
    "quantize_info.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the model's files lie and what the place says of itself (:class:`hf_pack.ports.SourceListing`).

    Links may lead anywhere within ``boundary``. ``mend`` is the command that completes an incomplete copy;
    ``problems`` are what was seen already, ``etags`` what the Hub's client noted of files, by path: a sha256 or a git
    blob id.
    """

    kind: str
    directory: Path
    boundary: Path
    mend: str
    repo_id: RepoId | None = None
    snapshot_id: str | None = None
    snapshot_kind: SnapshotKind | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[SourceProblem, ...] = ()
    etags: Mapping[str, str] = field(default_factory=dict)


def kind_of_snapshot(directory: Path, snapshot_id: str) -> SnapshotKind:
    """A Hub commit has 40 hex digits and no quantizer's record beside the weights."""
    made_here = any((directory / name).exists() for name in QUANTIZER_RECORDS)
    return SnapshotKind.COMMIT if is_commit(snapshot_id) and not made_here else SnapshotKind.FINGERPRINT


def names_in(directory: Path) -> tuple[str, ...]:
    """The names in a directory, sorted; none where there is no such directory. Raises SourceError."""
    try:
        return tuple(sorted(entry.name for entry in directory.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise unreadable(directory, error) from None


def text_of(file: Path) -> str | None:
    """A small text file's content, None where it is not there. Raises SourceError."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise unreadable(file, error) from None


def unreadable(path: Path, error: OSError) -> SourceError:
    """The error for a place that the system does not let us read."""
    return SourceError(f"{path}: cannot be read ({error.strerror})", hint=f"ls -ld {path}")
