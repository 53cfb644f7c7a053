"""A small file as it will be packaged, where its patches fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_pack.model import patches
from hf_pack.model.manifest import Patch


def patched(wanted: Sequence[Patch], replacements: Mapping[str, bytes], path: str, contents: bytes) -> bytes:
    """The source's bytes after the patches of ``path``; after those before the first that does not fit.

    Locking refuses such a patch by itself. ``replacements`` are bytes by the names of patches' ``replace``.
    """
    for patch in wanted:
        if patch.file == path:
            try:
                replacement = None if patch.replace is None else replacements.get(patch.replace)
                contents = patches.apply(patch, contents, replacement)
            except (patches.PatchMismatch, ValueError):
                break
    return contents
