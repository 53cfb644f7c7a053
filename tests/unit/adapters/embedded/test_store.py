from __future__ import annotations

import threading
from pathlib import Path

from tests.embedded_stores import Quiet, linked_plan, self_contained_plan, source_file, store_entries

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.ports import Store


def test_it_is_a_store(tmp_path: Path) -> None:
    store: Store = EmbeddedStore(tmp_path / "root")
    assert store.url == f"local?root={tmp_path.resolve()}/root"


def test_threads_and_two_openings_share_a_store(tmp_path: Path) -> None:
    stores = [EmbeddedStore(tmp_path / "root") for _ in range(2)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        store = stores[number % 2]
        try:
            with store.session():
                files = [
                    source_file(tmp_path / f"src{number}", name, name.encode() * 1000)
                    for name in ("shared.bin", f"{number % 3}.bin")
                ]
                blobs = [added.blob for added in store.add_blobs(files, Quiet())]
                for plan in (linked_plan("linked", blobs), self_contained_plan("whole", blobs)):
                    path = store.add_tree(plan, Quiet()).info.store_path
                    assert store.check(path, Quiet()) == ()
                    store.add_root(files[0].real_path, [path])
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(stores[0].all_paths()) == 4 + 3 + 3
    assert stores[0].all_paths() == stores[1].all_paths()
    assert store_entries(stores[0].root) == {info.store_path.base_name for info in stores[0].all_paths()}


def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path / "root") as store:
        store.add_blobs([source_file(tmp_path / "src", "x.bin", b"x")], Quiet())
    assert {path.name for path in (store.root / "nix/var/nix/db").iterdir()} == {"big-lock", "db.sqlite", "schema"}
    assert len(store.all_paths()) == 1
