"""What interop tests share."""

from __future__ import annotations

import os

import pytest
from tests.nixes import EVERY_NIX


@pytest.fixture(params=EVERY_NIX)
def every_nix(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The directory of a Nix whose programs come first on PATH: a test runs with each that is there."""
    programs: str = request.param
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return programs
