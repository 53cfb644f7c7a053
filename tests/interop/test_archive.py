"""The way over an air gap: packages in one tar, which hf-pack reads as it is and stock Nix where it is unpacked."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from tests.embedded_stores import assert_sound, nix
from tests.end_to_end import Built, Place, fingerprint, new_place
from tests.models import safetensors, tiny_model
from tests.nixes import EVERY_NIX
from tests.signers import key_pair

from hf_pack.adapters.binary_cache import BinaryCache
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import Error
from hf_pack.steps.caches.pull_packages import pull
from hf_pack.steps.quiet import QUIET
from hf_pack.steps.trust.trust import Trust
from hf_pack.wiring import open_storage

SCRIPTS = Path(__file__).parent.parent / "faults" / "scripts"
MOMENTS = 7
ARCHIVE = "models.tar"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A linked package, a variant of it, a self-contained one; and all of them in an archive."""
    place = new_place(tmp_path_factory.mktemp("publisher"))
    place.package(tiny_model(shards=2), "tiny")
    place.package(tiny_model(shards=2, extra={"notes.txt": b"another tree"}), "variant")
    place.package(tiny_model(seed=4), "whole", storage="self-contained")
    place.run("export", "--to", "tar", "--output", ARCHIVE)
    return place


def box(home: Path) -> Place:
    """A machine with a home and nothing else."""
    place = Place(home)
    place.workspace.mkdir(parents=True)
    return place


def built(place: Place) -> list[Built]:
    return place.build_all()


def test_a_box_takes_all_that_is_in_it(place: Place, tmp_path: Path) -> None:
    other, archive = box(tmp_path), place.workspace / ARCHIVE
    listed = other.run("search", "--from", archive)
    assert [line.split("@")[0] for line in listed.splitlines()] == ["tiny", "variant", "whole"]
    packages = built(place)
    assert other.run("pull", "--from", archive).split() == [one.store_path for one in packages]
    for one in packages:
        assert fingerprint(other.store / one.store_path[1:]) == fingerprint(Path(one.real_path))
        assert other.json("verify", one.store_path)["ok"]
    assert len(other.json("roots")) == 3
    assert other.json("pull", "--from", f"file://{archive}")["objects"] == 0


def test_one_of_it_by_name_and_its_configuration_alone(place: Place, tmp_path: Path) -> None:
    other, archive = box(tmp_path), place.workspace / ARCHIVE
    found = other.json("pull", "whole", "--from", archive, "--only", "config", "--output", "out")
    assert found["proved"] and found["files"] and other.json("list") == []
    (tiny, *_) = built(place)
    assert other.run("pull", "tiny", "--from", archive, "--root", "model") == f"{tiny.store_path}\n"
    assert [row["store_path"] for row in other.json("list")] == [tiny.store_path]
    assert "one package" in other.run("pull", "--from", archive, "--root", "models", code=2)


def test_its_bytes_follow_from_the_packages_alone(place: Place, tmp_path: Path) -> None:
    """Whatever store they lie in, whatever order they are named in, whenever."""
    archive = place.workspace / ARCHIVE
    expected = hashlib.sha256(archive.read_bytes()).hexdigest()
    other = box(tmp_path)
    other.run("pull", "--from", archive)
    paths = [one.store_path for one in built(place)]
    line = other.run("export", *reversed(paths), "--to", "tar", "--output", "again.tar")
    assert line == f"{expected}  again.tar\n"
    assert (other.workspace / "again.tar").read_bytes() == archive.read_bytes()
    subprocess.run(["sha256sum", "--check"], input=line, text=True, cwd=other.workspace, check=True)
    piped = subprocess.run(
        other.command("export", *paths, "--to", "tar", "--output", "-"),
        env=other.environment,
        cwd=other.workspace,
        capture_output=True,
        check=True,
    )
    assert piped.stdout == archive.read_bytes() and expected in piped.stderr.decode()
    facts = other.json("export", *paths, "--to", "tar", "--output", "again.tar")
    assert (facts["sha256"], facts["size"]) == (expected, archive.stat().st_size)
    assert [entry["pname"] for entry in facts["entries"]] == ["tiny", "variant", "whole"]


def test_what_packages_share_is_in_it_once(place: Place) -> None:
    paths = {one.store_path for one in built(place)} | {path for one in built(place) for path in one.references}
    listed = subprocess.run(
        ["tar", "--list", "--file", place.workspace / ARCHIVE], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len([name for name in listed if name.startswith("nar/")]) == len(paths)
    assert listed[0] == "nix-cache-info" and len(listed) == len(set(listed))


@pytest.mark.nix
@pytest.mark.parametrize("program", EVERY_NIX)
def test_stock_nix_takes_it_unpacked(program: str, place: Place, tmp_path: Path) -> None:
    """Signatures required, no key."""
    (tmp_path / "cache").mkdir()
    subprocess.run(["tar", "--extract", "--file", place.workspace / ARCHIVE, "-C", tmp_path / "cache"], check=True)
    for one in built(place):
        options = ("--option", "require-sigs", "true", "--option", "trusted-public-keys", "")
        copy = ("copy", "--from", f"file://{tmp_path}/cache", one.store_path)
        nix(tmp_path / "store", *copy, *options, program=f"{program}/nix")
        assert fingerprint(tmp_path / "store" / one.store_path[1:]) == fingerprint(Path(one.real_path))
    assert_sound(tmp_path / "store")


@pytest.mark.nix
@pytest.mark.parametrize("compression", ["none", "xz"])
def test_what_nix_published_and_tar_packed_is_pulled(compression: str, place: Place, tmp_path: Path) -> None:
    (tiny, *_) = built(place)
    url = f"file://{tmp_path}/cache?compression={compression}"
    nix(place.store, "copy", "--to", url, tiny.store_path, program="nix")
    subprocess.run(["tar", "-cf", tmp_path / "nix.tar", "-C", tmp_path / "cache", "."], check=True)
    other = box(tmp_path / "box")
    assert "no package is listed" in other.run("pull", "--from", tmp_path / "nix.tar", code=2)
    assert other.run("pull", tiny.store_path, "--from", tmp_path / "nix.tar") == f"{tiny.store_path}\n"
    assert fingerprint(other.store / tiny.store_path[1:]) == fingerprint(Path(tiny.real_path))


def test_it_is_signed(place: Place, tmp_path: Path) -> None:
    other = box(tmp_path)
    key = place.run("key", "generate", "key-1", "--output", tmp_path).strip()
    place.run("export", "tiny", "--to", "tar", "--output", tmp_path / "x.tar", "--sign", tmp_path / "key-1.secret")
    assert [entry["signatures"][0][:6] for entry in other.json("search", "--from", tmp_path / "x.tar")] == ["key-1:"]
    pulled = other.json("pull", "--from", tmp_path / "x.tar", "--trusted-key", key)
    assert [package["signed"] for package in pulled["packages"]] == [True]


def test_a_model_signature_travels_in_it(tmp_path: Path) -> None:
    pair, place, other = key_pair(tmp_path), new_place(tmp_path / "place"), box(tmp_path / "box")
    signed = place.package(tiny_model(), "signed")
    place.package(tiny_model(seed=3), "unsigned")
    place.run("sign", "signed", "--key", pair.private)
    place.run("export", "--to", "tar", "--output", tmp_path / "x.tar")
    demanding = ("--from", tmp_path / "x.tar", "--signatures", "enforce", "--trusted-key", pair.public)
    assert other.run("pull", "signed", *demanding) == f"{signed.store_path}\n"
    assert "no model signature is there" in other.run("pull", "unsigned", *demanding, code=8)


def test_what_cannot_be_read_or_written_is_said(place: Place, tmp_path: Path) -> None:
    archive, other = place.workspace / ARCHIVE, box(tmp_path)
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(600))
    (tmp_path / "notes.txt").write_text("no archive" * 100)
    assert "is compressed" in other.run("pull", "tiny", "--from", tmp_path / "x.tar.gz", code=2)
    assert "not a tar archive" in other.run("pull", "tiny", "--from", tmp_path / "notes.txt", code=5)
    assert "an archive that is there" in other.run("pull", "tiny", "--from", tmp_path / "absent.tar", code=2)
    assert "--to tar" in place.run("publish", "tiny", "--to", f"file://{archive}", code=2)
    assert "is a directory" in place.run("export", "tiny", "--to", "tar", "--output", tmp_path, code=2)
    place.run("export", "tiny", "--to", "tar", "--output", "-", "--json", code=2)


def test_what_is_damaged_here_is_named_and_not_exported(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    one = place.package({**tiny_model(), "big.safetensors": safetensors({"w": ("U8", (5 << 20,))})}, "tiny")
    blob = next(path for path in one.references if path.endswith("-big.safetensors"))
    real = place.store / blob[1:]
    data = bytearray(real.read_bytes())
    data[4 << 20] ^= 1
    os.chmod(real, 0o644)  # noqa: PTH101
    real.write_bytes(data)
    assert blob in place.run("export", "tiny", "--to", "tar", code=5)
    assert not (place.workspace / "packages.tar").exists()


def test_a_version_names_one_content(place: Place, tmp_path: Path) -> None:
    other = new_place(tmp_path)
    first = other.package(tiny_model(seed=1), "tiny")
    manifest = other.workspace / "models" / "tiny.toml"
    manifest.write_text(manifest.read_text() + '\n[[patch]]\nfile = "config.json"\nset = { x = 1 }\nreason = "other"\n')
    other.run("lock", "tiny")
    second = other.build("tiny")
    assert first.store_name == second.store_name
    said = other.run("export", first.store_path, second.store_path, "--to", "tar", "--output", "x.tar", code=8)
    assert first.store_path in said and second.store_path in said


def test_a_flipped_byte_or_a_cut_is_refused_or_has_no_effect(place: Place, tmp_path: Path) -> None:
    """By name and all at once: what becomes valid is what its path says, and the path is one that was exported."""
    good = (place.workspace / ARCHIVE).read_bytes()
    expected = {one.store_path for one in built(place)} | {path for one in built(place) for path in one.references}
    names = {path.removeprefix("/nix/store/")[33:] for path in expected}
    chosen, damaged, refused = random.Random(5), tmp_path / "damaged.tar", 0
    cases = [(chosen.randrange(len(good)), True) for _ in range(80)]
    cases += [(chosen.randrange(len(good)), False) for _ in range(8)]
    for number, (position, flips) in enumerate(cases):
        data = bytearray(good)
        if flips:
            data[position] ^= 1 << chosen.randrange(8)
        damaged.write_bytes(data if flips else data[:position])
        caches = [BinaryCache(open_storage(str(damaged)))]
        with closing(EmbeddedStore(tmp_path / str(number))) as store:
            try:
                with store.session():
                    pull(("tiny", "variant", "whole"), caches, store, Trust(), QUIET)
            except Error as error:
                refused += 1
                assert any(name in error.message for name in (str(damaged), *names)), error.message
            else:
                assert flips
            for info in store.all_paths():
                assert str(info.store_path) in expected
                assert store.check(info.store_path, QUIET) == ()
    assert refused > 30


def test_killed_at_any_moment_the_next_export_goes_on(tmp_path: Path) -> None:
    place = new_place(tmp_path / "place")
    large = safetensors({"w": ("U8", (40 << 20,))})
    place.package({**tiny_model(), "big.safetensors": large}, "tiny")
    expected = place.json("export", "tiny", "--to", "tar", "--output", tmp_path / "whole.tar")
    number = _export(place, tmp_path / "counted.tar", 0)
    for index in range(MOMENTS):
        moment = 1 + index * (number - 1) // (MOMENTS - 1)
        folder = tmp_path / f"killed-at-{moment}"
        folder.mkdir()
        assert _export(place, folder / "x.tar", moment) == -signal.SIGKILL
        staged = sum(path.stat().st_size for path in folder.glob(".*"))
        if (folder / "x.tar").exists():
            assert staged == 0 and (folder / "x.tar").read_bytes() == (tmp_path / "whole.tar").read_bytes()
        again = place.json("export", "tiny", "--to", "tar", "--output", folder / "x.tar")
        assert again["sha256"] == expected["sha256"]
        assert again["bytes_written"] <= expected["size"] - staged
        assert [path.name for path in folder.iterdir()] == ["x.tar"]


def _export(place: Place, output: Path, moment: int) -> int:
    counter = place.home / "count"
    wrapper = [str(SCRIPTS / "kill_at.py"), str(moment), str(counter)]
    process = place.start("export", "tiny", "--to", "tar", "--output", output, wrapper=wrapper)
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode if moment else int(counter.read_text())
