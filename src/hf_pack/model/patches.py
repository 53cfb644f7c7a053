"""Recorded changes of small text files, applied while locking.

An edited JSON file keeps the order of its keys, its indentation, its line ends, its end of file and whether
it escapes characters beyond ASCII, so that a diff against the source shows the change and little else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from hf_pack.model.document import is_same, nearest, show
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import WEIGHT_SUFFIXES
from hf_pack.model.manifest import Patch
from hf_pack.model.strict_json import StrictJsonError, loads

_BOM = "\ufeff"
_FIRST_KEY = re.compile(r'\{(\s*)"(?:[^"\\]|\\.)*"(\s*:\s*)')

_Object = dict[str, JsonValue]


class PatchMismatch(ValueError):  # noqa: N818 - it is the patch that does not match
    """The patch does not fit the file; the message says which file and key, what was expected and found."""


def definition(patch: Patch) -> JsonObject:
    """The patch as JSON without ``file`` and ``reason``, only what it has: what a lock keeps of it."""
    document: _Object = {}
    for key, value in (("when", patch.when), ("set", patch.set), ("delete", list(patch.delete))):
        if value:
            document[key] = value
    if patch.merge:
        document["merge"] = patch.merge
    if patch.replace is not None:
        document["replace"] = patch.replace
    return document


def apply(patch: Patch, contents: bytes, replacement: bytes | None) -> bytes:
    """The file's new bytes. ``replacement`` are the bytes of the file that ``patch.replace`` names.

    ``when`` is looked at first, then ``set``, ``delete`` and ``merge`` change the file in this order. Raises
    :class:`PatchMismatch` for a condition that does not hold, a key that is not there, a file that is no text
    (or no JSON, where keys are asked for), a weight file, and a patch that changes nothing.
    """
    if patch.file.lower().endswith(WEIGHT_SUFFIXES):
        raise PatchMismatch(f"{patch.file}: a weight file cannot be patched")
    text = _text(contents, patch.file)
    if patch.replace is not None:
        result = _replaced(patch, contents, replacement)
    else:
        before = _json_object(contents, patch.file)
        _check_conditions(patch, before)
        result = _written(_edited(patch, before), text).encode()
        # The file's own bytes may be written otherwise than a writer of JSON would.
        contents = _written(before, text).encode()
    if result == contents:
        raise PatchMismatch(f"{patch.file}: the patch changes nothing, the file is already so")
    return result


def _replaced(patch: Patch, contents: bytes, replacement: bytes | None) -> bytes:
    if replacement is None:
        raise PatchMismatch(f"{patch.file}: expected the file {patch.replace} to replace it, found none")
    if patch.when:
        _check_conditions(patch, _json_object(contents, patch.file))
    _text(replacement, f"{patch.replace}, which replaces {patch.file}")
    if patch.file.endswith(".json"):
        _json(replacement, f"{patch.replace}, which replaces {patch.file}")
    return replacement


def _text(contents: bytes, name: str) -> str:
    try:
        text = contents.decode()
    except UnicodeDecodeError as error:
        raise PatchMismatch(f"{name}: expected UTF-8 text, found byte {error.start} is none") from None
    if "\0" in text:
        raise PatchMismatch(f"{name}: expected text, found a NUL")
    return text


def _json(contents: bytes, name: str) -> JsonValue:
    try:
        return loads(contents)
    except StrictJsonError as error:
        raise PatchMismatch(f"{name}: expected JSON: {error}") from None


def _json_object(contents: bytes, name: str) -> JsonObject:
    if not name.endswith(".json"):
        raise PatchMismatch(f"{name}: expected a .json file to look up keys in; others can only be replaced")
    value = _json(contents, name)
    if not isinstance(value, Mapping):
        raise PatchMismatch(f"{name}: expected a JSON object, found {show(value)}")
    return value


def _check_conditions(patch: Patch, document: JsonObject) -> None:
    for path, expected in patch.when.items():
        holder, key = _find(patch.file, document, path)
        if key not in holder:
            raise PatchMismatch(_missing(patch.file, path, holder, key, f"expected {show(expected)}, "))
        if not is_same(holder[key], expected):
            raise PatchMismatch(f"{patch.file}: {path}: expected {show(expected)}, found {show(holder[key])}")


def _edited(patch: Patch, before: JsonObject) -> JsonObject:
    document: _Object = {key: _copy(value) for key, value in before.items()}
    for path, value in patch.set.items():
        holder, key = _find(patch.file, document, path)
        holder[key] = _copy(value)
    for path in patch.delete:
        holder, key = _find(patch.file, document, path)
        if key not in holder:
            raise PatchMismatch(_missing(patch.file, path, holder, key, "expected a key to delete, "))
        del holder[key]
    return _merged(document, patch.merge)


def _find(file: str, document: JsonObject, path: str) -> tuple[_Object, str]:
    """The object that holds, or would hold, the key at a dotted path, and that key in it.

    A key that is there as it is written wins over the parts between its dots, so that keys with dots in them
    can be reached. Objects on the way must be there.
    """
    holder, rest = document, path
    while rest not in holder and "." in rest:
        key, rest = rest.split(".", 1)
        inner = holder.get(key)
        if not isinstance(inner, dict):
            found = f"found {show(inner)}" if key in holder else "found no such key"
            raise PatchMismatch(f"{file}: {path}: expected an object at {key!r}, {found}")
        holder = inner
    assert isinstance(holder, dict)
    return holder, rest


def _missing(file: str, path: str, holder: JsonObject, key: str, expected: str) -> str:
    hint = nearest(key, holder)
    return f"{file}: {path}: {expected}found no such key" + (f" ({hint})" if hint else "")


def _copy(value: JsonValue) -> JsonValue:
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _merged(target: JsonValue, merge: JsonObject) -> _Object:
    """A JSON merge patch (RFC 7396, section 2): a target that is no object counts as {}, null removes."""
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in merge.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = _merged(result.get(key), value)
        else:
            result[key] = value
    return result


def _written(document: JsonObject, like: str) -> str:
    """The document as JSON text in the style of the text that it was."""
    start = like[: len(like) - len(like.lstrip(_BOM + " \t\r\n"))]
    first = _FIRST_KEY.match(like, len(start))
    before_key, colon = (first[1], first[2]) if first else ("", ": ")
    indent = before_key.rsplit("\n", 1)[-1] if "\n" in before_key else None
    comma = "," if indent is not None or colon == ":" else ", "
    text = json.dumps(
        document, indent=indent, separators=(comma, colon), ensure_ascii=like.removeprefix(_BOM).isascii()
    )
    if "\r\n" in like:
        text = text.replace("\n", "\r\n")
    return start + text + like[len(like.rstrip()) :]
