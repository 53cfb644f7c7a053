"""What the Flox runtimes do with a package in ``$FLOX_ENV/share/models``, restated from their scripts' rules.

Nothing here knows how a package is made: the functions look at a directory as ``vllm-resolve-model``, SGLang's hook and
Triton's set-up do, and say what they would serve.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.end_to_end import LAYOUTS, STORAGES, Built, Place, large_tokenizer, new_place
from tests.models import COMMIT, FINGERPRINT, tiny_model, write_hf_cache

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "tokenizer_config.json")


def activate(packages: list[Path], environment: Path) -> None:
    """Merge packages as an environment's builder does: a directory of one package is a link, of several is made.

    Two packages with one file fail, as they do there.
    """
    environment.mkdir()
    names = {path.name for package in packages for path in package.iterdir()}
    for name in names:
        offering = [package / name for package in packages if (package / name).exists()]
        if len(offering) == 1:
            (environment / name).symlink_to(offering[0])
        else:
            assert all(path.is_dir() for path in offering), f"both packages provide {offering[0].name}"
            activate(offering, environment / name)


def vllm_source(environment: Path, model_id: str) -> Path | None:
    """``vllm-resolve-model``, source ``flox``: the snapshot that it serves offline, by ``HF_HOME=share/models``."""
    repo = environment / "share/models/hub" / f"models--{model_id.replace('/', '--')}"
    if not (repo / "snapshots").is_dir():
        return None
    reference = (repo / "refs/main").read_bytes()
    assert reference == reference.strip(), "the client does not strip refs/main"
    snapshots = list((repo / "snapshots").iterdir())
    # `vllm serve` names no revision, so another snapshot than main would be checked and not served
    assert [path.name for path in snapshots] == [reference.decode()]
    assert_is_model(snapshots[0])
    return snapshots[0]


def assert_is_model(directory: Path) -> None:
    """The test of a model directory: configuration, tokenizer, every shard, no checksum file to hash at each start."""
    json.loads((directory / "config.json").read_bytes())
    assert any((directory / name).is_file() for name in TOKENIZERS)
    assert not (directory / "sha256sums.txt").exists()
    indexes = list(directory.glob("*.index.json"))
    shards = {shard for index in indexes for shard in json.loads(index.read_bytes())["weight_map"].values()}
    weights = {path.name for path in directory.glob("*.safetensors")}
    assert weights and shards <= weights
    for name in weights:
        with (directory / name).open("rb") as file:  # through links into the store
            json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    numbered = [re.fullmatch(r".*-(\d+)-of-(\d+)\.safetensors", name) for name in weights]
    for match in numbered:
        assert match is None or len(weights) == int(match[2])


def sglang_source(environment: Path, model_id: str) -> Path | None:
    """SGLang's hook: the snapshot of ``refs/main``, or a flat directory with a config.json at its top."""
    models = environment / "share/models"
    repo = models / "hub" / f"models--{model_id.replace('/', '--')}"
    if repo.is_dir():
        return repo / "snapshots" / (repo / "refs/main").read_text()
    flat = models / model_id.split("/")[1]
    return flat if (flat / "config.json").is_file() else None


@dataclass(frozen=True)
class TritonModel:
    """One model as assembled: where the engine parameters that Triton reads were written."""

    directory: Path
    engine: dict[str, object]


def triton_models(environment: Path, cache: Path) -> dict[str, TritonModel]:
    """``triton-setup-models`` and ``triton-generate-vllm-config``: links in a cache, and a model.json written there."""
    found = {}
    for source in sorted((environment / "share/models").iterdir()):
        assembled = cache / source.name
        assembled.mkdir(parents=True)
        for part in source.iterdir():
            (assembled / part.name).symlink_to(part.absolute())
        if not (assembled / "model-defaults.json").exists():
            continue
        defaults = json.loads((assembled / "model-defaults.json").read_bytes())
        assert "model" not in defaults
        weights = (assembled / "weights").resolve(strict=True)
        assert_is_model(weights)
        version = assembled / "1"
        assert not version.exists(), "a link into the store could not be written to"
        version.mkdir()
        engine = {**defaults, "model": str(weights)}
        (version / "model.json").write_text(json.dumps(engine))
        assert 'backend: "vllm"' in (assembled / "config.pbtxt").read_text()
        found[source.name] = TritonModel(assembled, engine)
    return found


def marker(environment: Path, pname: str) -> tuple[int, str]:
    """Build version and version, from the marker file."""
    (path,) = (environment / "share" / pname).glob("flox-build-version-*")
    return int(path.name.rpartition("-")[2]), path.read_text().strip()


@pytest.fixture(scope="module", params=STORAGES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A package of each layout, of different models; one has a quantizer's snapshot id and a large tokenizer."""
    place = new_place(tmp_path_factory.mktemp("contract") / "home")
    for number, layout in enumerate(LAYOUTS):
        snapshot = FINGERPRINT if layout == "dual" else COMMIT
        extra = {"tokenizer.json": large_tokenizer()} if layout == "dual" else {}
        files = tiny_model(shards=number + 1, seed=number, extra=extra)
        source = write_hf_cache(place.home / layout, f"acme/m-{layout}", snapshot, files, layout="files")
        place.add(source, f"m.{layout}", layout=layout, storage=request.param)
    return place


@pytest.fixture(scope="module")
def built(place: Place) -> dict[str, Built]:
    return {package.name: package for package in place.build_all()}


@pytest.fixture
def environment(built: dict[str, Built], tmp_path: Path) -> Path:
    """All of them in one environment."""
    activate([Path(package.real_path) for package in built.values()], tmp_path / "env")
    return tmp_path / "env"


def test_vllm_and_sglang_find_what_has_a_hub_cache(environment: Path) -> None:
    for resolve in (vllm_source, sglang_source):
        for layout in ("dual", "hf"):
            found = resolve(environment, f"acme/m-{layout}")
            assert found is not None and found.name == (FINGERPRINT if layout == "dual" else COMMIT)
        assert resolve(environment, "acme/m-single") is None


def test_triton_assembles_and_configures_what_is_for_it(environment: Path, tmp_path: Path) -> None:
    models = triton_models(environment, tmp_path / "cache")
    assert set(models) == {"m_dual", "m_single"}
    for name, model in models.items():
        assert not re.fullmatch(r"hub|.*_(preprocessing|postprocessing|ensemble)", name)
        weights = Path(str(model.engine["model"]))
        assert any((weights / tokenizer).is_file() for tokenizer in TOKENIZERS)  # the OpenAI front end reads it there


def test_a_stock_triton_has_a_repository_of_its_own(environment: Path) -> None:
    repository = environment / "share/triton"
    assert [path.name for path in repository.iterdir()] == ["m_dual"]  # every directory is a model, hub/ is none
    engine = json.loads((repository / "m_dual/1/model.json").read_bytes())
    found = vllm_source(environment, engine["model"])
    assert found is not None and engine["revision"] == "main"  # a fingerprint does not resolve as a revision


def test_markers_and_our_own_files_are_where_nobody_else_looks(environment: Path) -> None:
    for layout in LAYOUTS:
        assert marker(environment, f"m.{layout}") == (1, "1.0.0+0000000")
        assert (environment / f"share/m.{layout}/hf-pack.json").is_file()
    ours = {path.name for path in (environment / "share").iterdir()}
    assert ours == {"models", "triton", *(f"m.{layout}" for layout in LAYOUTS)}


def test_packages_are_read_only_and_hold_nothing_that_leads_out_of_the_store(
    place: Place, built: dict[str, Built]
) -> None:
    store = (place.store / "nix/store").resolve()
    for package in built.values():
        for path in Path(package.real_path).rglob("*"):
            assert path.resolve(strict=True).is_relative_to(store)
            if path.is_symlink():
                assert not path.readlink().is_absolute()
            else:
                assert path.stat().st_mode & 0o222 == 0


def test_two_versions_of_one_model_in_one_environment_collide(
    place: Place, built: dict[str, Built], tmp_path: Path
) -> None:
    first = Path(built["m-hf"].real_path)
    with pytest.raises(AssertionError, match="both packages provide"):
        activate([first, first], tmp_path / "env")
