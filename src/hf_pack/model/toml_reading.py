"""TOML text to a table, its syntax errors as problems."""

from __future__ import annotations

import tomllib

from hf_pack.model.document import Problem, Problems


def read(text: str) -> dict[str, object]:
    """The document's top table. Raises :class:`~hf_pack.model.document.Problems` with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problems([Problem(path="", message=f"not TOML: {error}")]) from None
    except RecursionError:
        raise Problems([Problem(path="", message="not TOML: nested too deep")]) from None
    except ValueError as error:  # an integer of more digits than the interpreter converts
        raise Problems([Problem(path="", message=f"not TOML: {error}")]) from None
