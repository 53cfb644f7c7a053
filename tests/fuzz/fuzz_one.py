"""One target under atheris; every line of hf_pack that it runs is seen by the fuzzer."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["hf_pack"]):
    from tests.fuzz.targets import try_one

NAME = sys.argv[1]


def one(data: bytes) -> None:
    """One input of the fuzzer's."""
    try_one(NAME, data)


atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
atheris.Fuzz()
