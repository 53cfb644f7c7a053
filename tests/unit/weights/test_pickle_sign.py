from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

import pytest
from tests.unit.weights.model_bytes import gguf_file

from hf_pack.weights.pickle_sign import LONGEST_START, SIGN_SIZE, hides_behind_text, looks_like_pickle


def zip_of(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x80\x02}q\x00.")
    return out.getvalue()


def tar_of(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [{}, [1, 2], {"a": b"x" * 1000}, "text", (1, "b"), 3.5, None])
def test_pickles_are_found(protocol: int, value: object) -> None:
    assert looks_like_pickle(pickle.dumps(value, protocol)[:SIGN_SIZE])


def test_containers_of_pickle_are_found() -> None:
    assert looks_like_pickle(zip_of("archive/data.pkl"))
    assert looks_like_pickle(tar_of("sys_info")[:SIGN_SIZE])
    # the magic number with which torch.save began before 1.6 (torch/serialization.py, MAGIC_NUMBER)
    assert looks_like_pickle(pickle.dumps(0x1950A86A20F9469CFC6C, 2))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x02",
        b"\x80\x02\x00\x00",
        b"\x80\x01}",
        b"\x80\x06}",
        b"PK\x03\x04",
        b'{"a": 1}',
        gguf_file(),
    ],
)
def test_other_files_are_not(data: bytes) -> None:
    assert not looks_like_pickle(data)


@pytest.mark.parametrize(
    "name", ["data/0", "version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"]
)
def test_a_torch_archive_in_another_order_is_found(name: str) -> None:
    """Packed anew, by `zip` or another writer, with the pickle far behind."""
    assert looks_like_pickle(zip_of(f"pytorch_model/{name}"))
    assert looks_like_pickle(zip_of(f"pytorch_model/{name}", "pytorch_model/data.pkl")[:SIGN_SIZE])
    assert looks_like_pickle(zip_of("README.md", f"archive/{name}")[:SIGN_SIZE])


def test_a_pickle_that_is_no_first_member_is_found() -> None:
    assert looks_like_pickle(zip_of("README.md", "a/b/weights.pkl")[:SIGN_SIZE])


@pytest.mark.parametrize("names", [("model/weights.json",), ("arr_0.npy", "version"), ("a/b/version", "x/data/y")])
def test_other_zips_are_not(names: tuple[str, ...]) -> None:
    assert not looks_like_pickle(zip_of(*names))


class Calls:
    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("7",)


def unsigned(value: object, protocol: int) -> bytes:
    """A pickle of that protocol without the two bytes that say so, which readers do not ask for."""
    data = pickle.dumps(value, protocol)
    return data[2:] if protocol >= 2 else data


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value", [Calls(), {"a": Calls()}, list(range(400)), {"k": "v" * 90, "z": {"a": list(range(9))}}]
)
def test_pickles_without_a_sign_are_found(protocol: int, value: object) -> None:
    assert looks_like_pickle(unsigned(value, protocol)[:SIGN_SIZE])


def hidden(data: bytes) -> bool:
    return hides_behind_text(lambda size: data[:size], len(data))


@pytest.mark.parametrize("length", [600, 5000, 300_000, (2 << 20) + 7])
@pytest.mark.parametrize("protocol", range(6))
def test_a_long_text_does_not_hide_one(protocol: int, length: int) -> None:
    data = unsigned(["x" * length, Calls()], protocol)
    assert not looks_like_pickle(data[:SIGN_SIZE])
    assert hidden(data)


def test_a_text_in_front_that_is_dropped_again_does_not_hide_one() -> None:
    assert hidden(b"S'" + b"x" * 700 + b"'\n0cposix\nsystem\n(S'id'\ntR.")
    assert hidden(b"N0" * 700 + b"cposix\nsystem\n(S'id'\ntR.")
    assert hidden(b"N0" * 100_000)


@pytest.mark.parametrize(
    "data",
    [
        b"Vocabulary " * 80 + b"\n" + b"of words\n" * 900,
        b"S" + b"x" * 4000,
        b"X" + struct.pack("<I", 600) + b"x" * 600 + b"then a text\n" * 90,
        b"Xylophones are " * 90,  # 1.9 GB long, as a pickle
    ],
)
def test_long_lines_hide_none(data: bytes) -> None:
    assert not looks_like_pickle(data[:SIGN_SIZE])
    assert not hidden(data)


def test_no_more_is_read_than_a_text_may_have() -> None:
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return b"S'" + b"x" * (size - 2)

    assert not hides_behind_text(read, 1 << 40)
    assert max(asked) == LONGEST_START


def test_marks_and_pops_do_not_hide_one() -> None:
    assert looks_like_pickle(b"(0cposix\nsystem\n(S'x'\ntR.")
    assert looks_like_pickle(b"(S'x'\niposix\nsystem\n.")


@pytest.mark.parametrize(
    "text",
    [
        b"cat\ndog\n.",
        b"Person\nVehicle\nPlant\n" * 40,
        b"0" * SIGN_SIZE,
        b"(((((((((((((((((((((",
        b"I am\na text\n",
        b"the cat sat\non the mat\n" * 30,
        b'{"a": 1}\n' * 60,
    ],
)
def test_texts_are_no_pickles(text: bytes) -> None:
    assert not looks_like_pickle(text[:SIGN_SIZE])


def test_arrays_of_objects_are_pickles() -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    assert looks_like_pickle(b"\x93NUMPY\x01\x00\x76\x00" + header)
    assert not looks_like_pickle(b"\x93NUMPY\x01\x00\x76\x00" + header.replace(b"|O", b"<f4"))


@pytest.mark.parametrize("length", [0x7D0280, 0x950480, 0x280, 0x580])
def test_a_safetensors_header_of_that_length_is_not(length: int) -> None:
    assert not looks_like_pickle(struct.pack("<Q", length) + b'{"a":')
