"""Diff: files, JSON keys and tensors between two packages, locks or revisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hf_pack.model import strict_json
from hf_pack.model.differences import Change, Difference, FileChange, KeyChange, TensorChange
from hf_pack.model.json_diff import MISSING, json_changes
from hf_pack.model.json_value import JsonValue
from hf_pack.steps.stored.contents import Contents
from hf_pack.weights import safetensors
from hf_pack.weights.safetensors import Tensor
from hf_pack.weights.weights_error import HeaderError

_CHUNK = 8 << 20


def diff(before: Contents, after: Contents) -> Difference:
    """Everything that differs between two packages' files.

    Weights are compared tensor by tensor when both sides' bytes are in the store; else a note says which are not.
    """
    files = tuple(_file_changes(before, after))
    notes: list[str] = []
    keys = [
        change
        for file in files
        if file.change is Change.CHANGED and file.path.endswith(".json")
        for change in _key_changes(file.path, before, after, notes)
    ]
    tensors: list[TensorChange] = []
    if any(file.path.endswith(".safetensors") for file in files):
        left, right = _tensors(before, notes), _tensors(after, notes)
        if left is not None and right is not None:
            tensors = list(_tensor_changes(left, right, before, after))
    return Difference(files=files, keys=tuple(keys), tensors=tuple(tensors), notes=tuple(dict.fromkeys(notes)))


def _file_changes(before: Contents, after: Contents) -> Iterator[FileChange]:
    for path in sorted({*before.files, *after.files}):
        left, right = before.files.get(path), after.files.get(path)
        if left == right:
            continue
        change = Change.ADDED if left is None else Change.REMOVED if right is None else Change.CHANGED
        yield FileChange(path=path, change=change, before=left, after=right)


def _key_changes(path: str, before: Contents, after: Contents, notes: list[str]) -> Iterator[KeyChange]:
    left, right = before.read(path), after.read(path)
    if left is None or right is None:
        notes.append(f"{path}: its keys are not compared, its bytes are not in the store")
        return
    try:
        documents = strict_json.loads(left), strict_json.loads(right)
    except strict_json.StrictJsonError as error:
        notes.append(f"{path}: its keys are not compared: {error}")
        return
    for key, old, new in json_changes(*documents):
        change = Change.ADDED if old is MISSING else Change.REMOVED if new is MISSING else Change.CHANGED
        yield KeyChange(path=path, key=key, change=change, before=_value(old), after=_value(new))


def _value(value: JsonValue | object) -> JsonValue:
    return None if value is MISSING else value  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A tensor and the file bytes it occupies."""

    path: str
    tensor: Tensor
    offset: int

    @property
    def words(self) -> str:
        return f"{self.tensor.dtype} {list(self.tensor.shape)}"


def _tensors(contents: Contents, notes: list[str]) -> dict[str, _Placed] | None:
    """Every tensor of the safetensors files; None (with a note) when a file's bytes are not here."""
    placed: dict[str, _Placed] = {}
    for path, digest in contents.files.items():
        if not path.endswith(".safetensors"):
            continue
        directory = path[: path.rfind("/") + 1]  # the parts of a pipeline have tensors of the same names
        prefix = contents.read(path, size=8)
        if prefix is None:
            notes.append(f"{path}: its tensors are not compared, its bytes are not in the store")
            return None
        try:
            length = safetensors.header_length(prefix, digest.size)
            header = safetensors.parse_header(contents.read(path, 8, length) or b"", digest.size)
        except HeaderError as error:
            notes.append(f"{path}: its tensors are not compared: {error}")
            return None
        for tensor in header.tensors:
            placed[directory + tensor.name] = _Placed(path, tensor, header.data_offset + tensor.begin)
    return placed


def _tensor_changes(
    left: dict[str, _Placed], right: dict[str, _Placed], before: Contents, after: Contents
) -> Iterator[TensorChange]:
    for name in sorted({*left, *right}):
        old, new = left.get(name), right.get(name)
        if old is None or new is None:
            yield TensorChange(
                name=name,
                aspect="presence",
                before=old.words if old else "",
                after=new.words if new else "",
            )
            continue
        if old.tensor.dtype != new.tensor.dtype:
            aspect = "dtype"
        elif old.tensor.shape != new.tensor.shape:
            aspect = "shape"
        elif not _same_bytes(old, new, before, after):
            aspect = "content"
        else:
            continue
        yield TensorChange(name=name, aspect=aspect, before=old.words, after=new.words)


def _same_bytes(old: _Placed, new: _Placed, before: Contents, after: Contents) -> bool:
    if before.files[old.path].sha256 == after.files[new.path].sha256 and old.offset == new.offset:
        return True
    return all(
        before.read(old.path, old.offset + at, min(_CHUNK, old.tensor.size - at))
        == after.read(new.path, new.offset + at, min(_CHUNK, new.tensor.size - at))
        for at in range(0, old.tensor.size, _CHUNK)
    )
