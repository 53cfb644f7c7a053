from __future__ import annotations

from itertools import product

import pytest

from hf_pack.api import checking
from hf_pack.gpu.matrix import SMS, TITLES, Support
from hf_pack.gpu.matrix_table import lines, schemes

MATRIX = checking.matrix()

#: The short form of the study that the data comes from, SM70 to SM121 (N native, M Marlin, W weight-only, E emulated).
VLLM = {
    "fp8-tensor": "-WWWWNNNNNN",
    "fp8-channel": "-WWWWNNNNNN",
    "fp8-block": "-WWWWWNNNNN",
    "awq": "-MMMMMMMMMM",
    "gptq": "-MMMMMMMMMM",
    "int8-w8a8": "-NNNNNN----",
    "fp16": "-NNNNNNNNNN",
    "bf16": "--NNNNNNNNN",
    "nvfp4": "-WWWWWWNNNN",
    "mxfp4-moe": "--WWWWWWWWW",
    "mxfp4-dense": "--WWWWWNNNN",
    "mxfp8": "-WWWWWWNNNN",
    "torchao-fp8-dynamic": "-----NNNNNN",
    "torchao-fp8-weight-only": "-EEEEEEEEEE",
    "torchao-int4-weight-only": "--WWWWWWWWW",
}
SGLANG = {
    "fp8-tensor": "--WW-NNNNNN",
    "fp8-block": "--WW-NNNNNN",
    "awq": "--MM-MMMMMM",
    "gptq": "--MM-MMMMMM",
    "int8-w8a8": "--NN-NN----",
    "bf16": "--NN-NNNNNN",
    "nvfp4": "--WW-WWNNNN",
    "mxfp4-moe": "--WW-WWNNNN",
    "mxfp8": "-------NNNN",
    "gguf": "--WW-WWWWWW",
}


def short(runtime: str, scheme: str) -> str:
    letters = {"native": "N", "marlin": "M", "weight-only": "W", "emulated": "E", "unsupported": "-", "unknown": "?"}
    return "".join(letters[MATRIX.look_up(runtime, scheme, sm).support] for sm in SMS)


@pytest.mark.parametrize(
    ("runtime", "scheme", "expected"),
    [("vllm", *item) for item in VLLM.items()] + [("sglang", *item) for item in SGLANG.items()],
)
def test_the_cells_are_those_of_the_study(runtime: str, scheme: str, expected: str) -> None:
    assert short(runtime, scheme) == expected


def test_every_cell_has_an_answer_and_a_source() -> None:
    for runtime in MATRIX.runtimes:
        for scheme, sm in product(schemes(MATRIX, runtime), SMS):
            cell = MATRIX.look_up(runtime, scheme, sm)
            if scheme == "torchao-other":
                continue
            assert cell.support is not Support.UNKNOWN or scheme == "quark", (runtime, scheme, sm)
            assert cell.source and cell.versions, (runtime, scheme, sm)
    assert {row.scheme for row in MATRIX.rows} <= set(TITLES)


def test_no_two_lines_answer_one_question() -> None:
    seen = set()
    for row in MATRIX.rows:
        for sm in SMS:
            if row.first <= sm <= row.last:
                key = (row.runtime, row.versions, row.scheme, sm)
                assert key not in seen, key
                seen.add(key)


def test_what_nobody_looked_at_is_unknown() -> None:
    assert MATRIX.look_up("vllm", "awq", 110).support is Support.UNKNOWN
    assert MATRIX.look_up("vllm", "nonsense", 90).support is Support.UNKNOWN
    assert (short("vllm", "quark"), short("sglang", "quark")) == ("-??????????", "--??-??????")
    old = MATRIX.look_up("vllm", "awq", 90, "0.8.5")
    assert old.support is Support.UNKNOWN and "0.8.5" in old.notes
    assert MATRIX.look_up("vllm", "awq", 90, "0.33.0+cpu").support is Support.MARLIN


def test_the_table_has_a_line_for_each_scheme() -> None:
    table = lines(MATRIX, "vllm")
    assert table[0][1:] == tuple(map(str, SMS))
    assert ("AWQ", *"-MMMMMMMMMM") in table


def test_a_model_whose_layers_differ_runs_as_its_worst() -> None:
    table = checking.matrix()
    both = ("modelopt-fp8", "nvfp4")
    assert table.look_up_all("vllm", both, 100).support is Support.NATIVE
    hopper = table.look_up_all("vllm", both, 90)
    assert hopper.support is Support.WEIGHT_ONLY and "modelopt-fp8: native; nvfp4: weight-only" in hopper.notes
    assert table.look_up_all("vllm", both, 75).support is Support.UNSUPPORTED
    assert table.look_up_all("vllm", ("nvfp4", "unknown"), 100).support is Support.UNKNOWN
    assert table.look_up_all("vllm", ("nvfp4",), 90) == table.look_up("vllm", "nvfp4", 90)
