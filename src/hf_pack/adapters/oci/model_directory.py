"""A ModelPack artifact, whoever made it, as a directory with the model's files: what `hf-pack add` takes.

Both names of the media types are read: the specification's ``vnd.cncf.model`` and the older ``vnd.cnai.model``.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hf_pack import durable
from hf_pack.errors import HubError, IntegrityError, UsageError
from hf_pack.formats.decompressing import decompressed
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.documents import Descriptor, Manifest
from hf_pack.formats.oci.tar_layer import checked_path
from hf_pack.model.file_names import path_problem, shown
from hf_pack.ports import Progress
from hf_pack.ports.registry import Repository

_MODEL = re.compile(r"application/vnd\.(?:cncf|cnai)\.model\.")
_LAYER = re.compile(r"application/vnd\.(?:cncf|cnai)\.model\.[a-z.]+\.v1\.(raw|tar|tar\+gzip|tar\+zstd)")
_FILE_PATHS = ("org.cncf.model.filepath", "org.cnai.model.filepath")
_OURS = ".hf-pack/"
_CHUNK = 1 << 20
_SLACK = 64 << 20  #: bytes that a compressed layer may hold beyond 16 times its size: weights shrink far less
_MOST_SHRINKING = 16


@dataclass(frozen=True, kw_only=True)
class WrittenModel:
    """How many files the directory has, and the bytes of the layers that were received for it."""

    files: int
    bytes_received: int


def is_model_pack(manifest: Manifest) -> bool:
    """Whether a manifest is one of a model."""
    return bool(_MODEL.match(manifest.artifact_type or "") or _MODEL.match(manifest.config.media_type))


def write_model(manifest: Manifest, repository: Repository, directory: Path, progress: Progress) -> WrittenModel:
    """Make ``directory``, which is not there or empty, of the artifact's files. It appears when every layer is proved.

    Run again after an interruption it goes on. Raises UsageError, IntegrityError for bytes that are not the digest's,
    for a path that leads elsewhere and for links; HubError.
    """
    if not is_model_pack(manifest):
        found = manifest.artifact_type or manifest.config.media_type
        raise UsageError(f"{repository.name} holds no ModelPack artifact\n  artifactType: found {shown(found)}")
    staging = directory.with_name(f".{directory.name}.hf-pack-pull")
    total = sum(layer.size for layer in manifest.layers)
    progress.start("pull", total)
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} is there already", hint="--output DIR with a directory that is new")
        staging.mkdir(parents=True, exist_ok=True)
        received, names = 0, set[str]()
        for layer in manifest.layers:
            kind = _LAYER.fullmatch(layer.media_type)
            if kind is None:
                raise HubError(f"{repository.name}: a layer of a kind that is not read\n  {shown(layer.media_type)}")
            if kind[1] == "raw":
                received += _raw(layer, repository, staging, names, progress)
            else:
                received += _archive(layer, kind[1], repository, staging, names, progress)
        for folder in {staging, *(staging.joinpath(name).parent for name in names)}:
            durable.sync(folder)
        for leftover in _files_of(staging) - names:
            (staging / leftover).unlink()
        with suppress(FileNotFoundError):
            directory.rmdir()
        staging.rename(directory)
        durable.sync(directory.parent)
        return WrittenModel(files=len(names), bytes_received=received)
    except OSError as error:
        raise HubError(
            f"the model cannot be written: {error.strerror or type(error).__name__}\n  {error.filename or directory}"
        ) from None
    finally:
        progress.finish()


def _raw(layer: Descriptor, repository: Repository, staging: Path, names: set[str], progress: Progress) -> int:
    """The layer as a file, from where an earlier process stopped. Returns the bytes received."""
    path = next((layer.annotations[key] for key in _FILE_PATHS if key in layer.annotations), None)
    if path is None:
        raise HubError(f"{repository.name}: layer {layer.digest} does not say which file it is")
    if path.startswith(_OURS):
        return 0
    place = _place(path, layer.digest, staging, names)
    hasher = hashlib.sha256()
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        there = 0
        while there < layer.size and (chunk := file.read(min(_CHUNK, layer.size - there))):
            hasher.update(chunk)
            there += len(chunk)
        progress.advance(there)
        file.truncate(there)
        for piece in repository.chunks(layer.digest, there, layer.size - there):
            file.write(piece)
            hasher.update(piece)
            progress.advance(len(piece))
        os.fsync(file.fileno())
    _prove(hasher.hexdigest(), layer, repository, place)
    return layer.size - there


def _archive(
    layer: Descriptor, kind: str, repository: Repository, staging: Path, names: set[str], progress: Progress
) -> int:
    """The files of a tar layer; nothing but files and directories is taken."""
    if kind == "tar+zstd":
        raise HubError(
            f"{repository.name}: layer {layer.digest} is compressed with zstd, which is not read here",
            hint="publish the artifact with raw layers: `modctl build --raw`",
        )
    stream = _Layer(repository, layer, progress)
    most = layer.size if kind == "tar" else _MOST_SHRINKING * layer.size + _SLACK
    chunks: Iterator[bytes] = stream.chunks() if kind == "tar" else decompressed("gzip", stream.chunks())
    written: list[Path] = []
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Pieces(chunks)), mode="r|") as archive:
            for member in archive:
                path = checked_path(member.name)
                if member.isdir() or path.startswith(_OURS):
                    continue
                if not member.isreg() or member.issparse():
                    raise FormatError(f"{shown(path)} is neither a file nor a directory")
                most -= member.size
                if most < 0:
                    raise FormatError("it unpacks to far more than it is")
                written.append(_place(path, layer.digest, staging, names))
                written[-1].parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                written[-1].unlink(missing_ok=True)
                with written[-1].open("xb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
                    target.flush()
                    os.fsync(target.fileno())
                if written[-1].stat().st_size != member.size:
                    raise FormatError(f"{shown(path)} ends early")
        stream.drain()
    except (FormatError, tarfile.TarError, EOFError) as error:
        for place in written:
            place.unlink(missing_ok=True)
        raise IntegrityError(f"{repository.name}: layer {layer.digest} cannot be unpacked: {error}") from None
    try:
        _prove(stream.hexdigest(), layer, repository, None)
    except IntegrityError:
        for place in written:
            place.unlink(missing_ok=True)
        raise
    return layer.size


class _Layer:
    """A layer's bytes, hashed as they come."""

    def __init__(self, repository: Repository, layer: Descriptor, progress: Progress) -> None:
        self._chunks = repository.chunks(layer.digest, 0, layer.size)
        self._progress = progress
        self._hasher = hashlib.sha256()

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hasher.update(chunk)
            self._progress.advance(len(chunk))
            yield bytes(chunk)

    def drain(self) -> None:
        for _ in self.chunks():
            pass

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


class _Pieces(io.RawIOBase):
    """Chunks as a file that is read from start to end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _place(path: str, digest: str, staging: Path, names: set[str]) -> Path:
    """Where a file goes. Raises IntegrityError for a path out of the directory, or one that is taken."""
    problem = path_problem(path)
    if problem is not None:
        raise IntegrityError(f"layer {digest} has a path that is none: {problem}\n  found {shown(path)}")
    if path in names:
        raise IntegrityError(f"layer {digest}: {shown(path)} is in the artifact twice")
    names.add(path)
    return staging.joinpath(*path.split("/"))


def _prove(found: str, layer: Descriptor, repository: Repository, place: Path | None) -> None:
    if f"sha256:{found}" != layer.digest:
        if place is not None:
            place.unlink()
        raise IntegrityError(
            f"{repository.name}: a layer has other bytes than its digest says\n"
            f"  expected {layer.digest}, found sha256:{found}",
            hint="run the same command again",
        )


def _files_of(staging: Path) -> set[str]:
    return {
        Path(parent, name).relative_to(staging).as_posix() for parent, _, files in os.walk(staging) for name in files
    }
