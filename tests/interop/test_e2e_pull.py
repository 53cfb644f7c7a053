"""Published packages on a machine that has no workspace: by name and by path, from a directory and over HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.embedded_stores import assert_sound, nix
from tests.end_to_end import STORAGES, Built, Place, fingerprint, new_place
from tests.models import tiny_model
from tests.recording import recording

needs_nix = pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")


def box(home: Path) -> Place:
    """A machine with a home and nothing else: its directory is no workspace."""
    place = Place(home)
    place.workspace.mkdir(parents=True)
    return place


def published(place: Place, name: str, *more: str, storage: str = "linked", seed: int = 0) -> Built:
    built = place.package(tiny_model(shards=2, seed=seed), name, storage=storage)
    place.run("publish", name, "--to", cache_url(place), *more)
    return built


def cache_url(place: Place) -> str:
    return f"file://{place.home}/cache"


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_box_pulls_by_name_and_has_the_package(storage: str, compression: str, tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = published(place, "tiny", "--compression", compression, storage=storage)
    assert other.run("pull", "tiny", "--from", cache_url(place)) == f"{built.store_path}\n"
    pulled = Path(other.run("path", built.store_name.replace("tiny-", "tiny@", 1)).strip())
    assert fingerprint(pulled) == fingerprint(Path(built.real_path))
    assert other.json("verify", built.store_path)["ok"]
    assert [row["store_path"] for row in other.json("list")] == [built.store_path]
    again = other.json("pull", built.store_path, "--from", cache_url(place))
    assert (again["objects"], again["bytes_received"]) == (0, 0)


def test_what_was_pulled_stays_until_its_link_is_gone(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = published(place, "tiny")
    other.run("pull", "tiny", "--from", cache_url(place))
    other.run("gc")
    (root,) = other.json("roots")
    assert root["store_path"] == built.store_path
    assert other.json("verify", built.store_path)["ok"]
    Path(root["owner"]).unlink()
    assert built.store_path in other.json("gc")["deleted"]


def test_a_link_of_one_s_own_keeps_it(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = published(place, "tiny")
    other.run("pull", "tiny", "--from", cache_url(place), "--root", "model")
    assert (other.workspace / "model" / "share" / "models").is_dir()
    assert [root["owner"] for root in other.json("roots")] == [str(other.workspace / "model")]
    assert built.store_path not in other.json("gc")["deleted"]


def test_the_newest_build_is_meant_by_the_bare_name(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    first = published(place, "tiny")
    place.run("bump", "tiny", "-m", "Second.")
    second = place.build("tiny")
    place.run("publish", "tiny", "--to", cache_url(place))
    assert first.store_path != second.store_path
    assert other.run("pull", "tiny", "--from", cache_url(place)) == f"{second.store_path}\n"
    version = first.store_name.removeprefix("tiny-")
    assert other.run("pull", f"tiny@{version}", "--from", cache_url(place)) == f"{first.store_path}\n"
    assert "published: " in other.run("pull", "tiny@9", "--from", cache_url(place), code=2)
    assert "no package was published as other" in other.run("pull", "other", "--from", cache_url(place), code=2)


def test_two_packages_bring_what_they_share_once_and_a_variant_its_tree_alone(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    first = published(place, "tiny", "--compression", "none")
    second = place.package(tiny_model(shards=2, extra={"notes.txt": b"another tree"}), "variant")
    place.run("publish", "variant", "--to", cache_url(place), "--compression", "none")
    assert first.references == second.references
    with recording(place.home / "cache") as server:
        other.run("pull", "tiny", "variant", "--from", server.url)
        narinfos = [path for path in server.requests if path.endswith(".narinfo")]
        assert len(narinfos) == len(set(narinfos)) == 2 + len(first.references)
        weights = sum(Path(place.store / path[1:]).stat().st_size for path in first.references)
        assert server.total < weights + (1 << 17)
        third = box(tmp_path / "third")
        third.run("pull", "tiny", "--from", server.url)
        server.clear()
        third.run("pull", "variant", "--from", server.url)
        assert [path for path in server.requests if path.endswith(".narinfo")] == [
            f"{second.store_path.removeprefix('/nix/store/')[:32]}.narinfo"
        ]
        assert server.total < 1 << 17


def test_the_workspace_names_the_cache(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), new_place(tmp_path / "box")
    built = published(place, "tiny")
    assert "no cache to pull from" in other.run("pull", "tiny", code=2)
    (other.workspace / "hf-pack.toml").write_text(f'caches = ["{cache_url(place)}"]\n')
    assert other.run("pull", "tiny") == f"{built.store_path}\n"


def test_a_signature_is_asked_for_and_checked(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    key = place.run("key", "generate", "key-1").strip()
    stranger = place.run("key", "generate", "key-2").strip()
    built = published(place, "signed", "--sign", "key-1.secret")
    unsigned = published(place, "unsigned", seed=3)
    url = cache_url(place)
    assert other.json("pull", "signed", "--from", url, "--trusted-key", key)["packages"][0]["signed"]
    third = box(tmp_path / "third")
    trusting = ["--from", url, "--signatures", "enforce"]
    assert "no key is trusted" in third.run("pull", "signed", *trusting, code=2)
    assert "key-1" in third.run("pull", "signed", *trusting, "--trusted-key", stranger, code=8)
    for name in ("unsigned", unsigned.store_path):
        assert "no trusted key signed" in third.run("pull", name, *trusting, "--trusted-key", key, code=8)
    assert third.json("list") == []
    assert third.run("pull", "signed", *trusting, env={"HF_PACK_TRUSTED_KEYS": key}) == f"{built.store_path}\n"
    public = place.workspace / "key-1.public"
    assert third.run("pull", built.store_path, *trusting, "--trusted-key", str(public)) == f"{built.store_path}\n"


def test_the_policy_demands_a_signature(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), new_place(tmp_path / "box")
    key = place.run("key", "generate", "key-1").strip()
    published(place, "unsigned")
    (other.workspace / "hf-pack.toml").write_text(f'[policy]\nsignatures = "enforce"\ntrusted_keys = ["{key}"]\n')
    assert "no trusted key" in other.run("pull", "unsigned", "--from", cache_url(place), code=8)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_scheduler_reads_the_configuration_alone(storage: str, tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = published(place, "tiny", storage=storage)
    names = {path.relative_to(built.real_path).as_posix() for path in Path(built.real_path).rglob("*.json")}
    found = other.json("pull", "tiny", "--from", cache_url(place), "--only", "config", "--output", "out")
    assert found["proved"]
    assert names <= found["files"].keys()
    assert {path.suffix for path in (other.workspace / "out").rglob("*") if path.is_file()} == {".json", ".pbtxt"}
    assert other.json("list") == []
    for path in found["files"]:
        assert (other.workspace / "out" / path).read_bytes() == Path(built.real_path, path).read_bytes()
    assert "there already" in other.run(
        "pull", "tiny", "--from", cache_url(place), "--only", "tree", "--output", "out", code=2
    )
    other.run("pull", "tiny", "--from", cache_url(place), "--only", "tree", "--output", "all")
    assert list((other.workspace / "all").rglob("README.md"))
    assert not list((other.workspace / "all").rglob("*.safetensors"))


@pytest.mark.parametrize("storage", STORAGES)
def test_damage_is_repaired_from_a_cache(storage: str, tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = published(place, "tiny", storage=storage)
    url = cache_url(place)
    other.run("pull", "tiny", "--from", url)
    for damaged in (other.store / "nix" / "store").rglob("*"):
        if damaged.is_file() and not damaged.is_symlink() and damaged.suffix in (".safetensors", ".json"):
            damaged.chmod(0o644)
            damaged.write_bytes(bytes(byte ^ 1 for byte in damaged.read_bytes()))
    other.run("verify", built.store_path, code=5)
    assert "--from URL" in other.run("verify", built.store_path, "--repair", code=2)
    (tmp_path / "empty").mkdir()
    assert "is in no cache" in other.run(
        "verify", built.store_path, "--repair", "--from", f"file://{tmp_path}/empty", code=5
    )
    repaired = other.json("verify", built.store_path, "--repair", "--from", url)
    assert repaired["ok"]
    assert repaired["repaired"]
    assert fingerprint(other.store / built.store_path[1:]) == fingerprint(Path(built.real_path))


@needs_nix
def test_the_machine_s_store_takes_it(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = published(place, "tiny", "--compression", "none", storage="self-contained")
    linked = published(place, "linked", seed=4)
    root = tmp_path / "nix-root"
    env = {"NIX_REMOTE": f"local?root={root}", "NIX_CONFIG": "build-users-group =\nsubstituters =\n"}
    for one in (built, linked):
        other.run("pull", one.store_path, "--from", cache_url(place), "--store", "daemon", env=env)
    assert_sound(root)
    for one in (built, linked):
        assert fingerprint(root / one.store_path[1:]) == fingerprint(Path(one.real_path))


@needs_nix
@pytest.mark.parametrize("compression", ["none", "xz", "zstd"])
def test_what_nix_published_is_pulled(compression: str, tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    linked = place.package(tiny_model(shards=2), "tiny")
    contained = place.package(tiny_model(seed=5), "contained", storage="self-contained")
    target = f"file://{tmp_path}/cache?compression={compression}"
    nix(place.store, "copy", "--to", target, linked.store_path, contained.store_path, program="nix")
    other.run("pull", linked.store_path, contained.store_path, "--from", f"file://{tmp_path}/cache")
    for one in (linked, contained):
        assert fingerprint(other.store / one.store_path[1:]) == fingerprint(Path(one.real_path))
    assert_sound(other.store)
