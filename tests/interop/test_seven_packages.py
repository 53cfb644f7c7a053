"""The packages of examples/package-hf-models, with synthetic weights, against what the original builder makes.

The original builder is restated here from its documentation: where it puts which files, what it generates, what it
drops. Every difference from its tree is listed with its reason, and there are no others.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_stores import nix
from tests.end_to_end import ROOT, Built, Place
from tests.models import APACHE, README, as_json, safetensors, shard_index, tiny_model, write_hf_cache

EXAMPLES = ROOT / "examples" / "package-hf-models"
DEFAULTS: Mapping[str, object] = {
    "gpu_memory_utilization": 0.85,
    "max_model_len": 4096,
    "enable_log_requests": False,
    "dtype": "auto",
}


@dataclass(frozen=True, kw_only=True)
class Original:
    """One package as its own repository has it: the arguments of its builder. ``slug`` None is the single layout."""

    pname: str
    version: str
    build: int
    slug: str
    snapshot: str
    layout: str
    triton: str | None = None
    defaults: Mapping[str, object] | None = None


TORCHAO_PHI = ("microsoft--Phi-4-mini-instruct-FP8-TORCHAO", "b63ecd840bb9835f35e6d884d47810c4deec89dc")
ORIGINALS = {
    "phi-4-mini-instruct-fp8-hf": Original(
        pname="phi-4-mini-instruct-fp8-hf",
        version="1.0.2+ca88e16",
        build=1,
        slug="pytorch--Phi-4-mini-instruct-FP8",
        snapshot="794ed9e467db7b7f533b55c9f05e7693c7db34b4",
        layout="single",
        triton="phi4_mini_instruct_fp8_hf",
        defaults=DEFAULTS,
    ),
    "phi-4-mini-instruct-fp8-torchao": Original(
        pname="phi-4-mini-instruct-fp8-torchao",
        version="1.0.0+ca88e16",
        build=1,
        slug=TORCHAO_PHI[0],
        snapshot=TORCHAO_PHI[1],
        layout="single",
        triton="phi4_mini_instruct_fp8",
        defaults=DEFAULTS,
    ),
    "phi-4-mini-instruct-fp8-sglang": Original(
        pname="phi-4-mini-instruct-fp8-sglang",
        version="1.0.0+d4e19de",
        build=2,
        slug=TORCHAO_PHI[0],
        snapshot=TORCHAO_PHI[1],
        layout="hf",
    ),
    "vllm-phi-3-5-mini-instruct-awq": Original(
        pname="vllm-phi-3.5-mini-instruct-awq",
        version="1.0.1+d6c46be",
        build=1,
        slug="microsoft--Phi-3.5-mini-instruct-AWQ",
        snapshot="d9795a43c4d5249522df7902d274d170c8b7ae6e96eb5c9dfb15f1760b287a17",
        layout="dual",
        triton="phi3_5_mini_instruct_awq",
        defaults={**DEFAULTS, "dtype": "float16", "quantization": "awq"},
    ),
    "vllm-qwen3-5-2b": Original(
        pname="vllm-qwen3.5-2b",
        version="1.0.0+ca88e16",
        build=2,
        slug="Qwen--Qwen3.5-2B",
        snapshot="15852e8c16360a2fea060d615a32b45270f8a8fc",
        layout="dual",
        triton="qwen3_5_2b",
        defaults={**DEFAULTS, "trust_remote_code": True},
    ),
    "vllm-qwen3-5-4b-fp8": Original(
        pname="vllm-qwen3.5-4b-fp8",
        version="1.0.0+ca88e16",
        build=1,
        slug="Qwen--Qwen3.5-4B-FP8-TORCHAO",
        snapshot="cbd334b0c03d4ef0e42ba39772bad7dd86ddfb3d",
        layout="single",
        triton="qwen3_5_4b_fp8",
        defaults=DEFAULTS,
    ),
    "vllm-smollm3-3b-fp8": Original(
        pname="vllm-smollm3-3b-fp8",
        version="1.0.0+ca88e16",
        build=1,
        slug="HuggingFaceTB--SmolLM3-3B-FP8-TORCHAO",
        snapshot="7e79e7b04e4b2f58d723291c3016f22b26ab177c",
        layout="single",
        triton="smollm3_3b_fp8",
        defaults=DEFAULTS,
    ),
}

#: A quantizer's records: they are in its output, and hold times and paths of one machine.
RECORDS = {"FINGERPRINT.json", "awq_quantize_meta.json", "quantize_meta.json"}


def _model(slug: str) -> dict[str, bytes]:
    """Files of the right names and structure: shards, quantized as its name says, the tokenizer class at fault."""
    seed = len(slug)
    tokenizer = {"tokenizer_class": "TokenizersBackend", "chat_template": "{{ messages }}"}
    files = tiny_model(
        shards=2,
        seed=seed,
        config={"max_position_embeddings": 4096},  # what the manifests ask for
        extra={"tokenizer_config.json": as_json(tokenizer)},
    )
    if "FP8" in slug:
        config = json.loads(files["config.json"])
        weights = {name for name in files if name.endswith(".safetensors")}
        for number, name in enumerate(sorted(weights)):
            layer = f"model.layers.{number}.mlp.down_proj"
            tensors = {f"{layer}.weight": ("F8_E4M3", (8, 16)), f"{layer}.weight_scale": ("F32", (8, 1))}
            files[name] = safetensors(tensors, seed=seed + number)
        files["model.safetensors.index.json"] = shard_index(
            {
                f"model.layers.{number}.mlp.down_proj.{tensor}": name
                for number, name in enumerate(sorted(weights))
                for tensor in ("weight", "weight_scale")
            }
        )
        if "TORCHAO" in slug:  # at the top level, where no runtime looks
            config |= {"quant_method": "torchao", "quant_type": "float8_weight_only"}
            files["quantize_meta.json"] = as_json({"source": "/mnt/models/a", "created": "2026-03-12T00:00:00Z"})
        else:
            config["quantization_config"] = {"quant_method": "torchao", "quant_type": {"default": {}}}
        files["config.json"] = as_json(config)
    if "AWQ" in slug:
        config = {
            "max_position_embeddings": 4096,
            "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
        }
        files = tiny_model(dtype="F16", seed=seed, config=config)
        files["FINGERPRINT.json"] = as_json({"tool": "awq", "bits": 4})
        files["awq_quantize_meta.json"] = as_json({"duration_seconds": 12.5})
    return {**files, "LICENSE": APACHE, "README.md": README}


def _original_tree(original: Original, files: Mapping[str, bytes]) -> dict[str, bytes | str]:
    """What the original builder makes: path to bytes, or to a link's target (text).

    ``cp -rL`` of a glob, so nothing that begins with a dot; README.md and LICENSE are removed from a snapshot, not
    from ``weights/``; the marker holds the version.
    """
    tree: dict[str, bytes | str] = {
        f"share/{original.pname}/flox-build-version-{original.build}": original.version.encode()
    }
    copied = {path: contents for path, contents in files.items() if not path.startswith(".")}
    if original.layout != "single":
        hub = f"share/models/hub/models--{original.slug}"
        tree[f"{hub}/refs/main"] = original.snapshot.encode()
        snapshot = {path: data for path, data in copied.items() if path not in ("LICENSE", "README.md")}
        if original.layout == "hf":  # its own derivation: jq over the one file
            tokenizer = json.loads(snapshot["tokenizer_config.json"])
            tokenizer["tokenizer_class"] = "PreTrainedTokenizerFast"
            snapshot["tokenizer_config.json"] = as_json(tokenizer)
        tree |= {f"{hub}/snapshots/{original.snapshot}/{path}": data for path, data in snapshot.items()}
    if original.triton is not None:
        model = f"share/models/{original.triton}"
        tree[f"{model}/config.pbtxt"] = b""  # compared by its settings, below
        tree[f"{model}/model-defaults.json"] = json.dumps(original.defaults).encode()
        if original.layout == "single":
            tree |= {f"{model}/weights/{path}": data for path, data in copied.items()}
        else:
            tree[f"{model}/weights"] = f"../hub/models--{original.slug}/snapshots/{original.snapshot}"
    return tree


def _tree(directory: Path) -> dict[str, bytes | str]:
    """A built package: links out of it are files, as every reader sees them."""
    found: dict[str, bytes | str] = {}
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() and path.resolve().is_relative_to(directory):
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def _expected_differences(original: Original, files: Mapping[str, bytes]) -> dict[str, str]:
    """Path to what is said of it: ``added``, ``left out``, ``other white space``."""
    expected = {
        f"share/{original.pname}/hf-pack.json": "added: provenance",
        f"share/{original.pname}/flox-build-version-{original.build}": "white space: a newline at the end",
    }
    snapshot = f"share/models/hub/models--{original.slug}/snapshots/{original.snapshot}"
    place = f"share/models/{original.triton}/weights" if original.layout == "single" else snapshot
    expected |= {f"{place}/{name}": "left out: a quantizer's record" for name in RECORDS & set(files)}
    if original.layout != "single":
        expected |= {f"{place}/{name}": "added: licences ask for it" for name in ("LICENSE", "README.md")}
    if original.triton is not None:
        expected[f"share/models/{original.triton}/model-defaults.json"] = "white space: indented, keys sorted"
        expected[f"share/models/{original.triton}/config.pbtxt"] = "white space: settings compared below"
    if original.layout == "dual":
        for name in ("config.pbtxt", "1/model.json"):
            expected[f"share/triton/{original.triton}/{name}"] = "added: a repository that stock Triton starts"
    return expected


def _differences(ours: Mapping[str, bytes | str], theirs: Mapping[str, bytes | str]) -> dict[str, str]:
    found = dict.fromkeys(set(ours) - set(theirs), "added") | dict.fromkeys(set(theirs) - set(ours), "left out")
    changed = {path for path in set(ours) & set(theirs) if ours[path] != theirs[path]}
    for path in changed:
        assert isinstance(ours[path], bytes) and isinstance(theirs[path], bytes), path
        same = _words(path, ours[path]) == _words(path, theirs[path]) or path.endswith("config.pbtxt")
        found[path] = "white space" if same else "other contents"
    return found


def _words(path: str, contents: bytes | str) -> Any:
    return json.loads(contents) if path.endswith(".json") else contents.strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The example as a workspace with its sources in place; the Hub's models lie on disk here."""
    place = Place(tmp_path_factory.mktemp("seven"))
    shutil.copytree(EXAMPLES, place.workspace)
    for slug, snapshot in {(original.slug, original.snapshot) for original in ORIGINALS.values()}:
        write_hf_cache(place.workspace / "sources/hub", slug.replace("--", "/"), snapshot, _model(slug), layout="files")
    for name, original in ORIGINALS.items():
        manifest = place.workspace / "models" / f"{name}.toml"
        text = manifest.read_text()
        if "repo_id" in text:
            assert f'repo_id = "{original.slug.replace("--", "/")}"\nrevision = "{original.snapshot}"\n' in text
            text = re.sub(r"repo_id = .*\nrevision = .*\n", f'path = "sources/hub/models--{original.slug}"\n', text)
            manifest.write_text(text)
    place.run("lock")
    return place


@pytest.fixture(scope="module")
def built(place: Place) -> dict[str, Built]:
    return {package.name: package for package in place.build_all()}


def test_all_seven_are_there(built: dict[str, Built]) -> None:
    assert set(built) == set(ORIGINALS)


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_tree_is_the_original_builders_but_for_what_is_listed(built: dict[str, Built], name: str) -> None:
    original, package = ORIGINALS[name], built[name]
    assert package.store_path[44:] == f"{original.pname}-{original.version}"
    files = _model(original.slug)
    ours, theirs = _tree(Path(package.real_path)), _original_tree(original, files)
    expected = _expected_differences(original, files)
    assert _differences(ours, theirs) == {path: reason.partition(":")[0] for path, reason in expected.items()}


@pytest.mark.parametrize("name", [name for name, original in ORIGINALS.items() if original.triton])
def test_tritons_configuration_has_the_originals_settings(built: dict[str, Built], name: str) -> None:
    tree = _tree(Path(built[name].real_path))
    text = tree[f"share/models/{ORIGINALS[name].triton}/config.pbtxt"]
    assert isinstance(text, bytes)
    words = " ".join(text.decode().split())
    assert 'backend: "vllm"' in words and "decoupled: true" in words
    assert "instance_group [ { count: 1 kind: KIND_MODEL } ]" in words
    tensors = re.findall(r'name: "(\w+)" data_type: (\w+) dims: \[ -?1 \]( optional: true)?', words)
    assert tensors == [
        ("text_input", "TYPE_STRING", ""),
        ("stream", "TYPE_BOOL", " optional: true"),
        ("sampling_parameters", "TYPE_STRING", " optional: true"),
        ("exclude_input_in_output", "TYPE_BOOL", " optional: true"),
        ("text_output", "TYPE_STRING", ""),
    ]
    assert not re.search(r'^(name|image):|model"', text.decode(), re.MULTILINE)


def test_the_patched_variant_shares_every_weight_byte(place: Place, built: dict[str, Built]) -> None:
    torchao, sglang = built["phi-4-mini-instruct-fp8-torchao"], built["phi-4-mini-instruct-fp8-sglang"]
    assert torchao.references and torchao.references == sglang.references
    assert sglang.nar_size < 100_000
    tree = _tree(Path(sglang.real_path))
    (path,) = (path for path in tree if path.endswith("/tokenizer_config.json"))
    theirs = _model(TORCHAO_PHI[0])["tokenizer_config.json"]
    assert tree[path] == theirs.replace(b"TokenizersBackend", b"PreTrainedTokenizerFast")
    again = place.build("phi-4-mini-instruct-fp8-sglang")
    assert (again.bytes_read, again.bytes_written) == (0, 0)


@pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="needs nix-instantiate")
def test_nix_and_flox_have_all_seven(place: Place, built: dict[str, Built], tmp_path: Path) -> None:
    for target in ("nix", "flox"):
        place.run("export", *ORIGINALS, "--to", target)
    targets = {path.name for path in (place.workspace / ".flox/pkgs").iterdir()}
    assert targets == {f"{name}.nix" for name in ORIGINALS}
    packages = f"(import {place.workspace}/nix)"
    flox = f'builtins.mapAttrs (n: _: import ({place.workspace}/.flox/pkgs + "/${{n}}.nix") {{ pkgs = null; }}) p'
    facts = "n: x: [ x.pname x.version x.outPath f.${n}.outPath ]"
    expression = f"let p = {packages}; f = {flox}; in builtins.mapAttrs ({facts}) p"
    said = nix(tmp_path / "store", "--eval", "--strict", "--json", "-E", expression, program="nix-instantiate")
    found = json.loads(said)
    assert {name: tuple(row[:2]) for name, row in found.items()} == {
        name: (original.pname, original.version) for name, original in ORIGINALS.items()
    }
    for name, (_, _, ours, theirs) in found.items():
        assert ours == theirs and ours[44:] == built[name].store_path[44:]


@pytest.mark.parametrize(
    "name", [name for name, original in ORIGINALS.items() if original.triton and "TORCHAO" in original.slug]
)
def test_the_patch_in_the_comments_mends_the_quantizers_fault(place: Place, built: dict[str, Built], name: str) -> None:
    text = (place.workspace / "models" / f"{name}.toml").read_text()
    patch = text[text.index("# [[patch]]") :]
    variant = place.workspace / "models" / "mended.toml"
    variant.write_text(text[: text.index("# [[patch]]")] + re.sub("^# ?", "", patch, flags=re.MULTILINE))
    shutil.copyfile(place.workspace / f"build-meta/{name}.json", place.workspace / "build-meta/mended.json")
    place.run("lock", "mended")
    mended = place.build("mended")
    assert mended.references == built[name].references
    (config,) = (
        json.loads(data) for path, data in _tree(Path(mended.real_path)).items() if path.endswith("weights/config.json")
    )
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    assert "quant_method" not in config and "quant_type" not in config
