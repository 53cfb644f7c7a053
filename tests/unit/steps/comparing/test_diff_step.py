from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import TENSORS, as_json, safetensors, shard_index, tiny_model, write_flat

from hf_pack.formats.hashes import Hash
from hf_pack.model.differences import Change, Difference, FileChange, KeyChange, TensorChange
from hf_pack.model.lock import FileDigest
from hf_pack.steps.comparing.diff import diff
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.stored.contents import Contents, LockedContents, stored_contents

HALF = ("BF16", (8, 16))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return new_bench(tmp_path)


def locked(bench: Bench, name: str, files: Mapping[str, bytes]) -> Contents:
    bench.add(write_flat(bench.home / name, files), wishes=Wishes(name=name))
    package = bench.load(name)
    return LockedContents(lock=package.lock, kept=package.kept, store=bench.store)


def compare(bench: Bench, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Difference:
    return diff(locked(bench, "a", before), locked(bench, "b", after))


def digest(contents: bytes) -> FileDigest:
    return FileDigest(size=len(contents), sha256=Hash.sha256_of(contents))


def with_weights(weights: bytes) -> dict[str, bytes]:
    return {**tiny_model(), "model.safetensors": weights}


def tensors(**changes: tuple[str, tuple[int, ...]] | None) -> dict[str, tuple[str, tuple[int, ...]]]:
    every: dict[str, tuple[str, tuple[int, ...]]] = {"one": ("BF16", (4, 4)), "two": HALF, "three": ("F32", (3,))}
    return {name: value for name, value in {**every, **changes}.items() if value is not None}


def test_equal_packages_do_not_differ(bench: Bench) -> None:
    found = compare(bench, tiny_model(shards=2), tiny_model(shards=2))
    assert found == Difference()
    assert found.is_empty


def test_files_added_removed_and_changed(bench: Bench) -> None:
    before, after = tiny_model(), tiny_model(extra={"chat_template.jinja": b"x", "README.md": b"# New\n"})
    del after["LICENSE"]
    found = compare(bench, before, after)
    assert found.files == (
        FileChange(path="LICENSE", change=Change.REMOVED, before=digest(before["LICENSE"]), after=None),
        FileChange(
            path="README.md",
            change=Change.CHANGED,
            before=digest(before["README.md"]),
            after=digest(b"# New\n"),
        ),
        FileChange(path="chat_template.jinja", change=Change.ADDED, before=None, after=digest(b"x")),
    )
    assert (found.keys, found.tensors, found.notes) == ((), (), ())
    assert not found.is_empty


def test_keys_of_json_files(bench: Bench) -> None:
    before = {**tiny_model(), "extra.json": as_json({"gone": 1, "deep": {"list": [1, 2], "same": 0}, "type": 1})}
    after = {**tiny_model(), "extra.json": as_json({"new": None, "deep": {"list": [1, 3], "same": 0}, "type": True})}
    found = compare(bench, before, after)
    assert found.keys == (
        KeyChange(path="extra.json", key="deep.list[1]", change=Change.CHANGED, before=2, after=3),
        KeyChange(path="extra.json", key="gone", change=Change.REMOVED, before=1, after=None),
        KeyChange(path="extra.json", key="new", change=Change.ADDED, before=None, after=None),
        KeyChange(path="extra.json", key="type", change=Change.CHANGED, before=1, after=True),
    )


@pytest.mark.parametrize(("contents", "why"), [(b"{", "not compared: "), (None, "not compared, its bytes are not")])
def test_json_that_cannot_be_compared_is_a_note(bench: Bench, contents: bytes | None, why: str) -> None:
    left = locked(bench, "a", tiny_model())
    found = diff(left, Altered(left, {"config.json": contents}))
    assert [change.path for change in found.files] == ["config.json"]
    assert found.keys == ()
    assert found.notes[0].startswith(f"config.json: its keys are {why}")


class Altered:
    """Contents with other or more files."""

    def __init__(self, base: Contents, changes: Mapping[str, bytes | None]) -> None:
        self._base = base
        self._changes = changes

    @property
    def files(self) -> Mapping[str, FileDigest]:
        return {
            **self._base.files,
            **{path: digest(contents or b"\0gone") for path, contents in self._changes.items()},
        }

    def read(self, path: str, offset: int = 0, size: int | None = None) -> bytes | None:
        if path not in self._changes:
            return self._base.read(path, offset, size)
        contents = self._changes[path]
        return None if contents is None else contents[offset : None if size is None else offset + size]


def test_tensors_added_and_removed(bench: Bench) -> None:
    found = compare(
        bench,
        with_weights(safetensors(tensors(two=None))),
        with_weights(safetensors(tensors(three=None, two=HALF))),
    )
    names = {change.name: change for change in found.tensors}
    assert names["two"] == TensorChange(name="two", aspect="presence", before="", after="BF16 [8, 16]")
    assert names["three"] == TensorChange(name="three", aspect="presence", before="F32 [3]", after="")


@pytest.mark.parametrize(
    ("changed", "aspect", "words"),
    [(("F16", (8, 16)), "dtype", "F16 [8, 16]"), (("BF16", (16, 8)), "shape", "BF16 [16, 8]")],
)
def test_tensors_of_another_dtype_or_shape(
    bench: Bench, changed: tuple[str, tuple[int, ...]], aspect: str, words: str
) -> None:
    found = compare(bench, with_weights(safetensors(tensors())), with_weights(safetensors(tensors(two=changed))))
    assert found.tensors == (TensorChange(name="two", aspect=aspect, before="BF16 [8, 16]", after=words),)


def test_tensors_of_other_content(bench: Bench) -> None:
    weights = safetensors(tensors())
    found = compare(bench, with_weights(weights), with_weights(weights[:-1] + bytes([weights[-1] ^ 1])))
    assert found.tensors == (TensorChange(name="three", aspect="content", before="F32 [3]", after="F32 [3]"),)


def test_a_change_at_the_end_of_a_tensor_larger_than_a_chunk_is_seen(bench: Bench) -> None:
    large = {"large": ("U8", ((8 << 20) + 5,)), "small": ("U8", (3,))}
    weights = bytearray(safetensors(large))
    before = bytes(weights)
    weights[-4] ^= 1  # the last byte of `large`
    found = compare(bench, with_weights(before), with_weights(bytes(weights)))
    assert [(change.name, change.aspect) for change in found.tensors] == [("large", "content")]


def test_a_changed_header_alone_changes_no_tensor(bench: Bench) -> None:
    after = safetensors(tensors(), metadata={"format": "pt", "note": "written again"})
    found = compare(bench, with_weights(safetensors(tensors())), with_weights(after))
    assert [change.path for change in found.files] == ["model.safetensors"]
    assert found.tensors == ()


def test_tensors_that_moved_between_shards_do_not_differ(bench: Bench) -> None:
    names = [name for name, _ in TENSORS]
    whole = {name: bytes([n]) * 16 for n, name in enumerate(names)}

    def sharded(*parts: list[str]) -> dict[str, bytes]:
        files = {}
        for number, part in enumerate(parts, 1):
            header = safetensors(dict.fromkeys(part, ("U8", (16,))))
            data = b"".join(whole[name] for name in part)
            files[f"model-{number:05}-of-{len(parts):05}.safetensors"] = header[: -len(data)] + data
        index = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        base = tiny_model()
        del base["model.safetensors"]
        return {**base, **files, "model.safetensors.index.json": shard_index(index)}

    found = compare(bench, sharded(names[:1], names[1:]), sharded(names[:3], names[3:]))
    assert {change.path for change in found.files} >= {"model-00001-of-00002.safetensors"}
    assert found.tensors == ()
    found = diff(locked(bench, "c", sharded(names[:1], names[1:])), locked(bench, "d", sharded(names)))
    assert found.tensors == ()


def test_tensors_of_one_name_in_two_directories_are_two(bench: Bench) -> None:
    def dense(second: int) -> dict[str, bytes]:
        extra = {
            f"{number}_Dense/model.safetensors": safetensors({"linear.weight": ("F32", (4,))}, seed=seed)
            for number, seed in ((1, 1), (2, second))
        }
        return tiny_model(extra=extra)

    found = compare(bench, dense(2), dense(3))
    assert [(change.name, change.aspect) for change in found.tensors] == [("2_Dense/linear.weight", "content")]


def test_weights_that_are_not_in_the_store_are_a_note(bench: Bench) -> None:
    left, right = locked(bench, "a", tiny_model(seed=1)), locked(bench, "b", tiny_model(seed=2))
    (bench.workspace.root / "models" / "a.lock").unlink()
    bench.store.collect_garbage(dry_run=False)
    found = diff(left, right)
    assert found.tensors == ()
    assert found.notes == ("model.safetensors: its tensors are not compared, its bytes are not in the store",)


def test_weights_that_cannot_be_parsed_are_a_note(bench: Bench) -> None:
    left = locked(bench, "a", tiny_model())
    found = diff(left, Altered(left, {"model.safetensors": b"short"}))
    assert found.tensors == ()
    assert found.notes[0].startswith("model.safetensors: its tensors are not compared: ")


def test_a_store_object_says_itself_what_it_holds(bench: Bench) -> None:
    left = locked(bench, "a", tiny_model(shards=2))
    stored = stored_contents(bench.build("a").info.store_path, bench.store)
    assert diff(left, stored) == Difference()
    right = locked(bench, "b", tiny_model(shards=2, seed=5))
    found = diff(stored, right)
    assert {change.aspect for change in found.tensors} == {"content"}
    assert len(found.tensors) == len(TENSORS)


@pytest.mark.parametrize("layout", ["single", "hf"])
def test_a_store_object_of_another_layout_can_be_compared(bench: Bench, layout: str) -> None:
    left = locked(bench, "a", tiny_model())
    text = bench.manifest("a").read_text().replace('layout = "dual"', f'layout = "{layout}"')
    lines = [line for line in text.splitlines() if layout != "hf" or not line.startswith("triton_model_name")]
    bench.manifest("a").write_text("\n".join(lines) + "\n")
    assert diff(left, stored_contents(bench.build("a").info.store_path, bench.store)) == Difference()
