from __future__ import annotations

import pytest

from hf_pack.model.consent import parse_consent
from hf_pack.model.manifest import Allow


@pytest.mark.parametrize(
    ("texts", "allow"),
    [
        ([], Allow()),
        (["remote_code"], Allow(remote_code=True)),
        (["remote_code=a.py", "remote_code=b.py"], Allow(remote_code=("a.py", "b.py"))),
        (["remote_code=a.py", "remote_code"], Allow(remote_code=True)),
        (["remote_code", "remote_code=a.py"], Allow(remote_code=True)),
        (["templates", "duplicate_keys=vocab.json"], Allow(templates=True, duplicate_keys=("vocab.json",))),
        (["unscanned_pickles=a.bin"], Allow(unscanned_pickles=("a.bin",))),
        (["pickle_globals=os.system", "redistribution"], Allow(pickle_globals=("os.system",), redistribution=True)),
    ],
)
def test_what_is_typed(texts: list[str], allow: Allow) -> None:
    assert parse_consent(texts) == allow


@pytest.mark.parametrize("text", ["pickle", "pickle_globals", "pickle_globals=", "redistribution=no", "", "=x"])
def test_what_allows_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="allows nothing: expected one of remote_code"):
        parse_consent([text])
