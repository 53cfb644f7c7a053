"""What only a process of its own shows: the program, pipes, completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Place

PROGRAM = [sys.executable, "-m", "hf_pack"]


def test_the_program_exits_with_the_code_of_the_command(place: Place) -> None:
    place.add()
    done = subprocess.run([*PROGRAM, "plan", "tiny-llm"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("/nix/store/")
    failed = subprocess.run([*PROGRAM, "path", "tiny-llm"], capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (3, "")
    assert failed.stderr.startswith("error: tiny-llm was never built here")


def test_the_installed_command_is_the_program() -> None:
    script = Path(sys.executable).parent / "hf-pack"
    if not script.exists():
        pytest.skip("needs the installed hf-pack command")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [("plan", "tiny-llm"), ("plan", "tiny-llm", "--json"), ("plan", "x", "--json")])
def test_a_closed_pipe_is_no_error(place: Place, arguments: tuple[str, ...]) -> None:
    place.add()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*PROGRAM, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_that_cannot_show_a_character_gets_the_line(place: Place) -> None:
    place.add()
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROGRAM, "plan", "tiny-llm"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "config.pbtxt  609 B" in done.stdout


def test_a_path_that_is_no_text_is_printed_as_it_is(place: Place) -> None:
    place.add()
    store = place.home / os.fsdecode(b"s\xff")
    options = ("tiny-llm", "--store", os.fsencode(store))
    subprocess.run([*PROGRAM, "build", *options], check=True, capture_output=True)
    done = subprocess.run([*PROGRAM, "path", *options], check=True, capture_output=True)
    assert Path(os.fsdecode(done.stdout[:-1])).is_dir() and b"/s\xff/" in done.stdout
    done = subprocess.run([*PROGRAM, "path", *options, "--json"], check=True, capture_output=True)
    assert Path(json.loads(done.stdout)["real_path"]).is_dir()


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_completion_scripts_are_valid(place: Place, shell: str, check: str) -> None:
    script = place.done("completion", shell).out
    assert "hf-pack" in script
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run([shell, check], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def complete(place: Place, line: str) -> list[str]:
    """What the shell is offered at the end of ``line``, by argcomplete's protocol."""
    answer = place.home / "answer"
    answer.write_bytes(b"")
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    return sorted(word.strip() for word in answer.read_text().splitlines() if word)


def test_names_commands_and_options_are_completed(place: Place) -> None:
    place.add()
    place.done("add", place.cache, "--name", "other")
    assert complete(place, "hf-pack bu") == ["build", "bump"]
    for command in ("build", "plan", "show", "path", "lock", "bump", "verify", "diff", "diff other"):
        assert "tiny-llm" in complete(place, f"hf-pack {command} "), command
        assert complete(place, f"hf-pack {command} ti") == ["tiny-llm"], command
    assert "--layout" in complete(place, "hf-pack add x --l")
    assert complete(place, "hf-pack add x --layout ") == ["dual", "hf", "single"]


def test_completion_outside_a_workspace_says_nothing(bare: Place) -> None:
    assert complete(bare, "hf-pack build ti") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_a_name(place: Place) -> None:
    place.add()
    script = place.done("completion", "bash").out
    line = "hf-pack build ti"
    asking = f"""
{script}
COMP_LINE={line!r} COMP_POINT={len(line)} COMP_TYPE=9 COMP_CWORD=2 COMP_WORDS=(hf-pack build ti)
_python_argcomplete hf-pack
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    binaries = str(Path(sys.executable).parent)
    if shutil.which("hf-pack", path=binaries) is None:
        pytest.skip("needs the installed hf-pack command")
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", asking], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["tiny-llm"], "")
