"""The builder with the interface of package-hf-models, under real Nix, with this machine's shell for nixpkgs'."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, nix, nix_lines
from tests.end_to_end import Place, new_place
from tests.models import COMMIT, FINGERPRINT, tiny_model, write_flat, write_hf_cache

from hf_pack.runtimes.triton import CONFIG_PBTXT

pytestmark = [
    *NEEDS_NIX,
    pytest.mark.skipif(
        subprocess.run(["sh", "-c", "unshare --mount true"], check=False, capture_output=True).returncode != 0,
        reason="needs mount namespaces",
    ),
]

PKGS = """{
  runCommand = name: attributes: script: derivation (attributes // {
    inherit name; system = builtins.currentSystem; builder = "/bin/bash";
    args = [ "-ec" ("PATH=/usr/bin:/bin\\n" + script + "\\nexit 0") ];
  });
}"""
MODEL = tiny_model(
    shards=2,
    extra={
        "it's $HOME `x`.json": b"{}",
        "1_Pooling/config.json": b"{}",
        "onnx/mödel.onnx": b"onnx",
        "-a.bin": b"\x80\x02}.",
    },
)


@pytest.fixture
def expression(tmp_path: Path) -> str:
    """The start of an expression: the builder as ``mk``."""
    place = new_place(tmp_path / "home")
    place.package(tiny_model(), "tiny")
    place.run("export", "--to", "nix")
    (tmp_path / "pkgs.nix").write_text(PKGS)
    return f"let mk = import {place.workspace}/nix/mkHfModel.nix (import {tmp_path}/pkgs.nix); in mk"


def _arguments(source: Path, **more: str) -> str:
    extra = "".join(f' {key} = "{value}";' for key, value in more.items())
    return (
        '{ pname = "tiny-1.5"; baseVersion = "1.0.2"; buildMeta = { build_version = 3; git_rev_short = "ca88e16"; }; '
        f'srcPath = {source}; tritonModelName = "tiny_1_5"; vllmDefaults = {{ max_model_len = 4096; }};{extra} }}'
    )


def _build(store: Path, expression: str) -> Path:
    mounted = " ".join(path for path in ("/bin", "/usr", "/lib", "/lib64") if Path(path).exists())
    options = ("--no-out-link", "--option", "sandbox-paths", mounted)
    made = nix(store, "-E", expression, *options, program="nix-build").strip()
    assert made.endswith("-tiny-1.5-1.0.2+ca88e16")
    return store / made.removeprefix("/")


def _tree(directory: Path) -> dict[str, bytes]:
    """Path to bytes, links followed."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("snapshot", [COMMIT, FINGERPRINT])
@pytest.mark.parametrize("whole", [True, False])
def test_dual(expression: str, tmp_path: Path, snapshot: str, whole: bool) -> None:
    repo = write_hf_cache(tmp_path / "hub", "acme/Tiny-1.5", snapshot, MODEL)
    (repo / "snapshots" / "another").mkdir()
    source = repo if whole else repo / "snapshots" / snapshot
    store = tmp_path / "store"
    package = _build(store, f"{expression} {_arguments(source, slug='acme--Tiny-1.5', snapshotId=snapshot)}")
    tree = _tree(package)
    hub = f"share/models/hub/models--acme--Tiny-1.5/snapshots/{snapshot}"
    kept = {path: data for path, data in MODEL.items() if path != ".gitattributes"}
    assert tree.pop("share/models/hub/models--acme--Tiny-1.5/refs/main") == snapshot.encode()
    assert tree.pop("share/tiny-1.5/flox-build-version-3") == b"1.0.2+ca88e16\n"
    for directory in ("share/models/tiny_1_5", "share/triton/tiny_1_5"):
        assert tree.pop(f"{directory}/config.pbtxt").decode() == CONFIG_PBTXT
    assert json.loads(tree.pop("share/models/tiny_1_5/model-defaults.json")) == {"max_model_len": 4096}
    assert json.loads(tree.pop("share/triton/tiny_1_5/1/model.json")) == {
        "max_model_len": 4096,
        "model": "acme/Tiny-1.5",
        "revision": snapshot if snapshot == COMMIT else "main",
    }
    weights = package / "share/models/tiny_1_5/weights"
    assert str(weights.readlink()) == f"../hub/models--acme--Tiny-1.5/snapshots/{snapshot}"
    assert tree == {f"{hub}/{path}": data for path, data in kept.items()}


def test_single(expression: str, tmp_path: Path) -> None:
    for source in (
        write_flat(tmp_path / "flat", MODEL),
        write_hf_cache(tmp_path / "hub", "acme/Tiny-1.5", COMMIT, MODEL),
    ):
        package = _build(tmp_path / "store", f"{expression} {_arguments(source)}")
        tree = {path for path in _tree(package) if not path.startswith("share/tiny-1.5/")}
        kept = {f"share/models/tiny_1_5/weights/{path}" for path in MODEL if path != ".gitattributes"}
        assert tree == kept | {"share/models/tiny_1_5/config.pbtxt", "share/models/tiny_1_5/model-defaults.json"}


def test_weights_are_the_objects_that_hf_pack_makes(expression: str, tmp_path: Path) -> None:
    """One copy of each weight, in objects of their own; nothing else of the cache enters the store."""
    place = Place(tmp_path / "home")
    repo = write_hf_cache(tmp_path / "hub", "acme/Tiny-1.5", COMMIT, MODEL)
    (repo / "snapshots" / COMMIT / "onnx/mödel.onnx").rename(repo / "snapshots" / COMMIT / "onnx/mo del.onnx")
    manifest = "\n".join(f'  "{path}",' for path in ("*.safetensors", "*.bin", "onnx/mo del.onnx", "*.json"))
    place.add(repo, "full", layout="dual")
    text = (place.workspace / "models/full.toml").read_text()
    included = text.replace("[source]\n", f"[source]\ninclude = [\n{manifest}\n]\nallow_pickle = true\n")
    (place.workspace / "models/full.toml").write_text(included)
    place.run("lock", "full")
    blobs = place.build("full").references
    store = tmp_path / "store"
    package = _build(store, f"{expression} {_arguments(repo, slug='acme--Tiny-1.5', snapshotId=COMMIT)}")
    found = nix_lines(store, "--query", "--references", f"/{package.relative_to(store)}")
    assert found == sorted(blobs)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"slug": "acme--x"}, "slug and snapshotId go together"),
        ({"snapshotId": COMMIT}, "slug and snapshotId go together"),
        ({"tritonModelName": "hub"}, "is no name for a model"),
    ],
)
def test_what_does_not_go_together_is_said(expression: str, tmp_path: Path, more: dict[str, str], said: str) -> None:
    source = write_flat(tmp_path / "flat", MODEL)
    arguments = _arguments(source, **more)
    if "tritonModelName" in more:
        arguments = arguments.replace('tritonModelName = "tiny_1_5"; ', "")
    told = nix(tmp_path / "store", "-E", f"{expression} {arguments}", program="nix-instantiate", check=False)
    assert said in told
