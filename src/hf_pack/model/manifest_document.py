"""A manifest's text (``models/<name>.toml``) to a :class:`~hf_pack.model.manifest.Manifest`.

Law: ``parse(manifest_text.write(manifest), manifest.name) == manifest``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hf_pack.formats.store_path import check_name
from hf_pack.model import relative_path, toml_reading
from hf_pack.model.document import Problem, Problems, Table, show
from hf_pack.model.hub_ids import RepoId, check_snapshot_id
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import WEIGHT_SUFFIXES
from hf_pack.model.manifest import (
    Allow,
    HubSource,
    Layout,
    Manifest,
    Patch,
    PathSource,
    Selection,
    Storage,
)

RUNTIMES = ("vllm", "sglang", "triton")
DEFAULT_REVISION = "main"

_TOP_KEYS = (
    "pname", "base_version", "layout", "triton_model_name", "storage", "runtimes", "targets", "source",
    "allow",
    *RUNTIMES, "patch",
)  # fmt: skip
_SOURCE_KEYS = (
    "repo_id", "revision", "path", "slug", "snapshot_id", "include", "exclude", "allow_pickle",
)  # fmt: skip
_ALLOW_KEYS = (
    "remote_code", "templates", "duplicate_keys", "unscanned_pickles", "pickle_globals", "redistribution",
)  # fmt: skip
_PATCH_KEYS = ("file", "reason", "when", "set", "delete", "merge", "replace")

#: Text keys that stand above the first [table]; TOML puts a later one into that table without a word.
_SCALARS = ("pname", "base_version", "layout", "triton_model_name", "storage")
_TO_THE_TOP = dict.fromkeys((*_SCALARS, "targets"), "it belongs at the top, above the first [table]")
_TO_SOURCE = dict.fromkeys(_SOURCE_KEYS, "it belongs in [source]")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,199}")
_BASE_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*(\.?[A-Za-z][0-9A-Za-z]*(\.[0-9A-Za-z]+)*)?")
_TRITON_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_RUNTIME_SUFFIXES = ("_preprocessing", "_postprocessing", "_ensemble")
_REVISION = re.compile(r"[^\s\x00-\x1f\x7f~^:?*\[\\/-][^\s\x00-\x1f\x7f~^:?*\[\\]*")
_SPECIFIER = re.compile(r"\s*(===|==|!=|~=|<=|>=|<|>)\s*[0-9][0-9A-Za-z.*+!_-]*\s*")

_MAX_STORE_NAME = 211  #: characters, of ``<pname>-<base_version>+<git_rev_short>``
_LONGEST_REVISION = 40
#: Directories that a package has beside ``share/<pname>``.
_TAKEN_PNAMES = ("models", "triton")


class ManifestProblems(Problems):
    """Everything that is wrong with one manifest; ``problems`` in the order of the document."""


def parse(text: str, name: str) -> Manifest:
    """Read the manifest called ``name``, the file's stem. Raises :class:`ManifestProblems` with all of them."""
    try:
        top = toml_reading.read(text)
    except Problems as error:
        raise ManifestProblems(error.problems) from None
    problems: list[Problem] = []
    try:
        check_manifest_name(name)
    except ValueError as error:
        hint = "rename the file; pname may keep its dots"
        problems.append(Problem(path="", message=str(error), hint=hint))
    manifest = _manifest(Table(top, "", problems), name)
    if problems:
        raise ManifestProblems(problems)
    return manifest


def check_manifest_name(name: str) -> str:
    """A manifest's stem: letters, digits and dashes, the first no dash, at most 200. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a manifest name: 1 to 200 letters, digits and dashes, no dash first")
    return name


def check_base_version(text: str) -> str:
    """Numbers with dots between, then an optional suffix: ``1.0.0``, ``2.1rc1``, ``1.0.post2``.

    No ``+``, which starts the git revision in the full version, and no ``-``, which parts it from the name.
    Raises ValueError.
    """
    if not _BASE_VERSION.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a base version: digits and dots, then at most a suffix of letters, digits and "
            "dots, as in 1.0.0 or 2.1rc1"
        )
    return text


def check_pname(text: str) -> str:
    """The part of a store name before the version, and a directory under ``share/``. Raises ValueError."""
    check_name(text)
    if text[0] in ".-":
        raise ValueError(f"pname {text!r} starts with {text[0]!r}")
    if text in _TAKEN_PNAMES:
        raise ValueError(f"pname {text!r} is a directory that every package has under share/")
    return text


def check_triton_model_name(text: str) -> str:
    """A directory name that Triton takes for a model and its runtimes do not claim. Raises ValueError."""
    if not _TRITON_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a Triton model name: 1 to 200 of [A-Za-z0-9_.-], no dot or dash first")
    if text == "hub":
        raise ValueError("'hub' is the directory of the Hub cache, not a Triton model name")
    for suffix in _RUNTIME_SUFFIXES:
        if text.endswith(suffix):
            raise ValueError(f"{text!r} ends in {suffix!r}, which the runtimes keep for models that they assemble")
    return text


def _manifest(top: Table, name: str) -> Manifest:
    top.refuse_unknown(_TOP_KEYS, _TO_SOURCE)
    pname, base_version = top.parsed("pname", check_pname), top.parsed("base_version", check_base_version)
    if pname and base_version:
        _check_length(top, pname, base_version)
    layout = top.choice("layout", Layout)
    triton_model_name = top.optional_parsed("triton_model_name", check_triton_model_name)
    _check_triton(top, layout)
    storage = top.optional_choice("storage", Storage)
    runtimes = _runtimes(top)
    source = top.table("source")
    source.refuse_unknown(_SOURCE_KEYS, _TO_THE_TOP)
    return Manifest(
        name=name,
        pname=pname or "",
        base_version=base_version or "",
        layout=layout or Layout.DUAL,
        triton_model_name=triton_model_name,
        storage=storage or Storage.LINKED,
        runtimes=runtimes,
        targets=top.parsed_list("targets", _check_target),
        source=_source(source),
        selection=_selection(source),
        allow=_allow(top.optional_table("allow")),
        vllm=_engine_parameters(top, "vllm"),
        sglang=_engine_parameters(top, "sglang"),
        triton=_engine_parameters(top, "triton"),
        patches=tuple(map(_patch, top.tables("patch"))),
    )


def _check_length(top: Table, pname: str, base_version: str) -> None:
    length = len(pname) + len(base_version) + len("-+") + _LONGEST_REVISION
    if length > _MAX_STORE_NAME:
        top.problem(
            "pname",
            "the store name <pname>-<base_version>+<git_rev> becomes too long",
            expected=f"{_MAX_STORE_NAME} characters at most, the revision's {_LONGEST_REVISION} included",
            found=str(length),
        )


def _check_triton(top: Table, layout: Layout | None) -> None:
    if layout is not None and layout.has_triton and not top.has("triton_model_name"):
        top.problem("triton_model_name", f"missing, layout {layout.value!r} needs it", expected="a Triton model name")
    if layout is Layout.HF and top.has("triton_model_name"):
        hint = 'remove it, or choose layout "dual"'
        top.problem("triton_model_name", "layout 'hf' has no Triton directory", hint=hint)


def _runtimes(top: Table) -> Mapping[str, str]:
    table = top.optional_table("runtimes")
    if table is None:
        return {}
    table.refuse_unknown(RUNTIMES)
    found = {runtime: table.optional_parsed(runtime, _check_specifier) for runtime in RUNTIMES}
    return {runtime: text for runtime, text in found.items() if text is not None}


def _check_target(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{text!r} is not a GPU, such as 'L4' or '2x H100'")
    return text


def _check_specifier(text: str) -> str:
    if not all(_SPECIFIER.fullmatch(part) for part in text.split(",")):
        raise ValueError(f"{text!r} is not a version specifier, such as '>=0.30' or '>=0.30,<0.40'")
    return text


def _source(source: Table) -> HubSource | PathSource:
    repo_id = source.optional_parsed("repo_id", RepoId.parse)
    revision = source.optional_parsed("revision", _check_revision)
    path = source.optional_parsed("path", _check_source_path)
    slug = source.optional_parsed("slug", _parse_slug)
    snapshot_id = source.optional_parsed("snapshot_id", check_snapshot_id)
    if source.has("repo_id") == source.has("path"):
        both = source.has("path")
        source.problem(
            "path" if both else "repo_id",
            "repo_id and path exclude each other" if both else "missing",
            expected="one of repo_id (a model on the Hub) and path (a model on disk)",
        )
    if source.has("path"):
        if source.has("revision"):
            source.problem("revision", "a path has no revision", hint="snapshot_id names what lies there")
        if source.has("slug") != source.has("snapshot_id"):
            given, absent = ("slug", "snapshot_id") if source.has("slug") else ("snapshot_id", "slug")
            source.problem(absent, f"missing beside {given}", expected="both of slug and snapshot_id, or neither")
        return PathSource(path=path or "", slug=slug, snapshot_id=snapshot_id)
    for key in ("slug", "snapshot_id"):
        if source.has("repo_id") and source.has(key):
            source.problem(key, "only a path needs it, the Hub says itself what a repo_id holds")
    return HubSource(repo_id=repo_id or RepoId(None, "missing"), revision=revision or DEFAULT_REVISION)


def _parse_slug(text: str) -> RepoId:
    if "/" in text:
        raise ValueError(f"{text!r} is not a slug: write {text.replace('/', '--')!r}")
    return RepoId.parse_slug(text)


def _check_revision(text: str) -> str:
    if not _REVISION.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is not a branch, tag or commit")
    return text


def _check_source_path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not a path")
    return text


def _selection(source: Table) -> Selection:
    include, exclude = source.optional_texts("include"), source.texts("exclude")
    if include == () and source.has("include"):
        source.problem("include", "selects nothing", hint="leave it out for the default choice")
    for key, patterns in (("include", include or ()), ("exclude", exclude)):
        for index, pattern in enumerate(patterns):
            if not pattern:
                source.problem(f"{key}[{index}]", "empty", expected="a glob pattern such as *.safetensors")
    return Selection(include=include, exclude=exclude, allow_pickle=source.flag("allow_pickle"))


def _allow(table: Table | None) -> Allow:
    if table is None:
        return Allow()
    table.refuse_unknown(_ALLOW_KEYS, {"pickle": "allow_pickle in [source]", "allow_pickle": "it belongs in [source]"})
    return Allow(
        remote_code=table.flag_or_texts("remote_code"),
        templates=table.flag_or_texts("templates"),
        duplicate_keys=table.flag_or_texts("duplicate_keys"),
        unscanned_pickles=table.flag_or_texts("unscanned_pickles"),
        pickle_globals=table.texts("pickle_globals"),
        redistribution=table.flag("redistribution"),
    )


def _engine_parameters(top: Table, runtime: str) -> JsonObject:
    table = top.optional_table(runtime)
    for key in ("model", "revision"):
        if table is not None and table.has(key):
            table.problem(key, "the package sets it itself", hint="remove it; [source] says which model it is")
    for key in (*_SCALARS, "runtimes", "targets"):
        if table is not None and table.has(key):
            table.problem(key, "no engine parameter", hint=_TO_THE_TOP[_SCALARS[0]])
    return top.json(runtime) if table is not None else {}


def _patch(table: Table) -> Patch:
    table.refuse_unknown(_PATCH_KEYS)
    file, reason = table.parsed("file", relative_path.check), table.text("reason")
    if table.has("reason") and not reason.strip():
        table.problem("reason", "empty", expected="why the package differs from its source")
    replace = table.optional_parsed("replace", relative_path.check)
    changes = [key for key in ("set", "delete", "merge") if table.has(key)]
    if not changes and not table.has("replace"):
        table.problem("set", "the patch changes nothing", expected="one of set, delete, merge, replace")
    if changes and table.has("replace"):
        table.problem("replace", f"it excludes {', '.join(changes)}", hint="make two patches of it")
    if file is not None:
        _check_patched_file(table, file, [*changes, *(["when"] if table.has("when") else [])])
    patch = Patch(
        file=file or "",
        reason=reason,
        when=table.json("when"),
        set=table.json("set"),
        delete=table.texts("delete"),
        merge=table.json("merge"),
        replace=replace,
    )
    for key, value in (
        ("when", patch.when),
        ("set", patch.set),
        ("delete", patch.delete),
        ("merge", patch.merge),
    ):
        if table.has(key) and not value:
            table.problem(key, "empty", expected="at least one key")
    return patch


def _check_patched_file(table: Table, file: str, edits: Sequence[str]) -> None:
    if file.lower().endswith(WEIGHT_SUFFIXES):
        table.problem("file", "a weight file cannot be patched", expected="a small text file", found=show(file))
    elif edits and not file.endswith(".json"):
        table.problem(edits[0], "only .json files can be edited by key", found=show(file), hint="use replace")
