"""Every command on its happy path: stdout, stderr and exit code as they are."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.cli.conftest import Place
from tests.models import COMMIT, OTHER_COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.cli.main import COMMAND_NAMES, main

TREE = f"{'x' * 32}-tiny-llm-1.0.0+0000000"

ADD = f"""\
tiny-llm: 7 files, 2.5 KiB, from acme/tiny-llm at {COMMIT[:12]} (commit), layout dual
  left out .gitattributes: hidden file
wrote models/tiny-llm.toml, models/tiny-llm.lock, build-meta/tiny-llm.json
next: look at models/tiny-llm.toml, then hf-pack build tiny-llm
"""

PLAN = f"""\
/nix/store/{TREE}
└── share/
    ├── models/
    │   ├── hub/models--acme--tiny-llm/
    │   │   ├── refs/
    │   │   │   └── main  40 B
    │   │   └── snapshots/{COMMIT}/
    │   │       ├── LICENSE  101 B
    │   │       ├── README.md  82 B
    │   │       ├── config.json  260 B
    │   │       ├── generation_config.json  67 B
    │   │       ├── model.safetensors -> blob qpyhlc27…  1.3 KiB
    │   │       ├── tokenizer.json  655 B
    │   │       └── tokenizer_config.json  88 B
    │   └── tiny_llm/
    │       ├── config.pbtxt  609 B
    │       ├── model-defaults.json  45 B
    │       └── weights -> ../hub/models--acme--tiny-llm/snapshots/{COMMIT}
    ├── tiny-llm/
    │   ├── flox-build-version-1  14 B
    │   └── hf-pack.json  1.3 KiB
    └── triton/tiny_llm/
        ├── 1/
        │   └── model.json  131 B
        └── config.pbtxt  609 B
15 entries, NAR 9.0 KiB; closure 10.4 KiB in 2 store objects
weights: 1 blob, 1 here already; to fetch 0 B; a build needs 3.9 KiB of disk
source: acme/tiny-llm at {COMMIT[:12]}, licence Apache-2.0
"""

SHOW = f"""\
package         tiny-llm 1.0.0+0000000 (build 1)
changelog       Initial package.
store path      /nix/store/{TREE}
layout          dual, linked
source          acme/tiny-llm at {COMMIT} (commit)
licence         Apache-2.0
model           LlamaForCausalLM
parameters      456
dtype           BF16 912 B
quantization    none
context length  64 tokens
engine          dtype=auto, max_model_len=64

LICENSE                   101 B  e49065551eda5700…
README.md                  82 B  f3947141f4bcca6f…
config.json               260 B  9e65ac9064de913a…
generation_config.json     67 B  613d6e64edf7700f…
model.safetensors       1.3 KiB  25651c55edd557a4…
tokenizer.json            655 B  b58032a737f8283b…
tokenizer_config.json      88 B  8553c2e4b6ed3dc6…
"""

SHOW_STORED = f"""\
store path      /nix/store/{TREE}
repo id         acme/tiny-llm
snapshot id     {COMMIT}
licence         Apache-2.0
model           LlamaForCausalLM
parameters      456
dtype           BF16 912 B
quantization    none
context length  64 tokens
engine          vllm: dtype=auto, max_model_len=64
size            2.5 KiB
  LICENSE                   101 B
  README.md                  82 B
  config.json               260 B
  generation_config.json     67 B
  model.safetensors       1.3 KiB
  tokenizer.json            655 B
  tokenizer_config.json      88 B
"""

BLOB = "/nix/store/qpyhlc272ji48y1rikjyjy83jimn9s2x-model.safetensors"


def plain(text: str) -> str:
    """The digest of the tree and times written as x."""
    text = re.sub(r"/nix/store/[0-9a-z]{32}-tiny-llm-", f"/nix/store/{'x' * 32}-tiny-llm-", text)
    return re.sub(r"in [0-9.]+ s;", "in x s;", text)


def test_init(bare: Place) -> None:
    ran = bare.done("init")
    assert (ran.out, ran.err) == (
        "",
        "made a workspace in HOME/workspace\n"
        "next: hf-pack add ORG/NAME, a model on the Hub; or the path of one on disk\n",
    )
    assert (bare.workspace / "hf-pack.toml").is_file()
    assert bare.done("init", "inner").err.startswith("made a workspace in HOME/workspace/inner\n")


def test_add(place: Place) -> None:
    ran = place.done("add", place.cache)
    assert (ran.out, ran.err) == ("", ADD)


def test_a_path_is_written_as_it_was_given(place: Place) -> None:
    place.done("add", "../hub/models--acme--tiny-llm")
    place.done("add", place.cache, "--name", "absolute")
    place.done("add", "~/hub/models--acme--tiny-llm", "--name", "home")
    (place.workspace / "inner").mkdir()
    place.done("add", "-C", "inner", "../../hub/models--acme--tiny-llm", "--name", "inner")
    written = {
        name: re.search('path = "(.*)"', (place.workspace / "models" / f"{name}.toml").read_text())[1]  # type: ignore[index]
        for name in ("tiny-llm", "absolute", "home", "inner")
    }
    assert written == {
        "tiny-llm": "../hub/models--acme--tiny-llm",
        "absolute": str(place.cache),
        "home": "~/hub/models--acme--tiny-llm",
        "inner": "../hub/models--acme--tiny-llm",
    }
    assert len(set(place.done("build").out.splitlines())) == 4


def test_every_option_of_add_reaches_the_manifest(place: Place) -> None:
    write_hf_cache(place.home / "hub", REPO_ID, OTHER_COMMIT, tiny_model(seed=9))
    options = ("--name", "x.y", "--layout", "single", "--triton-name", "tt", "--storage", "self-contained")
    place.done("add", place.cache, *options, "--revision", COMMIT)
    shown = place.done("show", "x.y", "--json").document
    assert (shown["pname"], shown["layout"], shown["triton_model_name"]) == ("x.y", "single", "tt")
    assert (shown["storage"], shown["snapshot_id"], shown["store_path"]) == ("self-contained", COMMIT, None)


def test_plan(place: Place) -> None:
    place.add()
    ran = place.done("plan", "tiny-llm")
    assert plain(ran.out).splitlines() == PLAN.splitlines()
    assert ran.err == ""


def test_plan_of_a_self_contained_package(place: Place) -> None:
    place.done("add", place.cache, "--storage", "self-contained", "--layout", "hf")
    first = "tiny-llm-1.0.0+0000000 (self-contained: its store path is known after the first build)"
    assert place.done("plan", "tiny-llm").out.splitlines()[0] == first
    path = place.done("build").out
    assert place.done("plan", "tiny-llm").out.splitlines()[0] + "\n" == path


def test_build(place: Place) -> None:
    place.add()
    ran = place.done("build", "tiny-llm")
    assert plain(ran.out) == f"/nix/store/{TREE}\n"
    assert plain(ran.err) == (
        f"tiny-llm: read 0 B, wrote 3.9 KiB in x s; result-tiny-llm -> HOME/store/nix/store/{TREE}\n"
    )
    again = place.done("build")
    assert again.out == ran.out
    assert "read 0 B, wrote 0 B" in again.err


def test_a_dry_run_says_what_a_build_would_do_and_does_nothing(place: Place) -> None:
    place.add()
    ran = place.done("build", "--dry-run")
    first, *totals = plain(ran.out).splitlines()
    assert first == f"/nix/store/{TREE}"
    assert totals == PLAN.splitlines()[-len(totals) :]
    other = place.done("build", "--dry-run", "--json", "--store", place.home / "other").document
    assert [blob["present"] for blob in other[0]["blobs"]] == [False]
    assert not (place.home / "other").exists()
    assert not (place.workspace / "result-tiny-llm").is_symlink()


def test_list(place: Place) -> None:
    empty = place.done("list")
    assert (empty.out, empty.err) == ("", "no packages here; hf-pack add ORG/NAME makes one\n")
    place.add()
    assert place.done("list").out == "tiny-llm  tiny-llm-1.0.0+0000000  dual  linked  locked\n"
    place.done("build")
    assert plain(place.done("list").out) == (
        f"tiny-llm  tiny-llm-1.0.0+0000000  dual  linked  built  9.0 KiB  /nix/store/{TREE}\n"
    )
    assert plain(place.done("list", "-C", place.home).out) == (
        f"(store)  tiny-llm-1.0.0+0000000    linked  built  9.0 KiB  /nix/store/{TREE}\n"
    )


def test_show(place: Place) -> None:
    path = place.build()
    assert plain(place.done("show", "tiny-llm").out) == SHOW
    for name in (path, "tiny-llm@1.0.0+0000000"):
        assert plain(place.done("show", name).out) == SHOW_STORED


def test_path(place: Place) -> None:
    path = place.build()
    for name in ("tiny-llm", path, "tiny-llm@1.0.0+0000000"):
        ran = place.done("path", name)
        assert (ran.out, ran.err) == (f"HOME/store{path}\n", "")


def test_verify(place: Place) -> None:
    path = place.build()
    for name in ("tiny-llm", path, "tiny-llm@1.0.0+0000000"):
        ran = place.done("verify", name)
        assert (ran.out, ran.err) == ("", "2 store objects verified, all bytes are what they must be\n")


def test_diff(place: Place) -> None:
    place.add()
    same = place.done("diff", "tiny-llm", "tiny-llm")
    assert (same.out, same.err) == ("", "the same files on both sides\n")
    write_hf_cache(place.home / "hub", REPO_ID, OTHER_COMMIT, tiny_model(seed=9, config={"vocab_size": 33, "n": None}))
    place.done("add", place.cache, "--name", "other", "--revision", OTHER_COMMIT)
    ran = place.done("diff", "tiny-llm", "other")
    assert ran.err == ""
    assert (
        ran.out
        == """\
~ config.json  260 B -> 273 B
    + n: null
    ~ vocab_size: 32 -> 33
~ model.safetensors  1.3 KiB
~ tensor model.embed_tokens.weight: content BF16 [32, 8] -> BF16 [32, 8]
~ tensor model.layers.0.mlp.down_proj.weight: content BF16 [8, 16] -> BF16 [8, 16]
~ tensor model.layers.0.self_attn.q_proj.weight: content BF16 [8, 8] -> BF16 [8, 8]
~ tensor model.norm.weight: content BF16 [8] -> BF16 [8]
"""
    )


def test_diff_of_lock_files_and_git_revisions(place: Place) -> None:
    place.add()
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    place.manifest.write_text(
        place.manifest.read_text() + '\n[[patch]]\nfile = "config.json"\nset = { vocab_size = 40 }\nreason = "r"\n'
    )
    place.done("lock")
    expected = "~ config.json  260 B\n    ~ vocab_size: 32 -> 40\n"
    assert place.done("diff", "tiny-llm@HEAD", "tiny-llm").out == expected
    (place.home / "old").mkdir()
    for path in ("tiny-llm.lock", "tiny-llm.files/config.json"):
        contents = subprocess.run(["git", "show", f"HEAD:models/{path}"], check=True, capture_output=True).stdout
        (place.home / "old" / path).parent.mkdir(exist_ok=True)
        (place.home / "old" / path).write_bytes(contents)
    assert place.done("diff", "../old/tiny-llm.lock", "models/tiny-llm.lock").out == expected
    assert place.done("diff", "-C", place.home, "old/tiny-llm.lock", "workspace/models/tiny-llm.lock").out == expected
    gone = place.run("diff", "tiny-llm@nowhere", "tiny-llm")
    assert (gone.code, gone.err) == (
        2,
        "error: git has no models/tiny-llm.lock at nowhere\nhint: git log -- models/tiny-llm.lock\n",
    )
    assert place.run("diff", "gone.lock", "tiny-llm").err.startswith("error: gone.lock: No such file")
    (place.home / "bad.lock").write_text("{")
    assert place.run("diff", place.home / "bad.lock", "tiny-llm").code == 3


def test_lock(place: Place) -> None:
    place.add()
    ran = place.done("lock")
    assert (ran.out, ran.err) == ("", "tiny-llm: locked 7 files, 2.5 KiB\n")
    fresh = place.done("lock", "--check")
    assert (fresh.out, fresh.err) == ("tiny-llm: fresh\n", "")
    upgrade = place.done("lock", "--upgrade")
    assert upgrade.err == "tiny-llm: is of this layout version already\n"


def test_bump(place: Place) -> None:
    place.add()
    ran = place.done("bump", "tiny-llm", "-m", "Second.")
    assert (ran.out, ran.err) == ("1.0.1+0000000\n", "build 2; next: hf-pack build tiny-llm\n")
    assert place.done("lock", "--check").out == "tiny-llm: fresh\n"


def test_gc_and_roots(place: Place) -> None:
    path = place.build()
    assert place.done("roots").out.splitlines() == [
        f"{path}  HOME/workspace/result-tiny-llm",
        f"{BLOB}  HOME/workspace/models/tiny-llm.lock",
    ]
    nothing = place.done("gc", "--dry-run")
    assert (nothing.out, nothing.err) == ("", "0 store objects would be deleted, 0 B; 2 kept\n")
    (place.workspace / "result-tiny-llm").unlink()
    preview = place.done("gc", "--dry-run")
    assert preview.out == f"{path}\n"
    assert re.fullmatch(r"1 store object would be deleted, [0-9.]+ KiB; 1 kept\n", preview.err)
    assert place.done("gc").out == f"{path}\n"
    assert not place.real(path).exists()


def test_the_version(place: Place) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", place.done("--version").out)


def test_no_command_shows_the_help(place: Place) -> None:
    ran = place.done()
    assert ran.out.startswith("usage: hf-pack")
    assert "start here:" in ran.out and "exit codes:" in ran.out


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_every_command_has_help_with_examples_and_exit_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: hf-pack {name}" in out
    examples = out.split("examples:\n")[1].split("\n\nexit codes:")[0].splitlines()
    assert examples and all("hf-pack" in line for line in examples)
    assert "130 interrupted" in out
    assert "--json" in out


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_the_summary_of_a_command_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert re.search(rf"^    {name}\s+\S", capsys.readouterr().out, re.MULTILINE)


def test_relative_paths_of_options_are_seen_from_minus_c(place: Place) -> None:
    place.add()
    path = place.done("build", "--store", "own").out.strip()
    assert (place.workspace / "own" / path.removeprefix("/")).is_dir()
    assert place.done("path", "tiny-llm", "-C", place.workspace, "--store", "own").out == f"HOME/workspace/own{path}\n"
    store = f"local?root={place.workspace / 'own'}"
    assert place.done("path", "tiny-llm", "--store", store).out == f"HOME/workspace/own{path}\n"


def test_warnings_and_notes_are_talk(place: Place) -> None:
    first = place.build()
    place.manifest.write_text(place.manifest.read_text().replace("max_model_len = 64", "max_model_len = 32"))
    ran = place.done("build")
    assert ran.out.strip() != first
    assert f"warning: tiny-llm-1.0.0+0000000 names a second content: {first}" in ran.err
