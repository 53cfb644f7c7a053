"""What a malformed model file is called."""

from __future__ import annotations


class HeaderError(ValueError):
    """A model file's header or side file is not what its format says it must be.

    The text is one line: the field, what was expected and what was found. It never names the file,
    because these modules see bytes and not paths; the caller adds the name.
    """


def shorten(text: str, limit: int = 80) -> str:
    """``text`` as it may stand in a one-line message: quoted, escaped, at most ``limit`` characters of it."""
    return ascii(text if len(text) <= limit else text[: limit - 1] + "…")
