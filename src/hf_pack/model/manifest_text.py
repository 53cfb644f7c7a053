"""A manifest as text that a person reads and edits, and edits of such text that keep every comment.

Law: ``manifest_document.parse(write(manifest), manifest.name) == manifest``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import starmap

from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.manifest import Allow, HubSource, Manifest, Patch, PathSource
from hf_pack.model.patches import definition
from hf_pack.model.toml_value import write as toml
from hf_pack.model.toml_value import write_key

_LINE = 100  #: characters; longer lists get one line for each member
_COMMENT_COLUMN = 36

_NOTES = {
    "layout": '"dual" | "single" (Triton only) | "hf" (Hub cache only)',
    "triton_model_name": "layouts single and dual",
    "storage": '"linked" | "self-contained"',
}

_ENGINE_NOTES = {
    "vllm": "engine parameters -> model-defaults.json, model.json",
    "sglang": "overrides or adds to [vllm] for SGLang",
    "triton": "overrides or adds to [vllm] for Triton",
}

_NO_PATCH = (
    ("# [[patch]]", "changes small text files, recorded in the lock"),
    ('# file = "tokenizer_config.json"', ""),
    ('# when = { tokenizer_class = "Old" }', "must match, or locking fails"),
    (
        '# set = { tokenizer_class = "New" }',
        'or delete = ["key"], merge = { … }, replace = "file beside this"',
    ),
    ('# reason = "why it differs from its source"', ""),
)


def write(manifest: Manifest, *, comments: Sequence[str] = ()) -> str:
    """The manifest as TOML; ``comments`` are lines at its head.

    Raises ValueError for engine parameters that hold null, NaN or Infinity.
    """
    return "\n".join(_lines(manifest, comments)) + "\n"


def patch_entry(patch: Patch) -> str:
    """One ``[[patch]]`` as it stands in a manifest."""
    return "\n".join(_patch(patch))


def set_base_version(text: str, base_version: str) -> str:
    """The manifest's text with another ``base_version``; every other character stays."""
    import tomlkit  # only edits need it, and its import takes longer than most commands

    document = tomlkit.parse(text)
    document["base_version"] = base_version
    return tomlkit.dumps(document)


def _lines(manifest: Manifest, comments: Sequence[str]) -> Iterator[str]:
    for comment in comments:
        yield f"# {_one_line(comment)}"
    scalars: list[tuple[str, JsonValue]] = [
        ("pname", manifest.pname),
        ("base_version", manifest.base_version),
        ("layout", manifest.layout.value),
        ("triton_model_name", manifest.triton_model_name),
        ("storage", manifest.storage.value),
    ]
    for key, value in scalars:
        if value is not None:
            yield _entry(key, value, _NOTES.get(key, ""))
    if manifest.runtimes:
        yield _entry("runtimes", manifest.runtimes, "what the package is for")
    else:
        yield _line('# runtimes = { vllm = ">=0.30" }', "what the package is for")
    if manifest.targets:
        yield _entry("targets", manifest.targets, "GPUs that it is to run on")
    yield ""
    yield "[source]"
    yield from _source(manifest)
    yield from _allow(manifest.allow)
    yield from _engine_parameters("vllm", manifest.vllm)
    yield from _engine_parameters("sglang", manifest.sglang)
    yield from _engine_parameters("triton", manifest.triton)
    for patch in manifest.patches:
        yield ""
        yield from _patch(patch)
    if not manifest.patches:
        yield ""
        yield from starmap(_line, _NO_PATCH)


def _source(manifest: Manifest) -> Iterator[str]:
    source = manifest.source
    keys: list[tuple[str, JsonValue]]
    if isinstance(source, HubSource):
        keys = [("repo_id", str(source.repo_id)), ("revision", source.revision)]
    else:
        slug = None if source.slug is None else source.slug.slug
        keys = [("path", source.path), ("slug", slug), ("snapshot_id", source.snapshot_id)]
    selection = manifest.selection
    keys += [("include", selection.include), ("exclude", selection.exclude or None)]
    keys += [("allow_pickle", selection.allow_pickle or None)]
    for key, value in keys:
        if value is not None:
            yield _entry(key, value)
    if isinstance(source, PathSource) and source.slug is None:
        yield _line('# slug = "org--name"', "where the path does not say what it is")
        yield _line('# snapshot_id = "content"', "derived from the files; or a commit")
    if selection.include is None:
        yield _line('# include = ["*.safetensors", "…"]', "instead of the default choice")
    if not selection.exclude:
        yield _line('# exclude = ["*.md"]', "whole paths; * crosses /")


def _allow(allow: Allow) -> Iterator[str]:
    given = [(field.name, getattr(allow, field.name)) for field in fields(Allow)]
    given = [(key, value) for key, value in given if value is not False and value != ()]
    if given or allow != Allow():
        yield ""
        yield _line("[allow]", "what of the model's content is accepted")
    for key, value in given:
        yield _entry(key, value)


def _engine_parameters(runtime: str, parameters: JsonObject) -> Iterator[str]:
    yield ""
    yield _line(f"{'' if parameters else '# '}[{runtime}]", _ENGINE_NOTES[runtime])
    for key, value in parameters.items():
        yield _entry(key, value)


def _patch(patch: Patch) -> Iterator[str]:
    yield "[[patch]]"
    yield _entry("file", patch.file)
    for key, value in definition(patch).items():
        yield _entry(key, value)
    yield _entry("reason", patch.reason)


def _entry(key: str, value: JsonValue, note: str = "") -> str:
    line = f"{write_key(key)} = {toml(value)}"
    if len(line) > _LINE and isinstance(value, list | tuple):
        line = f"{write_key(key)} = [\n" + "".join(f"  {toml(inner)},\n" for inner in value) + "]"
    return _line(line, note)


def _line(text: str, note: str) -> str:
    return f"{text.ljust(_COMMENT_COLUMN)} # {_one_line(note)}" if note else text


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
