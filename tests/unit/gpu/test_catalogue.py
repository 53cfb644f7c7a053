from __future__ import annotations

import pytest

from hf_pack.api import checking
from hf_pack.errors import UsageError
from hf_pack.gpu.catalogue import GIB, Gpu, common, parse_memory

CATALOGUE = checking.catalogue()


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("L4", "L4", 1),
        ("l4", "L4", 1),
        ("T4", "Tesla T4", 1),
        ("Tesla T4", "Tesla T4", 1),
        ("NVIDIA L4", "L4", 1),
        ("2x H100", "H100 SXM5 80GB", 2),
        ("2xH100", "H100 SXM5 80GB", 2),
        ("H100:8", "H100 SXM5 80GB", 8),
        ("4 × A100-80", "A100 80GB SXM4", 4),
        ("A100-40", "A100 40GB", 1),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB", 1),
        ("NVIDIA H100 80GB HBM3", "H100 SXM5 80GB", 1),
        ("NVIDIA GeForce RTX 5090", "GeForce RTX 5090", 1),
        ("rtx5090", "GeForce RTX 5090", 1),
        ("4090", "GeForce RTX 4090", 1),
        ("A10", "A10", 1),
        ("A10G", "A10G", 1),
        ("GB10", "GB10 (DGX Spark)", 1),
        ("RTX 6000 Ada", "RTX 6000 Ada", 1),
    ],
)
def test_names_people_use(text: str, name: str, count: int) -> None:
    found = CATALOGUE.find(text)
    assert [gpu.name for gpu in found] == [name] * count


def test_an_sm_with_memory() -> None:
    (gpu,) = CATALOGUE.find("sm89", parse_memory("24GiB"))
    assert (gpu.sm, gpu.memory, gpu.memory_source) == (89, 24 * GIB, "stated")
    assert CATALOGUE.find("2x sm120", GIB)[1].sm == 120
    assert CATALOGUE.find("8.6", GIB)[0].sm == 86


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sm89", "how much memory"),
        ("A100", "means several"),
        ("L5", "no such GPU"),
        ("0x L4", "one GPU or more"),
    ],
)
def test_names_that_do_not_say_enough(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CATALOGUE.find(text)


def test_every_name_and_alias_means_one_gpu() -> None:
    for entry in CATALOGUE.entries:
        for name in (entry.gpu.name, *entry.aliases):
            assert CATALOGUE.find(name)[0].name == entry.gpu.name


def test_memory_is_what_cuda_sees_and_never_more_than_is_sold() -> None:
    for entry in CATALOGUE.entries:
        assert 0.9 * entry.nominal_gb * 1e9 < entry.gpu.memory <= entry.nominal_gb * GIB, entry.gpu.name
        assert entry.source


@pytest.mark.parametrize(
    ("text", "size"),
    [("24GiB", 24 * GIB), ("24", 24 * GIB), ("80 GB", 80 * 10**9), ("512MiB", 512 << 20), ("1.5g", 3 * GIB // 2)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["0", "0GiB", "0.0000001 KB", "much", "-1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        parse_memory(text)


def test_a_group_is_as_good_as_its_weakest() -> None:
    small = Gpu(name="a", sm=90, memory=10, memory_source="stated", free=5)
    old = Gpu(name="b", sm=80, memory=20, memory_source="measured")
    both = common([small, old])
    assert (both.sm, both.memory, both.free) == (80, 10, 5)
