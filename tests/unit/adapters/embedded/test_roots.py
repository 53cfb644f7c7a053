from __future__ import annotations

from pathlib import Path

import pytest
from tests.embedded_stores import Quiet, add_bytes, linked_plan

from hf_pack.adapters.embedded import roots
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk.staging import names_in
from hf_pack.errors import StoreError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Root


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def _add(store: EmbeddedStore, tmp_path: Path, name: str) -> StorePath:
    return add_bytes(store, tmp_path / "src", name, name.encode()).blob.store_path


def _rooted(store: EmbeddedStore) -> set[tuple[StorePath, str | None]]:
    return {(root.store_path, root.owner) for root in store.roots()}


def _folders(store: EmbeddedStore) -> set[str]:
    return names_in(store.root / "nix" / "var" / "nix" / "gcroots" / "hf-pack")


def test_a_lock_owns_its_paths_until_it_is_gone(store: EmbeddedStore, tmp_path: Path) -> None:
    one, two, three = (_add(store, tmp_path, name) for name in ("one", "two", "three"))
    owner = tmp_path / "x.lock"
    owner.touch()
    store.add_root(owner, [one, two])
    assert _rooted(store) == {(one, str(owner)), (two, str(owner))}
    store.add_root(owner, [two, three])
    assert _rooted(store) == {(two, str(owner)), (three, str(owner))}
    owner.unlink()
    assert store.roots() == ()
    assert _folders(store)  # looking changes nothing
    store.collect_garbage(dry_run=False)
    assert not _folders(store)


def test_a_root_is_a_direct_link_beside_its_owner(store: EmbeddedStore, tmp_path: Path) -> None:
    path = _add(store, tmp_path, "one")
    owner = tmp_path / "x.lock"
    owner.touch()
    store.add_root(owner, [path])
    (folder,) = (store.root / "nix" / "var" / "nix" / "gcroots" / "hf-pack").iterdir()
    links = {link.name: str(link.readlink()) for link in folder.iterdir()}
    assert links.pop("made-at").endswith(f":{store.root}")
    assert links == {path.base_name: str(path), "owner": str(owner)}
    assert store.roots() == (Root(store_path=path, declared_at=str(folder / path.base_name), owner=str(owner)),)


def test_an_owner_has_one_name(store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _add(store, tmp_path, "one")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "x.lock").touch()
    (tmp_path / "link").symlink_to("work")
    monkeypatch.chdir(tmp_path / "work")
    for owner in (tmp_path / "work" / "x.lock", tmp_path / "link" / "x.lock", Path("x.lock"), Path("../work/x.lock")):
        store.add_root(owner, [path])
    assert len(store.roots()) == 1


@pytest.mark.parametrize("logical", [True, False])
def test_a_result_link_owns_what_it_points_to(store: EmbeddedStore, tmp_path: Path, logical: bool) -> None:
    old, new = _add(store, tmp_path, "old"), _add(store, tmp_path, "new")
    result = tmp_path / "result-model"
    result.symlink_to(str(old) if logical else store.real_path(old))
    store.add_root(result, [old])
    assert _rooted(store) == {(old, str(result))}
    result.unlink()
    result.symlink_to(store.real_path(new))
    assert store.roots() == ()  # it is for something else now
    store.add_root(result, [new])
    assert _rooted(store) == {(new, str(result))}
    result.unlink()
    result.symlink_to(tmp_path / "another-store")
    assert store.collect_garbage(dry_run=False).kept == 0


def test_a_lock_that_is_a_link_is_only_asked_to_be_there(store: EmbeddedStore, tmp_path: Path) -> None:
    path = _add(store, tmp_path, "one")
    owner = tmp_path / "x.lock"
    owner.symlink_to(tmp_path / "shared" / "x.lock")
    store.add_root(owner, [path])
    assert _rooted(store) == {(path, str(owner))}


def test_only_valid_paths_can_be_rooted(store: EmbeddedStore, tmp_path: Path) -> None:
    missing = StorePath("0" * 32, "missing")
    with pytest.raises(StoreError, match=f"\n  {missing}"):
        store.add_root(tmp_path / "x.lock", [missing])
    assert not _folders(store)


def test_roots_of_others(store: EmbeddedStore, tmp_path: Path) -> None:
    paths = {name: _add(store, tmp_path, name) for name in ("direct", "indirect", "real", "named", "profile", "dead")}
    state = store.root / "nix" / "var" / "nix"
    (state / "gcroots" / "nested").mkdir()
    (state / "gcroots" / "nested" / "direct").symlink_to(f"{paths['direct']}/share")
    (state / "gcroots" / "auto").mkdir()
    (tmp_path / "result").symlink_to(str(paths["indirect"]))
    (state / "gcroots" / "auto" / "a").symlink_to(tmp_path / "result")
    (state / "gcroots" / "auto" / "gone").symlink_to(tmp_path / "gone")
    (state / "gcroots" / "real").symlink_to(store.real_path(paths["real"]))
    (state / "gcroots" / paths["named"].base_name).touch()
    (state / "gcroots" / "invalid").symlink_to("/nix/store/" + "0" * 32 + "-never")
    (state / "profiles" / "p-1-link").symlink_to(str(paths["profile"]))
    live = {path for name, path in paths.items() if name != "dead"}
    assert {root.store_path for root in store.roots()} == live
    assert (paths["indirect"], str(tmp_path / "result")) in _rooted(store)
    assert store.collect_garbage(dry_run=False).deleted == (paths["dead"],)
    assert names_in(state / "gcroots" / "auto") == {"a"}


def test_what_a_kill_left_of_a_root_is_none(store: EmbeddedStore, tmp_path: Path) -> None:
    path = _add(store, tmp_path, "one")
    half = store.root / "nix" / "var" / "nix" / "gcroots" / "hf-pack" / "x"
    half.mkdir(parents=True)
    (half / path.base_name).symlink_to(str(path))
    assert store.roots() == ()
    assert store.collect_garbage(dry_run=False).deleted == (path,)


def test_a_session_roots_what_it_adds_and_keeps(store: EmbeddedStore, tmp_path: Path) -> None:
    kept, other = _add(store, tmp_path, "kept"), _add(store, tmp_path, "other")
    missing = StorePath("0" * 32, "missing")
    with store.session():
        assert store.keep([kept, missing]) == {kept}
        added = add_bytes(store, tmp_path / "src", "w.bin", b"w").blob
        tree = store.add_tree(linked_plan("tree", [added]), Quiet()).info.store_path
        assert {root.store_path for root in store.roots()} == {kept, added.store_path, tree}
        assert store.collect_garbage(dry_run=False).deleted == (other,)
    assert store.roots() == ()


def test_a_root_of_another_host_counts_though_its_owner_is_not_seen(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts on one directory: what one of them keeps by a link on its own disk, the other must not delete."""
    path, own = _add(store, tmp_path, "one"), _add(store, tmp_path, "own")
    owner = tmp_path / "result"
    owner.symlink_to(store.real_path(path))
    monkeypatch.setattr(roots, "_host", lambda: "host-a")
    store.add_root(owner, [path])
    monkeypatch.setattr(roots, "_host", lambda: "host-b")
    store.add_root(owner, [own])  # of the same name on another host: another link
    owner.unlink()
    assert [(root.store_path, root.elsewhere) for root in store.roots()] == [(path, f"host-a:{store.root}")]
    assert store.collect_garbage(dry_run=False).deleted == (own,)
    monkeypatch.setattr(roots, "_host", lambda: "host-a")
    assert store.collect_garbage(dry_run=False).deleted == (path,)
    assert not _folders(store)


def test_a_store_that_was_moved_keeps_everything_until_its_links_are_made_anew(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path / "root") as store:
        paths = [_add(store, tmp_path, name) for name in ("one", "two")]
        owners = [tmp_path / "result", tmp_path / "x.lock"]
        owners[0].symlink_to(store.real_path(paths[0]))  # leads nowhere afterwards
        owners[1].touch()
        for owner, path in zip(owners, paths, strict=True):
            store.add_root(owner, [path])
    (tmp_path / "root").rename(tmp_path / "moved")
    with EmbeddedStore(tmp_path / "moved") as store:
        assert store.collect_garbage(dry_run=False).deleted == ()
        for path in paths:
            assert store.check(path, Quiet()) == ()
        owners[0].unlink()
        owners[0].symlink_to(store.real_path(paths[0]))
        store.add_root(owners[0], [paths[0]])
        assert {(root.store_path, root.elsewhere is None) for root in store.roots()} == {
            (paths[0], True),
            (paths[1], False),
        }
        owners[0].unlink()
        assert store.collect_garbage(dry_run=False).deleted == (paths[0],)
