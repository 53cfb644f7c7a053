"""What a quantizer's side files claim and tell: checksums to hold against the files, facts for the lock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hf_pack.formats.hashes import Hash
from hf_pack.model.source_problems import SourceProblem
from hf_pack.model.weight_formats import weight_format
from hf_pack.ports import Source, SourceFile
from hf_pack.weights.side_files import fingerprint_facts, parse_checksums, recognise
from hf_pack.weights.weights_error import HeaderError

_AGAIN = "quantize or download the model again, or delete the side file if the change is meant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The sha256 that a source states for one of its files, and the file that states it."""

    sha256: Hash
    stated_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRecords:
    """Claims by path (of any file of the source), facts sorted by key, and what does not fit."""

    claimed: Mapping[str, Claim]
    facts: tuple[tuple[str, str], ...]
    problems: tuple[SourceProblem, ...]


def read_side_records(source: Source) -> SideRecords:
    """Read every side file of the source; what the Hub states of its files are claims as well."""
    files = {file.path: file for file in source.listing.files}
    claimed = {path: claim for path, file in files.items() if (claim := _hub_claim(file))}
    facts: list[tuple[str, str]] = []
    problems: list[SourceProblem] = []
    for path in files:
        kind = recognise(path)
        if kind is None:
            continue
        try:
            if kind.holds_checksums:
                problems += _checksums(path, source.read(path), files, claimed)
            else:
                facts += [
                    (f"{path.rpartition('.')[0]}.{key}", value if isinstance(value, str) else json.dumps(value))
                    for key, value in fingerprint_facts(path, source.read(path))
                ]
        except HeaderError as error:
            problems.append(SourceProblem(path=path, problem=str(error), hint=_AGAIN))
    return SideRecords(claimed=claimed, facts=tuple(sorted(facts)), problems=tuple(problems))


def _checksums(
    stated_by: str, data: bytes, files: Mapping[str, SourceFile], claimed: dict[str, Claim]
) -> list[SourceProblem]:
    problems = []
    for checksum in parse_checksums(stated_by, data):
        file = files.get(checksum.path)
        if file is None:
            # Logs and records may have been tidied away; weights that are listed must be there.
            if weight_format(checksum.path) is not None:
                problem = f"expected a file ({stated_by} lists it), found none"
                problems.append(SourceProblem(path=checksum.path, problem=problem, hint=_AGAIN))
            continue
        claim = Claim(sha256=Hash.from_hex(checksum.sha256), stated_by=stated_by)
        other = claimed.setdefault(checksum.path, claim)
        if checksum.size is not None and checksum.size != file.size:
            problem = f"expected {checksum.size} bytes ({stated_by}), found {file.size}"
            problems.append(SourceProblem(path=checksum.path, problem=problem, hint=_AGAIN))
        elif other.sha256 != claim.sha256:
            problem = f"expected one sha256, found two ({other.stated_by} and {stated_by} differ)"
            problems.append(SourceProblem(path=checksum.path, problem=problem, hint=_AGAIN))
    return problems


def _hub_claim(file: SourceFile) -> Claim | None:
    # For LFS files the Hub publishes the sha256; its client notes it, and does not compare it with the bytes.
    return None if file.sha256 is None else Claim(sha256=file.sha256, stated_by="the Hub")
