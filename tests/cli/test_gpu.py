"""``hf-pack gpu NAME``, and what ``check`` does not take."""

from __future__ import annotations

from tests.cli.conftest import Place


def test_a_name_is_what_check_takes_it_for(bare: Place) -> None:
    assert bare.done("gpu", "L4").out == "L4  SM89  Ada  22.0 GiB measured\n"
    two = bare.done("gpu", "2x H100", "--json").document
    assert [(gpu["name"], gpu["sm"]) for gpu in two] == [("H100 SXM5 80GB", 90)] * 2


def test_an_sm_is_a_gpu_with_the_memory_that_is_stated(bare: Place) -> None:
    ran = bare.run("gpu", "sm89")
    assert (ran.code, ran.out) == (2, "") and "add --memory" in ran.err
    assert bare.done("gpu", "sm89", "--memory", "24GiB").out.split() == ["SM89", "SM89", "24.0", "GiB", "stated"]
    assert [gpu["memory"] for gpu in bare.done("gpu", "2xL4", "--memory", "20GiB", "--json").document] == [20 << 30] * 2
    for wrong in (("--memory", "24GiB"), ("--list", "--memory", "24GiB"), ("sm89", "--memory", "much")):
        ran = bare.run("gpu", *wrong)
        assert (ran.code, ran.out) == (2, "") and "--memory" in ran.err


def test_a_name_that_nobody_knows_is_said(bare: Place) -> None:
    ran = bare.run("gpu", "L44")
    assert (ran.code, ran.out) == (2, "")
    assert "no such GPU in the catalogue" in ran.err and "hf-pack gpu --list" in ran.err
    assert bare.run("gpu", "L4", "--matrix").code == 2


def test_a_package_is_checked_by_its_lock_before_it_is_built(place: Place) -> None:
    place.done("add", place.cache, "--storage", "self-contained")
    assert place.done("check", "tiny-llm", "--gpu", "L4", "--json").document["label"] == "tiny-llm"


def test_a_dtype_whose_width_nobody_knows_is_refused(bare: Place) -> None:
    for option, word in (("--kv-dtype", "banana"), ("--dtype", "bf16")):
        ran = bare.run("check", "some/model", "--gpu", "L4", option, word)
        assert (ran.code, ran.out) == (2, "")
        assert f"invalid choice: '{word}'" in ran.err and "'bfloat16'" in ran.err
