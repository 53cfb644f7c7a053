"""What goes wrong: one message, one hint, one exit code, and nothing half written."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Damage, Place
from tests.models import COMMIT, tiny_model, write_flat

from hf_pack.cli import progress


def test_not_a_workspace(bare: Place) -> None:
    ran = bare.run("build")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "error: no workspace here\n  HOME/workspace: no hf-pack.toml in it or above it\nhint: hf-pack init\n"
    )
    assert bare.run("path", "x").err.startswith("error: 'x' is a name, and there is no workspace here\n")


def test_an_empty_workspace(place: Place) -> None:
    for command in ("build", "lock"):
        ran = place.run(command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("error: the workspace has no package\n  HOME/workspace/models: empty\nhint: ")


def test_an_unknown_name(place: Place) -> None:
    place.add()
    ran = place.run("build", "tiny-lm")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "error: no package is called 'tiny-lm' in this workspace\n"
        "  HOME/workspace/models: has tiny-llm\n"
        "hint: did you mean 'tiny-llm'?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--store", "~no-such-user/store"),
        ("verify", "x", "--signature", "x.sig", "--trusted-key", "~no-such-user/key"),
        ("check", "~no-such-user/model", "--gpu", "L4"),
        ("run", "~no-such-user/model", "--runtime", "vllm", "--print"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_home_of_nobody(place: Place, arguments: tuple[str, ...]) -> None:
    ran = place.run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    where = next(text for text in arguments if text.startswith("~"))
    assert ran.err == f"error: {where}: there is no such user, or no home\nhint: name the path from / on\n"


def test_a_wrong_command_line(place: Place) -> None:
    ran = place.run("plan", "--bogus", "x")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: unrecognized arguments: --bogus\nhint: hf-pack plan --help\n"
    assert place.run("build", "--ofline").err.endswith("hint: did you mean --offline?\n")
    ran = place.run("serve", "tiny-llm", "--max-num-seqs", "4")
    assert ran.err.endswith("hint: what the runtime is told follows --: hf-pack serve NAME -- --max-num-seqs 4\n")
    assert place.run("plan").err.endswith("hint: hf-pack plan --help\n")
    assert place.run("verify", "tiny-llm", "--rep").code == 2  # options are not abbreviated


def test_places_that_are_no_caches(place: Place) -> None:
    ran = place.run("pull", "x", "--from", "file:///not/there")
    assert (ran.code, ran.out) == (2, "") and ran.err.startswith("error: file:///not/there is no directory\n  --from\n")
    ran = place.run("search", "--from", "models")
    assert ran.err.endswith("hint: a directory is file://HOME/workspace/models\n")
    (place.home / "empty").mkdir()
    ran = place.run("pull", "x", "--from", f"file://{place.home}/empty")
    assert ran.err.endswith("lists none of the name\nhint: hf-pack search --from file://HOME/empty\n")
    ran = place.run("pull", "--from", f"file://{place.home}/empty")
    assert ran.err == "error: which package?\nhint: hf-pack search --from file://HOME/empty\n"


def test_a_path_that_no_manifest_can_hold(place: Place) -> None:
    odd = place.home / os.fsdecode(b"m\xff")
    odd.symlink_to(place.cache)
    ran = place.run("add", odd)
    assert (ran.code, ran.out) == (2, "") and ": a manifest is UTF-8, this path is not\n" in ran.err
    assert list((place.workspace / "models").iterdir()) == []


def test_an_archive_is_not_for_a_terminal(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.build()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ran = place.run("export", "tiny-llm", "--to", "tar", "--output", "-")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: an archive is not for a terminal\nhint: --output FILE.tar, or a pipe\n"


def test_a_bad_manifest_says_all_its_problems_and_nothing_is_written(place: Place) -> None:
    place.add()
    place.manifest.write_text(
        'pname = ".x"\nbase_version = "one"\nlayout = "dual"\nextra = 1\n\n[source]\nrepo_id = "a/b/c"\n'
    )
    before = place.files()
    for command in (("lock",), ("build",), ("plan", "tiny-llm"), ("bump", "tiny-llm", "-m", "x")):
        ran = place.run(*command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("error: models/tiny-llm.toml: ")
        for word in ("extra", "pname", "base_version", "triton_model_name", "source.repo_id"):
            assert f"  {word}" in ran.err, word
    assert place.files() == before
    assert "tiny-llm  models/tiny-llm.toml: " in place.done("list").out


def test_a_stale_lock(place: Place) -> None:
    place.add()
    place.manifest.write_text(
        place.manifest.read_text() + '\n[[patch]]\nfile = "config.json"\nset = { a = 1 }\nreason = "r"\n'
    )
    for command in ("build", "plan", "show", "verify"):
        ran = place.run(command, "tiny-llm")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == (
            "error: tiny-llm: the lock is stale\n  patch[0]: new, changes config.json\nhint: hf-pack lock tiny-llm\n"
        )
    check = place.run("lock", "--check")
    assert (check.code, check.out) == (3, "tiny-llm: stale\n  patch[0]: new, changes config.json\n")
    document = place.run("lock", "--check", "--json")
    assert document.code == 3
    assert document.document == [{"name": "tiny-llm", "stale": True, "reasons": ["patch[0]: new, changes config.json"]}]
    place.done("lock")
    place.done("build")


def test_a_missing_lock(place: Place) -> None:
    place.add()
    (place.workspace / "models" / "tiny-llm.lock").unlink()
    assert place.run("build").err == (
        "error: tiny-llm is not locked\n  models/tiny-llm.lock: not there\nhint: hf-pack lock tiny-llm\n"
    )
    assert place.run("lock", "--check").code == 3
    place.done("lock", "--upgrade")
    place.done("build")


def test_a_damaged_store(place: Place, damage: Damage) -> None:
    path = place.build()
    damage(place.real(f"{path}/share/models/tiny_llm/config.pbtxt"))
    ran = place.run("verify", "tiny-llm")
    assert ran.code == 5
    assert ran.out.startswith(f"bad: {path}/share/models/tiny_llm/config.pbtxt: ")
    assert ran.err == "error: 1 problem in 2 store objects\nhint: hf-pack verify tiny-llm --repair\n"
    repaired = place.done("verify", "tiny-llm", "--repair")
    assert repaired.out.startswith(f"repaired: {path}/share/models/tiny_llm/config.pbtxt: ")
    place.done("verify", "tiny-llm")


def test_damage_that_cannot_be_repaired(place: Place, damage: Damage) -> None:
    place.build()
    damage(next((place.store / "nix" / "store").glob("*-model.safetensors")))
    shutil.rmtree(place.cache)
    ran = place.run("verify", "tiny-llm", "--repair")
    assert ran.code == 5
    assert "model.safetensors is not repaired: " in ran.err
    elsewhere = "--from URL, of a cache that has it; or in the workspace of a package that holds it\n"
    assert ran.err.endswith(f"hint: hf-pack verify tiny-llm --repair {elsewhere}")
    ran = place.run("verify", "--all", "--repair")
    assert ran.err.endswith(f"error: 1 problem in 2 store objects\nhint: hf-pack verify --all --repair {elsewhere}")


@pytest.mark.parametrize("how", ["store path", "everything"])
def test_damage_is_repaired_whatever_it_was_named_by(place: Place, damage: Damage, how: str) -> None:
    path = place.build()
    damage(place.real(f"{path}/share/models/tiny_llm/config.pbtxt"))
    damage(next((place.store / "nix" / "store").glob("*-model.safetensors")))
    repaired = place.done("verify", path if how == "store path" else "--all", "--repair")
    assert len(repaired.out.splitlines()) == 2 and all(x.startswith("repaired: ") for x in repaired.out.splitlines())
    place.done("verify", "--all")


def test_repair_needs_a_workspace(place: Place, damage: Damage) -> None:
    path = place.build()
    damage(place.real(f"{path}/share/models/tiny_llm/config.pbtxt"))
    ran = place.run("verify", path, "--repair", "-C", place.home)
    first = "error: repair needs the workspace of the package, or a cache that has it"
    assert (ran.code, ran.err.splitlines()[0]) == (2, first)


def test_a_source_that_changed_since_it_was_locked(place: Place) -> None:
    source = write_flat(place.home / "acme--m", tiny_model())
    place.done("add", source)
    (source / "model.safetensors").write_bytes(tiny_model(seed=3)["model.safetensors"])
    ran = place.run("build", "--store", place.home / "other")
    assert (ran.code, ran.out) == (5, "")
    assert "expected sha256 " in ran.err
    assert not (place.workspace / "result-m").is_symlink()


def test_a_store_that_is_none(place: Place) -> None:
    place.add()
    (place.home / "things").mkdir()
    (place.home / "things" / "letter").write_text("")
    ran = place.run("build", "--store", place.home / "things")
    assert (ran.code, ran.out) == (6, "")
    assert ran.err.startswith("error: not a store, and not empty: HOME/things\n")


def test_pickles_are_refused_by_policy(place: Place) -> None:
    files = {**tiny_model(), "pytorch_model.bin": b"\x80\x02}."}
    del files["model.safetensors"]
    source = write_flat(place.home / "acme--m", files)
    ran = place.run("add", source)
    assert (ran.code, ran.out) == (8, "")
    assert place.files() == []
    place.done("add", source, "--allow-pickle")


def test_a_name_that_is_taken(place: Place) -> None:
    place.add()
    ran = place.run("add", place.cache)
    assert ran.code == 2
    assert ran.err.startswith("error: a package of this name is there already\n  models/tiny-llm.toml: exists\n")


def test_names_against_the_rules(place: Place) -> None:
    ran = place.run("add", place.cache, "--name", "my model", "--triton-name", "hub")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: the model cannot be added under these names\n  pname: ")
    assert "  triton_model_name: " in ran.err
    assert place.files() == []


def test_init_twice(place: Place) -> None:
    ran = place.run("init")
    assert (ran.code, ran.err) == (2, "error: HOME/workspace is a workspace already\nhint: hf-pack add SOURCE\n")


@pytest.mark.parametrize("method", ["start", "advance"])
def test_an_interrupt_leaves_the_workspace_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(progress.TerminalProgress, method, interrupt)
        ran = place.run("add", place.cache)
    assert (ran.code, ran.out, ran.err) == (130, "", "interrupted; run the same command again to go on\n")
    assert place.files() == []
    place.add()
    path = place.done("build").out
    with monkeypatch.context() as patched:
        patched.setattr(progress.TerminalProgress, method, interrupt)
        assert place.run("build", "--store", place.home / "other").code == 130
    assert place.done("build").out == path
    place.done("verify", "tiny-llm")


def test_the_working_directory_is_as_before(place: Place) -> None:
    place.run("list", "-C", place.home)
    assert Path.cwd() == place.workspace
    place.run("plan", "gone", "-C", place.home)
    assert Path.cwd() == place.workspace


def test_an_error_has_no_traceback_and_no_data(place: Place) -> None:
    place.add()
    for words in ("plan x", "verify x", "diff x y", f"diff tiny-llm x@{COMMIT}", "show a/b"):
        ran = place.run(*words.split())
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("error: ") and "\nhint: " in ran.err


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--tp", ("-1", "0", "100000000", "two")),
        ("--concurrency", ("-3", "0", "1.5")),
        ("--max-model-len", ("-7", "0", "8k")),
        ("--memory-fraction", ("nan", "inf", "-1", "0", "7", "most")),
    ],
)
def test_numbers_that_no_check_is_made_with(bare: Place, option: str, values: tuple[str, ...]) -> None:
    for value in values:
        ran = bare.run("check", "some/model", "--gpu", "L4", f"{option}={value}")
        assert (ran.code, ran.out) == (2, "")
        assert f"argument {option}: expected a " in ran.err and repr(value) in ran.err
