from __future__ import annotations

from hf_pack.model.source_problems import SourceProblem, source_error


def test_all_problems_sorted_and_equal_hints_once() -> None:
    error = source_error(
        "/models/m",
        [
            SourceProblem(path="b", problem="expected x, found y", hint="mend"),
            SourceProblem(path="a", problem="expected z, found nothing", hint="mend"),
            SourceProblem(path="a", problem="expected z, found nothing", hint="mend"),
            SourceProblem(path="c", problem="broken"),
        ],
    )
    assert error.message.splitlines() == [
        "the model in /models/m cannot be packaged: 3 problems",
        "  a: expected z, found nothing",
        "  b: expected x, found y",
        "  c: broken",
    ]
    assert error.hint == "mend"
    assert error.exit_code == 2


def test_one_problem() -> None:
    assert "1 problem\n" in source_error("/m", [SourceProblem(path="a", problem="b")]).message
