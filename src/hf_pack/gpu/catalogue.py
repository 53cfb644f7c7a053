"""GPUs: the catalogue (``data/gpus.csv``), and how people name what they have."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hf_pack.errors import UsageError

GIB = 1 << 30
MIB = 1 << 20

#: What CUDA programs see of a GPU's memory, where no log tells: `nvidia-smi` keeps some back for ECC and the driver.
_SEEN_OF_REPORTED = 0.985
_SEEN_OF_NOMINAL = 0.93


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU. ``sm`` is the compute capability times ten (89), ``memory`` the bytes that CUDA programs see.

    ``free`` are the bytes that are free now, None for one that is not here. ``memory_source`` says how sure ``memory``
    is: ``measured`` (here, or in published logs), ``stated`` (by the user), ``estimated``.
    """

    name: str
    sm: int
    memory: int
    memory_source: str
    free: int | None = None
    bandwidth: float | None = None  #: GB/s
    architecture: str | None = None
    notes: str = ""

    @property
    def capability(self) -> str:
        """As NVIDIA writes it: ``8.9``."""
        return f"{self.sm // 10}.{self.sm % 10}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A row of the catalogue: the GPU, other names, and where its numbers are from."""

    gpu: Gpu
    kind: str  #: data-center, workstation, consumer, embedded
    nominal_gb: int
    mig: bool
    aliases: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All entries in the file's order, which is by SM and class."""

    entries: tuple[CatalogueEntry, ...]

    def find(self, text: str, memory: int | None = None) -> tuple[Gpu, ...]:
        """The GPUs that ``text`` means: ``L4``, ``2x H100``, ``H100:8``, ``sm89``; ``memory`` (bytes) replaces its own.

        Raises UsageError for a name that is unknown, means several, or an SM without memory.
        """
        count, name = _count(text)
        bare = re.fullmatch(r"(?:sm[_ -]?|cc ?)?(\d{1,2})\.?(\d)(?:a|f)?", name.lower())
        if bare is not None and (name.lower().startswith(("sm", "cc")) or "." in name):
            sm = int(bare[1] + bare[2])
            if memory is None:
                raise UsageError(
                    f"--gpu {text}: an SM alone does not say how much memory the GPU has",
                    hint=f"add --memory, e.g. --gpu {name} --memory 24GiB",
                )
            return (Gpu(name=f"SM{sm}", sm=sm, memory=memory, memory_source="stated"),) * count
        gpu = self._named(name, text).gpu
        if memory is not None:
            gpu = replace(gpu, memory=memory, memory_source="stated")
        return (gpu,) * count

    def _named(self, name: str, text: str) -> CatalogueEntry:
        wanted = _plain(name)
        exact = [entry for entry in self.entries if wanted in {_plain(word) for word in _names(entry)}]
        if len(exact) == 1:
            return exact[0]
        words = _words(name)
        near = exact or [entry for entry in self.entries if words and words <= _words(entry.gpu.name)]
        if len(near) == 1:
            return near[0]
        if near:
            names = ", ".join(entry.gpu.name for entry in near[:6])
            raise UsageError(
                f"--gpu {text} means several GPUs: {names}",
                hint=f'e.g. --gpu "{text.removesuffix(name)}{near[0].gpu.name}"',
            )
        known = [entry.gpu.name for entry in self.entries]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise UsageError(
            f"--gpu {text}: no such GPU in the catalogue",
            hint=(f'did you mean "{close[0]}"? ' if close else "")
            + "hf-pack gpu --list, or say --gpu sm89 --memory 24GiB",
        )


def parse_catalogue(text: str) -> Catalogue:
    """Read ``gpus.csv``."""
    return Catalogue(entries=tuple(_entry(row) for row in csv.DictReader(text.splitlines())))


def gpus_of(texts: Iterable[str], catalogue: Catalogue, memory: int | None = None) -> tuple[Gpu, ...]:
    """Every GPU that the texts name, in order."""
    return tuple(gpu for text in texts for gpu in catalogue.find(text, memory))


def parse_memory(text: str) -> int:
    """Bytes in ``24GiB``, ``24 GB``, ``24576MiB`` or ``24`` (GiB). Raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B?)?\s*", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"--memory {text}: expected a size, e.g. 24GiB", hint="--memory 24GiB")
    unit = (match[2] or "GiB").upper()
    base = 1000 if unit.endswith("B") and "I" not in unit else 1024
    size = int(float(match[1]) * base ** ("KMGT".index(unit[0]) + 1))
    if not size:
        raise UsageError(f"--memory {text}: expected more than nothing", hint="--memory 24GiB")
    return size


def common(gpus: Sequence[Gpu]) -> Gpu:
    """What a tensor-parallel group may rely on: the oldest SM and the least memory of its GPUs."""
    oldest = min(gpus, key=lambda gpu: gpu.sm)
    smallest = min(gpus, key=lambda gpu: gpu.memory)
    free = [gpu.free for gpu in gpus if gpu.free is not None]
    return replace(
        oldest, memory=smallest.memory, memory_source=smallest.memory_source, free=min(free) if free else None
    )


def _entry(row: dict[str, str]) -> CatalogueEntry:
    memory, source = _memory(row)
    return CatalogueEntry(
        gpu=Gpu(
            name=row["name"],
            sm=int(row["sm"]),
            memory=memory,
            memory_source=source,
            bandwidth=float(row["bandwidth_gbs"]),
            architecture=row["architecture"],
            notes=row["notes"],
        ),
        kind=row["class"],
        nominal_gb=int(row["vram_gb"]),
        mig=row["mig"] == "1",
        aliases=tuple(filter(None, row["aliases"].split("|"))),
        source=row["spec_src"],
    )


def _memory(row: dict[str, str]) -> tuple[int, str]:
    if row["cuda_gib"]:
        return int(float(row["cuda_gib"]) * GIB), "measured"
    if row["nvsmi_mib"]:
        return int(int(row["nvsmi_mib"]) * MIB * _SEEN_OF_REPORTED), "estimated"
    return int(int(row["vram_gb"]) * GIB * _SEEN_OF_NOMINAL), "estimated"


def _count(text: str) -> tuple[int, str]:
    match = re.fullmatch(r"\s*(\d{1,4})\s*[x×*]\s*(\S.*?)\s*", text) or re.fullmatch(
        r"\s*(?P<name>\S.*?)(?:\s*:|\s+[x×])\s*(?P<number>\d{1,4})\s*", text
    )
    if match is None:
        return 1, text.strip()
    named = match.groupdict()
    number, name = (named["number"], named["name"]) if named else (match[1], match[2])
    if int(number) == 0:
        raise UsageError(f"--gpu {text}: expected one GPU or more")
    return int(number), name


def _names(entry: CatalogueEntry) -> Iterable[str]:
    return (entry.gpu.name, *entry.aliases)


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", name.lower())) - {"nvidia", "geforce", "tesla"}


def _plain(name: str) -> str:
    """A name without vendor, brand and punctuation: ``NVIDIA GeForce RTX 4090`` and ``rtx4090`` are one."""
    text = re.sub(r"[^a-z0-9]+", "", re.sub(r"\b(nvidia|geforce|tesla)\b", "", name.lower()))
    return text.removeprefix("rtx") if re.fullmatch(r"rtx\d{4}\w*", text) else text
