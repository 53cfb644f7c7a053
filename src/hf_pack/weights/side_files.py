"""Files that quantizers leave beside a model: checksums to verify, provenance to keep, noise to leave out.

Most hold run times or paths of the machine that made them, so two equal models would differ by them. Sources:
the file formats of barstoolbluz/model-quantizer's scripts, and GNU ``sha256sum``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from hf_pack.weights.shard_index import is_plain_relative
from hf_pack.weights.strict_json import JsonValue, kind_of, loads, loads_object, whole
from hf_pack.weights.weights_error import HeaderError, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFile:
    """What such a file is, whether ``parse_checksums`` reads it, and why it is not part of the model."""

    kind: Literal["checksums", "fingerprint", "settings", "validation"]
    holds_checksums: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """A claim: ``path`` relative to the checksum file, sha256 in 64 lower-case hex digits, size in bytes."""

    path: str
    sha256: str
    size: int | None


_CHECKSUMS = SideFile(
    kind="checksums", holds_checksums=True, reason="checksums of the other files, verified and then left out"
)
_FINGERPRINT = SideFile(
    kind="fingerprint", holds_checksums=False, reason="the quantizer's inputs, kept in the lock instead"
)
_SETTINGS = SideFile(
    kind="settings",
    holds_checksums=False,
    reason="a quantizer's run record with times and paths of its machine",
)
_VALIDATION = SideFile(
    kind="validation", holds_checksums=False, reason="the result of a test run on the quantizer's machine"
)

SIDE_FILES = {
    "FINGERPRINT.json": _FINGERPRINT,
    "FINGERPRINT.sha256": _FINGERPRINT,
    "awq_quantize_meta.json": _SETTINGS,
    "quantize_meta.json": _SETTINGS,
    "quantize_info.json": _SETTINGS,
    "reload_validation.json": _VALIDATION,
    "FILES_SHA256.json": _CHECKSUMS,
    "CHECKSUMS.sha256.json": _CHECKSUMS,
    "artifact_manifest.json": _CHECKSUMS,
    "SHA256SUMS": _CHECKSUMS,
    "sha256sums.txt": _CHECKSUMS,
}
"""By name, at the top of the model's directory."""

JsonScalar: TypeAlias = str | int | bool

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")

_FACT_KEYS = (
    "model model_id model_revision source_commit resolved_commit source_digest revision revision_requested "
    "scheme fp8_scheme fp8_pathway quant_method quant_type quantization weight_dtype dtype_policy format "
    "bits w_bit group_size q_group_size zero_point version "
    "dataset num_samples seq_length calib_data max_calib_samples max_calib_seq_len seed"
)
_TOOLS = "torch transformers torchao awq autoawq llmcompressor compressed_tensors vllm optimum gptqmodel"
_MACHINE_VALUE = re.compile(r"[/~\\.]|[A-Za-z]:[/\\]|[a-z]+://|.*\d{4}-\d{2}-\d{2}[T ]\d{2}:", re.DOTALL)
_FACT_LENGTH = 200


def recognise(path: str) -> SideFile | None:
    """The side file at ``path`` (relative to the model), None for a file of the model."""
    return SIDE_FILES.get(path)


def parse_checksums(path: str, data: bytes) -> tuple[Checksum, ...]:
    """The claims in the checksum file called ``path``, sorted. Raises HeaderError, also on a repeat."""
    if path == "FILES_SHA256.json":
        claims = [_checksum(name, digest, None) for name, digest in loads_object(data).items()]
    elif path == "CHECKSUMS.sha256.json":
        claims = _entries(data, "relative_path")
    elif path == "artifact_manifest.json":
        claims = _entries(data, "path")
    else:
        claims = _sum_lines(data)
    claims.sort(key=lambda claim: claim.path)
    for first, second in pairwise(claims):
        if first.path == second.path:
            raise HeaderError(f"path {shorten(first.path)}: appears twice")
    return tuple(claims)


def fingerprint_facts(path: str, data: bytes) -> tuple[tuple[str, JsonScalar], ...]:
    """Provenance in the JSON side file called ``path``, as (dotted key, value) sorted by key.

    Kept: base model and commit, scheme, bits, group size, calibration, tool versions. Left out: everything
    else, and any value that is a path, an address or a time. HeaderError: not JSON.
    """
    kind = recognise(path)
    if kind is None or kind.kind not in ("fingerprint", "settings") or not path.endswith(".json"):
        return ()
    return tuple(sorted(_facts(loads(data), ""), key=lambda fact: fact[0]))


def _facts(value: JsonValue, prefix: str) -> list[tuple[str, JsonScalar]]:
    found: list[tuple[str, JsonScalar]] = []
    if not isinstance(value, dict):
        return found
    for key, item in value.items():
        dotted = f"{prefix}{key}"
        if isinstance(item, dict):
            if key != "fingerprint":  # a copy of FINGERPRINT.json
                found += _facts(item, f"{dotted}.")
        elif isinstance(item, str | int) and _is_fact(dotted) and not _is_of_machine(item):
            found.append((dotted, item))
    return found


def _is_fact(dotted: str) -> bool:
    group, _, key = dotted.rpartition(".")
    tools = _TOOLS.split()
    return (
        key in _FACT_KEYS.split()
        or dotted == "model.id"
        or (key in tools and group.rpartition(".")[2] in ("versions", "build"))
        or key.removesuffix("_version") in tools
    )


def _is_of_machine(value: JsonScalar) -> bool:
    return isinstance(value, str) and (
        not value or len(value) > _FACT_LENGTH or _MACHINE_VALUE.match(value) is not None
    )


def _entries(data: bytes, path_key: str) -> list[Checksum]:
    files = loads_object(data).get("files")
    if not isinstance(files, list):
        raise HeaderError(f"files: expected a list, found {kind_of(files)}")
    claims = []
    for number, entry in enumerate(files):
        if not isinstance(entry, dict):
            raise HeaderError(f"files[{number}]: expected an object, found {kind_of(entry)}")
        size = whole(entry.get("size_bytes"))
        if size is None or size < 0:
            found = kind_of(entry.get("size_bytes"))
            raise HeaderError(f"files[{number}].size_bytes: expected a number of bytes, found {found}")
        claims.append(_checksum(entry.get(path_key), entry.get("sha256"), size))
    return claims


def _sum_lines(data: bytes) -> list[Checksum]:
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise HeaderError("checksum list: expected UTF-8 text") from None
    claims = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise HeaderError(f"line {number}: expected '<sha256>  <file>', found {shorten(line)}")
        claims.append(_checksum(match[2].removeprefix("./"), match[1], None))
    return claims


def _checksum(path: JsonValue, sha256: JsonValue, size: int | None) -> Checksum:
    if not isinstance(path, str) or not is_plain_relative(path):
        found = shorten(path) if isinstance(path, str) else kind_of(path)
        raise HeaderError(f"path: expected a file below the checksum file's directory, found {found}")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        found = shorten(sha256) if isinstance(sha256, str) else kind_of(sha256)
        raise HeaderError(f"path {shorten(path)}: expected a sha256 of 64 hex digits, found {found}")
    return Checksum(path=path, sha256=sha256.lower(), size=size)
