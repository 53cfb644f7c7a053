"""fs-verity, which only a real file system does: on a small one of the test's own."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_ROOT, Quiet, add_bytes

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk.proofs import identity_of, measure_verity

pytestmark = NEEDS_ROOT

# Linux's FS_IOC_ENABLE_VERITY and struct fsverity_enable_arg: version 1, SHA-256, blocks of 4096 bytes (fsverity.rst).
_ENABLE_VERITY = 0x40806685
_ARGUMENT = struct.pack("=IIIIQIIQ", 1, 1, 4096, 0, 0, 0, 0, 0) + bytes(88)


@contextmanager
def ext4(tmp_path: Path, feature: str) -> Iterator[Path]:
    """A file system of 32 MiB with the feature; skips where it cannot be made or mounted."""
    maker = shutil.which("mkfs.ext4")
    image, place = tmp_path / "image", tmp_path / "disk"
    if maker is None:
        pytest.skip("needs mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(32 << 20)
    place.mkdir()
    subprocess.run([maker, "-q", "-O", feature, image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, place], capture_output=True).returncode != 0:
        pytest.skip(f"cannot mount ext4 with {feature}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_an_object_with_fs_verity_is_known_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now: Callable[[], int] = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 60_000_000_000)
    with ext4(tmp_path, "verity") as disk, EmbeddedStore(disk / "store") as store:
        path = add_bytes(store, tmp_path, "w.bin", b"w" * 10_000).blob.store_path
        file = store.real_path(path)
        descriptor = os.open(file, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _ENABLE_VERITY, _ARGUMENT)
        except OSError as error:
            pytest.skip(f"this kernel has no fs-verity: {error.strerror}")
        finally:
            os.close(descriptor)
        verity = measure_verity(bytes(file))
        assert verity is not None and verity[0] == 1 and len(verity[1]) == 32
        before = identity_of(file)
        os.link(file, disk / "another-name")  # changes the ctime, and nothing that counts
        assert identity_of(file) == before
        assert store.check(path, Quiet()) == ()
        assert store.proved({path: None}).keys() == {path}
