"""Known issues of a runtime's versions: told by ``add``, ``check`` and ``serve``, with the entry that mends them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from tests.cli.conftest import Place
from tests.cli.test_serve import Machine, machine
from tests.models import COMMIT, tiny_model, write_hf_cache

from hf_pack.api import checking
from hf_pack.ports import LocalGpus

__all__ = ["machine"]  # a fixture

TOKENIZERS_BACKEND = {"tokenizer_class": "TokenizersBackend", "chat_template": "x"}


@pytest.fixture
def named(place: Place) -> str:
    """A package whose tokenizer runtimes on transformers 4 do not know."""
    files = {**tiny_model(), "tokenizer_config.json": json.dumps(TOKENIZERS_BACKEND).encode()}
    ran = place.done("add", write_hf_cache(place.home / "hub", "acme/backend", COMMIT, files))
    assert "known issue tokenizers-backend" in ran.err
    place.done("build", "backend")
    return "backend"


def entry(text: str) -> dict[str, object]:
    """The manifest entry that is offered, as TOML reads it."""
    lines = [line.strip() for line in text.splitlines()]
    from_there = lines[lines.index("[[patch]]") :]
    (patch,) = tomllib.loads("\n".join(line for line in from_there if line == "[[patch]]" or " = " in line))["patch"]
    return dict(patch)


def test_check_names_the_issue_of_the_version_that_is_asked_about(place: Place, named: str) -> None:
    old = place.done("check", named, "--gpu", "L4", "--runtime-version", "0.19.0")
    assert "known issue tokenizers-backend, vllm <0.19.1" in old.err
    patch = entry(old.err)
    assert (patch["file"], patch["set"]) == ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    assert "known issue" not in place.done("check", named, "--gpu", "L4", "--runtime-version", "0.19.1").err
    assert "known issue" not in place.done("check", named, "--gpu", "L4").err  # the matrix's own version


def test_check_names_it_where_there_is_no_gpu_to_ask_about(
    place: Place, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "local_gpus", lambda: LocalGpus(gpus=(), note="no driver"))
    old = place.run("check", named, "--runtime", "triton", "--runtime-version", "0.19.0")
    assert (old.code, old.out) == (2, "")
    assert "this machine shows none: no driver\n  warning: known issue tokenizers-backend, vllm <0.19.1" in old.err
    assert entry(old.err)["set"] == {"tokenizer_class": "PreTrainedTokenizerFast"}
    told = place.run("check", named, "--runtime-version", "0.19.0", "--json").document["error"]["message"]
    assert "known issue tokenizers-backend" in told
    assert "known issue" not in place.run("check", named).err  # the matrix's own version


def test_check_offers_the_entry_in_json(place: Place, named: str) -> None:
    arguments = ("--gpu", "L4", "--runtime", "sglang", "--runtime-version", "0.5.9", "--json")
    reasons = place.done("check", named, *arguments).document["reasons"]
    (reason,) = [reason for reason in reasons if "known issue" in reason["text"]]
    assert reason["level"] == "warning"
    assert reason["source"].startswith("https://")
    assert entry(reason["mend"])["when"] == {"tokenizer_class": "TokenizersBackend"}


def test_the_entry_mends_the_package(place: Place, named: str) -> None:
    told = place.done("check", named, "--gpu", "L4", "--runtime-version", "0.19.0", "--json").document["reasons"]
    lines = next(reason["mend"] for reason in told if reason["mend"]).partition("[[patch]]")[2]
    manifest = place.workspace / "models" / "backend.toml"
    manifest.write_text(f"{manifest.read_text()}\n[[patch]]{lines}\n")
    place.done("lock", named)
    assert "known issue" not in place.done("check", named, "--gpu", "L4", "--runtime-version", "0.19.0").err


def test_serve_says_it_before_it_starts_where_there_is_no_gpu(
    place: Place, machine: Machine, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.install_sglang(monkeypatch, "0.5.9")
    ran = place.done("serve", named, "--runtime", "sglang", "--smoke", "--prompt", "x")
    assert "warning: backend-1.0.0+0000000: known issue tokenizers-backend" in ran.err
    assert entry(ran.err)["file"] == "tokenizer_config.json"
    assert "known issue" not in place.done("serve", named, "--runtime", "sglang", "--smoke", "--no-check").err


def test_a_runtime_that_has_not_the_issue_is_not_warned_of(place: Place, machine: Machine, named: str) -> None:
    machine.install("vllm")  # 0.32.0
    assert "known issue" not in place.done("serve", named, "--runtime", "vllm", "--smoke").err


def test_what_no_entry_mends_has_advice(place: Place, machine: Machine, tmp_path: Path) -> None:
    files = {**tiny_model(), "tokenizer_config.json": b'{"eos_token": "x"}'}
    place.done("add", write_hf_cache(place.home / "hub", "acme/tiny-instruct", COMMIT, files))
    place.done("build", "tiny-instruct")
    machine.install("vllm")
    said = place.done("serve", "tiny-instruct", "--runtime", "vllm", "--smoke").err
    assert "known issue no-chat-template" in said
    assert "--chat-template FILE" in said
