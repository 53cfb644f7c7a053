"""Consent as it is typed on a command line: ``KEY`` or ``KEY=VALUE``, the keys of ``[allow]``."""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.model.manifest import Allow

WHOLE = ("remote_code", "templates", "duplicate_keys", "unscanned_pickles")
"""Keys that take files, or stand alone for all of them."""

_NAMES = "pickle_globals"
_FLAG = "redistribution"


def parse_consent(texts: Iterable[str]) -> Allow:
    """``remote_code``, ``remote_code=modeling.py`` (may be repeated), ``pickle_globals=MODULE.NAME``.

    Raises ValueError for another key, or one that lacks its value.
    """
    whole: dict[str, tuple[str, ...] | bool] = dict.fromkeys(WHOLE, False)
    names: list[str] = []
    redistribution = False
    for text in texts:
        key, equals, value = text.partition("=")
        if key in WHOLE:
            before = whole[key]
            files = before if isinstance(before, tuple) else ()
            whole[key] = True if before is True or not equals else (*files, value)
        elif key == _NAMES and value:
            names.append(value)
        elif text == _FLAG:
            redistribution = True
        else:
            known = ", ".join((*(f"{one}[=FILE]" for one in WHOLE), f"{_NAMES}=MODULE.NAME", _FLAG))
            raise ValueError(f"{text!r} allows nothing: expected one of {known}")
    return Allow(
        remote_code=whole["remote_code"],
        templates=whole["templates"],
        duplicate_keys=whole["duplicate_keys"],
        unscanned_pickles=whole["unscanned_pickles"],
        pickle_globals=tuple(names),
        redistribution=redistribution,
    )
