"""How the parts of a blob are shared out."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from hf_pack.adapters.hub.runs import LONGEST_RUN, Run, Runs
from hf_pack.ports import ByteRange

PART = 1 << 20


def parts(*numbers: int) -> list[ByteRange]:
    return [ByteRange(number * PART, PART) for number in numbers]


def numbers(run: Run | None) -> list[int]:
    assert run is not None
    return [part.offset // PART for part in run.parts]


def test_runs_are_long_at_first_and_short_at_the_end() -> None:
    runs = Runs(parts(*range(64)), 2)
    lengths = []
    for _ in range(100):
        run = runs.take()
        if run is None:
            break
        lengths.append(len(run.parts))
        while run.parts:
            runs.wrote(run, run.parts[0].size)
    assert lengths[0] == 16
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 1
    assert sum(lengths) == 64


def test_a_run_has_no_gap_and_no_more_than_its_most() -> None:
    assert numbers(Runs(parts(0, 1, 5, 6, *range(10, 400)), 1).take()) == [0, 1]
    run = Runs(parts(*range(1000)), 1).take()
    assert run is not None
    assert run.stop == LONGEST_RUN


def test_the_later_half_of_the_longest_run_is_taken_over() -> None:
    runs = Runs(parts(*range(8)), 1)
    first = runs.take()
    assert numbers(first) == [0, 1, 2, 3]
    while (run := runs.take()) is not None and run.parts[0].offset != 3 * PART:
        pass
    assert first is not None
    assert numbers(first)[0] == 0
    assert first.stop < 4 * PART


def test_a_run_of_few_parts_is_left_alone() -> None:
    runs = Runs(parts(0), 4)
    assert numbers(runs.take()) == [0]
    assert runs.take() is None


def test_what_was_given_back_is_one_run_with_gaps() -> None:
    runs = Runs(parts(0, 1, 2, 3, 8), 1)
    first = runs.take()
    assert first is not None
    runs.wrote(first, PART)
    runs.close(first)
    assert runs.take() is None
    rest = runs.take_rest()
    assert rest is not None
    assert numbers(rest) == [1, 2, 3, 8]
    for _ in range(3):
        runs.wrote(rest, PART)
    assert rest.position == 8 * PART
    runs.wrote(rest, PART)
    assert not rest.parts
    assert runs.take_rest() is None


def test_nothing_missing_gives_no_run() -> None:
    assert Runs([], 0).take() is None
    assert Runs([], 0).take_rest() is None


@given(
    missing=st.sets(st.integers(0, 60), max_size=50),
    connections=st.integers(1, 9),
    turns=st.lists(st.integers(0, 8), max_size=300),
)
def test_every_part_is_fetched_once_whoever_comes_first(missing: set[int], connections: int, turns: list[int]) -> None:
    runs = Runs(parts(*missing), connections)
    active: deque[Run] = deque()
    written: list[int] = []
    turns = [*turns, *([0] * 200)]
    for turn in turns:
        if turn == 0 or not active:
            run = runs.take()
            if run is not None:
                active.append(run)
        for run in list(active)[: turn + 1]:
            written.append(run.position // PART)
            assert runs.wrote(run, PART)
            if not run.parts:
                active.remove(run)
    assert sorted(written) == sorted(missing)
