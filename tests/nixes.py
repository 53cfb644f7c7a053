"""Other Nix versions for tests: directories of their programs, in HF_PACK_NIXES, separated by colons."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_MACHINES_OWN = shutil.which("nix-store")
_OTHERS: list[object] = [text for text in os.environ.get("HF_PACK_NIXES", "").split(":") if text]
_NO_OTHERS = pytest.param("", marks=pytest.mark.skip(reason="needs other Nix versions in HF_PACK_NIXES"), id="others")

#: Directories as text, the machine's own first; one more case, skipped and so counted, where no other was given.
EVERY_NIX: list[object] = [*([str(Path(_MACHINES_OWN).parent)] if _MACHINES_OWN else []), *(_OTHERS or [_NO_OTHERS])]
