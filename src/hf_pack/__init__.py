"""hf-pack: model weights as immutable, content-addressed Nix store objects.

The functions below are the command line's steps (:mod:`hf_pack.api`); they are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_pack.api import add, build, bump, collect_garbage, diff, init, lock, plan, publish, stale, verify
    from hf_pack.errors import Error

__all__ = [
    "Error",
    "add",
    "build",
    "bump",
    "collect_garbage",
    "diff",
    "init",
    "lock",
    "plan",
    "publish",
    "stale",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("hf_pack.errors" if name == "Error" else "hf_pack.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
