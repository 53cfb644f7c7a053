from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hf_pack.formats.hashes import Hash
from hf_pack.model.gates import Finding, Gate
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import (
    AppliedPatch,
    FileDigest,
    Lock,
    LockedFile,
    LockedSource,
    ModelSummary,
    OmittedFile,
)
from hf_pack.model.lock_document import LockProblems, digest, format, parse, read  # noqa: A004
from hf_pack.model.manifest import Selection

OLD = FileDigest(size=3, sha256=Hash.sha256_of(b"old"))
NEW = FileDigest(size=4, sha256=Hash.sha256_of(b"new!"))

LOCK = Lock(
    layout_version=1,
    source=LockedSource(
        repo_id=RepoId("org", "name"),
        snapshot_id="content-1",
        snapshot_kind=SnapshotKind.FINGERPRINT,
        asked_repo_id=RepoId("org", "name"),
    ),
    selection=Selection(include=("*.json",), exclude=("é",), allow_pickle=True),
    files=(
        LockedFile(path="a.json", size=4, sha256=NEW.sha256, original=OLD),
        LockedFile(path="b/model.safetensors", size=5_000_000_000, sha256=Hash.sha256_of(b"w")),
    ),
    omitted=(OmittedFile(path="x.bin", reason="not chosen"),),
    patches=(
        AppliedPatch(file="a.json", reason="why", definition={"replace": "r"}, replacement=NEW, before=OLD, after=NEW),
    ),
    licence="mit",
    model=ModelSummary(
        architectures=("A",),
        parameters=7,
        bytes_by_dtype=(("BF16", 14),),
        weight_parts=(("sharded BF16", 14),),
        notes=("n",),
    ),
    provenance=(("k", "v"), ("k", "w")),
    findings=(
        Finding(file="m.py", gate=Gate.REMOTE_CODE, reason="code"),
        Finding(file="x.bin", gate=Gate.PICKLE_GLOBAL, reason="uses it", name="os.system"),
    ),
)

TEXT = (
    """\
{
  "lock_version": "1.0",
  "layout_version": 1,
  "source": {
    "repo_id": "org/name",
    "snapshot_id": "content-1",
    "snapshot_kind": "fingerprint",
    "asked_repo_id": "org/name",
    "asked_revision": null,
    "gated": null
  },
  "selection": {
    "include": ["*.json"],
    "exclude": ["é"],
    "allow_pickle": true
  },
  "licence": "mit",
  "model": {
    "architectures": ["A"],
    "model_type": null,
    "dtype": null,
    "context_length": null,
    "parameters": 7,
    "bytes_by_dtype": [["BF16", 14]],
    "quantization_method": "none",
    "quantization_scheme": "none",
    "quantization_bits": null,
    "quantization_group_size": null,
    "quantization_activations": null,
    "quantization_broken": false,
    "weight_parts": [["sharded BF16", 14]],
    "notes": ["n"]
  },
  "files": [
    {"path": "a.json", "size": 4, "sha256": "NEW", "original": {"size": 3, "sha256": "OLD"}},
    {"path": "b/model.safetensors", "size": 5000000000, "sha256": "WEIGHTS"}
  ],
  "omitted": [
    {"path": "x.bin", "reason": "not chosen"}
  ],
  "patches": [
    {"file": "a.json", "reason": "why", "definition": {"replace": "r"}, "replacement": {"size": 4, "sha256": "NEW"}, \
"before": {"size": 3, "sha256": "OLD"}, "after": {"size": 4, "sha256": "NEW"}}
  ],
  "provenance": [
    ["k", "v"],
    ["k", "w"]
  ],
  "findings": [
    {"file": "m.py", "gate": "remote_code", "reason": "code"},
    {"file": "x.bin", "gate": "pickle_globals", "reason": "uses it", "name": "os.system"}
  ]
}
""".replace("NEW", NEW.sha256.hex())
    .replace("OLD", OLD.sha256.hex())
    .replace("WEIGHTS", LOCK.files[1].sha256.hex())
)


def edited(edit: Callable[[Any], object]) -> bytes:
    """The lock after an edit of its JSON."""
    document = json.loads(TEXT)
    edit(document)
    return json.dumps(document).encode()


def problems_of(data: bytes) -> list[str]:
    with pytest.raises(LockProblems) as caught:
        parse(data)
    return [str(problem) for problem in caught.value.problems]


def test_a_lock_has_one_line_for_each_file() -> None:
    assert format(LOCK).decode() == TEXT


def test_a_lock_is_read_back() -> None:
    assert parse(TEXT.encode()) == LOCK


def test_empty_lists_stay_on_their_line() -> None:
    small = Lock(layout_version=1, source=LOCK.source, selection=Selection(), files=LOCK.files[1:])
    text = format(small).decode()
    assert '"patches": [],\n' in text
    assert '"include": null,\n' in text
    assert parse(text.encode()) == small


def test_the_digest_does_not_see_white_space() -> None:
    assert digest(edited(lambda _: None)) == digest(TEXT.encode()) == Hash.sha256_of(TEXT.encode())


def test_the_digest_sees_a_changed_hash() -> None:
    data = edited(lambda lock: lock["files"][1].update(sha256="0" * 64))
    assert digest(data) != digest(TEXT.encode())


def test_a_newer_minor_version_warns_of_what_it_passes_over() -> None:
    def edit(lock: Any) -> None:
        lock["lock_version"] = "1.7"
        lock["files"][0]["mtime"] = 0
        lock["new"] = []

    reading = read(edited(edit))
    assert reading.lock == LOCK
    assert reading.warnings == ("lock_version 1.7 is newer than this hf-pack's 1.0; passed over: new, files[0].mtime",)
    assert read(edited(lambda lock: lock.update(lock_version="1.1"))).warnings == (
        "lock_version 1.1 is newer than this hf-pack's 1.0; passed over: nothing",
    )
    assert read(TEXT.encode()).warnings == ()


def test_a_newer_minor_version_excuses_nothing_else() -> None:
    def edit(lock: Any) -> None:
        lock["lock_version"] = "1.1"
        lock["new"] = []
        lock["files"][0]["size"] = -1

    assert problems_of(edited(edit)) == ["files[0].size: out of range: expected 0 or more, found -1"]


@pytest.mark.parametrize("version", ["2.0", "0.9", "1", "x", "1.0.0"])
def test_another_major_version_is_refused_alone(version: str) -> None:
    (problem,) = problems_of(edited(lambda lock: (lock.update(lock_version=version), lock.pop("files"))))
    assert problem == (
        f'lock_version: this hf-pack does not read it: expected 1.x, found "{version}" '
        "(use the hf-pack that wrote it, or lock again)"
    )


def test_all_problems_come_at_once() -> None:
    def edit(lock: Any) -> None:
        lock["files"][0]["size"] = 1.5
        lock["files"][1]["sha256"] = "A" * 64
        del lock["source"]["snapshot_kind"]
        lock["extra"] = 1

    assert problems_of(edited(edit)) == [
        "extra: unknown key: expected one of lock_version, layout_version, source, selection, licence, model, "
        "files, omitted, patches, provenance, findings",
        "source.snapshot_kind: missing: expected a string",
        "files[0].size: unexpected type: expected a whole number, found 1.5",
        f"files[1].sha256: '{'A' * 64}' is not a sha256: 64 lower-case hex digits",
    ]


def _path(index: int, path: str) -> Callable[[Any], object]:
    return lambda lock: lock["files"][index].update(path=path)


def _set(*keys: str | int, to: object) -> Callable[[Any], object]:
    def edit(lock: Any) -> None:
        for key in keys[:-1]:
            lock = lock[key]
        lock[keys[-1]] = to

    return edit


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (_path(1, "a.json"), "files[1].path: listed twice"),
        (_path(0, "z"), 'files[1].path: not sorted by path: found "b/model.safetensors" after "z"'),
        (_path(0, "B/model.safetensors"), 'files[1].path: differs from "B/model.safetensors" only in case'),
        (_path(0, "b"), "files[0].path: a file lies where a directory is needed"),
        (_path(0, "../a"), "files[0].path: '../a' is not a relative path"),
        (_path(0, "/a"), "files[0].path: '/a' is not a relative path"),
        (_set("files", to=[]), "files: no file: expected at least one"),
        (_set("files", to=None), "files: no file"),
        (_set("files", 0, "size", to=True), "files[0].size: unexpected type: expected a whole number, found true"),
        (_set("files", 0, "size", to="4"), 'files[0].size: unexpected type: expected a whole number, found "4"'),
        (_set("files", 0, "original", to={}), "files[0].original.size: missing"),
        (_set("layout_version", to=0), "layout_version: out of range: expected 1 or more, found 0"),
        (_set("source", "repo_id", to="a/b/c"), "source.repo_id: 'a/b/c' has 3 parts"),
        (_set("source", "snapshot_id", to="a/b"), "source.snapshot_id: 'a/b' is not a snapshot id"),
        (_set("source", "snapshot_kind", to="x"), "source.snapshot_kind: unknown value: expected one of commit"),
        (_set("source", to=1), "source: unexpected type: expected a table, found 1"),
        (_set("model", "bytes_by_dtype", to=[["a"]]), "model.bytes_by_dtype[0]: unexpected type"),
        (_set("model", "bytes_by_dtype", to=[["a", True]]), 'expected [a string, bytes], found ["a", true]'),
        (_set("model", "parameters", to=-1), "model.parameters: out of range"),
        (_set("patches", 0, "file", to="c"), 'patches[0].file: not one of the locked files: found "c"'),
        (_set("patches", 0, "definition", to={"set": {"a": float("nan")}}), "patches[0].definition.set.a: not a"),
        (_set("patches", 0, "after", to=None), "patches[0].after: missing"),
        (_set("omitted", 0, "path", to=None), "omitted[0].path: missing: expected a string"),
    ],
)
def test_a_bad_lock_names_its_place(edit: Callable[[Any], object], expected: str) -> None:
    found = problems_of(edited(edit))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON: Expecting value (line 1, column 1)"),
        (b'{"a": 1, "a": 2}', 'not JSON: key "a" appears twice in one object'),
        (b"[]", "not a lock: expected an object, found []"),
        (b"{}", "lock_version: missing: expected a string"),
    ],
)
def test_what_is_no_lock_at_all(data: bytes, message: str) -> None:
    assert problems_of(data) == [message]
