"""Self-contained packages in the machine's store: streamed from where the files lie, one copy, every byte proved."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon_stores import chroot_environment, chroot_store
from tests.embedded_stores import NEEDS_NIX, Quiet, assert_sound, self_contained_plan, source_file, store_entries
from tests.end_to_end import Built, Place, large_tokenizer, new_place
from tests.from_hub import HubPlace, hub_place
from tests.hub import TestHub
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.adapters.nix_daemon.store import NixDaemonStore
from hf_pack.errors import HubError, IntegrityError, StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob

pytestmark = NEEDS_NIX

FILES = {**tiny_model(shards=3), "tokenizer.json": large_tokenizer()}
SOLID = ("--name", "tiny", "--storage", "self-contained")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The machine's store, which is below a directory here; this user's state lies beside it."""
    environ = chroot_environment(tmp_path / "machine")
    return {**environ, "XDG_STATE_HOME": str(tmp_path / "state"), "HF_PACK_STORE": "daemon"}


@pytest.fixture
def store(tmp_path: Path) -> NixDaemonStore:
    return chroot_store(tmp_path / "machine")


def _built(place: Place, environ: dict[str, str], *options: str) -> Built:
    return Built.of(json.loads(place.run("build", "tiny", "--json", *options, env=environ))[0])


def _weights(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*.safetensors") if not path.is_symlink())


@pytest.mark.usefixtures("every_nix")
def test_nothing_but_the_tree_enters_the_store(place: Place, machine: dict[str, str], tmp_path: Path) -> None:
    cache = write_hf_cache(place.home / "cache", REPO_ID, COMMIT, FILES)
    place.run("add", cache, *SOLID, env=machine)
    assert not (tmp_path / "machine" / "nix/store").exists() or store_entries(tmp_path / "machine") == set()
    plan = json.loads(place.run("plan", "tiny", "--json", env=machine))
    assert plan["disk_needed"] == plan["nar_size"]
    built = _built(place, machine)
    assert store_entries(tmp_path / "machine") == {Path(built.store_path).name}
    assert built.bytes_read == plan["fetch_size"]
    assert built.bytes_written == built.nar_size
    assert_sound(tmp_path / "machine")
    assert _built(place, {}).store_path == built.store_path  # the embedded store's
    # The cache may go: nothing is read any more, and commands that look into weights find them in the tree.
    shutil.rmtree(cache)
    again = _built(place, machine, "--offline")
    assert (again.bytes_read, again.bytes_written) == (0, 0)
    plan = json.loads(place.run("plan", "tiny", "--json", env=machine))
    assert (plan["fetch_size"], plan["disk_needed"]) == (0, 0)
    place.run("verify", "tiny", env=machine)
    assert json.loads(place.run("diff", "tiny", built.store_path, "--json", env=machine))["files"] == []


def test_a_file_that_changed_since_the_lock_is_refused(place: Place, machine: dict[str, str], tmp_path: Path) -> None:
    """In the middle of the stream, of the same length; and of another one."""
    cache = write_hf_cache(place.home / "cache", REPO_ID, COMMIT, FILES)
    place.run("add", cache, *SOLID, env=machine)
    (shard,) = (path.resolve() for path in cache.rglob("model-00002-of-00003.safetensors"))
    contents = shard.read_bytes()
    for changed in (bytes(byte ^ 1 for byte in contents), contents + b"more", contents[:-1]):
        shard.chmod(0o644)
        shard.write_bytes(changed)
        said = place.run("build", "tiny", env=machine, code=IntegrityError.exit_code)
        assert "other bytes than it must have" in said and shard.name in said and "hf-pack lock" in said
        assert not (place.workspace / "result-tiny").is_symlink()
        assert store_entries(tmp_path / "machine") == set()
    shard.write_bytes(contents)
    assert _built(place, machine).bytes_written > 0


def test_what_was_linked_before_is_read_from_its_blobs_and_does_not_keep_them(
    place: Place, machine: dict[str, str], tmp_path: Path
) -> None:
    cache = write_hf_cache(place.home / "cache", REPO_ID, COMMIT, FILES)
    place.run("add", cache, "--name", "tiny", env=machine)
    place.run("build", "tiny", env=machine)
    manifest = place.workspace / "models" / "tiny.toml"
    manifest.write_text(manifest.read_text().replace('storage = "linked"', 'storage = "self-contained"'))
    assert 'storage = "self-contained"' in manifest.read_text()
    shutil.rmtree(cache)
    built = _built(place, machine)
    place.run("gc", "--store", "daemon", env=machine)
    assert store_entries(tmp_path / "machine") == {Path(built.store_path).name}


@pytest.mark.usefixtures("every_nix")
def test_a_damaged_tree_is_repaired_in_its_place_without_blobs(
    place: Place, machine: dict[str, str], tmp_path: Path
) -> None:
    place.run("add", write_hf_cache(place.home / "cache", REPO_ID, COMMIT, FILES), *SOLID, env=machine)
    built = _built(place, machine)
    (shard,) = (path for path in Path(built.real_path).rglob("model-00002-of-*") if not path.is_symlink())
    contents = shard.read_bytes()
    shard.chmod(0o644)
    shard.write_bytes(bytes(byte ^ 1 for byte in contents))
    assert json.loads(place.run("verify", "tiny", "--repair", "--json", env=machine))["ok"]
    assert shard.read_bytes() == contents
    assert store_entries(tmp_path / "machine") == {Path(built.store_path).name}
    assert_sound(tmp_path / "machine")


def test_what_comes_from_an_oci_layout_leaves_no_blobs(place: Place, machine: dict[str, str], tmp_path: Path) -> None:
    built = place.package(FILES, "tiny", storage="self-contained")
    layout = tmp_path / "layout"
    (exported,) = place.json("export", "tiny", "--to", "oci-layout", "--output", layout)
    reference = f"oci-layout:{layout}:{exported['tag']}"
    pulled = json.loads(place.run("pull", "--from", reference, "--json", env=machine))
    assert pulled["packages"][0]["store_path"] == built.store_path
    assert pulled["bytes_received"] > _weights(place.home / "cache-tiny")
    assert store_entries(tmp_path / "machine") == {Path(built.store_path).name}
    assert list((tmp_path / "state" / "hf-pack" / "held").iterdir()) == []
    assert_sound(tmp_path / "machine")


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        yield hub


@pytest.fixture
def hub_user(tmp_path: Path, hub: TestHub) -> HubPlace:
    hub.add_repo("acme/tiny", FILES)
    return hub_place(tmp_path / "user", hub)


def test_what_comes_from_the_hub_is_held_until_the_tree_is_made(
    hub_user: HubPlace, machine: dict[str, str], tmp_path: Path
) -> None:
    hub_user.done("add", "acme/tiny", *SOLID, **machine)
    built = hub_user.done("build", "tiny", "--json", **machine).document[0]
    assert store_entries(tmp_path / "machine") == {Path(built["store_path"]).name}
    assert_sound(tmp_path / "machine")
    assert _weights(tmp_path / "state") == 0 and not any((tmp_path / "state/hf-pack/held").iterdir())
    assert hub_user.done("build", "tiny", "--json").document[0]["store_path"] == built["store_path"]


def test_what_is_held_is_not_fetched_again(
    hub: TestHub, hub_user: HubPlace, machine: dict[str, str], tmp_path: Path
) -> None:
    """An earlier build was killed before it made the tree."""
    hub_user.done("add", "acme/tiny", *SOLID, **machine)
    with NixDaemonStore(tmp_path / "state" / "hf-pack", machine) as store:
        for path, contents in FILES.items():
            if path.endswith(".safetensors"):
                blob = Blob(name=path, sha256=Hash.sha256_of(contents), size=len(contents))
                with store.streamer.hold(blob) as reception:
                    assert reception is not None
                    reception.write(0, contents)
                    reception.finish()
    hub.reset()
    built = hub_user.done("build", "tiny", "--json", **machine).document[0]
    assert not any(request.target.endswith(".safetensors") for request in hub.requests)
    assert store_entries(tmp_path / "machine") == {Path(built["store_path"]).name}
    assert not any((tmp_path / "state/hf-pack/held").iterdir())


def test_another_place_with_wrong_bytes_is_left_alone(
    hub_user: HubPlace, machine: dict[str, str], tmp_path: Path
) -> None:
    """The user's Hub cache has a shard with other bytes under the right name and of the right size."""
    hub_user.done("add", "acme/tiny", *SOLID, **machine)
    commit = hub_user.lock("tiny")["source"]["snapshot_id"]
    cache = write_hf_cache(hub_user.cache, "acme/tiny", commit, FILES)
    (shard,) = (path.resolve() for path in cache.rglob("model-00002-of-00003.safetensors"))
    shard.chmod(0o644)
    shard.write_bytes(bytes(shard.stat().st_size))
    assert hub_user.ran("build", "tiny", "--offline", **machine).code == HubError.exit_code
    ran = hub_user.done("build", "tiny", "--json", **machine)
    assert "has other bytes" in ran.err
    assert hub_user.done("build", "tiny", "--json").document[0]["store_path"] == ran.document[0]["store_path"]


def test_bytes_that_are_nowhere_are_named(store: NixDaemonStore) -> None:
    blob = Blob(name="w.bin", sha256=Hash.sha256_of(b"w"), size=1)
    with store, pytest.raises(StoreError, match="needs a blob that is not in the store"):
        store.streamer.add_tree(self_contained_plan("tree", [blob]), {}, Quiet())


def test_a_file_is_hashed_once_and_twice_in_a_tree_read_twice(store: NixDaemonStore, tmp_path: Path) -> None:
    contents = b"w" * 3_000_001
    path = source_file(tmp_path / "source", "w.bin", contents).real_path
    with store, store.session():
        (hashed,) = store.streamer.hash_files([path], Quiet())
        assert (hashed.digest.sha256, hashed.digest.size) == (Hash.sha256_of(contents), len(contents))
        assert hashed.bytes_read == len(contents)
        blobs = [Blob(name=name, sha256=hashed.digest.sha256, size=len(contents)) for name in ("a.bin", "b.bin")]
        plan = self_contained_plan("tree", blobs)
        added = store.streamer.add_tree(plan, dict.fromkeys(blobs, path), Quiet())
        assert added.bytes_read == 2 * len(contents)
        assert store.compare(plan, added.info.store_path) == ()
        assert store.find_tree(plan) is not None
        assert store.find_tree(self_contained_plan("tree", blobs, text=b"[]")) is None


def test_an_abandoned_blob_goes_with_the_garbage(store: NixDaemonStore, tmp_path: Path) -> None:
    contents = b"w" * 5000
    blob = Blob(name="w.bin", sha256=Hash.sha256_of(contents), size=len(contents))
    with store:
        with store.streamer.hold(blob) as reception:
            assert reception is not None
            reception.write(0, contents)
            reception.finish()
        with store.streamer.hold(blob) as again:
            assert again is None
        (held,) = (tmp_path / "machine-state" / "held").iterdir()
        store.collect_garbage(dry_run=False)
        assert held.exists()
        os.utime(held, (0, 0))
        assert store.collect_garbage(dry_run=True).freed >= 4096
        assert held.exists()
        assert store.collect_garbage(dry_run=False).freed >= 4096
        assert not held.exists()
