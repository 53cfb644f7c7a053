"""Bad input is refused by name: never a crash, a hang, or a value that does not hold."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS, try_one

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(CORPUS.glob("*/*"))
COUNT = 2000  #: mutated inputs for each target
TOLERANT = ("pointer", "challenge")  #: what they cannot read says nothing to them
MOST_GROWTH = 256 << 10  #: KiB


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_valid_is_taken(name: str) -> None:
    assert all(try_one(name, seed) for seed in SEEDS[name] if name != "gguf") and SEEDS[name]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_bad_input_on_record_is_refused(path: Path) -> None:
    assert not try_one(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_are_taken_or_refused(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = [try_one(name, data) for data in mutated(SEEDS[name], COUNT)]
    assert len(taken) == COUNT
    assert not all(taken) or name in TOLERANT, "no mutation was ever refused: the target does not look"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_taken_or_refused(name: str, data: bytes) -> None:
    try_one(name, data)
