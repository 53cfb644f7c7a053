"""The Python API: the command line's steps as functions on values.

Every function takes the workspace as a directory in it and the store as its URL (None: ``HF_PACK_STORE``, else the
user's own), and raises :class:`hf_pack.errors.Error` for what a caller can mend.
"""

from __future__ import annotations

from hf_pack.api.comparing import diff
from hf_pack.api.packages import add, build, bump, init, lock, plan, stale
from hf_pack.api.packages import outdated as outdated
from hf_pack.api.shipping import export_archive as export_archive
from hf_pack.api.shipping import publish
from hf_pack.api.shipping import pull as pull
from hf_pack.api.shipping import pull_partial as pull_partial
from hf_pack.api.shipping import search as search
from hf_pack.api.stores import collect_garbage, verify

__all__ = [
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
