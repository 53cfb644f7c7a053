"""Weight formats by file name: which runtimes load, which duplicate those, which hold pickles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class WeightFormat(StrEnum):
    """A format of weights that the runtimes load, in the order in which they are preferred.

    vLLM and SGLang try ``*.safetensors``, ``*.bin``, ``*.pt`` in this order (``_prepare_weights`` of their
    default loaders); GGUF is taken where it is the only one.
    """

    SAFETENSORS = "safetensors"
    CONSOLIDATED = "consolidated"  #: safetensors under Mistral's own names, with ``params.json``
    BIN = "bin"
    PT = "pt"
    CKPT = "ckpt"
    GGUF = "gguf"

    @property
    def is_pickle(self) -> bool:
        """Whether loading such a file may run code that is in it."""
        return self in (WeightFormat.BIN, WeightFormat.PT, WeightFormat.CKPT)

    @property
    def is_safetensors(self) -> bool:
        """Whether such a file starts with a safetensors header, whatever it is called."""
        return self in (WeightFormat.SAFETENSORS, WeightFormat.CONSOLIDATED)


_SUFFIXES = {
    ".safetensors": WeightFormat.SAFETENSORS,
    ".gguf": WeightFormat.GGUF,
    ".bin": WeightFormat.BIN,
    ".pt": WeightFormat.PT,
    ".pth": WeightFormat.PT,
    ".ckpt": WeightFormat.CKPT,
    ".pkl": WeightFormat.CKPT,
    ".pickle": WeightFormat.CKPT,
    ".joblib": WeightFormat.CKPT,
}

_INDEX = re.compile(r"(?P<weights>.+)\.index(?P<variant>\.\w+)?\.json")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}$")
_QUANTIZATION = re.compile(r"(?i)(?:^|[-._])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|BF16|F16|F32|FP16|FP32|MXFP4\w*))$")


def weight_format(path: str) -> WeightFormat | None:
    """The format that a file's name stands for, None where it is no weight file that a runtime loads."""
    name = path.rsplit("/", 1)[-1].lower()
    stem, dot, ending = name.rpartition(".")
    found = _SUFFIXES.get(dot + ending) if stem else None
    if found is WeightFormat.SAFETENSORS and name.startswith("consolidated"):
        return WeightFormat.CONSOLIDATED
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightIndex:
    """What an index's name says: format and :func:`shard_stem` of its shards, and whether of a variant."""

    format: WeightFormat
    stem: str
    is_variant: bool


def weight_index(path: str) -> WeightIndex | None:
    """What ``model.safetensors.index.json`` (or ``….index.fp16.json``) lists, None for any other file."""
    name = _INDEX.fullmatch(path)
    found = weight_format(name["weights"]) if name else None
    if name is None or found is None:
        return None
    variant = name["variant"] or ""
    return WeightIndex(format=found, stem=shard_stem(name["weights"]) + variant, is_variant=bool(variant))


def shard_stem(path: str) -> str:
    """The path without its ending and ``-00001-of-00003``: equal for all shards of one set of weights."""
    return _SPLIT.sub("", path.rpartition(".")[0])


def gguf_quantization(path: str) -> str:
    """The quantization that a GGUF file's name states (``Q4_K_M``), or its stem where it states none."""
    stem = shard_stem(path).rsplit("/", 1)[-1]
    found = _QUANTIZATION.search(stem)
    return found[1] if found else stem
