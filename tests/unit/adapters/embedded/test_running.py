from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.embedded_stores import add_bytes

from hf_pack.adapters.embedded.store import EmbeddedStore

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")

_USES = {
    "environment": "",
    "open file": "file = open(path)",
    "mapping": "import mmap; file = open(path); m = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ); file.close()",
}


@pytest.mark.parametrize("use", _USES)
def test_what_a_process_uses_is_kept_until_it_ends(tmp_path: Path, use: str) -> None:
    store = EmbeddedStore(tmp_path / "root")
    used = add_bytes(store, tmp_path / "src", "used.bin", b"used").blob.store_path
    unused = add_bytes(store, tmp_path / "src", "unused.bin", b"unused").blob.store_path
    program = f"import sys; path = sys.stdin.readline().strip(); {_USES[use]}\nprint('ready', flush=True); input()"
    environment = {"HF_HUB_CACHE": f"{store.real_path(used)}/hub"} if use == "environment" else {}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{store.real_path(used)}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        found = store.roots()
        assert {(root.store_path, root.owner) for root in found} == {(used, None)}
        assert all(root.declared_at.startswith(f"/proc/{process.pid}/") for root in found)
        assert store.collect_garbage(dry_run=True).deleted == (unused,)
        assert store.collect_garbage(dry_run=False).deleted == (unused,)
        process.communicate("\n")
    assert store.roots() == ()
    assert store.collect_garbage(dry_run=False).deleted == (used,)
