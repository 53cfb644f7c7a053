"""The one error of the pure formats."""

from __future__ import annotations


class FormatError(ValueError):
    """Text or bytes that are not a value of the format they are read as.

    The message is one line: what was expected and what was found. Whoever read the bytes knows where they
    came from and what the user can do about them, so the edges translate this error into one of
    ``hf_pack.errors``.
    """
