"""Whether the shards of a model are all there, and hold what their index says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hf_pack.model.source_problems import SourceProblem
from hf_pack.model.weight_formats import WeightFormat, shard_stem, weight_format
from hf_pack.weights.safetensors import Header
from hf_pack.weights.shard_index import ShardIndex

_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.(?P<ending>\w+)")
_SHOWN = 3  # tensors, or missing shards, that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """The packaged weight files, what else the source has, and how to get what is missing."""

    packaged: frozenset[str]
    offered: frozenset[str]
    headers: Mapping[str, Header]  #: of the packaged safetensors that could be read
    fetch: str  #: the command that fetches missing files

    def absent(self, path: str, named_by: str) -> SourceProblem:
        """The problem of a file that ``named_by`` needs and the package lacks."""
        if path in self.offered:
            return SourceProblem(
                path=path,
                problem=f"expected among the packaged files ({named_by}), found it left out",
                hint="take it with include, or drop the exclude, under [source] in the manifest",
            )
        return SourceProblem(path=path, problem=f"expected a file ({named_by}), found none", hint=self.fetch)


def check_index(index_path: str, index: ShardIndex, shards: Shards) -> list[SourceProblem]:
    """What is wrong with the shards that an index lists: absent, unlisted, or with other tensors than it says."""
    prefix = index_path[: index_path.rfind("/") + 1]
    listed = {f"{prefix}{name}" for name in index.files}
    problems = [shards.absent(path, f"{index_path} lists it") for path in sorted(listed) if path not in shards.packaged]
    stems = {shard_stem(path) for path in listed}
    problems += [
        SourceProblem(
            path=path,
            problem=f"expected a shard that {index_path} lists, found one that it does not",
            hint=f'leave it out under [source] in the manifest: exclude = ["{path}"]',
        )
        for path in sorted(shards.packaged - listed)
        if shard_stem(path) in stems and path.startswith(prefix)
    ]
    return problems + list(_misplaced(prefix, index, shards, index_path))


def _misplaced(prefix: str, index: ShardIndex, shards: Shards, index_path: str) -> Iterator[SourceProblem]:
    place = {tensor: f"{prefix}{name}" for tensor, name in index.weight_map}
    held = {path: {tensor.name for tensor in header.tensors} for path, header in shards.headers.items()}
    lacking: dict[str, list[str]] = {}
    for tensor, path in place.items():
        if path in held and tensor not in held[path]:
            lacking.setdefault(path, []).append(tensor)
    for path, tensors in sorted(lacking.items()):
        problem = f"expected {_some(tensors)} ({index_path} puts them there), found other tensors"
        yield SourceProblem(path=path, problem=problem, hint=shards.fetch)
    for path in sorted(held.keys() & set(place.values())):
        strangers = [tensor for tensor in sorted(held[path]) if place.get(tensor, path) != path]
        if strangers:
            problem = f"expected no {_some(strangers)} ({index_path} puts them in another shard)"
            yield SourceProblem(path=path, problem=problem, hint=shards.fetch)


def check_numbers(shards: Shards, indexed: Iterable[str]) -> list[SourceProblem]:
    """Gaps in sets like ``-00001-of-00003``, and safetensors sets without an index.

    ``indexed`` are the files that some index lists; their absence is reported already.
    """
    sets: dict[tuple[str, str, str], set[int]] = {}
    for path in shards.packaged:
        match = _NUMBERED.fullmatch(path)
        if match:
            key = (match["stem"], match["count"], match["ending"])
            sets.setdefault(key, set()).add(int(match["number"]))
    known = frozenset(indexed)
    problems = []
    for (stem, count, ending), numbers in sorted(sets.items()):
        if any(path.startswith(f"{stem}-") for path in known):
            continue
        missing = [number for number in range(1, int(count) + 1) if number not in numbers]
        problems += [
            shards.absent(f"{stem}-{number:05}-of-{count}.{ending}", f"one of {len(missing)} missing shards")
            for number in missing[:_SHOWN]
        ]
        if weight_format(f"{stem}.{ending}") is WeightFormat.SAFETENSORS:
            problems.append(shards.absent(f"{stem}.safetensors.index.json", "the index of its shards"))
    return problems


def _some(tensors: list[str]) -> str:
    more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
    return f"tensor{'s' if len(tensors) > 1 else ''} {', '.join(tensors[:_SHOWN])}{more}"
