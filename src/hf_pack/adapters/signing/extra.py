"""What signing needs beyond the packages that hf-pack always has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hf_pack.errors import UsageError


@contextmanager
def from_extra(extra: str, what: str) -> Iterator[None]:
    """Turn an import that fails into a UsageError that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"{what} needs a package that is not installed: {error}", hint=f"pip install 'hf-pack[{extra}]'"
        ) from None
