"""The matrix as a table for people, and as answers with their sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hf_pack.gpu.matrix import SMS, TITLES, Cell, Matrix, Support

LETTERS = {
    Support.NATIVE: "N",
    Support.MARLIN: "M",
    Support.WEIGHT_ONLY: "W",
    Support.EMULATED: "E",
    Support.UNSUPPORTED: "-",
    Support.UNKNOWN: "?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One cell with its place."""

    runtime: str
    scheme: str
    sm: int
    cell: Cell


def answers(matrix: Matrix, runtime: str) -> Iterator[Answer]:
    """Every cell of a runtime that the data has, scheme by scheme."""
    for scheme in schemes(matrix, runtime):
        for sm in SMS:
            yield Answer(runtime=runtime, scheme=scheme, sm=sm, cell=matrix.look_up(runtime, scheme, sm))


def schemes(matrix: Matrix, runtime: str) -> list[str]:
    """The schemes that the data has for a runtime, in the order of the titles."""
    there = {row.scheme for row in matrix.rows if row.runtime == runtime}
    return [scheme for scheme in TITLES if scheme in there]


def lines(matrix: Matrix, runtime: str) -> list[tuple[str, ...]]:
    """A head line of SMs, then one line a scheme: its title and a letter for each SM."""
    head = ("", *(str(sm) for sm in SMS))
    return [head] + [
        (TITLES[scheme], *(LETTERS[matrix.look_up(runtime, scheme, sm).support] for sm in SMS))
        for scheme in schemes(matrix, runtime)
    ]
