"""A model that ``transformers`` saved is the same model when it is read from a package."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end import ROOT, STORAGES, Place, fingerprint, new_place, new_reader, open_directory
from tests.models import COMMIT, REPO_ID, write_hf_cache

HEAVY = ROOT / ".build" / "transformers-venv"
SCRIPTS = Path(__file__).parent / "scripts"

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not (HEAVY / ".done").exists(), reason="needs .build/transformers-venv (tests/run.sh makes it)"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The directory that ``save_pretrained`` left, and what the model in it says."""
    directory = tmp_path_factory.mktemp("saved") / "model"
    python = str(HEAVY / "bin" / "python")
    subprocess.run([python, SCRIPTS / "make_llama.py", directory], check=True, capture_output=True)
    assert len(list(directory.glob("model-*.safetensors"))) > 1
    done = subprocess.run([python, SCRIPTS / "load_model.py", directory], check=True, stdout=subprocess.PIPE)
    return directory, json.loads(done.stdout)


@pytest.fixture
def place() -> Iterator[Place]:
    with open_directory() as home:
        yield new_place(home)


@pytest.mark.parametrize(
    ("layout", "storage"),
    [*((layout, storage) for layout in ("dual", "hf") for storage in STORAGES), ("single", "linked")],
)
def test_it_loads_from_every_layout(place: Place, saved: tuple[Path, Any], layout: str, storage: str) -> None:
    directory, expected = saved
    files = {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}
    place.add(write_hf_cache(place.home / "cache", REPO_ID, COMMIT, files), "tiny", layout=layout, storage=storage)
    built = place.build("tiny")
    before = fingerprint(place.store)
    reader = new_reader(place.home / "reader", built)
    names = [REPO_ID] if layout != "single" else []
    if layout != "hf":
        names.append(str(Path(built.real_path, "share", "models", "tiny", "weights")))
    done = reader.python(SCRIPTS / "load_model.py", *names, venv=HEAVY, HF_HUB_OFFLINE="1")
    assert json.loads(done.stdout) == expected * len(names)
    assert fingerprint(place.store) == before
