"""The Python API: few names, all described and typed, imported when used."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

import hf_pack

FUNCTIONS = [name for name in hf_pack.__all__ if name != "Error"]


def test_there_are_a_dozen_names_at_most() -> None:
    assert len(hf_pack.__all__) <= 12
    assert list(hf_pack.__all__) == sorted(hf_pack.__all__)
    assert set(hf_pack.__all__) <= set(dir(hf_pack))


@pytest.mark.parametrize("name", hf_pack.__all__)
def test_every_name_says_what_it_is(name: str) -> None:
    text = inspect.getdoc(getattr(hf_pack, name))
    assert text and text[0].isupper() and len(text) > 30


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_typed(name: str) -> None:
    signature = inspect.signature(getattr(hf_pack, name))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name
    assert (Path(hf_pack.__file__).parent / "py.typed").is_file()


def test_the_package_and_its_api_offer_the_same_functions() -> None:
    from hf_pack import api

    assert sorted(api.__all__) == FUNCTIONS


def test_nothing_is_imported_before_it_is_used() -> None:
    code = "import sys, hf_pack; print(*sorted(name for name in sys.modules if name.startswith('hf_pack')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hf_pack"]
    code = "import sys; from hf_pack import build; print('hf_pack.api' in sys.modules, 'tomlkit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hf_pack.nothing


def test_the_main_job_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    root, store = tmp_path / "workspace", str(tmp_path / "store")
    assert hf_pack.init(root) == root.resolve()
    source = write_hf_cache(tmp_path / "hub", REPO_ID, COMMIT, tiny_model())
    added = hf_pack.add(source, workspace=root, store=store)
    name = added.manifest.name
    assert hf_pack.stale(name, workspace=root) == ()
    assert hf_pack.lock(name, workspace=root, store=store).lock == added.locked.lock
    package = hf_pack.plan(name, workspace=root)
    built = hf_pack.build(name, workspace=root, store=store)
    assert built.info.store_path == package.plan.store_path()
    assert hf_pack.verify([name], workspace=root, store=store).bad == ()
    assert hf_pack.diff(name, str(built.info.store_path), workspace=root, store=store).is_empty
    assert hf_pack.bump(name, "Second.", workspace=root)[0] == "1.0.1+0000000"
    assert hf_pack.collect_garbage(dry_run=True, store=store).deleted == ()
    with pytest.raises(hf_pack.Error) as caught:
        hf_pack.plan("other", workspace=root)
    assert caught.value.exit_code == 2
