"""The compatibility matrix: quantization scheme × SM × runtime (``data/quant-matrix.csv``).

A line of the file is a run of SMs that have one answer for one reason; every cell so has its source.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

SMS = (70, 75, 80, 86, 87, 89, 90, 100, 103, 120, 121)
"""The columns; another SM has no answer here."""

TITLES = {
    "fp16": "FP16",
    "bf16": "BF16",
    "fp8-tensor": "FP8 per tensor (fp8)",
    "modelopt-fp8": "FP8 (ModelOpt)",
    "fp8-channel": "FP8 per channel or tensor (compressed-tensors)",
    "fp8-block": "FP8 block (fp8, compressed-tensors)",
    "fp8-w8a16": "FP8 weights alone (compressed-tensors)",
    "awq": "AWQ",
    "gptq": "GPTQ",
    "wna16": "INT4/INT8 weights (compressed-tensors)",
    "w4a8-fp8": "INT4 weights, FP8 activations (compressed-tensors)",
    "int8-w8a8": "INT8 W8A8 (compressed-tensors)",
    "nvfp4": "NVFP4 (ModelOpt, compressed-tensors)",
    "nvfp4-w4a16": "NVFP4 weights alone",
    "mxfp4-moe": "MXFP4 experts (gpt-oss)",
    "mxfp4-dense": "MXFP4 (compressed-tensors)",
    "mxfp4-w4a16": "MXFP4 weights alone (compressed-tensors)",
    "mxfp8": "MXFP8 (compressed-tensors)",
    "modelopt-mxfp8": "MXFP8 (ModelOpt, mxfp8)",
    "torchao-fp8-dynamic": "TorchAO FP8, dynamic activations",
    "torchao-fp8-weight-only": "TorchAO FP8 weights alone",
    "torchao-int4-weight-only": "TorchAO INT4 weights alone",
    "torchao-other": "TorchAO, other types",
    "quark": "Quark",
    "bitsandbytes": "bitsandbytes",
    "bitsandbytes with vllm-bnb-plugin": "bitsandbytes, with vllm-bnb-plugin",
    "gguf": "GGUF",
    "gguf with vllm-gguf-plugin": "GGUF, with vllm-gguf-plugin",
}
"""Every scheme that the matrix knows, in the order in which it is printed."""


class Support(StrEnum):
    """How a runtime computes with such weights on such a GPU."""

    NATIVE = "native"  #: on the format's own tensor cores
    MARLIN = "marlin"  #: a mixed-precision kernel made for it (Marlin, Machete)
    WEIGHT_ONLY = "weight-only"  #: stored small, computed in 16 bits inside the kernel
    EMULATED = "emulated"  #: made 16 bits first, then an ordinary product
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Smaller is better."""
        return tuple(Support).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One answer. ``versions`` of the runtime are those that the source was read in."""

    support: Support
    kernel: str
    notes: str
    source: str
    versions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the file: a run of SMs with one answer."""

    runtime: str
    versions: str
    scheme: str
    first: int
    last: int
    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All lines, in the file's order."""

    rows: tuple[Row, ...]

    @property
    def runtimes(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(dict.fromkeys(row.runtime for row in self.rows))

    def versions(self, runtime: str) -> str:
        """The versions of a runtime that its first line was read in; empty for a runtime that is not there."""
        return next((row.versions for row in self.rows if row.runtime == runtime), "")

    def look_up_all(self, runtime: str, schemes: Sequence[str], sm: int, version: str | None = None) -> Cell:
        """The worst answer of several schemes that one model has in different layers."""
        found = [(scheme, self.look_up(runtime, scheme, sm, version)) for scheme in schemes]
        scheme, worst = max(found, key=lambda one: one[1].support.rank)
        if len(found) == 1:
            return worst
        notes = "; ".join(f"{name}: {cell.support}" for name, cell in found)
        return replace(worst, notes=f"layers differ: {notes}" + (f"; {scheme}: {worst.notes}" if worst.notes else ""))

    def look_up(self, runtime: str, scheme: str, sm: int, version: str | None = None) -> Cell:
        """The answer. One of a version that nobody read about is the newest one's, as unknown.

        ``version`` None asks for the version that the matrix knows best.
        """
        found = [
            row
            for row in self.rows
            if row.runtime == runtime and row.scheme == scheme and row.first <= sm <= row.last and sm in SMS
        ]
        for row in found:
            if version is None or _admits(row.versions, version):
                return row.cell
        if found:
            near = found[0].cell
            return Cell(
                support=Support.UNKNOWN,
                kernel=near.kernel,
                notes=f"{near.support} in {runtime} {near.versions}; nobody looked at {version}",
                source=near.source,
                versions=near.versions,
            )
        return Cell(
            support=Support.UNKNOWN,
            kernel="",
            notes=f"SM{sm} is not in the matrix" if sm not in SMS else "the matrix does not have this scheme",
            source="",
            versions="",
        )


def parse_matrix(text: str) -> Matrix:
    """Read ``quant-matrix.csv``."""
    return Matrix(rows=tuple(_rows(text)))


def _admits(versions: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(versions).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _rows(text: str) -> Iterator[Row]:
    for line in csv.DictReader(text.splitlines()):
        first, _, last = line["sm"].partition("-")
        yield Row(
            runtime=line["runtime"],
            versions=line["versions"],
            scheme=line["scheme"],
            first=int(first),
            last=int(last or first),
            cell=Cell(
                support=Support(line["support"]),
                kernel=line["kernel"],
                notes=line["notes"],
                source=line["source"],
                versions=line["versions"],
            ),
        )
