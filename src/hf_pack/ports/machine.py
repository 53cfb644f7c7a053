"""The GPUs of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalGpu:
    """A GPU, or a MIG slice of one. ``sm`` is the compute capability times ten; memory in bytes, None when not told."""

    index: int
    name: str
    uuid: str
    sm: int
    memory: int | None
    free: int | None
    is_slice: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalGpus:
    """What CUDA would see, in its order; ``note`` says why there are none, or fewer."""

    gpus: tuple[LocalGpu, ...] = ()
    driver: str | None = None
    cuda: str | None = None  #: the newest CUDA that the driver runs
    note: str = ""


class GpuLister(Protocol):
    """Tells the GPUs of this machine."""

    def list(self) -> LocalGpus:
        """Never raises."""
