"""Looks into a model on disk before it is packaged: chooses its files, reads their headers, finds the traps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hf_pack.errors import PolicyError
from hf_pack.model.file_names import shown
from hf_pack.model.gates import Finding, Gate, Refused
from hf_pack.model.lock import ModelSummary, OmittedFile
from hf_pack.model.manifest import Selection
from hf_pack.model.source_problems import SourceProblem, source_error
from hf_pack.model.weight_formats import WeightFormat, weight_format, weight_index
from hf_pack.ports import Source, SourceFile, SourceListing
from hf_pack.steps.inspecting.choose_files import choose
from hf_pack.steps.inspecting.gates import Gates
from hf_pack.steps.inspecting.header_reading import first_read, gguf_header, header_reads, safetensors_header
from hf_pack.steps.inspecting.shard_checks import Shards, check_index, check_numbers
from hf_pack.steps.inspecting.side_records import Claim, read_side_records
from hf_pack.steps.inspecting.summarise import summarise
from hf_pack.weights.chat_template import is_template, may_hold_templates, templates_in_gguf
from hf_pack.weights.gguf import GgufHeader
from hf_pack.weights.pickle_sign import SIGN_SIZE, hides_behind_text, looks_like_pickle
from hf_pack.weights.pointer import POINTER_LIMIT, parse_pointer
from hf_pack.weights.safetensors import Header
from hf_pack.weights.shard_index import ShardIndex, parse_index
from hf_pack.weights.strict_json import JsonValue, loads, loads_object
from hf_pack.weights.weights_error import HeaderError

#: Files at the top whose content means something to this tool: read strictly, and kept parsed.
CONFIGS = (
    "config.json",
    "params.json",
    "generation_config.json",
    "tokenizer_config.json",
    "adapter_config.json",
    "hf_quant_config.json",
    "quantize_config.json",
    "quant_config.json",
)
_CONFIG_OF_WEIGHTS = ("config.json", "adapter_config.json", "model_index.json", "modules.json")
_LFS_PULL = "git lfs pull in the clone that this was copied from"
_FALSE_NAME = "fetch the safetensors file again, or give the pickle its own ending (.bin) if you trust it"
STRICT = Gates()  # nothing is allowed that may do harm
_JSON_LIMIT = 64 << 20  # bytes; larger JSON is data, and is not read for its syntax


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the source says of itself. ``files`` are the packaged ones, sorted by path.

    ``claimed`` are checksums by path that must hold once the bytes are read; ``notes`` are lines for the person.
    """

    files: tuple[SourceFile, ...]
    omitted: tuple[OmittedFile, ...]
    model: ModelSummary
    licence: str | None
    provenance: tuple[tuple[str, str], ...]
    claimed: Mapping[str, Claim]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()  #: what the gates found, all of it allowed, sorted


def inspect(source: Source, selection: Selection, *, headers: bool = True, gates: Gates = STRICT) -> Inspection:
    """Choose the files and read their headers through ``Source.read``; without ``headers`` no byte of weights.

    Raises one SourceError that lists every problem, and what the gates refuse; PolicyError where that is all; and
    what :func:`hf_pack.steps.inspecting.choose_files.choose` raises.
    """
    listing = source.listing
    _require_sound(source, selection)
    selected = choose(listing.place, ((file.path, file.size) for file in listing.files), selection, source.read)
    chosen = frozenset(selected.files)
    files = tuple(file for file in listing.files if file.path in chosen)
    # A GGUF file's header is its configuration and may state its licence: it is always read.
    looked_into = [file for file in files if _is_looked_into(weight_format(file.path), gates, headers=headers)]
    source.prepare([(file.path, first_read(file)) for file in looked_into])
    source.prepare(header_reads(source, looked_into))
    found = _Findings(source=source, fetch=fetch_command(listing), gates=gates)
    for file in looked_into:
        found.look_into(file)
    found.dangerous(files)
    shards = Shards(
        packaged=frozenset(path for path in chosen if weight_format(path) is not None),
        offered=frozenset(file.path for file in listing.files),
        headers=found.headers,
        fetch=found.fetch,
    )
    indexed: set[str] = set()
    for path, index in found.indexes.items():
        found.problems += check_index(path, index, shards)
        prefix = path[: path.rfind("/") + 1]
        indexed.update(f"{prefix}{name}" for name in index.files)
    found.problems += check_numbers(shards, indexed)
    found.problems += _missing_config(selected.formats, chosen, shards)
    records = read_side_records(source)
    found.problems += records.problems
    found.report()
    summary = summarise(
        configs=found.configs,
        headers=found.headers.values(),
        gguf=next(iter(found.ggufs.values()), None),
        texts={file.path: source.read(file.path, size=1 << 20) for file in listing.files if _states_licence(file.path)},
        stated_licence=listing.licence,
    )
    return Inspection(
        files=files,
        omitted=selected.omitted,
        model=summary.model,
        licence=summary.licence,
        provenance=records.facts,
        claimed={path: claim for path, claim in records.claimed.items() if path in chosen},
        notes=(*summary.notes, *_unlisted(found.indexes, indexed, shards)),
        findings=tuple(sorted(set(found.findings))),
    )


def _is_looked_into(weights: WeightFormat | None, gates: Gates, *, headers: bool) -> bool:
    """Whether a file's first bytes are read: not those of a pickle that its name alone refuses."""
    if weights in (None, WeightFormat.GGUF):
        return True
    assert weights is not None
    return headers and (gates.terms.allow_pickle or not weights.is_pickle)


def _require_sound(source: Source, selection: Selection) -> None:
    """Raise the traps of what would be packaged if it were sound; a picture that nobody packages may be broken."""
    listing = source.listing
    if not listing.problems:
        return
    offered = {file.path: file.size for file in listing.files}
    hidden = {path: 0 for problem in listing.problems for path in problem.hides if path not in offered}
    chosen = choose(
        listing.place,
        (offered | hidden).items(),
        selection,
        lambda path: b"{}" if path in hidden else source.read(path),
    ).files
    if problems := [problem for problem in listing.problems if not problem.hides or {*problem.hides} & {*chosen}]:
        raise source_error(listing.place, problems)


def fetch_command(listing: SourceListing) -> str:
    """The command that completes this source."""
    if listing.kind == "hub":
        return f"hf download {listing.repo_id} to see whether the Hub's own copy is whole"
    if listing.kind == "git":
        return f"git -C {listing.place} lfs pull"
    if listing.repo_id is None or listing.snapshot_id is None:
        return "copy the model again from where it came from"
    place = "" if listing.kind in ("hf-cache", "snapshot") else f" --local-dir {listing.place}"
    return f"hf download {listing.repo_id} --revision {listing.snapshot_id}{place}"


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What the files' first bytes and small files say, and everything that is wrong with them."""

    source: Source
    fetch: str
    gates: Gates
    headers: dict[str, Header] = field(default_factory=dict)
    ggufs: dict[str, GgufHeader] = field(default_factory=dict)
    indexes: dict[str, ShardIndex] = field(default_factory=dict)
    configs: dict[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    problems: list[SourceProblem] = field(default_factory=list)
    pickles: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def look_into(self, file: SourceFile) -> None:
        path = file.path
        weights = weight_format(path)
        start = self.source.read(path, size=max(POINTER_LIMIT, SIGN_SIZE))
        if file.size <= POINTER_LIMIT and (pointer := parse_pointer(start)) is not None:
            problem = f"expected {pointer.size} bytes of content, found the git-lfs pointer to them"
            is_clone = self.source.listing.kind == "git"
            self.add(path, problem, self.fetch if is_clone else f"{_LFS_PULL}, or: {self.fetch}")
        elif file.size == 0 and weights is not None:
            self.add(path, "expected weights, found an empty file", self.fetch)
        elif self.is_pickle(file, start) and not (self.gates.terms.allow_pickle and _has_another_form(path)):
            self.pickles.add(path)
        elif weights is not None and weights.is_safetensors:
            self.parse(path, lambda: self.headers.__setitem__(path, safetensors_header(self.source, file)))
        elif weights is WeightFormat.GGUF:
            self.parse(path, lambda: self.ggufs.__setitem__(path, gguf_header(self.source, file)))
        elif path.lower().endswith(".json") and file.size <= _JSON_LIMIT:
            self.parse(path, lambda: self.json(path))
        if is_template(path) or may_hold_templates(path):
            if file.size > _JSON_LIMIT:
                self.add(path, f"expected at most {_JSON_LIMIT} bytes, found {file.size}", "leave it out with exclude")
            else:
                self.findings += self.gates.text(path, self.source.read(path))

    def is_pickle(self, file: SourceFile, start: bytes) -> bool:
        """By content; a format that is read anyway needs no second look."""
        return looks_like_pickle(start) or (
            not _has_another_form(file.path)
            and hides_behind_text(lambda size: self.source.read(file.path, size=size), file.size)
        )

    def dangerous(self, files: Sequence[SourceFile]) -> None:
        """What the gates find beyond single small files: pickles by name or content, code, templates in weights."""
        for file in files:
            weights = weight_format(file.path)
            if file.path in self.pickles or (weights is not None and weights.is_pickle and file.size):
                self.findings += self.gates.pickle(self.source, file.path)
        self.findings += self.gates.code(self.source, [file.path for file in files])
        for path, header in self.ggufs.items():
            self.findings += self.gates.templates(path, templates_in_gguf(header))

    def json(self, path: str) -> None:
        data = self.source.read(path)
        if weight_index(path) is not None:
            self.indexes[path] = parse_index(data)
        elif path in CONFIGS:
            self.configs[path] = loads_object(data)
        elif path.rpartition("/")[2] in CONFIGS:
            loads(data)
        else:
            self.findings += self.gates.json(path, data)

    def parse(self, path: str, read: Callable[[], None]) -> None:
        try:
            read()
        except HeaderError as error:
            self.add(path, str(error), self.fetch)

    def add(self, path: str, problem: str, hint: str) -> None:
        self.problems.append(SourceProblem(path=shown(path), problem=problem, hint=hint))

    def report(self) -> None:
        """Raise what was found and is not allowed, if anything."""
        place, terms = self.source.listing.place, self.gates.terms
        refused = terms.refused(set(self.findings))
        reported = [terms.reported(finding) for finding in refused]
        false_names = any(finding.gate is Gate.PICKLE and _has_another_form(finding.file) for finding in refused)
        hint = _FALSE_NAME if false_names else terms.hint(refused)
        if self.problems:
            reported += [Refused(file=problem.path, reason=problem.problem) for problem in self.problems]
            for finding in refused:
                self.add(finding.file, finding.reason, hint)
            raise source_error(place, self.problems, reported)
        if refused:
            lines = "".join(f"\n  {shown(finding.file)}: {finding.reason}" for finding in refused)
            count = f"{len(refused)} finding{'s' if len(refused) > 1 else ''}"
            raise PolicyError(f"{place}: refused for {count}{lines}", hint=hint, findings=reported)


def _has_another_form(path: str) -> bool:
    """Whether the name stands for a format that is no pickle: its content is a lie or damage."""
    return path.endswith((".safetensors", ".gguf"))


def _missing_config(formats: Iterable[WeightFormat], chosen: frozenset[str], shards: Shards) -> list[SourceProblem]:
    formats = set(formats)
    if formats <= {WeightFormat.GGUF} or not chosen.isdisjoint(_CONFIG_OF_WEIGHTS):
        return []
    if formats == {WeightFormat.CONSOLIDATED}:
        return [] if "params.json" in chosen else [shards.absent("params.json", "the settings of consolidated weights")]
    return [shards.absent("config.json", "the settings of the weights")]


def _unlisted(indexes: Iterable[str], indexed: set[str], shards: Shards) -> Iterator[str]:
    # Weights of another name beside an index may be another model's, or wanted by the code: taken, and said.
    places = {path.rpartition("/")[0]: path for path in indexes}
    for path in sorted(shards.headers):
        index = places.get(path.rpartition("/")[0])
        if index is not None and path not in indexed:
            yield f"{shown(path)} is packaged, but {shown(index)} does not list it"


def _states_licence(path: str) -> bool:
    name = path.lower()
    return name == "readme.md" or name.startswith(("license", "licence", "copying"))
