"""Whatever byte of an OCI layout changed: refused by name, or without effect on what becomes valid."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest
from tests.end_to_end import Place, new_place
from tests.models import tiny_model

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.api import registries
from hf_pack.errors import Error
from hf_pack.steps.quiet import QUIET
from hf_pack.steps.registries import oci_pull

FLIPS = 3  #: of each file


@pytest.mark.parametrize(
    ("storage", "shape"), [("linked", "modelpack"), ("linked", "image"), ("self-contained", "image")]
)
def test_a_flipped_byte_or_a_cut(storage: str, shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = new_place(tmp_path / "place")
    built = place.package(tiny_model(shards=2), "tiny", storage=storage)
    layout = tmp_path / "layout"
    place.run("export", "tiny", "--to", "oci-layout", "--output", layout, "--as", shape)
    expected = {built.store_path, *built.references}
    if storage == "self-contained":  # its blobs are valid in an embedded store, too
        expected |= _all_of(layout, tmp_path / "whole")
    chosen, refused = random.Random(3), 0
    for file in sorted(path for path in layout.rglob("*") if path.is_file()):
        good = file.read_bytes()
        for number in range(FLIPS):
            damaged = bytearray(good)
            damaged[chosen.randrange(len(good))] ^= 1 << chosen.randrange(8)
            file.write_bytes(damaged if number else good[: len(good) // 2])
            store = tmp_path / f"{file.name[:16]}-{number}"
            try:
                registries.pull(f"oci-layout:{layout}", store=str(store))
            except Error as error:
                refused += 1
                assert str(layout) in error.message or ".safetensors" in error.message, error.message
            _assert_sound(store, expected)
        file.write_bytes(good)
    assert refused > FLIPS * 2


def _all_of(layout: Path, store: Path) -> set[str]:
    registries.pull(f"oci-layout:{layout}", store=str(store))
    with closing(EmbeddedStore(store)) as opened:
        return {str(info.store_path) for info in opened.all_paths()}


def _assert_sound(root: Path, expected: set[str]) -> None:
    if not root.exists():
        return
    with closing(EmbeddedStore(root)) as store:
        for info in store.all_paths():
            assert str(info.store_path) in expected
            assert store.check(info.store_path, QUIET) == ()


def test_another_package_under_the_tag_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound in every byte, and not what was asked for."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place, layout = new_place(tmp_path / "place"), tmp_path / "layout"
    built = {name: place.package(tiny_model(seed=len(name)), name) for name in ("one", "one-too")}
    for name in built:
        place.run("export", name, "--to", "oci-layout", "--output", layout)
    index = layout / "index.json"
    text = index.read_text().replace("one-too-1", "x").replace("one-1", "one-too-1").replace('"x', '"one-1')
    index.write_text(text)
    for asked in (built["one"].store_path, "one", "one@1.0.0+0000000"):
        with pytest.raises(Error, match=r"holds another package\n.*one-too-1") as caught:
            registries.pull(f"oci-layout:{layout}:one-1.0.0_0000000", asked, store=str(tmp_path / "store"))
        assert asked in caught.value.message
    _assert_sound(tmp_path / "store", set())


def test_a_layer_with_a_path_that_leads_out_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the very digest that the manifest names, so that nothing but the path is wrong."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place: Place = new_place(tmp_path / "place")
    place.package(tiny_model(), "tiny")
    layout = tmp_path / "layout"
    place.run("export", "tiny", "--to", "oci-layout", "--output", layout, "--as", "modelpack")
    _rename_in_tree(layout, b"share/tiny/hf-pack.json", b"../../..ny/hf-pack.json")
    with pytest.raises(Error, match=r"\.\./\.\./\.\.ny/hf-pack\.json"):
        registries.pull(f"oci-layout:{layout}", store=str(tmp_path / "store"))
    _assert_sound(tmp_path / "store", set())


def test_a_layer_that_is_too_large_for_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place, layout = new_place(tmp_path / "place"), tmp_path / "layout"
    place.package(tiny_model(), "tiny")
    place.run("export", "tiny", "--to", "oci-layout", "--output", layout)
    monkeypatch.setattr(oci_pull, "_MOST_TREE", 1000)
    with pytest.raises(Error, match=r"layer sha256:\w{64} is too large for small files"):
        registries.pull(f"oci-layout:{layout}", store=str(tmp_path / "store"))
    _assert_sound(tmp_path / "store", set())


def _rename_in_tree(layout: Path, name: bytes, other: bytes) -> None:
    """Rename a member of the tree's layer, and mend every digest on the way up."""
    from hashlib import sha256

    blobs = layout / "blobs" / "sha256"
    changed = {}
    for blob in blobs.iterdir():
        data = blob.read_bytes()
        at = data.find(name + b"\0")
        if data[257:262] == b"ustar" and at >= 0 and at % 512 == 0:
            header = bytearray(data[at : at + 512])
            header[: len(other)] = other
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            changed[blob.name] = data[:at] + bytes(header) + data[at + 512 :]
    assert len(changed) == 1
    while changed:
        (old, data), *_ = changed.items()
        del changed[old]
        new = sha256(data).hexdigest()
        (blobs / old).unlink()
        (blobs / new).write_bytes(data)
        for holder in (*blobs.iterdir(), layout / "index.json"):
            text = holder.read_bytes()
            if old.encode() in text:
                mended = text.replace(old.encode(), new.encode())
                if holder.name == "index.json":
                    holder.write_bytes(mended)
                else:
                    changed[holder.name] = mended
