from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import tiny_model, write_flat

from hf_pack.errors import LockError, StoreError, UsageError
from hf_pack.model.manifest import Storage
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.stored.contents import stored_contents
from hf_pack.steps.workspace.inventory import Listed, inventory
from hf_pack.steps.workspace.locate import locate
from hf_pack.steps.workspace.targets import resolve, store_path_of
from hf_pack.steps.workspace.workspace_files import find_name, stem_of


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--tiny", tiny_model()), wishes=Wishes(name="tiny-1.5"))
    return bench


def test_a_name_may_be_written_as_a_pname(bench: Bench) -> None:
    assert find_name(bench.workspace, "tiny-1-5") == "tiny-1-5"
    assert find_name(bench.workspace, "tiny-1.5") == "tiny-1-5"
    assert stem_of("a_b.c") == "a-b-c"


def test_an_unknown_name_has_a_near_one_for_a_hint(bench: Bench) -> None:
    with pytest.raises(UsageError) as caught:
        find_name(bench.workspace, "tny-1.5")
    assert caught.value.message == (
        f"no package is called 'tny-1.5' in this workspace\n  {bench.workspace.root / 'models'}: has tiny-1-5"
    )
    assert caught.value.hint == "did you mean 'tiny-1-5'?"
    with pytest.raises(UsageError) as caught:
        find_name(bench.workspace, "qwen")
    assert caught.value.hint == "hf-pack list, or hf-pack add ORG/NAME or a path"


def test_an_empty_workspace_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no manifest"):
        find_name(new_bench(tmp_path / "other").workspace, "x")


def test_a_target_is_a_name_a_store_path_or_a_version(bench: Bench) -> None:
    info = bench.build("tiny-1-5").info
    for text in ("tiny-1-5", "tiny-1.5", str(info.store_path), "tiny-1.5@1.0.0+0000000"):
        target = resolve(text, bench.workspace, bench.store)
        assert target.store_path == info.store_path
        assert ((target.package is not None) == text.startswith("tiny") and "@" not in text) or target.package is None
        assert locate(text, bench.workspace, bench.store) == info.store_path


def test_a_path_inside_the_store_or_a_link_to_one_names_its_object(bench: Bench) -> None:
    path = bench.build("tiny-1-5").info.store_path
    real = bench.store.real_path(path)
    for text in (f"{path}/share/models", str(real), f"{real}/share/", str(bench.workspace.root / "result-tiny-1-5")):
        assert resolve(text, None, bench.store).store_path == path
    assert resolve("result-tiny-1-5", bench.workspace, bench.store).store_path == path


def test_a_path_in_another_store_is_refused(bench: Bench) -> None:
    path = bench.build("tiny-1-5").info.store_path
    for finder in (resolve, locate):
        with pytest.raises(UsageError, match="lies in another store") as caught:
            finder(f"/elsewhere{path}", bench.workspace, bench.store)
        assert caught.value.hint == "give the same command with --store /elsewhere"


@pytest.mark.parametrize("text", ["t!!", "tiny*", " tiny-1-5"])
def test_what_no_package_can_be_called_finds_none(bench: Bench, text: str) -> None:
    with pytest.raises(UsageError, match="no package is called"):
        find_name(bench.workspace, text)


@pytest.mark.parametrize("text", ["/nix/store/short-x", "a/b", "/nix/store", "./x", "/nix/store/"])
def test_what_looks_like_a_path_and_is_none(bench: Bench, text: str) -> None:
    said = "is not a store path" if text.startswith("/") else "^(a/b|./x): no such file or directory$"
    with pytest.raises(UsageError, match=said):
        resolve(text, bench.workspace, bench.store)


def test_a_name_needs_a_workspace_and_the_rest_does_not(bench: Bench) -> None:
    info = bench.build("tiny-1-5").info
    for finder in (resolve, locate):
        with pytest.raises(UsageError, match="there is no workspace here"):
            finder("tiny-1-5", None, bench.store)
    assert locate("tiny-1.5@1.0.0+0000000", None, bench.store) == info.store_path


def test_a_version_that_is_not_there_or_is_two_contents(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"no object is named tiny-1\.5-2"):
        resolve("tiny-1.5@2", bench.workspace, bench.store)
    first = bench.build("tiny-1-5").info.store_path
    text = bench.manifest("tiny-1-5").read_text()
    bench.manifest("tiny-1-5").write_text(text.replace("max_model_len = 64", "max_model_len = 32"))
    second = bench.build("tiny-1-5").info.store_path
    with pytest.raises(StoreError) as caught:
        resolve("tiny-1.5@1.0.0+0000000", bench.workspace, bench.store)
    assert str(first) in caught.value.message and str(second) in caught.value.message


def test_locate_says_what_was_never_built_or_is_gone(bench: Bench) -> None:
    with pytest.raises(LockError, match="tiny-1-5 was never built here"):
        locate("tiny-1-5", bench.workspace, bench.store)
    path = bench.build("tiny-1-5").info.store_path
    (bench.workspace.root / "result-tiny-1-5").unlink()
    bench.store.collect_garbage(dry_run=False)
    for text in ("tiny-1-5", str(path)):
        with pytest.raises(StoreError, match="is not in the store"):
            locate(text, bench.workspace, bench.store)


def test_a_self_contained_path_is_known_from_the_record_of_this_plan_alone(bench: Bench) -> None:
    text = bench.manifest("tiny-1-5").read_text()
    bench.manifest("tiny-1-5").write_text(text.replace('"linked"', '"self-contained"', 1))
    with pytest.raises(LockError, match="known after it was built"):
        store_path_of(bench.load("tiny-1-5"))
    path = bench.build("tiny-1-5").info.store_path
    assert store_path_of(bench.load("tiny-1-5")) == path
    bench.manifest("tiny-1-5").write_text(bench.manifest("tiny-1-5").read_text().replace("= 64", "= 32"))
    with pytest.raises(LockError):
        store_path_of(bench.load("tiny-1-5"))


def test_an_object_that_is_no_package_of_ours(bench: Bench) -> None:
    (blob,) = bench.load("tiny-1-5").plan.blobs
    with pytest.raises(StoreError, match="is not a package"):
        stored_contents(blob.store_path, bench.store)


@pytest.mark.parametrize("text", [b"{", b"{}", b'{"files": [{"path": 1}]}', b"[]"])
def test_a_package_with_damaged_provenance(bench: Bench, text: bytes) -> None:
    path = bench.build("tiny-1-5").info.store_path
    next(bench.real(path).glob("share/*/hf-pack.json")).write_bytes(text)
    with pytest.raises(StoreError, match=r"has a damaged share/tiny-1\.5/hf-pack\.json") as caught:
        stored_contents(path, bench.store)
    assert caught.value.hint == f"hf-pack verify {path}"


def test_inventory_lists_the_workspace_and_what_only_the_store_has(bench: Bench, tmp_path: Path) -> None:
    def row(name: str) -> Listed:
        return next(row for row in inventory(bench.workspace, bench.store) if row.name == name)

    assert row("tiny-1-5") == Listed(
        name="tiny-1-5",
        pname_and_version="tiny-1.5-1.0.0+0000000",
        layout="dual",
        storage="linked",
        locked=True,
        store_path=None,
        in_store=False,
        nar_size=None,
    )
    info = bench.build("tiny-1-5").info
    built = row("tiny-1-5")
    assert (built.store_path, built.in_store, built.nar_size) == (info.store_path, True, info.nar_size)
    (bench.workspace.root / "models" / "tiny-1-5.lock").unlink()
    assert row("tiny-1-5").locked is False

    wishes = Wishes(name="second", storage=Storage.SELF_CONTAINED)
    bench.add(bench.home / "acme--tiny", wishes=wishes)
    other = bench.build("second").info
    without = inventory(None, bench.store)
    assert {(row.name, row.pname_and_version, row.storage) for row in without} == {
        (None, "tiny-1.5-1.0.0+0000000", "linked"),
        (None, "second-1.0.0+0000000", "self-contained"),
    }
    assert {row.store_path for row in without} == {info.store_path, other.store_path}
    assert [row.name for row in inventory(bench.workspace, bench.store)] == ["second", "tiny-1-5"]


def test_inventory_shows_a_package_whose_files_are_wrong(bench: Bench) -> None:
    bench.manifest("tiny-1-5").write_text("x")
    (row,) = inventory(bench.workspace, bench.store)
    assert row.problem == "models/tiny-1-5.toml: 1 problem"
    assert (row.name, row.locked, row.in_store) == ("tiny-1-5", True, False)
