from __future__ import annotations

import pytest

from hf_pack.weights.redistribution import why_not_redistributable


@pytest.mark.parametrize(
    "licence",
    ["Apache-2.0", "apache-2.0", "MIT", "CC-BY-SA-4.0", "GPL-3.0-or-later", "Apache-2.0 AND MIT", "gemma OR MIT"],
)
def test_what_everybody_may_pass_on(licence: str) -> None:
    assert why_not_redistributable(licence) is None


@pytest.mark.parametrize(
    ("licence", "reason"),
    [
        (None, "it states no licence"),
        ("other", "its licence is not one that is known (other)"),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0 allows it for non-commercial ends alone"),
        ("CC-BY-NC-ND-4.0", "CC-BY-NC-ND-4.0 allows it for non-commercial ends alone"),
        (
            "flux-1-dev-non-commercial-license",
            "flux-1-dev-non-commercial-license allows it for non-commercial ends alone",
        ),
        ("CC-BY-ND-4.0", "CC-BY-ND-4.0 allows nothing adapted"),
        ("llama3.1", "llama3.1 has terms of its own about passing it on"),
        ("gemma", "gemma has terms of its own about passing it on"),
        ("MIT AND llama2", "llama2 has terms of its own about passing it on"),
        ("gemma OR llama2", "gemma has terms of its own about passing it on"),
    ],
)
def test_what_not(licence: str | None, reason: str) -> None:
    assert why_not_redistributable(licence) == reason
