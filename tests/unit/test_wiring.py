from __future__ import annotations

from pathlib import Path

import pytest

from hf_pack import wiring
from hf_pack.errors import UsageError


def url(wanted: str | None, **environ: str) -> str:
    return wiring.open_store(wanted, environ).url


def test_a_store_is_named_by_option_then_variable_then_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path.resolve()
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root)
    one, two = str(root / "one"), str(root / "two")
    assert url(one, HF_PACK_STORE=two) == f"local?root={one}"
    assert url(None, HF_PACK_STORE=two) == f"local?root={two}"
    assert url(f"local?root={one}") == url("one") == url("~/one") == f"local?root={one}"
    assert url(None) == url("auto") == url(None, HF_PACK_STORE="") == f"local?root={root}/.local/share/hf-pack"
    assert url(None, XDG_DATA_HOME=one) == f"local?root={one}/hf-pack"


@pytest.mark.parametrize("wanted", ["s3://b", "file:///x", "daemon", "local", "local?root=", "x?y", "https://h"])
def test_another_kind_of_store_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="no such kind of store"):
        url(wanted)
