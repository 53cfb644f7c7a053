from __future__ import annotations

from pathlib import Path

import pytest

from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk.staging import names_in
from hf_pack.formats.store_path import StorePath

_PATH = StorePath("0" * 32, "name")


def test_links_in_the_root_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    layout = StoreLayout.at(tmp_path / "link" / "store")
    assert layout.root == tmp_path.resolve() / "real" / "store"
    assert layout.real_path(_PATH) == layout.root / "nix" / "store" / _PATH.base_name


@pytest.mark.parametrize("below", ["", "/a/b"])
def test_an_object_is_known_by_both_its_names(tmp_path: Path, below: str) -> None:
    layout = StoreLayout.at(tmp_path)
    assert layout.store_path_of(f"{_PATH}{below}") == _PATH
    assert layout.store_path_of(f"{layout.real_path(_PATH)}{below}") == _PATH


@pytest.mark.parametrize("target", ["/nix/store", "/nix/store/short", "/nix/storex/y", "relative", "/nix/store/../x"])
def test_what_is_no_object_is_none(tmp_path: Path, target: str) -> None:
    assert StoreLayout.at(tmp_path).store_path_of(target) is None


def test_names_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert names_in(tmp_path / "gone") == set()
    (tmp_path / "x").touch()
    assert names_in(tmp_path) == {"x"}
