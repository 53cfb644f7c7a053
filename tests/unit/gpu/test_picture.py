"""The picture of a check: what is drawn is to scale, and says what the check says."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from tests.spec.test_published_runs import facts

from hf_pack.api import checking
from hf_pack.gpu.catalogue import GIB
from hf_pack.gpu.check import Check, check
from hf_pack.gpu.facts import Options
from hf_pack.gpu.picture import picture

WEIGHTS, MISSING = "#3b6ea5", "#c0453b"
SVG = "{http://www.w3.org/2000/svg}"


def asked(*gpus: str, parallel: int | None = None, length: int | None = 16384) -> Check:
    options = Options(max_model_len=length, tensor_parallel=parallel)
    return check(facts("Llama-3.1-8B"), checking.gpus_for(gpus), "vllm", options, checking.matrix())


def bars(document: ElementTree.Element) -> list[ElementTree.Element]:
    return [one for one in document.iter(f"{SVG}rect") if one.get("height") == "44"]


def texts(document: ElementTree.Element) -> str:
    return " ".join("".join(one.itertext()) for one in document.iter(f"{SVG}text"))


def test_the_parts_are_to_scale_and_fill_the_gpu() -> None:
    found = asked("L4")
    document = ElementTree.fromstring(picture(found))
    parts = bars(document)
    widths = [float(one.get("width", "")) for one in parts]
    weights = next(width for one, width in zip(parts, widths, strict=True) if one.get("fill") == WEIGHTS)
    assert weights / sum(widths) == pytest.approx(found.memory.weights / found.memory.total, abs=0.002)
    for left, right in pairwise(parts):
        assert float(left.get("x", "")) + float(left.get("width", "")) == pytest.approx(
            float(right.get("x", "")), abs=0.2
        )
    assert f"{found.memory.weights / GIB:.1f} GiB" in texts(document)
    assert all(word in texts(document) for word in ("L4", "vllm", found.verdict.value, "KV cache"))
    assert not any(one.get("fill") == MISSING for one in parts)


def test_what_is_missing_hangs_over_the_end() -> None:
    found = check(facts("Llama-3.1-70B"), checking.gpus_for(["L4"]), "vllm", Options(), checking.matrix())
    document = ElementTree.fromstring(picture(found))
    (over,) = [one for one in bars(document) if one.get("fill") == MISSING]
    width = float(document.get("width", ""))
    assert float(over.get("x", "")) + float(over.get("width", "")) <= width
    assert "GiB missing" in texts(document)


def test_each_gpu_has_a_bar_of_its_own() -> None:
    document = ElementTree.fromstring(picture(asked("2x L4", parallel=2)))
    assert len({one.get("y") for one in bars(document)}) == 2
    assert "GPU 0" in texts(document) and "GPU 1" in texts(document)
