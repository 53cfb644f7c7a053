"""Build metadata: which build of a package this is (``build-meta/<name>.json``)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from hf_pack.model.strict_json import StrictJsonError, loads

NO_GIT_REV = "0" * 40

_KEYS = {"build_version": int, "force_increment": int, "git_rev": str, "git_rev_short": str, "changelog": str}


class BuildMetaError(ValueError):
    """The text is not build metadata; the message names field, expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildMeta:
    """``git_rev`` is the workspace's HEAD when `add` or `bump` ran, forty zeros without git."""

    build_version: int = 1
    force_increment: int = 0
    git_rev: str = NO_GIT_REV
    git_rev_short: str = NO_GIT_REV[:7]
    changelog: str = "Initial package."

    def version(self, base_version: str) -> str:
        """The full version, ``<base_version>+<git_rev_short>``."""
        return f"{base_version}+{self.git_rev_short}"

    def format(self) -> bytes:
        """The file's bytes; :func:`parse` gives the value back."""
        document = {key: getattr(self, key) for key in _KEYS}
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def parse(text: bytes) -> BuildMeta:
    """Read ``build-meta/<name>.json``. Raises :class:`BuildMetaError`."""
    try:
        document = loads(text)
    except StrictJsonError as error:
        raise BuildMetaError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BuildMetaError(f"expected an object, found {type(document).__name__}")
    problems = []
    for key, expected in _KEYS.items():
        value = document.get(key)
        if not isinstance(value, expected) or isinstance(value, bool):
            problems.append(f"{key}: expected {expected.__name__}, found {json.dumps(value)}")
        elif isinstance(value, int) and value < 0:
            problems.append(f"{key}: expected 0 or more, found {value}")
        elif key == "git_rev_short" and not re.fullmatch(r"[0-9a-f]{4,40}", str(value)):
            problems.append(f"{key}: expected 4 to 40 hex digits, found {json.dumps(value)}")
    problems += [f"{key}: unknown key" for key in sorted(set(document) - set(_KEYS))]
    if problems:
        raise BuildMetaError("; ".join(problems))
    return BuildMeta(**document)
