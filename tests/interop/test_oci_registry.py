"""Packages in Debian's registry, read back by skopeo and umoci, and pulled into other stores, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_stores import Quiet
from tests.end_to_end import LAYOUTS, STORAGES, Built, Place, new_place
from tests.models import COMMIT, OTHER_COMMIT, REPO_ID, filler, safetensors, tiny_model, write_hf_cache
from tests.registries import (
    NEEDS_HTPASSWD,
    NEEDS_REGISTRY,
    NEEDS_SKOPEO,
    NEEDS_UMOCI,
    Server,
    registry,
    skopeo_manifest,
    tool,
)

from hf_pack.adapters.oci.memory import Memory
from hf_pack.adapters.oci.registry import RegistryRepository
from hf_pack.formats.oci.documents import digest_of
from hf_pack.formats.oci.reference import Reference
from hf_pack.ports import Readable
from hf_pack.steps.registries.joined import Joined

pytestmark = NEEDS_REGISTRY

EXTRA = safetensors({"w": ("BF16", (1_500_000,))})
FILES = {path: data for path, data in tiny_model().items() if path != ".gitattributes"} | {
    "deep/extra.safetensors": EXTRA,
    "vocab.json": b'"' + b"v" * 1_200_001 + b'"',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Built]:
    """A package that tests only read."""
    place = new_place(tmp_path_factory.mktemp("packed") / "home")
    return place, place.package(FILES, "m")


def _publish(place: Place, name: str, address: str, *more: str) -> Any:
    return place.json("publish", name, "--to", address, *more)[0]


def _pull(place: Place, address: str, store: Path, *more: str | Path) -> Any:
    (pulled,) = place.json("pull", "--from", address, "--store", store, *more)["packages"]
    return pulled


def _contents(root: Path) -> dict[str, bytes]:
    """The files below a directory as a runtime reads them, links to directories left out."""
    return {
        Path(parent, name).relative_to(root).as_posix(): Path(parent, name).read_bytes()
        for parent, _, files in os.walk(root)
        for name in files
    }


def _real_path(store: Path, store_path: str) -> Path:
    return Path(f"{store}{store_path}")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("storage", STORAGES)
def test_either_form_gives_the_very_store_objects_back(
    place: Place, server: Server, layout: str, storage: str, tmp_path: Path
) -> None:
    name = f"m-{layout}-{storage}"
    built = place.package(FILES, name, layout=layout, storage=storage)
    published = _publish(place, name, server.url(f"round/{name}"))
    assert published["store_path"] == built.store_path
    repository = server.url(f"round/{name}")
    for number, digest in enumerate(published["manifests"].values()):
        store = tmp_path / f"store-{number}"
        pulled = _pull(place, f"{repository}@{digest}", store)
        assert (pulled["store_path"], pulled["nar_hash"]) == (built.store_path, built.nar_hash)
        assert place.json("verify", built.store_path, "--store", store)["ok"] is True
        assert _contents(_real_path(store, built.store_path)) == _contents(Path(built.real_path))


def test_raw_layers_are_the_files_by_their_own_sha256(packed: tuple[Place, Built], server: Server) -> None:
    published = _publish(packed[0], "m", server.url("raw"), "--as", "modelpack")
    manifest = json.loads(server.blob(published["manifests"]["modelpack"]).read_bytes())
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    layers = {layer["annotations"]["org.cncf.model.filepath"]: layer for layer in manifest["layers"]}
    assert set(layers) == {*FILES, ".hf-pack/tree.tar"}
    for path, contents in FILES.items():
        assert layers[path]["digest"] == "sha256:" + hashlib.sha256(contents).hexdigest()
        assert layers[path]["size"] == len(contents)
        metadata = json.loads(layers[path]["annotations"]["org.cncf.model.file.metadata+json"])
        assert (metadata["name"], metadata["size"]) == (path.rsplit("/", 1)[-1], len(contents))
    kinds = {path: layers[path]["mediaType"].removeprefix("application/vnd.cncf.model.") for path in FILES}
    assert kinds["model.safetensors"] == kinds["deep/extra.safetensors"] == "weight.v1.raw"
    assert kinds["config.json"] == kinds["vocab.json"] == "weight.config.v1.raw"
    assert kinds["README.md"] == kinds["LICENSE"] == "doc.v1.raw"
    config = json.loads(server.blob(manifest["config"]["digest"]).read_bytes())
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in manifest["layers"]]
    assert config["descriptor"]["name"] == REPO_ID
    assert config["descriptor"]["revision"] == COMMIT


def test_nothing_is_sent_twice(place: Place, server: Server) -> None:
    place.package(FILES, "twice")
    address = server.url("twice")
    first = _publish(place, "twice", address)
    assert first["bytes_sent"] == first["bytes_total"] > 8_000_000
    assert _publish(place, "twice", address)["bytes_sent"] == 0
    # Another repository of the registry takes the blobs from the first one.
    assert _publish(place, "twice", server.url("twice-elsewhere"))["bytes_sent"] == 0
    # A variant and another commit of the same weights send what is new: kilobytes.
    changed = {**FILES, "config.json": FILES["config.json"].replace(b"{", b'{ "variant": true,', 1)}
    place.add(write_hf_cache(place.home / "cache-2", REPO_ID, OTHER_COMMIT, changed), "variant")
    place.build("variant")
    variant = _publish(place, "variant", server.url("twice", "variant"))
    assert 0 < variant["bytes_sent"] < 60_000


def test_a_version_keeps_its_content_and_a_name_may_move(place: Place, server: Server) -> None:
    place.package(FILES, "moves")
    first = _publish(place, "moves", server.url("moves"))
    _publish(place, "moves", server.url("moves", "latest"))
    other = new_place(place.home / "other")
    built = other.package({**FILES, "config.json": b"{}\n"}, "moves")
    said = other.run("publish", "moves", "--to", server.url("moves"), code=8)
    assert first["store_path"] in said
    assert built.store_path in said
    _publish(other, "moves", server.url("moves", "latest"))
    pulled = _pull(other, server.url("moves", "latest"), other.home / "new")
    assert pulled["store_path"] == built.store_path


@NEEDS_SKOPEO
@NEEDS_UMOCI
@pytest.mark.parametrize("storage", STORAGES)
def test_others_tools_read_the_image(place: Place, server: Server, storage: str, tmp_path: Path) -> None:
    name = f"image-{storage}"
    built = place.package(FILES, name, storage=storage)
    published = _publish(place, name, server.url(name), "--as", "image")
    source = f"docker://{server.address}/{name}:{published['tag']}"
    index = skopeo_manifest(source)
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    for architecture in ("amd64", "arm64"):
        layout = tmp_path / architecture
        tool("skopeo", "--override-arch", architecture, "copy", "--src-tls-verify=false", source, f"oci:{layout}:m")
        tool("umoci", "unpack", "--image", f"{layout}:m", tmp_path / f"un-{architecture}")
        root = tmp_path / f"un-{architecture}" / "rootfs"
        found = {path: data for path, data in _contents(root).items() if "/blobs/" not in path}
        assert found == _contents(Path(built.real_path))
        assert not [one for one in root.rglob("*") if one.is_symlink() and not one.resolve().is_relative_to(root)]
        files = [one for one in root.rglob("*") if one.is_file() and not one.is_symlink()]
        assert {(one.stat().st_mode & 0o777, one.stat().st_mtime) for one in files} == {(0o444, 1.0)}
        weights = [one.is_symlink() for one in root.rglob("*.safetensors")]
        assert weights == [storage == "linked"] * 2


@NEEDS_SKOPEO
def test_what_skopeo_copied_is_the_package_still(packed: tuple[Place, Built], server: Server, tmp_path: Path) -> None:
    place, built = packed
    published = _publish(place, "m", server.url("copied"))
    source = f"docker://{server.address}/copied:{published['tag']}"
    copy, unchanged = ("skopeo", "copy", "--src-tls-verify=false"), "--preserve-digests"
    tool(*copy, "--all", source, f"oci:{tmp_path}/all:x")
    tool(*copy, unchanged, source, f"oci:{tmp_path}/image:x")
    tool(*copy, "--all", unchanged, source, f"oci:{tmp_path}/same:x")
    index = json.loads((tmp_path / "same" / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == published["digest"]
    for layout in ("all", "image", "same"):
        assert (
            _pull(place, f"oci-layout:{tmp_path}/{layout}:x", tmp_path / f"store-{layout}")["store_path"]
            == built.store_path
        )
    for address in (f"oci-layout:{tmp_path}/same", f"{tmp_path}/same"):
        assert _pull(place, address, tmp_path / "store-same")["store_path"] == built.store_path
    tool(*copy, source, f"oci:{tmp_path}/compressed:x")
    assert "--preserve-digests" in _refused(place, f"{tmp_path}/compressed", tmp_path / "none")


@NEEDS_SKOPEO
def test_an_exported_layout_goes_into_a_registry_and_into_a_store(place: Place, server: Server, tmp_path: Path) -> None:
    one, two = place.package(FILES, "one"), place.package({**FILES, "config.json": b"{}\n"}, "two")
    layout = tmp_path / "layout"
    exported = place.json("export", "one", two.store_path, "--to", "oci-layout", "--output", layout)
    assert [document["store_path"] for document in exported] == [one.store_path, two.store_path]
    assert exported[1]["bytes_sent"] < 60_000  # the weights are there once
    assert place.json("export", "one", "--to", "oci-layout", "--output", layout)[0]["bytes_sent"] == 0
    tag = exported[0]["tag"]
    tool(
        "skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}:{tag}",
        f"docker://{server.address}/exported:x",
    )  # fmt: skip
    pulled = _pull(place, server.url("exported", "x"), tmp_path / "a")
    assert pulled["store_path"] == one.store_path
    assert "name one" in place.run("pull", "--from", layout, "--store", tmp_path / "b", code=2)
    pulled = _pull(place, f"oci-layout:{layout}:{exported[1]['tag']}", tmp_path / "b")
    assert pulled["store_path"] == two.store_path
    assert "is no OCI layout" in place.run("export", "one", "--to", "oci-layout", "--output", place.workspace, code=2)


@NEEDS_HTPASSWD
def test_a_login_is_needed_found_and_not_said(packed: tuple[Place, Built], tmp_path: Path) -> None:
    place, _ = packed
    directory = tmp_path / "registry"
    directory.mkdir()
    (directory / "users").write_text(tool("htpasswd", "-Bbn", "me", "s3cret"))
    auth = f"auth: {{htpasswd: {{realm: r, path: {directory}/users}}}}\n"
    with registry(directory, auth) as server:
        said = place.run("publish", "m", "--to", server.url("private"), code=4)
        assert "401" in said
        assert "docker login" in said
        config = place.home / ".docker" / "config.json"
        config.parent.mkdir()
        for password, code in (("wr0ng", 4), ("s3cret", 0)):
            login = base64.b64encode(f"me:{password}".encode()).decode()
            config.write_text(json.dumps({"auths": {server.address: {"auth": login}}}))
            said = place.run("publish", "m", "--to", server.url("private"), code=code)
            assert password not in said
            assert login not in said
        assert _pull(place, server.url("private", "1.0.0_0000000"), tmp_path / "store")
        config.unlink()
        place.run("pull", "--from", server.url("private", "1.0.0_0000000"), "--store", tmp_path / "s2", code=4)
        written = [path for path in place.home.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [path for path in written if b"s3cret" in path.read_bytes()]


def _flipped(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("shape", ["modelpack", "image"])
@pytest.mark.parametrize("what", ["weight", "weight cut", "tree", "manifest", "index"])
def test_a_byte_that_changed_in_the_registry_registers_nothing(
    packed: tuple[Place, Built], tmp_path: Path, shape: str, what: str
) -> None:
    place, built = packed
    with registry(tmp_path / "registry") as server:
        published = _publish(place, "m", server.url("bad"), "--as", shape)
        digest = next(iter(published["manifests"].values()))
        manifest = json.loads(server.blob(digest).read_bytes())
        largest = max(manifest["layers"], key=lambda layer: layer["size"])
        tree = manifest["layers"][int(manifest["annotations"]["hf-pack.tree"])]
        match what:
            case "weight":
                _flipped(server.blob(largest["digest"]), 1_500_000)
            case "weight cut":
                os.truncate(server.blob(largest["digest"]), 2_000_000)
            case "tree":
                _flipped(server.blob(tree["digest"]), 700)
            case "manifest":
                data = server.blob(digest).read_bytes()
                server.blob(digest).write_bytes(data.replace(b"extra", b"Extra"))
            case "index":
                data = server.blob(published["digest"]).read_bytes()
                server.blob(published["digest"]).write_bytes(data.replace(digest[-64:].encode(), b"0" * 64))
        store = tmp_path / "store"
        said = _refused(place, server.url("bad", published["tag"]), store)
        assert server.address in said
        done = subprocess.run(
            place.command("path", built.store_path, "--store", store), cwd=place.workspace, env=place.environment
        )
        assert done.returncode != 0
        assert not list(store.glob("nix/store/*-m-1*"))
        assert not list(store.glob("nix/store/*-extra.safetensors")) or what in ("index", "manifest", "tree")


def test_what_a_registry_cannot_tell_of_is_sent(packed: tuple[Place, Built], server: Server) -> None:
    """One that was killed has an empty note of a blob, and answers questions about it with an error of its own."""
    place, _ = packed
    _publish(place, "m", server.url("torn"))
    layers = server.directory / "docker" / "registry" / "v2" / "repositories" / "torn" / "_layers" / "sha256"
    note = next(layers.glob("*/link"))
    digest = note.read_bytes()
    note.write_bytes(b"")
    shutil.rmtree(place.home / ".cache")  # nothing is known of other repositories, from which it would be taken
    published = _publish(place, "m", server.url("torn"))
    assert published["uploaded"] == 1
    assert note.read_bytes() == digest


@dataclass(frozen=True)
class Breaking:
    """A blob whose upload ends at a byte, as by a kill."""

    data: bytes
    at: int

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        if offset == self.at:  # before the request for what begins there
            raise KeyboardInterrupt
        return self._pieces(offset, offset + size)

    def _pieces(self, offset: int, end: int) -> Iterator[bytes]:
        for begin in range(offset, end, 10_000):
            if begin == self.at:
                raise KeyboardInterrupt
            yield self.data[begin : min(begin + 10_000, end)]


@pytest.mark.parametrize(
    ("at", "again"),
    [(300_000, 700_000), (350_000, 1_000_000)],
    ids=["behind a whole chunk", "inside a chunk, for which this registry drops the upload"],
)
def test_a_killed_upload_goes_on_as_far_as_the_registry_kept_it(
    at: int, again: int, server: Server, tmp_path: Path
) -> None:
    data, memory = filler(1_000_000, at), Memory(tmp_path / "memory")

    def upload(contents: Readable) -> int:
        reference = Reference(registry=server.address, repository="chunks")
        repository = RegistryRepository(reference, lambda: None, memory, plain_http=False, action="push", chunk=100_000)
        return repository.upload(digest_of(data), contents, Quiet())

    with pytest.raises(KeyboardInterrupt):
        upload(Breaking(data, at))
    assert upload(Joined((data,))) == again
    assert server.blob(digest_of(data)).read_bytes() == data


def _refused(place: Place, address: str, store: Path) -> str:
    done = subprocess.run(
        place.command("pull", "--from", address, "--store", store),
        cwd=place.workspace, env=place.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (2, 4, 5), f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_build_that_was_damaged_here_is_not_published(place: Place, server: Server) -> None:
    built = place.package(FILES, "damaged")
    blob = next(path for path in Path(f"{place.store}/nix/store").glob("*-extra.safetensors"))
    blob.chmod(0o644)
    _flipped(blob, 1000)
    for shape in ("modelpack", "image"):
        said = place.run("publish", built.store_path, "--to", server.url("damaged"), "--as", shape, code=5)
        assert "extra.safetensors" in said or hashlib.sha256(EXTRA).hexdigest() in said
        assert f"hint: hf-pack verify {built.store_path} --repair" in said
