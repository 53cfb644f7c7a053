"""The GPUs of this machine, as NVIDIA's management library tells them (``nvidia-ml-py``).

No CUDA context is made and nothing is allocated. The compute capability is asked for and never derived from the
architecture, which hides 8.0 from 8.6 and 10.0 from 12.0.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hf_pack.ports import LocalGpu, LocalGpus


class Nvml:
    """Implements :class:`hf_pack.ports.GpuLister`. ``visible`` is ``CUDA_VISIBLE_DEVICES``, None for all."""

    def __init__(self, visible: str | None, memory: int | None = None) -> None:
        self._visible = visible
        self._system_memory = memory  #: bytes; stands in for GPUs that share the machine's memory

    def list(self) -> LocalGpus:
        """The visible GPUs and MIG slices in CUDA's order. Never raises: what keeps them from being told is a note."""
        try:
            import pynvml
        except ImportError:
            return LocalGpus(note="the Python package nvidia-ml-py is not installed")
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return LocalGpus(note=f"no NVIDIA driver answers here ({error})")
        try:
            return self._list(pynvml)
        except pynvml.NVMLError as error:
            return LocalGpus(note=f"the NVIDIA driver does not tell its GPUs ({error})")
        finally:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _list(self, nvml: Any) -> LocalGpus:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        number = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
        devices = []
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            slices = _slices(nvml, handle)
            devices += [self._device(nvml, index, handle, part) for part in slices or [None]]
        return LocalGpus(
            gpus=tuple(_visible(devices, self._visible)),
            driver=driver,
            cuda=f"{number // 1000}.{number % 1000 // 10}",
            note="" if devices else "the NVIDIA driver knows no GPU",
        )

    def _device(self, nvml: Any, index: int, parent: Any, part: Any) -> LocalGpu:
        """A GPU, or one MIG slice of it: the capability is the parent's, the memory the slice's own."""
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(parent)
        handle = parent if part is None else part
        total = free = None
        with suppress(nvml.NVMLError):  # GB10 and Jetsons share the machine's memory and do not tell
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            total, free = int(memory.total), int(memory.free)
        return LocalGpu(
            index=index,
            name=_text(nvml.nvmlDeviceGetName(handle)),
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            sm=10 * int(major) + int(minor),
            memory=total if total is not None else self._system_memory,
            free=free,
            is_slice=part is not None,
        )


def _slices(nvml: Any, handle: Any) -> list[Any]:
    try:
        if nvml.nvmlDeviceGetMigMode(handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        count = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:
        return []
    found = []
    for number in range(count):
        with suppress(nvml.NVMLError):  # not every place is taken
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return found


def _visible(devices: list[LocalGpu], wanted: str | None) -> list[LocalGpu]:
    """CUDA's rule: indices, or the starts of UUIDs, as written; it stops at the first that it does not know."""
    if wanted is None:
        return devices
    chosen: list[LocalGpu] = []
    for word in (word.strip() for word in wanted.split(",")):
        match = [
            gpu
            for gpu in devices
            if (word.isdigit() and gpu.index == int(word))
            or (word and not word.isdigit() and gpu.uuid.startswith(word))
        ]
        if not match:
            break
        chosen.append(match[0])
    return chosen


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
