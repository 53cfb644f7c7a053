from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import COMMIT, REPO_ID, gguf, safetensors, tiny_model, write_flat, write_hf_cache, write_local_dir

from hf_pack.errors import IntegrityError, PolicyError, SourceError, StoreError, UsageError
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.manifest import Layout, PathSource, Storage
from hf_pack.steps.locking.propose import Wishes, local_repo_id

ENCODER = {"architectures": ["BertModel"], "model_type": "bert"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return new_bench(tmp_path)


def flat(bench: Bench, name: str = "acme--tiny-llm", **parts: object) -> Path:
    return write_flat(bench.home / name, tiny_model(**parts))  # type: ignore[arg-type]


def test_a_causal_model_gets_the_dual_layout_and_engine_defaults(bench: Bench) -> None:
    cache = write_hf_cache(bench.home / "hub", REPO_ID, COMMIT, tiny_model())
    added = bench.add(cache)
    manifest = added.manifest
    assert (manifest.name, manifest.pname, manifest.base_version) == ("tiny-llm", "tiny-llm", "1.0.0")
    assert (manifest.layout, manifest.storage, manifest.triton_model_name) == (Layout.DUAL, Storage.LINKED, "tiny_llm")
    assert manifest.source == PathSource(path=str(cache), slug=RepoId("acme", "tiny-llm"), snapshot_id=COMMIT)
    assert manifest.vllm == {"dtype": "auto", "max_model_len": 64}
    assert added.locked.lock.source.snapshot_kind is SnapshotKind.COMMIT
    assert added.locked.lock.licence == "Apache-2.0"


def test_what_is_written_is_what_was_proposed(bench: Bench) -> None:
    added = bench.add(flat(bench))
    package = bench.load("tiny-llm")
    assert package.manifest == added.manifest
    assert package.lock == added.locked.lock
    assert package.build_meta.git_rev_short == "0000000"
    text = bench.manifest(package.name).read_text()
    assert text.splitlines()[:4] == [
        "# LlamaForCausalLM",
        "# not quantized, bfloat16",
        "# context length: 64 tokens",
        "# licence: Apache-2.0",
    ]
    assert [path for path in bench.files() if ".files/" not in path] == [
        "build-meta/tiny-llm.json",
        "models/tiny-llm.lock",
        "models/tiny-llm.toml",
    ]


def test_a_long_context_is_proposed_as_one_that_fits_a_first_start(bench: Bench) -> None:
    added = bench.add(flat(bench, config={"max_position_embeddings": 262144}))
    assert added.manifest.vllm == {"dtype": "auto", "max_model_len": 8192}


def test_no_context_length_gives_no_default(bench: Bench) -> None:
    files = tiny_model(config={"max_position_embeddings": None})
    added = bench.add(write_flat(bench.home / "m", files))
    assert added.manifest.vllm == {"dtype": "auto"}
    assert added.locked.lock.model.context_length is None


def test_an_encoder_gets_the_hub_layout(bench: Bench) -> None:
    added = bench.add(flat(bench, config=ENCODER))
    assert added.manifest.layout is Layout.HF
    assert added.manifest.triton_model_name is None


def test_an_encoder_with_a_triton_name_gets_what_was_asked_for(bench: Bench) -> None:
    added = bench.add(flat(bench, config=ENCODER), wishes=Wishes(triton_model_name="enc"))
    assert (added.manifest.layout, added.manifest.triton_model_name) == (Layout.DUAL, "enc")


def test_a_quantized_model_says_so_and_gets_no_quantization_parameter(bench: Bench) -> None:
    quantization = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    added = bench.add(flat(bench, dtype="F8_E4M3", config={"quantization_config": quantization}))
    assert added.locked.lock.model.quantization_method == "fp8"
    assert "quantization" not in added.manifest.vllm
    text = bench.manifest(added.manifest.name).read_text()
    assert "# quantized: fp8, 8 bits; its own files say so" in text


def test_wishes_win_over_the_proposal(bench: Bench) -> None:
    wishes = Wishes(name="mine-1.5", layout=Layout.SINGLE, triton_model_name="my_model", storage=Storage.SELF_CONTAINED)
    manifest = bench.add(flat(bench), wishes=wishes).manifest
    assert (manifest.name, manifest.pname) == ("mine-1-5", "mine-1.5")
    assert (manifest.layout, manifest.triton_model_name) == (Layout.SINGLE, "my_model")
    assert manifest.storage is Storage.SELF_CONTAINED


@pytest.mark.parametrize(
    ("directory", "pname", "name", "triton"),
    [
        ("acme--all_MiniLM.v2", "all_minilm.v2", "all-minilm-v2", "all_minilm_v2"),
        ("acme--hub", "hub", "hub", "hub_model"),
        ("acme--triton", "triton-model", "triton-model", "triton_model"),
        ("acme--my_ensemble", "my_ensemble", "my-ensemble", "my_ensemble_model"),
        ("_x_", "_x_", "x", "x"),
        ("模型", "model", "model", "model"),
    ],
)
def test_every_name_of_a_repository_gives_names_that_are_allowed(
    bench: Bench, directory: str, pname: str, name: str, triton: str
) -> None:
    manifest = bench.add(flat(bench, directory)).manifest
    assert (manifest.pname, manifest.name, manifest.triton_model_name) == (pname, name, triton)
    assert bench.load(name).manifest == manifest


@pytest.mark.parametrize(
    ("directory", "repo_id"),
    [
        ("acme--tiny", "acme/tiny"),
        ("models--acme--tiny", "acme/tiny"),
        ("tiny", "local/tiny"),
        ("a b..c", "local/a-b.c"),
        ("x.git", "local/x"),
        ("-.-", "local/model"),
        ("a" * 200, "local/" + "a" * 96),
        ("models--a--b--c", "local/models-a-b-c"),
    ],
)
def test_a_directory_gives_a_repo_id(directory: str, repo_id: str) -> None:
    assert str(local_repo_id(directory)) == repo_id


def test_a_directory_of_no_repository_is_pinned_to_its_content(bench: Bench) -> None:
    added = bench.add(flat(bench, "my model"))
    assert added.manifest.source == PathSource(
        path=str(bench.home / "my model"), slug=RepoId("local", "my-model"), snapshot_id="content"
    )
    assert added.locked.lock.source.snapshot_kind is SnapshotKind.CONTENT


def test_a_local_dir_download_is_pinned_to_its_commit(bench: Bench) -> None:
    added = bench.add(write_local_dir(bench.home / "dl", tiny_model(), COMMIT))
    assert added.locked.lock.source.snapshot_id == COMMIT
    assert added.locked.lock.source.snapshot_kind is SnapshotKind.COMMIT


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(name="my model"),
        Wishes(name=".hidden"),
        Wishes(name="models"),
        Wishes(name="a" * 250),
        Wishes(triton_model_name="hub"),
        Wishes(triton_model_name="x_ensemble"),
        Wishes(layout=Layout.HF, triton_model_name="x"),
        Wishes(revision="a/b"),
    ],
)
def test_wishes_against_the_rules_write_nothing(bench: Bench, wishes: Wishes) -> None:
    with pytest.raises(UsageError) as caught:
        bench.add(flat(bench), wishes=wishes)
    assert caught.value.exit_code == 2
    assert bench.files() == {}


def test_a_name_that_is_taken_is_refused(bench: Bench) -> None:
    path = flat(bench)
    bench.add(path)
    before = bench.files()
    with pytest.raises(UsageError, match="a package of this name is there already"):
        bench.add(flat(bench, "acme--tiny-llm-2", seed=7), wishes=Wishes(name="tiny-llm"))
    assert bench.files() == before


def test_a_source_with_problems_writes_nothing_at_all(bench: Bench) -> None:
    files = tiny_model(shards=2)
    del files["model-00002-of-00002.safetensors"]
    with pytest.raises(SourceError):
        bench.add(write_flat(bench.home / "m", files))
    assert (bench.files(), bench.store.all_paths()) == ({}, ())
    with pytest.raises(SourceError):
        bench.add(bench.home / "nowhere")
    assert bench.files() == {}


def test_pickles_are_refused_unless_allowed(bench: Bench) -> None:
    files = {**tiny_model(), "pytorch_model.bin": b"\x80\x02}."}
    del files["model.safetensors"]
    path = write_flat(bench.home / "m", files)
    with pytest.raises(PolicyError):
        bench.add(path)
    assert (bench.files(), bench.store.all_paths()) == ({}, ())
    added = bench.add(path, allow_pickle=True)
    assert added.manifest.selection.allow_pickle
    assert bench.load(added.manifest.name).lock.selection.allow_pickle


def test_one_of_several_gguf_files_is_chosen(bench: Bench) -> None:
    files = {f"tiny-{kind}.gguf": gguf(size=4096 + n) for n, kind in enumerate(("Q4_K_M", "Q8_0"))}
    path = write_flat(bench.home / "acme--tiny-GGUF", {**files, "README.md": b"# Tiny\n"})
    with pytest.raises(SourceError, match="expected one GGUF quantization, found 2"):
        bench.add(path)
    assert bench.files() == {}
    added = bench.add(path, file="*Q8_0*")
    assert [file.path for file in added.locked.lock.files] == ["README.md", "tiny-Q8_0.gguf"]
    assert bench.load(added.manifest.name).manifest.selection.include == ("*Q8_0*", "README*")


def test_a_model_against_its_own_checksums_writes_nothing(bench: Bench) -> None:
    cache = write_hf_cache(bench.home / "hub", REPO_ID, COMMIT, tiny_model())
    blob = (cache / "snapshots" / COMMIT / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError, match="does not match its own checksums"):
        bench.add(cache)
    assert bench.files() == {}


def test_a_store_that_fails_leaves_no_package_and_add_can_run_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    path = flat(bench)
    for method in ("add_blobs", "add_root"):
        with monkeypatch.context() as patched:
            patched.setattr(bench.store, method, refuse)
            with pytest.raises(StoreError):
                bench.add(path)
        assert bench.workspace.names() == ()
    bench.add(path)
    assert bench.workspace.names() == ("tiny-llm",)
    assert bench.load("tiny-llm").plan


def test_the_revision_of_the_workspace_is_recorded(bench: Bench) -> None:
    root = bench.workspace.root
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    meta = bench.load(bench.add(flat(bench)).manifest.name).build_meta
    assert (meta.git_rev, meta.git_rev_short) == (head, head[:7])
    assert (meta.build_version, meta.changelog) == (1, "Initial package.")


def test_the_weights_are_in_the_store_and_kept_by_the_lock(bench: Bench) -> None:
    added = bench.add(flat(bench))
    (blob,) = added.locked.lock.blobs
    assert bench.real(blob.store_path).read_bytes() == tiny_model()["model.safetensors"]
    assert bench.store.collect_garbage(dry_run=True).deleted == ()
    (bench.workspace.root / "models" / "tiny-llm.lock").unlink()
    assert bench.store.collect_garbage(dry_run=True).deleted == (blob.store_path,)


def test_one_model_has_one_lock_however_it_lies_on_disk(bench: Bench) -> None:
    files = {path: data for path, data in tiny_model(shards=2).items() if path != ".gitattributes"}
    places = [
        write_hf_cache(bench.home / "hub", REPO_ID, COMMIT, files),
        write_hf_cache(bench.home / "hub2", REPO_ID, COMMIT, files, layout="files"),
        write_hf_cache(bench.home / "hub3", REPO_ID, COMMIT, files) / "snapshots" / COMMIT,
        write_local_dir(bench.home / "acme--tiny-llm", files, COMMIT),
    ]
    locks = {str(bench.add(place, wishes=Wishes(name=f"m{n}")).locked.lock.files) for n, place in enumerate(places)}
    assert len(locks) == 1


def test_weights_of_one_name_in_two_directories(bench: Bench) -> None:
    extra = {f"{n}_Dense/model.safetensors": safetensors({"linear.weight": ("F32", (2,))}, seed=n) for n in (1, 2)}
    added = bench.add(write_flat(bench.home / "m", tiny_model(extra=extra)))
    names = [blob.name for blob in added.locked.lock.blobs]
    assert names == ["model.safetensors"] * 3
