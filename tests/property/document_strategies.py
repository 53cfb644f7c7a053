"""Arbitrary manifests and locks."""

from __future__ import annotations

from hypothesis import strategies as st

from hf_pack.formats.hashes import Hash
from hf_pack.model.gates import Finding, Gate
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import (
    AppliedPatch,
    FileDigest,
    Lock,
    LockedFile,
    LockedSource,
    ModelSummary,
    OmittedFile,
)
from hf_pack.model.manifest import Allow, HubSource, Layout, Manifest, Patch, PathSource, Selection, Storage

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_scalars = (
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
json_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3), max_leaves=8
)
json_objects = st.dictionaries(_text, json_values, max_size=4)
_some_json = st.dictionaries(_text, json_values, min_size=1, max_size=3)

_word = st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True)
_repo_ids = st.builds(RepoId, st.none() | _word, _word)
_relative_paths = st.lists(
    _some_text.filter(lambda part: part not in (".", "..") and not set(part) & {"/", "\0"}),
    min_size=1,
    max_size=3,
).map("/".join)
_json_paths = _relative_paths.map(lambda path: path + ".json")
_versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((rc|\.post)[0-9])?", fullmatch=True)
_specifiers = st.sampled_from([">=0.30", "==1.*", ">= 1, < 2", "~=0.5.1"])
_patterns = st.lists(_some_text, max_size=3).map(tuple)

_selections = st.builds(
    Selection,
    include=st.none() | st.lists(_some_text, min_size=1, max_size=3).map(tuple),
    exclude=_patterns,
    allow_pickle=st.booleans(),
)
_consents = st.sampled_from([False, True, ("a.py",), ("é b", '"')])
_allowances = st.just(Allow()) | st.builds(
    Allow,
    remote_code=_consents,
    templates=_consents,
    duplicate_keys=_consents,
    unscanned_pickles=_consents,
    pickle_globals=st.sampled_from([(), ("os.system",)]),
    redistribution=st.booleans(),
)
_reasons = _some_text.filter(lambda text: bool(text.strip()))
_edits = st.builds(
    Patch,
    file=_json_paths,
    reason=_reasons,
    when=json_objects,
    set=_some_json,
    delete=st.lists(_text, max_size=2).map(tuple),
    merge=json_objects,
)
_replacements = st.builds(Patch, file=_json_paths, reason=_reasons, when=json_objects, replace=_relative_paths)
patches = _edits | _replacements
_sources = st.one_of(
    st.builds(HubSource, repo_id=_repo_ids, revision=st.sampled_from(["main", "refs/pr/1", "a" * 40])),
    st.builds(PathSource, path=_some_text.filter(lambda text: "\0" not in text)),
    st.builds(PathSource, path=st.just("~/x"), slug=_repo_ids, snapshot_id=st.sampled_from(["content", "ab12"])),
)
_engine_parameters = json_objects.map(
    lambda found: {
        key: value
        for key, value in found.items()
        if key not in ("model", "revision", "pname", "layout", "storage", "runtimes", "targets")
    }
)


@st.composite
def _manifests(draw: st.DrawFn) -> Manifest:
    layout = draw(st.sampled_from(Layout))
    return Manifest(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,8}", fullmatch=True)),
        pname=draw(st.from_regex(r"[A-Za-z0-9_][0-9A-Za-z+._?=-]{0,8}", fullmatch=True)),
        base_version=draw(_versions),
        layout=layout,
        storage=draw(st.sampled_from(Storage)),
        triton_model_name=draw(_word.filter(lambda word: word != "hub")) if layout.has_triton else None,
        source=draw(_sources),
        selection=draw(_selections),
        allow=draw(_allowances),
        vllm=draw(_engine_parameters),
        sglang=draw(_engine_parameters),
        triton=draw(_engine_parameters),
        runtimes=draw(st.dictionaries(st.sampled_from(["vllm", "sglang", "triton"]), _specifiers)),
        targets=tuple(draw(st.lists(st.sampled_from(["L4", "2x H100", "sm89", "RTX 5090 é"]), max_size=3))),
        patches=draw(st.lists(patches, max_size=2).map(tuple)),
    )


manifests = _manifests()

_digests = st.builds(
    FileDigest, size=st.integers(min_value=0, max_value=2**60), sha256=st.binary(max_size=4).map(Hash.sha256_of)
)
_summaries = st.builds(
    ModelSummary,
    architectures=_patterns,
    model_type=st.none() | _text,
    dtype=st.none() | _text,
    context_length=st.none() | st.integers(min_value=0, max_value=2**40),
    parameters=st.none() | st.integers(min_value=0, max_value=2**60),
    bytes_by_dtype=st.lists(st.tuples(_text, st.integers(min_value=0, max_value=2**60)), max_size=3).map(tuple),
    quantization_method=_text,
    quantization_scheme=_text,
    quantization_bits=st.none() | st.integers(min_value=1, max_value=32),
    quantization_group_size=st.none() | st.integers(min_value=1, max_value=1024),
    quantization_activations=st.none() | _text,
    quantization_broken=st.booleans(),
    weight_parts=st.lists(st.tuples(_text, st.integers(min_value=0, max_value=2**60)), max_size=3).map(tuple),
    notes=_patterns,
)


_findings = st.builds(Finding, file=_text, gate=st.sampled_from(Gate), reason=st.just("why"), name=_text)


@st.composite
def _locks(draw: st.DrawFn) -> Lock:
    # Numbered, so that no two differ only in case and none is the directory of another.
    bases = draw(st.lists(_relative_paths, min_size=1, max_size=4))
    paths = sorted(f"{number}{base}" for number, base in enumerate(bases))
    digests = [draw(_digests) for _ in paths]
    applied = st.builds(
        AppliedPatch,
        file=st.sampled_from(paths),
        reason=_text,
        definition=json_objects,
        replacement=st.none() | _digests,
        before=_digests,
        after=_digests,
    )
    return Lock(
        layout_version=draw(st.integers(min_value=1, max_value=9)),
        source=LockedSource(
            repo_id=draw(_repo_ids),
            snapshot_id=draw(_word),
            snapshot_kind=draw(st.sampled_from(SnapshotKind)),
            asked_repo_id=draw(st.none() | _repo_ids),
            asked_revision=draw(st.none() | _text),
        ),
        selection=draw(_selections),
        files=tuple(
            LockedFile(path=path, size=digest.size, sha256=digest.sha256, original=draw(st.none() | _digests))
            for path, digest in zip(paths, digests, strict=True)
        ),
        omitted=tuple(draw(st.lists(st.builds(OmittedFile, path=_text, reason=_text), max_size=2))),
        patches=tuple(draw(st.lists(applied, max_size=2))),
        licence=draw(st.none() | _text),
        model=draw(_summaries),
        provenance=tuple(draw(st.lists(st.tuples(_text, _text), max_size=3))),
        findings=tuple(draw(st.lists(_findings, max_size=2))),
    )


locks = _locks()
