"""ModelPack artifacts as `modctl` and others make them, written by hand from the specification, become directories."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet
from tests.models import filler

from hf_pack.adapters.oci.layout import LayoutDirectory
from hf_pack.adapters.oci.model_directory import write_model
from hf_pack.api import registries
from hf_pack.errors import Error, HubError, IntegrityError, UsageError
from hf_pack.formats.oci.documents import MANIFEST, Descriptor, Manifest, digest_of
from hf_pack.steps.registries.joined import Joined

WEIGHTS = filler(2_500_000, 4)
CONFIG = b'{"descriptor":{"name":"x"},"config":{},"modelfs":{"type":"layers","diffIds":[]}}'


@dataclass
class Artifact:
    """An artifact in a layout; ``family`` is the media types' name."""

    directory: Path
    family: str = "cncf"

    def __post_init__(self) -> None:
        self.layout = LayoutDirectory.create(self.directory)
        self.layers: list[Descriptor] = []

    def layer(self, data: bytes, kind: str, annotations: Mapping[str, str] | None = None) -> Descriptor:
        self.layout.upload(digest_of(data), Joined((data,)), Quiet())
        self.layers.append(
            Descriptor(
                media_type=f"application/vnd.{self.family}.model.{kind}",
                digest=digest_of(data),
                size=len(data),
                annotations=annotations or {},
            )
        )
        return self.layers[-1]

    def raw(self, path: str, data: bytes, kind: str = "weight") -> Descriptor:
        return self.layer(data, f"{kind}.v1.raw", {f"org.{self.family}.model.filepath": path})

    def manifest(self) -> Manifest:
        self.layout.upload(digest_of(CONFIG), Joined((CONFIG,)), Quiet())
        config = Descriptor(
            media_type=f"application/vnd.{self.family}.model.config.v1+json",
            digest=digest_of(CONFIG),
            size=len(CONFIG),
        )
        return Manifest(
            config=config,
            layers=tuple(self.layers),
            artifact_type=f"application/vnd.{self.family}.model.manifest.v1+json",
        )

    def pull(self, output: Path) -> dict[str, bytes]:
        self.layout.put_manifest(MANIFEST, self.manifest().format(), "v1")
        registries.pull_model(f"oci-layout:{self.directory}:v1", output)
        return contents(output)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def tar(files: Mapping[str, bytes], **changes: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return Artifact(tmp_path / "layout")


@pytest.mark.parametrize("family", ["cncf", "cnai"])
def test_raw_tar_and_gzipped_layers_become_files(tmp_path: Path, family: str) -> None:
    artifact = Artifact(tmp_path / "layout", family)
    artifact.raw("model.safetensors", WEIGHTS)
    artifact.raw("empty.txt", b"", "doc")
    artifact.layer(tar({"config.json": b"{}", "sub/tokenizer.json": b"[]"}), "weight.config.v1.tar")
    artifact.layer(gzip.compress(tar({"README.md": b"# x"})), "doc.v1.tar+gzip")
    assert artifact.pull(tmp_path / "out") == {
        "model.safetensors": WEIGHTS,
        "empty.txt": b"",
        "config.json": b"{}",
        "sub/tokenizer.json": b"[]",
        "README.md": b"# x",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layout", "out"]


def test_an_artifact_is_found_through_an_index_and_ours_leaves_its_tree_out(artifact: Artifact, tmp_path: Path) -> None:
    artifact.raw("config.json", b"{}")
    artifact.raw(".hf-pack/tree.tar", b"x")
    assert artifact.pull(tmp_path / "out") == {"config.json": b"{}"}


def test_an_interrupted_pull_goes_on_within_the_file(artifact: Artifact, tmp_path: Path) -> None:
    artifact.raw("model.safetensors", WEIGHTS)
    staging = tmp_path / ".out.hf-pack-pull"
    staging.mkdir()
    (staging / "model.safetensors").write_bytes(WEIGHTS[:2_000_000])
    (staging / "leftover").write_bytes(b"x")
    written = write_model(artifact.manifest(), artifact.layout, tmp_path / "out", Quiet())
    assert written.bytes_received == 500_000
    assert contents(tmp_path / "out") == {"model.safetensors": WEIGHTS}


def _refused(artifact: Artifact, tmp_path: Path, kind: type[Error] = IntegrityError) -> str:
    with pytest.raises(kind) as caught:
        artifact.pull(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "evil").exists()
    return caught.value.message


@pytest.mark.parametrize("path", ["../evil", "/evil", "a/../../evil", "", "a\\..\\evil", "a\0b", "."])
def test_a_raw_layer_that_leads_elsewhere_is_refused(artifact: Artifact, tmp_path: Path, path: str) -> None:
    layer = artifact.raw(path, b"x")
    assert layer.digest in _refused(artifact, tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        tar({"../evil": b"x"}),
        tar({"/evil": b"x"}),
        tar({"a": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        tar({"a": b""}, type=tarfile.LNKTYPE, linkname="../evil"),
        tar({"a": b""}, type=tarfile.CHRTYPE),
        tar({"a": b"x" * 5000})[:2000],
        b"\xff" * 4096,
    ],
)
def test_a_hostile_tar_is_refused_by_name(artifact: Artifact, tmp_path: Path, data: bytes) -> None:
    layer = artifact.layer(data, "weight.v1.tar")
    assert layer.digest in _refused(artifact, tmp_path)


def test_a_layer_that_unpacks_without_end_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    bomb = gzip.compress(tar({"a": bytes(300 << 20)}))
    assert len(bomb) < 1 << 20
    layer = artifact.layer(bomb, "weight.v1.tar+gzip")
    assert "far more" in _refused(artifact, tmp_path)
    assert layer.digest


@pytest.mark.parametrize("kind", ["weight.v1.raw", "weight.v1.tar", "weight.v1.tar+gzip"])
def test_changed_bytes_are_refused(artifact: Artifact, tmp_path: Path, kind: str) -> None:
    data = tar({"model.bin": WEIGHTS})
    layer = artifact.layer(
        gzip.compress(data, mtime=0) if kind.endswith("gzip") else data, kind, {"org.cncf.model.filepath": "model.bin"}
    )
    place = artifact.directory / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    changed = bytearray(place.read_bytes())
    changed[1_000_000] ^= 1
    place.write_bytes(changed)
    assert layer.digest in _refused(artifact, tmp_path)


def test_what_cannot_be_taken_is_said(artifact: Artifact, tmp_path: Path) -> None:
    artifact.layer(b"x", "weight.v1.tar+zstd")
    assert "zstd" in _refused(artifact, tmp_path, HubError)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"x")
    with pytest.raises(UsageError, match="is there already"):
        write_model(artifact.manifest(), artifact.layout, tmp_path / "out", Quiet())
    image = Manifest(config=Descriptor(media_type="application/x", digest=digest_of(b""), size=0), layers=())
    with pytest.raises(UsageError, match="no ModelPack"):
        write_model(image, artifact.layout, tmp_path / "new", Quiet())


def test_two_files_of_one_name_are_refused(artifact: Artifact, tmp_path: Path) -> None:
    artifact.raw("a", b"x")
    artifact.layer(tar({"a": b"y"}), "weight.v1.tar")
    assert "twice" in _refused(artifact, tmp_path)


def test_a_layout_is_what_others_read(artifact: Artifact) -> None:
    layer = artifact.raw("a", b"x")
    artifact.layout.put_manifest(MANIFEST, artifact.manifest().format(), "v1")
    artifact.layout.put_manifest(MANIFEST, artifact.manifest().format(), "v1")
    index = json.loads((artifact.directory / "index.json").read_bytes())
    assert [one["annotations"] for one in index["manifests"]] == [{"org.opencontainers.image.ref.name": "v1"}]
    assert json.loads((artifact.directory / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    blob = artifact.directory / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
