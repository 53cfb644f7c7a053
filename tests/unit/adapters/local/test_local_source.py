from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models import (
    COMMIT,
    FINGERPRINT,
    OTHER_COMMIT,
    REPO_ID,
    gguf,
    tiny_model,
    write_flat,
    write_git_clone,
    write_hf_cache,
    write_local_dir,
)

from hf_pack.adapters.local.source import LocalSource, open_source
from hf_pack.adapters.local.sources import LocalSources
from hf_pack.errors import SourceError
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.manifest import PathSource, Selection
from hf_pack.model.selection import select

FILES = tiny_model(shards=2)
ORIGIN = RepoId.parse(REPO_ID)


def hf_cache(directory: Path) -> Path:
    return write_hf_cache(directory / "hub", REPO_ID, COMMIT, FILES)


def cache_of_files(directory: Path) -> Path:
    return write_hf_cache(directory / "hub", REPO_ID, COMMIT, FILES, layout="files")


def shared_cache(directory: Path) -> Path:
    return write_hf_cache(directory / "hub", REPO_ID, COMMIT, FILES, layout="shared")


def cache_root(directory: Path) -> Path:
    return hf_cache(directory).parent


def hf_home(directory: Path) -> Path:
    return hf_cache(directory).parent.parent


def snapshot(directory: Path) -> Path:
    return hf_cache(directory) / "snapshots" / COMMIT


def snapshots(directory: Path) -> Path:
    return hf_cache(directory) / "snapshots"


def link_to_cache(directory: Path) -> Path:
    link = directory / "link"
    link.symlink_to(hf_cache(directory))
    return link


def local_dir(directory: Path) -> Path:
    return write_local_dir(directory / "local", FILES, COMMIT)


def git_clone(directory: Path) -> Path:
    return write_git_clone(directory / "clone", FILES, COMMIT)


def flat(directory: Path) -> Path:
    return write_flat(directory / "flat", FILES)


WAYS: dict[str, tuple[Callable[[Path], Path], str, RepoId | None, str | None]] = {
    "cache": (hf_cache, "hf-cache", ORIGIN, COMMIT),
    "cache of files": (cache_of_files, "hf-cache", ORIGIN, COMMIT),
    "cache with shared blobs": (shared_cache, "hf-cache", ORIGIN, COMMIT),
    "cache root": (cache_root, "hf-cache", ORIGIN, COMMIT),
    "HF_HOME": (hf_home, "hf-cache", ORIGIN, COMMIT),
    "snapshots directory": (snapshots, "hf-cache", ORIGIN, COMMIT),
    "link to a cache": (link_to_cache, "hf-cache", ORIGIN, COMMIT),
    "snapshot": (snapshot, "snapshot", ORIGIN, COMMIT),
    "local-dir": (local_dir, "local-dir", None, COMMIT),
    "git": (git_clone, "git", ORIGIN, COMMIT),
    "flat": (flat, "flat", None, None),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_model_is_the_same_however_it_lies_there(way: str, tmp_path: Path) -> None:
    write, kind, repo_id, snapshot_id = WAYS[way]
    source = open_source(write(tmp_path))
    listing = source.listing
    assert (listing.kind, listing.repo_id, listing.snapshot_id) == (kind, repo_id, snapshot_id)
    assert listing.snapshot_kind is (SnapshotKind.COMMIT if snapshot_id else None)
    assert [file.path for file in listing.files] == sorted(FILES)
    assert {file.path: source.read(file.path) for file in listing.files} == FILES
    assert all(file.size == len(FILES[file.path]) for file in listing.files)
    assert all(file.real_path is not None and file.real_path == file.real_path.resolve() for file in listing.files)


def test_all_ways_select_the_same_files(tmp_path: Path) -> None:
    choices = set()
    for number, (write, *_) in enumerate(WAYS.values()):
        listing = open_source(write(tmp_path / str(number))).listing
        choices.add(select([(file.path, file.size) for file in listing.files], Selection()))
    assert len(choices) == 1


def test_read_a_part(tmp_path: Path) -> None:
    source = open_source(flat(tmp_path))
    assert source.read("config.json", size=5) == FILES["config.json"][:5]
    assert source.read("config.json", size=10**9) == FILES["config.json"]
    with pytest.raises(SourceError, match=r"absent\.json: no such file in the source"):
        source.read("absent.json")


def test_a_file_that_vanished_is_a_source_error(tmp_path: Path) -> None:
    source = open_source(flat(tmp_path))
    (tmp_path / "flat" / "config.json").unlink()
    with pytest.raises(SourceError, match=r"config\.json: cannot be read"):
        source.read("config.json")


def message(path: Path, snapshot_id: str | None = None) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        open_source(path, snapshot_id=snapshot_id)
    return caught.value.message, caught.value.hint


class TestPath:
    def test_not_there(self, tmp_path: Path) -> None:
        assert message(tmp_path / "no")[0] == f"{tmp_path}/no: no such file or directory"

    def test_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("gone")
        assert message(tmp_path / "link")[0] == f"{tmp_path}/link: a link to gone, which is not there"

    def test_some_file(self, tmp_path: Path) -> None:
        write_flat(tmp_path, {"config.json": b"{}"})
        assert message(tmp_path / "config.json") == (
            f"{tmp_path}/config.json: expected a model's directory or one .gguf file, found something else",
            f"give its directory: {tmp_path}",
        )

    def test_one_gguf_file(self, tmp_path: Path) -> None:
        write_flat(tmp_path, {"m.gguf": gguf(), "other.gguf": b""})
        source = open_source(tmp_path / "m.gguf")
        assert [file.path for file in source.listing.files] == ["m.gguf"]
        assert source.read("m.gguf", size=4) == b"GGUF"

    def test_empty_directory(self, tmp_path: Path) -> None:
        (tmp_path / "m" / ".git").mkdir(parents=True)
        assert message(tmp_path / "m")[0].splitlines() == [
            f"the model in {tmp_path}/m cannot be packaged: 1 problem",
            "  .: expected a model's files, found an empty directory",
        ]

    def test_relative_and_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        flat(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        sources = LocalSources(tmp_path)
        for path in ("flat", "./flat", "~/flat", str(tmp_path / "flat")):
            assert len(sources.open(PathSource(path=path)).listing.files) == len(FILES)


class TestCacheRoot:
    def test_several_models(self, tmp_path: Path) -> None:
        hf_cache(tmp_path)
        write_hf_cache(tmp_path / "hub", "acme/other", COMMIT, FILES)
        (tmp_path / "hub" / "datasets--acme--d").mkdir()
        assert message(tmp_path / "hub") == (
            f"{tmp_path}/hub: expected one model, found a cache of 2: models--acme--other, models--acme--tiny-llm",
            f"give one of them: {tmp_path}/hub/models--acme--other",
        )


class TestSnapshots:
    def test_refs_main_chooses(self, tmp_path: Path) -> None:
        write_hf_cache(tmp_path, REPO_ID, OTHER_COMMIT, tiny_model(seed=9))
        repo = write_hf_cache(tmp_path, REPO_ID, COMMIT, FILES)
        assert open_source(repo).listing.snapshot_id == COMMIT
        assert open_source(repo, snapshot_id=OTHER_COMMIT).listing.snapshot_id == OTHER_COMMIT
        assert [file.path for file in open_source(repo).listing.files] == sorted(FILES)

    def test_the_only_one_without_refs(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        shutil.rmtree(repo / "refs")
        assert open_source(repo).listing.snapshot_id == COMMIT

    def test_several_without_refs(self, tmp_path: Path) -> None:
        write_hf_cache(tmp_path, REPO_ID, OTHER_COMMIT, FILES)
        repo = write_hf_cache(tmp_path, REPO_ID, COMMIT, FILES)
        (repo / "refs" / "main").unlink()
        assert message(repo) == (
            f"{repo}: expected one snapshot or a refs/main that chooses, found 2: {COMMIT}, {OTHER_COMMIT}",
            f'choose one in the manifest: snapshot_id = "{COMMIT}"',
        )

    def test_refs_main_without_its_snapshot(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        (repo / "refs" / "main").write_text(OTHER_COMMIT)
        assert message(repo) == (
            f"{repo}: refs/main names snapshot {OTHER_COMMIT}, found {COMMIT}",
            f"hf download {REPO_ID} --revision {OTHER_COMMIT}",
        )

    def test_no_snapshot(self, tmp_path: Path) -> None:
        repo = tmp_path / "models--acme--tiny-llm"
        (repo / "snapshots").mkdir(parents=True)
        assert message(repo) == (
            f"{repo}: expected a snapshot, found none",
            f"hf download {REPO_ID} --revision main",
        )

    def test_an_unknown_snapshot(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        assert message(repo, OTHER_COMMIT)[0] == f"{repo}: expected snapshot {OTHER_COMMIT}, found {COMMIT}"
        assert message(repo / "snapshots" / COMMIT, OTHER_COMMIT) == (
            f"{repo}/snapshots/{COMMIT}: expected snapshot {OTHER_COMMIT}, found {COMMIT}",
            f"give the repository's directory: {repo}",
        )

    def test_a_newline_in_refs_main_is_noted(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        (repo / "refs" / "main").write_text(f"{COMMIT}\n")
        assert open_source(repo).listing.notes == (
            "refs/main ends in a newline, which the Hub's libraries take for a part of the id",
        )

    @pytest.mark.parametrize(
        ("snapshot_id", "extra", "kind"),
        [
            (COMMIT, {}, SnapshotKind.COMMIT),
            (COMMIT, {"quantize_meta.json": b"{}"}, SnapshotKind.FINGERPRINT),
            (COMMIT, {"FINGERPRINT.json": b"{}"}, SnapshotKind.FINGERPRINT),
            (FINGERPRINT, {}, SnapshotKind.FINGERPRINT),
            (f"{COMMIT}-0123456789ab", {}, SnapshotKind.FINGERPRINT),
            (COMMIT.upper(), {}, SnapshotKind.FINGERPRINT),
        ],
    )
    def test_fingerprints_are_no_commits(
        self, snapshot_id: str, extra: dict[str, bytes], kind: SnapshotKind, tmp_path: Path
    ) -> None:
        repo = write_hf_cache(tmp_path, REPO_ID, snapshot_id, {**FILES, **extra}, layout="files")
        listing = open_source(repo).listing
        assert (listing.snapshot_id, listing.snapshot_kind) == (snapshot_id, kind)
        noted = f"snapshot {snapshot_id} is a quantizer's fingerprint, not a commit of the Hub"
        assert listing.notes == ((noted,) if kind is SnapshotKind.FINGERPRINT else ())

    def test_modelscope_is_taken_as_plain_files(self, tmp_path: Path) -> None:
        write_flat(tmp_path / "acme--tiny-llm" / "snapshots" / "master", FILES)
        listing = open_source(tmp_path / "acme--tiny-llm").listing
        assert (listing.kind, listing.repo_id, listing.snapshot_id) == ("flat", ORIGIN, None)
        assert listing.notes == (
            "acme--tiny-llm/snapshots/master is no commit of the Hub (a ModelScope cache?): taken as plain files",
        )

    def test_folders_that_are_no_models(self, tmp_path: Path) -> None:
        for name in ("datasets--acme--d", "models--a--b--c"):
            (tmp_path / name / "snapshots").mkdir(parents=True)
        assert message(tmp_path / "datasets--acme--d")[0].endswith("expected a model, found datasets of the Hub")
        assert "has 3 parts" in message(tmp_path / "models--a--b--c")[0]

    def test_part_of_a_blob(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        digest = "ab" * 32
        write_flat(repo / "blobs", {f"{digest}.01234567.incomplete": b"x"})
        text, hint = message(repo)
        assert text.splitlines()[1:] == [
            f"  blobs/{digest}.01234567.incomplete: expected a finished download, found a part of one"
        ]
        assert hint.startswith(f"hf download {REPO_ID} --revision {COMMIT}")

    def test_a_part_whose_blob_came_later_is_a_harmless_leftover(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        digest = next(path.name for path in (repo / "blobs").iterdir() if len(path.name) == 64)
        write_flat(repo / "blobs", {f"{digest}.01234567.incomplete": b"x", f"{digest}.incomplete": b"x"})
        assert len(open_source(repo).listing.files) == len(FILES)


class TestLocalDir:
    def test_two_commits_are_noted_and_none_is_claimed(self, tmp_path: Path) -> None:
        write_local_dir(tmp_path, FILES, COMMIT, commits={"config.json": OTHER_COMMIT})
        listing = open_source(tmp_path).listing
        assert (listing.kind, listing.snapshot_id, listing.snapshot_kind) == ("local-dir", None, None)
        assert listing.notes == (
            f"the files were downloaded from 2 commits, {COMMIT} (.gitattributes) and {OTHER_COMMIT} (config.json): "
            "no commit is claimed",
        )

    def test_metadata_without_its_file_says_nothing(self, tmp_path: Path) -> None:
        write_local_dir(tmp_path, FILES, COMMIT, commits={"README.md": OTHER_COMMIT})
        (tmp_path / "README.md").unlink()
        assert open_source(tmp_path).listing.snapshot_id == COMMIT

    def test_part_of_a_file(self, tmp_path: Path) -> None:
        write_local_dir(tmp_path, FILES, COMMIT)
        part = f".cache/huggingface/download/abc=.{'cd' * 32}.01234567.incomplete"
        write_flat(tmp_path, {part: b"x"})
        assert message(tmp_path)[0].splitlines()[1:] == [f"  {part}: expected a finished download, found a part of one"]


class TestGitClone:
    @pytest.mark.parametrize(
        "remote",
        [
            f"https://huggingface.co/{REPO_ID}",
            f"https://huggingface.co/{REPO_ID}.git",
            f"https://user:token@huggingface.co/{REPO_ID}/",
            f"git@hf.co:{REPO_ID}.git",
            f"https://hf-mirror.com/{REPO_ID}",
        ],
    )
    def test_remote(self, remote: str, tmp_path: Path) -> None:
        assert open_source(write_git_clone(tmp_path, FILES, COMMIT, remote=remote)).listing.repo_id == ORIGIN

    def test_another_remote_claims_nothing(self, tmp_path: Path) -> None:
        write_git_clone(tmp_path, FILES, COMMIT, remote="https://git.example.org/acme/tiny-llm")
        listing = open_source(tmp_path).listing
        assert (listing.kind, listing.repo_id, listing.snapshot_id) == ("git", None, None)
        assert listing.notes == ("the clone's remote is no repository of the Hub: its commit is not taken for one",)

    def test_packed_refs(self, tmp_path: Path) -> None:
        assert open_source(write_git_clone(tmp_path, FILES, COMMIT, packed=True)).listing.snapshot_id == COMMIT

    def test_detached_head(self, tmp_path: Path) -> None:
        write_git_clone(tmp_path, FILES, COMMIT)
        (tmp_path / ".git" / "HEAD").write_text(f"{OTHER_COMMIT}\n")
        assert open_source(tmp_path).listing.snapshot_id == OTHER_COMMIT

    def test_unborn_branch(self, tmp_path: Path) -> None:
        write_git_clone(tmp_path, FILES, COMMIT)
        (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
        listing = open_source(tmp_path).listing
        assert (listing.snapshot_id, listing.notes) == (None, ("the clone has no commit checked out",))

    def test_worktree(self, tmp_path: Path) -> None:
        main = write_git_clone(tmp_path / "main", FILES, COMMIT)
        write_flat(main / ".git" / "worktrees" / "w", {"HEAD": f"{OTHER_COMMIT}\n".encode(), "commondir": b"../..\n"})
        tree = write_flat(tmp_path / "w", FILES)
        (tree / ".git").write_text(f"gitdir: {main}/.git/worktrees/w\n")
        listing = open_source(tree).listing
        assert (listing.kind, listing.repo_id, listing.snapshot_id) == ("git", ORIGIN, OTHER_COMMIT)


class TestLinks:
    def test_a_farm_of_links(self, tmp_path: Path) -> None:
        real = hf_cache(tmp_path).rename(tmp_path / "0123-tree")
        (tmp_path / "hub" / "models--acme--tiny-llm").symlink_to(real)
        listing = open_source(tmp_path / "hub").listing
        assert (listing.repo_id, listing.snapshot_id, len(listing.files)) == (ORIGIN, COMMIT, len(FILES))

    def test_a_link_to_a_snapshot(self, tmp_path: Path) -> None:
        (tmp_path / "current").symlink_to(snapshot(tmp_path))
        assert open_source(tmp_path / "current").listing.snapshot_id == COMMIT

    def test_a_package_in_a_store_can_be_a_source(self, tmp_path: Path) -> None:
        store = tmp_path / "nix" / "store"
        write_flat(store, {"0123456789abcdfghijklmnpqrsvwxyz-model.safetensors": FILES["config.json"]})
        tree = write_flat(store / "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-m-1" / "share", {"config.json": b"{}"})
        (tree / "model.safetensors").symlink_to("../../0123456789abcdfghijklmnpqrsvwxyz-model.safetensors")
        assert [file.path for file in open_source(tree).listing.files] == ["config.json", "model.safetensors"]

    def test_a_directory_of_links_into_a_cache(self, tmp_path: Path) -> None:
        repo = hf_cache(tmp_path)
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in FILES:
            (copy / name).symlink_to(os.path.realpath(repo / "snapshots" / COMMIT / name))
        assert [file.path for file in open_source(copy).listing.files] == sorted(FILES)

    def test_a_renamed_repository_keeps_its_blobs(self, tmp_path: Path) -> None:
        renamed = hf_cache(tmp_path).rename(tmp_path / "mine")
        listing = open_source(renamed).listing
        assert (listing.kind, listing.repo_id, len(listing.files)) == ("flat", None, len(FILES))

    def test_a_snapshot_copied_without_its_blobs(self, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(snapshot(tmp_path), copy, symlinks=True)
        text, hint = message(copy)
        assert text.splitlines()[0] == f"the model in {copy} cannot be packaged: {len(FILES)} problems"
        assert "  config.json: expected a file behind the link, found nothing at " in text
        assert hint == "copy the model again, with `cp -rL`"

    def test_a_repository_copied_without_the_shared_blobs(self, tmp_path: Path) -> None:
        repo = shared_cache(tmp_path)
        shutil.rmtree(repo.parent / "blobs")
        problems = open_source(repo).listing.problems
        assert [problem.path for problem in problems] == [
            path for path in sorted(FILES) if path.endswith(".safetensors")
        ]
        assert {problem.hint for problem in problems} == {f"hf download {REPO_ID} --revision {COMMIT}"}


def test_sources_hold_no_open_files(tmp_path: Path) -> None:
    assert isinstance(open_source(flat(tmp_path)), LocalSource)
    shutil.rmtree(tmp_path / "flat")
