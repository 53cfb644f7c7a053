"""NVIDIA's library, in a stand-in with the functions of ``pynvml`` that are used: no machine here has a GPU."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hf_pack.adapters.nvml import Nvml

GIB = 1 << 30


@dataclass
class Card:
    name: str
    capability: tuple[int, int]
    memory: int | None
    slices: list[tuple[str, int]] = field(default_factory=list)


class FakeNvml(ModuleType):
    NVML_DEVICE_MIG_ENABLE = 1

    class NVMLError(Exception):
        pass

    def __init__(self, cards: list[Card], *, broken: bool = False) -> None:
        super().__init__("pynvml")
        self.cards, self.broken = cards, broken

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None: ...

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        return index, None

    def nvmlDeviceGetCudaComputeCapability(self, handle: tuple[int, int | None]) -> tuple[int, int]:
        if handle[1] is not None:
            raise self.NVMLError("Invalid Argument")  # a slice does not tell, its GPU does
        return self.cards[handle[0]].capability

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:
        card = self.cards[handle[0]]
        memory = card.memory if handle[1] is None else card.slices[handle[1]][1]
        if memory is None:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(total=memory, free=memory - GIB)

    def nvmlDeviceGetName(self, handle: tuple[int, int | None]) -> str:
        card = self.cards[handle[0]]
        return card.name if handle[1] is None else card.slices[handle[1]][0]

    def nvmlDeviceGetUUID(self, handle: Any) -> str:
        return f"GPU-{handle[0]}" if handle[1] is None else f"MIG-{handle[0]}-{handle[1]}"

    def nvmlDeviceGetMigMode(self, handle: Any) -> tuple[int, int]:
        if not self.cards[handle[0]].slices:
            raise self.NVMLError("Not Supported")
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, number: int) -> Any:
        if number >= len(self.cards[handle[0]].slices):
            raise self.NVMLError("Not Found")
        return handle[0], number


def listed(monkeypatch: pytest.MonkeyPatch, cards: list[Card], visible: str | None = None, **options: Any) -> Any:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(cards, **options))
    return Nvml(visible, 128 * GIB).list()


def test_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    found = listed(monkeypatch, [Card("NVIDIA L4", (8, 9), 23 * GIB)])
    (gpu,) = found.gpus
    assert (gpu.name, gpu.sm, gpu.memory, gpu.free, gpu.is_slice) == ("NVIDIA L4", 89, 23 * GIB, 22 * GIB, False)
    assert (found.driver, found.cuda) == ("580.95.05", "13.0")


def test_slices_have_their_own_memory_and_their_cards_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card("NVIDIA H100", (9, 0), 80 * GIB, [("MIG 3g.40gb", 40 * GIB), ("MIG 1g.10gb", 10 * GIB)])
    found = listed(monkeypatch, [card])
    assert [(gpu.name, gpu.sm, gpu.memory) for gpu in found.gpus] == [
        ("MIG 3g.40gb", 90, 40 * GIB),
        ("MIG 1g.10gb", 90, 10 * GIB),
    ]


def test_a_gpu_that_shares_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    (gpu,) = listed(monkeypatch, [Card("NVIDIA GB10", (12, 1), None)]).gpus
    assert (gpu.sm, gpu.memory, gpu.free) == (121, 128 * GIB, None)


@pytest.mark.parametrize(
    ("visible", "names"),
    [(None, ["a", "b", "c"]), ("2,0", ["c", "a"]), ("GPU-1", ["b"]), ("", []), ("0,9,1", ["a"]), ("-1", [])],
)
def test_what_cuda_may_see(monkeypatch: pytest.MonkeyPatch, visible: str | None, names: list[str]) -> None:
    cards = [Card(name, (8, 0), GIB) for name in "abc"]
    assert [gpu.name for gpu in listed(monkeypatch, cards, visible).gpus] == names


def test_no_driver_is_a_line_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = listed(monkeypatch, [], broken=True)
    assert found.gpus == () and "Driver Not Loaded" in found.note
