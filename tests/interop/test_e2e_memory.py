"""Weights pass through: what the command holds in memory does not grow with them."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end import STORAGES, Place, new_place
from tests.models import tiny_model, write_flat

MIB = 1 << 20
SHARDS = 3
SHARD_BYTES = 200 * MIB
MOST_RSS = 200 * MIB


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """600 MiB of weights without holes."""
    directory = write_flat(tmp_path_factory.mktemp("large") / "acme--large", tiny_model())
    (directory / "model.safetensors").unlink()
    weight_map = {}
    for number in range(1, SHARDS + 1):
        name, tensor = f"model-{number:05}-of-{SHARDS:05}.safetensors", f"w{number}"
        weight_map[tensor] = name
        header = json.dumps({tensor: {"dtype": "U8", "shape": [SHARD_BYTES], "data_offsets": [0, SHARD_BYTES]}})
        header += " " * (-len(header) % 8)
        with (directory / name).open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header.encode())
            piece = os.urandom(MIB)
            for _ in range(SHARD_BYTES // MIB):
                file.write(piece)
    index = {"metadata": {"total_size": SHARDS * SHARD_BYTES}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    yield directory
    shutil.rmtree(directory)


#: A child starts with the peak of whoever forked it (Linux: ``exec`` keeps it), so that has to be a small process.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def _most_memory(place: Place, *arguments: str) -> int:
    """Run ``hf-pack``; the most bytes that it had resident at once."""
    process = place.start(*place.command(*arguments), wrapper=["-c", MEASURE])
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return int(output.splitlines()[-1])


@pytest.mark.parametrize("storage", STORAGES)
def test_memory_does_not_grow_with_the_weights(tmp_path: Path, source: Path, storage: str) -> None:
    place = new_place(tmp_path / "home")
    used = {
        "add": _most_memory(place, "add", str(source), "--name", "large", "--layout", "hf", "--storage", storage),
        "build": _most_memory(place, "build", "large"),
        "build anew": _most_memory(place, "build", "large", "--store", str(tmp_path / "another")),
        "verify": _most_memory(place, "verify", "large"),
    }
    assert max(used.values()) < MOST_RSS, {command: f"{size / MIB:.0f} MiB" for command, size in used.items()}
