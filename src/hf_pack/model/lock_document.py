"""A lock as JSON (``models/<name>.lock``).

Law: ``parse(format(lock)) == lock`` for every lock that has no problem. The format is canonical: keys in a
fixed order and one line for each file, omitted file and patch, so that a diff of two locks shows what changed.
Hashes are sha256 in lower-case hex, as the Hub writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from hf_pack.formats.hashes import Hash
from hf_pack.model import relative_path, summary_document
from hf_pack.model.document import UNKNOWN_KEY, Problem, Problems, Table, show
from hf_pack.model.gates import Finding, Gate
from hf_pack.model.hub_ids import RepoId, SnapshotKind, check_git_blob_id, check_snapshot_id
from hf_pack.model.lock import (
    AppliedPatch,
    FileDigest,
    Lock,
    LockedFile,
    LockedSource,
    OmittedFile,
)
from hf_pack.model.manifest import Selection
from hf_pack.model.strict_json import StrictJsonError, loads

LOCK_VERSION = "1.0"

_MAJOR = LOCK_VERSION.split(".")[0]
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_SHA256 = Hash.from_hex("0" * 64)


class LockProblems(Problems):
    """Everything that is wrong with one lock; ``problems`` in the order of the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReading:
    """A lock and what its reader should say about it: keys of a newer minor version that were passed over."""

    lock: Lock
    warnings: tuple[str, ...]


def format(lock: Lock) -> bytes:  # noqa: A001 - the pair of parse
    """The lock's canonical bytes: UTF-8, a line feed at the end."""
    source, selection, model = lock.source, lock.selection, lock.model
    document = {
        "lock_version": LOCK_VERSION,
        "layout_version": lock.layout_version,
        "source": {
            "repo_id": str(source.repo_id),
            "snapshot_id": source.snapshot_id,
            "snapshot_kind": source.snapshot_kind.value,
            "asked_repo_id": None if source.asked_repo_id is None else str(source.asked_repo_id),
            "asked_revision": source.asked_revision,
            "gated": source.gated,
        },
        "selection": {
            "include": selection.include,
            "exclude": selection.exclude,
            "allow_pickle": selection.allow_pickle,
        },
        "licence": lock.licence,
        "model": summary_document.document(model),
        "files": [_file(file) for file in lock.files],
        "omitted": [{"path": file.path, "reason": file.reason} for file in lock.omitted],
        "patches": [_patch(patch) for patch in lock.patches],
        "provenance": lock.provenance,
        "findings": [_finding(finding) for finding in lock.findings],
    }
    return _pretty(document).encode()


def parse(data: bytes) -> Lock:
    """Read a lock. Raises :class:`LockProblems` with all problems."""
    return read(data).lock


def read(data: bytes) -> LockReading:
    """Read a lock and what there is to warn of. Raises :class:`LockProblems` with all problems."""
    try:
        document = loads(data)
    except StrictJsonError as error:
        raise LockProblems([Problem(path="", message=f"not JSON: {error}")]) from None
    if not isinstance(document, Mapping):
        raise LockProblems([Problem(path="", message="not a lock", expected="an object", found=show(document))])
    problems: list[Problem] = []
    newer = _newer_minor(Table(document, "", problems))
    if problems:
        raise LockProblems(problems)
    lock = _lock(Table(document, "", problems))
    # A newer minor version adds keys that an older reader may pass over.
    unknown = [problem for problem in problems if newer and problem.message == UNKNOWN_KEY]
    if len(unknown) < len(problems):
        raise LockProblems(problem for problem in problems if problem not in unknown)
    return LockReading(lock=lock, warnings=_warnings(newer, unknown))


def digest(data: bytes) -> Hash:
    """The sha256 of the lock's canonical bytes, whatever white space ``data`` has.

    Raises :class:`LockProblems`.
    """
    return Hash.sha256_of(format(parse(data)))


def _pretty(document: Mapping[str, object]) -> str:
    """JSON with one line for each member of the document's own members."""
    return "{\n" + ",\n".join(f"  {_line(key)}: {_block(value)}" for key, value in document.items()) + "\n}\n"


def _block(value: object) -> str:
    if isinstance(value, Mapping):
        return "{\n" + ",\n".join(f"    {_line(key)}: {_line(inner)}" for key, inner in value.items()) + "\n  }"
    if isinstance(value, tuple | list) and value:
        return "[\n" + ",\n".join(f"    {_line(inner)}" for inner in value) + "\n  ]"
    return _line(value)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _file(file: LockedFile) -> dict[str, object]:
    original = {} if file.original is None else {"original": _digest(file.original)}
    git_blob_id = {} if file.git_blob_id is None else {"git_blob_id": file.git_blob_id}
    return {"path": file.path, "size": file.size, "sha256": file.sha256.hex(), **git_blob_id, **original}


def _patch(patch: AppliedPatch) -> dict[str, object]:
    return {
        "file": patch.file,
        "reason": patch.reason,
        "definition": patch.definition,
        "replacement": None if patch.replacement is None else _digest(patch.replacement),
        "before": _digest(patch.before),
        "after": _digest(patch.after),
    }


def _finding(finding: Finding) -> dict[str, object]:
    name = {"name": finding.name} if finding.name else {}
    return {"file": finding.file, "gate": finding.gate.value, "reason": finding.reason, **name}


def _digest(digest: FileDigest) -> dict[str, object]:
    return {"size": digest.size, "sha256": digest.sha256.hex()}


def _newer_minor(top: Table) -> str | None:
    """The lock's version when its minor part is newer than this reader's; another major part is a problem."""
    version = top.text("lock_version")
    match = _VERSION.fullmatch(version)
    if match is None or match[1] != _MAJOR:
        if version:
            top.problem(
                "lock_version",
                "this hf-pack does not read it",
                expected=f"{_MAJOR}.x",
                found=show(version),
                hint="use the hf-pack that wrote it, or lock again",
            )
        return None
    return version if int(match[2]) > int(LOCK_VERSION.split(".")[1]) else None


def _warnings(newer: str | None, unknown: Iterable[Problem]) -> tuple[str, ...]:
    if newer is None:
        return ()
    passed_over = ", ".join(problem.path for problem in unknown) or "nothing"
    return (f"lock_version {newer} is newer than this hf-pack's {LOCK_VERSION}; passed over: {passed_over}",)


def _lock(top: Table) -> Lock:
    top.refuse_unknown(
        (
            "lock_version", "layout_version", "source", "selection", "licence", "model", "files", "omitted",
            "patches", "provenance", "findings",
        )
    )  # fmt: skip
    layout_version = top.whole("layout_version", minimum=1)
    source, selection = _locked_source(top.table("source")), _locked_selection(top.table("selection"))
    licence, model = top.optional_text("licence"), summary_document.read(top.table("model"))
    files = tuple(_locked_file(table) for table in top.tables("files"))
    _check_files(top, files)
    paths = {file.path for file in files}
    return Lock(
        layout_version=layout_version,
        source=source,
        selection=selection,
        licence=licence,
        model=model,
        files=files,
        omitted=tuple(_omitted(table) for table in top.tables("omitted")),
        patches=tuple(_applied_patch(table, paths) for table in top.tables("patches")),
        provenance=top.pairs("provenance", str, "a string"),
        findings=tuple(map(_read_finding, top.tables("findings"))),
    )


def _locked_source(table: Table) -> LockedSource:
    table.refuse_unknown(("repo_id", "snapshot_id", "snapshot_kind", "asked_repo_id", "asked_revision", "gated"))
    return LockedSource(
        repo_id=table.parsed("repo_id", RepoId.parse) or RepoId(None, "missing"),
        snapshot_id=table.parsed("snapshot_id", check_snapshot_id) or "",
        snapshot_kind=table.choice("snapshot_kind", SnapshotKind) or SnapshotKind.COMMIT,
        asked_repo_id=table.optional_parsed("asked_repo_id", RepoId.parse),
        asked_revision=table.optional_text("asked_revision"),
        gated=table.optional_text("gated"),
    )


def _locked_selection(table: Table) -> Selection:
    table.refuse_unknown(("include", "exclude", "allow_pickle"))
    return Selection(
        include=table.optional_texts("include"),
        exclude=table.texts("exclude"),
        allow_pickle=table.flag("allow_pickle"),
    )


def _locked_file(table: Table) -> LockedFile:
    table.refuse_unknown(("path", "size", "sha256", "git_blob_id", "original"))
    original = table.optional_table("original")
    return LockedFile(
        path=table.parsed("path", relative_path.check) or "",
        size=table.whole("size"),
        sha256=table.parsed("sha256", _sha256) or _NO_SHA256,
        original=None if original is None else _file_digest(original),
        git_blob_id=table.optional_parsed("git_blob_id", check_git_blob_id),
    )


def _check_files(top: Table, files: tuple[LockedFile, ...]) -> None:
    paths = [file.path for file in files]
    if not paths:
        top.problem("files", "no file", expected="at least one")
    for index, (before, path) in enumerate(pairwise(paths), start=1):
        if path <= before:
            message = "listed twice" if path == before else "not sorted by path"
            top.problem(f"files[{index}].path", message, found=f"{show(path)} after {show(before)}")
    directories = {path[:slash] for path in paths for slash, letter in enumerate(path) if letter == "/"}
    seen: dict[str, str] = {}
    for index, path in enumerate(paths):
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            message = f"differs from {show(other)} only in case, which some file systems do not tell apart"
            top.problem(f"files[{index}].path", message, found=show(path))
        if path in directories:
            top.problem(f"files[{index}].path", "a file lies where a directory is needed", found=show(path))


def _omitted(table: Table) -> OmittedFile:
    table.refuse_unknown(("path", "reason"))
    return OmittedFile(path=table.text("path"), reason=table.text("reason"))


def _read_finding(table: Table) -> Finding:
    table.refuse_unknown(("file", "gate", "reason", "name"))
    return Finding(
        file=table.text("file"),
        gate=table.choice("gate", Gate) or Gate.PICKLE,
        reason=table.text("reason"),
        name=table.optional_text("name") or "",
    )


def _applied_patch(table: Table, paths: set[str]) -> AppliedPatch:
    table.refuse_unknown(("file", "reason", "definition", "replacement", "before", "after"))
    file = table.text("file")
    if file and file not in paths:
        table.problem("file", "not one of the locked files", found=show(file))
    replacement = table.optional_table("replacement")
    return AppliedPatch(
        file=file,
        reason=table.text("reason"),
        definition=table.json("definition"),
        replacement=None if replacement is None else _file_digest(replacement),
        before=_file_digest(table.table("before")),
        after=_file_digest(table.table("after")),
    )


def _file_digest(table: Table) -> FileDigest:
    table.refuse_unknown(("size", "sha256"))
    return FileDigest(size=table.whole("size"), sha256=table.parsed("sha256", _sha256) or _NO_SHA256)


def _sha256(text: str) -> Hash:
    if not _SHA256.fullmatch(text):
        raise ValueError(f"{text[:100]!r} is not a sha256: 64 lower-case hex digits")
    return Hash.from_hex(text)
