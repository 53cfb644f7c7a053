"""What Nix's own substituters have comes from them: blobs, and whole self-contained trees."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from tests.bench import Notes
from tests.daemon_stores import chroot_environment
from tests.embedded_stores import NEEDS_NIX, Quiet, assert_sound, nix, store_entries
from tests.end_to_end import STORAGES, Built, Place, new_place
from tests.models import COMMIT, FINGERPRINT, REPO_ID, tiny_model, write_hf_cache
from tests.served import served

from hf_pack.adapters.nix_daemon.store import NixDaemonStore
from hf_pack.errors import SourceError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob
from hf_pack.ports import Progress

pytestmark = [*NEEDS_NIX, pytest.mark.usefixtures("every_nix")]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


def _with_cache(place: Place, tmp_path: Path, *store_paths: str) -> tuple[dict[str, str], Path]:
    """The machine's environment with a binary cache that has the paths, and the cache."""
    cache = tmp_path / "binary-cache"
    nix(place.store, "copy", "--to", f"file://{cache}?compression=none", *store_paths, program="nix")
    return _machine(tmp_path, f"file://{cache}"), cache


def _machine(tmp_path: Path, *substituters: str, more: str = "") -> dict[str, str]:
    environ = chroot_environment(tmp_path / "machine")
    config = environ["NIX_CONFIG"].replace("substituters =\n", f"substituters = {' '.join(substituters)}\n{more}")
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "nix-cache")}
    return {**environ, **state, "HF_PACK_STORE": "daemon", "NIX_CONFIG": config}


@contextmanager
def _cut(cache: Path, cut: str, meanwhile: Callable[[int, int], object] = max) -> Iterator[str]:
    """The cache over HTTP, where one file breaks off in the middle."""
    files = {f"/{file.relative_to(cache)}": file.read_bytes() for file in cache.rglob("*") if file.is_file()}
    with served(files, in_the_middle={f"/{cut}": meanwhile}) as url:
        yield url


def _nar_of(cache: Path, store_path: StorePath) -> str:
    return (cache / f"{store_path.base_name[:32]}.narinfo").read_text().split("URL: ")[1].split("\n")[0]


def _built(place: Place, environ: dict[str, str], *options: str) -> Built:
    return Built.of(json.loads(place.run("build", "tiny", "--json", *options, env=environ))[0])


def _built_and_said(place: Place, environ: dict[str, str]) -> tuple[Built, list[str]]:
    """The package, and the lines of talk."""
    command = place.command("build", "tiny", "--json")
    environ = {**place.environment, **environ}
    done = subprocess.run(command, cwd=place.workspace, env=environ, capture_output=True, text=True, check=True)
    return Built.of(json.loads(done.stdout)[0]), done.stderr.splitlines()


def _lose_the_model(place: Place) -> None:
    shutil.rmtree(place.home / "cache-tiny")
    shutil.rmtree(place.store)
    (place.workspace / "result-tiny").unlink()


def test_what_a_substituter_has_is_not_asked_of_the_hub(place: Place, tmp_path: Path) -> None:
    """No Hub can be reached and the model is gone from disk; its blobs are in a binary cache that Nix knows."""
    built = place.package(tiny_model(shards=2), "tiny")
    machine, _ = _with_cache(place, tmp_path, *built.references)
    _lose_the_model(place)
    assert "network is not to be asked" in place.run("build", "tiny", "--offline", env=machine, code=4)
    again = _built(place, machine)
    assert (again.store_path, again.bytes_read) == (built.store_path, 0)
    assert_sound(tmp_path / "machine")


def test_a_source_on_disk_is_not_read_for_what_a_substituter_has(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(shards=2), "tiny")
    machine, _ = _with_cache(place, tmp_path, *built.references)
    assert _built(place, machine, "--offline").bytes_read > 0
    shutil.rmtree(tmp_path / "machine", ignore_errors=True)
    nix(tmp_path / "machine", "--gc")
    shutil.rmtree(tmp_path / "state")
    assert _built(place, machine).bytes_read == 0


def test_a_substituter_has_what_no_hub_ever_had(place: Place, tmp_path: Path) -> None:
    """A model that was quantized here, whose snapshot is no commit."""
    cache = write_hf_cache(place.home / "cache-tiny", REPO_ID, FINGERPRINT, tiny_model(), layout="files")
    place.add(cache, "tiny")
    built = place.build("tiny")
    machine, _ = _with_cache(place, tmp_path, *built.references)
    _lose_the_model(place)
    said = place.run("build", "tiny", "--offline", env=machine, code=SourceError.exit_code)
    assert "neither in the store nor in the source" in said and "put the model back" in said
    again = _built(place, machine)
    assert (again.store_path, again.bytes_read) == (built.store_path, 0)


class Meeting(Notes):
    """A Progress whose files wait for each other: they arrive only when several are under way at once."""

    def __init__(self, parties: int) -> None:
        super().__init__()
        self.names: list[str] = []
        self._barrier = Barrier(parties, timeout=60)

    def child(self, name: str, size: int) -> Progress:
        self.names.append(name)
        self._barrier.wait()
        return self


def test_blobs_are_substituted_side_by_side_and_seen_as_they_come(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(shards=3), "tiny")
    machine, _ = _with_cache(place, tmp_path, *built.references)
    sizes = _nar_sizes(place)
    progress = Meeting(3)
    with NixDaemonStore(tmp_path / "state", machine) as store, store.session():
        assert store.substitute(sizes, progress) == sizes.keys()
        assert store.keep(sizes) == sizes.keys()
        assert store.substitute(sizes, Quiet()) == frozenset()  # they are here
    assert sorted(progress.names) == sorted(path.name for path in sizes)
    assert progress.done == sum(sizes.values())


def test_what_a_damaged_substituter_gives_is_refused_and_the_rest_is_taken(place: Place, tmp_path: Path) -> None:
    place.package(tiny_model(shards=2), "tiny")
    sizes = _nar_sizes(place)
    machine, cache = _with_cache(place, tmp_path, *map(str, sizes))
    bad, good = sorted(sizes)
    url = _nar_of(cache, bad)
    (cache / url).write_bytes(bytes((cache / url).stat().st_size))
    absent = Blob(name="absent.bin", sha256=Hash.sha256_of(b"absent"), size=6).store_path
    notes = Notes()
    with NixDaemonStore(tmp_path / "state", machine) as store, store.session():
        assert store.substitute({**sizes, absent: 200}, notes) == {good}
        assert store.valid_paths(sizes) == {good}
    (note,) = notes.lines
    assert note.startswith("note: 1 of 2 objects do not come from the substituters of the Nix store: ")
    # The build goes on with the model on disk.
    assert _built(place, machine).bytes_read > 0


@pytest.mark.parametrize("storage", STORAGES)
def test_the_build_goes_on_with_the_source_when_a_substituter_fails_in_the_middle(
    place: Place, tmp_path: Path, storage: str
) -> None:
    built = place.package(tiny_model(shards=2), "tiny", storage=storage)
    broken = StorePath.parse(built.references[0] if storage == "linked" else built.store_path)
    _, cache = _with_cache(place, tmp_path, *(built.references or [built.store_path]))
    (place.workspace / "result-tiny").unlink()
    shutil.rmtree(place.store)
    sizes = {f"{blob['store_path']}": blob["size"] for blob in place.json("plan", "tiny")["blobs"]}
    with _cut(cache, _nar_of(cache, broken)) as url:
        again, said = _built_and_said(place, _machine(tmp_path, url))
    assert again.store_path == built.store_path
    # What else the substituter has is not read.
    assert again.bytes_read == (sizes[str(broken)] if storage == "linked" else sum(sizes.values()))
    assert again.bytes_written == again.bytes_read + again.nar_size if storage == "linked" else again.nar_size
    (note,) = said
    count = len(built.references) or 1
    assert note.startswith(f"note: 1 of {count} objects do not come from the substituters of the Nix store: unable to ")
    assert url in note
    assert store_entries(tmp_path / "machine") == {Path(path).name for path in (built.store_path, *built.references)}
    assert_sound(tmp_path / "machine")


def test_where_one_substituter_fails_in_the_middle_the_next_one_gives(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(), "tiny")
    _, cache = _with_cache(place, tmp_path, *built.references)
    (place.workspace / "result-tiny").unlink()
    with _cut(cache, _nar_of(cache, StorePath.parse(built.references[0]))) as url:
        again, said = _built_and_said(place, _machine(tmp_path, f"{url}?priority=1", f"file://{cache}"))
    assert (again.bytes_read, said) == (0, [])


@pytest.mark.parametrize("fallback", ["true", "false"])
def test_a_substituter_that_breaks_off_what_it_has_is_passed_over(place: Place, tmp_path: Path, fallback: str) -> None:
    """Nix 2.8 dies of it where ``fallback`` is set, and 2.34 asks the next one anyway; the build goes on."""
    built = place.package(tiny_model(), "tiny")
    _, cache = _with_cache(place, tmp_path, *built.references)
    (place.workspace / "result-tiny").unlink()
    narinfo = f"{Path(built.references[0]).name[:32]}.narinfo"
    more = f"fallback = {fallback}\ndownload-attempts = 1\n"
    with _cut(cache, narinfo) as url:
        machine = _machine(tmp_path, f"{url}?priority=1", f"file://{cache}?priority=2", more=more)
        again, said = _built_and_said(place, machine)
    assert again.store_path == built.store_path
    notes = [line.startswith("note: ") and "substituters of the Nix store" in line for line in said]
    assert notes == ([] if again.bytes_read == 0 else [True])


def test_what_a_build_relies_on_outlives_a_substituter_that_fails(place: Place, tmp_path: Path) -> None:
    """A collector runs right after it, and what was protected before is protected still."""
    place.package(tiny_model(shards=2), "tiny")
    sizes = _nar_sizes(place)
    _, cache = _with_cache(place, tmp_path, *map(str, sizes))
    broken, sound = sorted(sizes)
    with (
        _cut(cache, _nar_of(cache, broken)) as url,
        NixDaemonStore(tmp_path / "state", _machine(tmp_path, url)) as store,
        store.session(),
    ):
        assert store.substitute({sound: sizes[sound]}, Quiet()) == {sound}
        assert store.substitute({broken: sizes[broken]}, Quiet()) == frozenset()
        nix(tmp_path / "machine", "--gc")
        assert store.valid_paths([sound]) == {sound}
    nix(tmp_path / "machine", "--gc")
    assert store_entries(tmp_path / "machine") == set()


def test_a_process_of_nix_that_dies_of_what_a_substituter_sends_is_passed_over(place: Place, tmp_path: Path) -> None:
    place.package(tiny_model(shards=2), "tiny")
    sizes = _nar_sizes(place)
    _, cache = _with_cache(place, tmp_path, *map(str, sizes))
    broken, sound = sorted(sizes)
    notes = Notes()
    with (
        _cut(cache, _nar_of(cache, broken), _kill_client) as url,
        NixDaemonStore(tmp_path / "state", _machine(tmp_path, url)) as store,
        store.session(),
    ):
        assert store.substitute(sizes, notes) == {sound}
        assert store.valid_paths(sizes) == {sound}
    (note,) = notes.lines
    assert note.startswith("note: 1 of 2 objects do not come from the substituters of the Nix store: the Nix daemon ")


def _kill_client(port: int, to: int) -> None:
    """End the process of ours that has this end of a connection on loopback; others may use the number, too."""
    (inode,) = {
        columns[9]
        for columns in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if columns[1:3] == [f"0100007F:{port:04X}", f"0100007F:{to:04X}"]
    }
    (client,) = (process for process in Path("/proc").glob("[0-9]*") if f"socket:[{inode}]" in _open_in(process))
    os.kill(int(client.name), signal.SIGKILL)


def _open_in(process: Path) -> set[str]:
    """What a process has open; processes and files come and go meanwhile."""
    found = set()
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(entry.readlink()))
    return found


def test_a_substituter_that_cannot_be_asked_is_passed_over(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(), "tiny")
    machine, cache = _with_cache(place, tmp_path, *built.references)
    shutil.rmtree(cache)
    cache.write_text("no directory")
    again = _built(place, machine)
    assert again.store_path == built.store_path


def test_a_whole_tree_is_substituted_without_its_blobs(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(shards=2), "tiny", storage="self-contained")
    machine, _ = _with_cache(place, tmp_path, built.store_path)
    _lose_the_model(place)
    assert _built(place, machine).store_path == built.store_path
    assert store_entries(tmp_path / "machine") == {Path(built.store_path).name}
    assert_sound(tmp_path / "machine")
    again = _built(place, machine)
    assert (again.bytes_read, again.bytes_written) == (0, 0)
    # Where the memory of this user is lost, the record says which tree it is, and the tree is looked at, once.
    shutil.rmtree(tmp_path / "state")
    assert _built(place, machine).bytes_read == built.nar_size
    assert _built(place, machine).bytes_read == 0


def test_a_record_that_names_another_package_is_not_believed(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(seed=1), "tiny", storage="self-contained")
    other = place.package(tiny_model(seed=2), "other", storage="self-contained")
    machine, _ = _with_cache(place, tmp_path, built.store_path, other.store_path)
    record = place.workspace / "models" / "tiny.record"
    changed: dict[str, Any] = json.loads(record.read_text())
    changed["store_path"] = other.store_path
    record.write_text(json.dumps(changed))
    assert _built(place, machine).store_path == built.store_path
    assert json.loads(record.read_text())["store_path"] == built.store_path


def _nar_sizes(place: Place) -> dict[StorePath, int]:
    blobs = place.json("plan", "tiny")["blobs"]
    return {StorePath.parse(blob["store_path"]): nar.file_size(blob["size"]) for blob in blobs}


def test_a_model_that_was_locked_elsewhere_needs_no_weights_here(place: Place, tmp_path: Path) -> None:
    """The same with a tree of the embedded store: its blobs are gone, and the tree is enough."""
    cache = write_hf_cache(place.home / "cache-tiny", REPO_ID, COMMIT, tiny_model())
    place.add(cache, "tiny", storage="self-contained")
    built = place.build("tiny")
    blobs = [blob["store_path"] for blob in place.json("plan", "tiny")["blobs"]]
    for root in (place.store / "nix/var/nix/gcroots/hf-pack").iterdir():
        if not root.is_symlink():  # those of the lock
            shutil.rmtree(root)
    nix(place.store, "--delete", *blobs)
    shutil.rmtree(cache)
    again = place.build("tiny")
    assert (again.store_path, again.bytes_read, again.bytes_written) == (built.store_path, 0, 0)
