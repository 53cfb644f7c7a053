from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import AppliedPatch, FileDigest, Lock, LockedFile, LockedSource
from hf_pack.model.manifest import HubSource, Layout, Manifest, Patch, PathSource, Selection, Storage
from hf_pack.model.patches import definition
from hf_pack.model.stale import (
    KeptFileChanged,
    KeptFileMissing,
    KeptFileUnknown,
    PatchAdded,
    PatchChanged,
    PatchRemoved,
    ReplacementChanged,
    SelectionChanged,
    SourceChanged,
    StaleReason,
    stale_reasons,
)

ONE = FileDigest(size=1, sha256=Hash.sha256_of(b"1"))
TWO = FileDigest(size=2, sha256=Hash.sha256_of(b"22"))

A = Patch(file="a.json", reason="a", set={"x": 1})
B = Patch(file="b.json", reason="b", replace="new-b.json")
C = Patch(file="c.json", reason="c", delete=("y",))

MANIFEST = Manifest(
    name="m",
    pname="m",
    base_version="1.0.0",
    layout=Layout.HF,
    storage=Storage.LINKED,
    source=PathSource(path="/somewhere", slug=RepoId("o", "n"), snapshot_id="content"),
    selection=Selection(),
    patches=(A, B, C),
)


def applied(patch: Patch) -> AppliedPatch:
    return AppliedPatch(
        file=patch.file,
        reason=patch.reason,
        definition=definition(patch),
        replacement=None if patch.replace is None else TWO,
        before=ONE,
        after=TWO,
    )


LOCK = Lock(
    layout_version=1,
    source=LockedSource(
        repo_id=RepoId("o", "n"),
        snapshot_id="0" * 40,
        snapshot_kind=SnapshotKind.CONTENT,
        asked_repo_id=RepoId("o", "n"),
        asked_revision="content",
    ),
    selection=Selection(),
    files=(
        LockedFile(path="config.json", size=1, sha256=ONE.sha256),
        LockedFile(path="model.safetensors", size=1, sha256=ONE.sha256),
        LockedFile(path="patched.json", size=2, sha256=TWO.sha256, original=ONE),
    ),
    patches=tuple(map(applied, (A, B, C))),
)

KEPT = {"config.json": ONE, "patched.json": TWO}


def reasons(
    manifest: Manifest = MANIFEST,
    lock: Lock = LOCK,
    kept: Mapping[str, FileDigest] = KEPT,
    replacement: FileDigest | None = TWO,
) -> tuple[StaleReason, ...]:
    return stale_reasons(manifest, lock, kept, {"new-b.json": replacement})


def with_patches(*patches: Patch) -> Manifest:
    return dataclasses.replace(MANIFEST, patches=patches)


def test_a_fresh_lock_has_no_reason() -> None:
    assert reasons() == ()


def test_what_plans_read_from_the_manifest_makes_nothing_stale() -> None:
    changed = dataclasses.replace(
        MANIFEST,
        pname="other",
        base_version="2",
        layout=Layout.SINGLE,
        triton_model_name="t",
        storage=Storage.SELF_CONTAINED,
        vllm={"a": 1},
        sglang={"b": 1},
        triton={"c": 1},
        runtimes={"vllm": ">=1"},
        source=PathSource(path="elsewhere", slug=RepoId("o", "n"), snapshot_id="content"),
    )
    assert reasons(changed) == ()


def test_a_path_that_becomes_the_same_revision_on_the_hub_is_fresh() -> None:
    hub = HubSource(repo_id=RepoId("o", "n"), revision="content")
    assert reasons(dataclasses.replace(MANIFEST, source=hub)) == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            PathSource(path="x"),
            [
                SourceChanged(field="source.slug", locked="o/n", wanted=None),
                SourceChanged(field="source.snapshot_id", locked="content", wanted=None),
            ],
        ),
        (
            HubSource(repo_id=RepoId("o", "n"), revision="main"),
            [SourceChanged(field="source.revision", locked="content", wanted="main")],
        ),
        (
            HubSource(repo_id=RepoId(None, "n"), revision="content"),
            [SourceChanged(field="source.repo_id", locked="o/n", wanted="n")],
        ),
    ],
)
def test_another_source(source: HubSource | PathSource, expected: list[StaleReason]) -> None:
    assert list(reasons(dataclasses.replace(MANIFEST, source=source))) == expected


def test_a_source_that_now_says_what_it_is() -> None:
    silent = dataclasses.replace(LOCK.source, asked_repo_id=None, asked_revision=None)
    found = reasons(lock=dataclasses.replace(LOCK, source=silent))
    assert [reason.sentence for reason in found] == [
        "source.slug: locked for nothing, the manifest asks for 'o/n'",
        "source.snapshot_id: locked for nothing, the manifest asks for 'content'",
    ]


def test_another_selection() -> None:
    selection = Selection(include=("*",), exclude=("x",), allow_pickle=True)
    found = reasons(dataclasses.replace(MANIFEST, selection=selection))
    assert found == (
        SelectionChanged(field="source.include", locked=None, wanted=("*",)),
        SelectionChanged(field="source.exclude", locked=(), wanted=("x",)),
        SelectionChanged(field="source.allow_pickle", locked=False, wanted=True),
    )
    assert [reason.sentence for reason in found] == [
        'source.include: locked with the default choice, the manifest has ["*"]',
        'source.exclude: locked with [], the manifest has ["x"]',
        "source.allow_pickle: locked with false, the manifest has true",
    ]


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ((A, B), [PatchRemoved(index=2, file="c.json")]),
        ((B, C), [PatchRemoved(index=0, file="a.json")]),
        ((), [PatchRemoved(index=i, file=f"{name}.json") for i, name in enumerate("abc")]),
        ((A, B, C, C), [PatchAdded(index=3, file="c.json")]),
        ((C, A, B, C), [PatchAdded(index=0, file="c.json")]),
        (
            (A, C, B),
            [PatchChanged(index=1, file="c.json"), PatchChanged(index=2, file="b.json")],
        ),
        ((dataclasses.replace(A, set={"x": True}), B, C), [PatchChanged(index=0, file="a.json")]),
        ((dataclasses.replace(A, reason="other"), B, C), [PatchChanged(index=0, file="a.json")]),
        ((dataclasses.replace(A, file="z.json"), B, C), [PatchChanged(index=0, file="z.json")]),
        ((dataclasses.replace(A, when={"x": 1}), B, C), [PatchChanged(index=0, file="a.json")]),
    ],
)
def test_other_patches(patches: tuple[Patch, ...], expected: list[StaleReason]) -> None:
    assert list(reasons(with_patches(*patches))) == expected


def test_the_replacement_is_found_behind_added_and_removed_patches() -> None:
    assert list(reasons(with_patches(C, A, B, C), replacement=ONE)) == [
        PatchAdded(index=0, file="c.json"),
        ReplacementChanged(index=2, file="new-b.json", found=ONE),
    ]
    assert list(reasons(with_patches(B, C), replacement=ONE)) == [
        PatchRemoved(index=0, file="a.json"),
        ReplacementChanged(index=0, file="new-b.json", found=ONE),
    ]


def test_a_replacement_that_is_gone() -> None:
    gone = ReplacementChanged(index=1, file="new-b.json", found=None)
    assert reasons(replacement=None) == stale_reasons(MANIFEST, LOCK, KEPT, {}) == (gone,)


def test_kept_files_are_held_against_the_lock() -> None:
    assert reasons(kept={"config.json": TWO, "z": ONE, "model.safetensors": ONE}) == (
        KeptFileChanged(path="config.json", locked=ONE, found=TWO),
        KeptFileMissing(path="patched.json"),
        KeptFileUnknown(path="model.safetensors"),
        KeptFileUnknown(path="z"),
    )


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (PatchAdded(index=3, file="a"), "patch[3]: new, changes a"),
        (PatchRemoved(index=3, file="a"), "the lock's patches[3], of a: the manifest has it no more"),
        (PatchChanged(index=3, file="a"), "patch[3]: not what was locked for a"),
        (
            ReplacementChanged(index=3, file="a", found=None),
            "patch[3].replace: models/a is not there",
        ),
        (
            ReplacementChanged(index=3, file="a", found=ONE),
            "patch[3].replace: models/a has changed since it was locked",
        ),
        (KeptFileMissing(path="a"), "a: the lock names it, but it does not lie beside the lock"),
        (KeptFileUnknown(path="a"), "a: lies beside the lock, which does not name it"),
        (
            KeptFileChanged(path="a", locked=ONE, found=TWO),
            f"a: beside the lock with 2 bytes of sha256 {TWO.sha256.hex()}, "
            f"locked with 1 bytes of sha256 {ONE.sha256.hex()}",
        ),
    ],
)
def test_sentences(reason: StaleReason, sentence: str) -> None:
    assert reason.sentence == sentence
