"""What is wrong with a source, as values, and the one error that reports all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hf_pack.errors import SourceError


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class SourceProblem:
    """One trap in one file: ``path`` relative to the source (escaped where it is no text), what was expected
    and found on one line, and what mends it (a command or a change, empty where there is none).

    ``hides`` are files that the source might offer if it were mended; a trap that hides none concerns it all.
    """

    path: str
    problem: str
    hint: str = ""
    hides: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def source_error(root: str, problems: Iterable[SourceProblem], findings: Sequence[object] = ()) -> SourceError:
    """All problems in one error, a line each, sorted; equal hints are given once. ``findings`` are they as values."""
    found = sorted(set(problems))
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    lines = [f"the model in {root} cannot be packaged: {count}", *(f"  {problem}" for problem in found)]
    hints = dict.fromkeys(problem.hint for problem in found if problem.hint)
    return SourceError("\n".join(lines), hint="\n".join(hints), findings=findings)
