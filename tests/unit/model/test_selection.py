from __future__ import annotations

import pytest
from tests.models import tiny_model

from hf_pack.model.manifest import Selection
from hf_pack.model.selection import Selected, select
from hf_pack.model.weight_formats import WeightFormat

TOKENIZER = ("config.json", "tokenizer.json", "tokenizer_config.json")


def chosen(*paths: str, selection: Selection | None = None, code: tuple[str, ...] = ()) -> Selected:
    return select([(path, 1) for path in paths], selection or Selection(), auto_map_files=code)


def reasons(selected: Selected) -> dict[str, str]:
    return {file.path: file.reason for file in selected.omitted}


def test_a_plain_model_is_taken_whole() -> None:
    selected = chosen(*tiny_model(shards=2))
    assert selected.files == (
        "LICENSE",
        "README.md",
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
    )
    assert reasons(selected) == {".gitattributes": "hidden file"}
    assert selected.formats == selected.offered == (WeightFormat.SAFETENSORS,)


@pytest.mark.parametrize(
    "path",
    [
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "tokenizer.model",
        "tokenizer.model.v3",
        "spiece.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "qwen.tiktoken",
        "tekken.json",
        "chat_template.jinja",
        "chat_template.json",
        "additional_chat_templates/rag.jinja",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
        "generation_config.json",
        "hf_quant_config.json",
        "quantize_config.json",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
        "speech-lora/adapter_config.json",
        "LICENSE",
        "LICENSE.txt",
        "LICENCE.md",
        "NOTICE",
        "USE_POLICY.md",
        "README.md",
    ],
)
def test_what_a_runtime_reads_is_taken(path: str) -> None:
    assert path in chosen("model.safetensors", "config.json", path).files


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("original/consolidated.00.pth", "the authors' original checkpoint, a duplicate of the weights"),
        ("original/params.json", "the authors' original checkpoint, a duplicate of the weights"),
        ("metal/model.bin", "weights for Apple's Metal, a duplicate"),
        ("onnx/model.onnx", "ONNX export, a duplicate of the weights"),
        ("onnx/config.json", "ONNX export, a duplicate of the weights"),
        ("openvino/openvino_model.bin", "OpenVINO export, a duplicate of the weights"),
        ("openvino_model.bin", "OpenVINO export, a duplicate of the weights"),
        ("model.onnx_data", "ONNX weights, a duplicate format"),
        ("flax_model.msgpack", "Flax weights, a duplicate format"),
        ("flax_model.msgpack.index.json", "Flax weights, a duplicate format"),
        ("tf_model.h5", "TensorFlow weights, a duplicate format"),
        ("rust_model.ot", "weights for rust-bert, a duplicate format"),
        ("model.tflite", "TensorFlow Lite weights, a duplicate format"),
        ("coreml/text/model.mlpackage/Data/weight.bin", "Core ML export, a duplicate of the weights"),
        ("pytorch_model.bin", "another format of the same weights"),
        ("pytorch_model.bin.index.json", "index of weights that are left out"),
        ("model.pt", "another format of the same weights"),
        ("model-Q4_K_M.gguf", "another format of the same weights"),
        ("gguf/model-Q4_K_M.gguf", "another format of the same weights"),
        ("pytorch/model.bin", "another format of the same weights"),
        ("consolidated.safetensors", "another format of the same weights"),
        ("consolidated.safetensors.index.json", "index of weights that are left out"),
        ("params.json", "settings of the consolidated weights, which are left out"),
        ("model.fp16.safetensors", "a variant (fp16) of the same weights"),
        ("model.safetensors.index.fp16.json", "index of weights that are left out"),
        ("optimizer.pt", "training state"),
        ("scheduler.pt", "training state"),
        ("rng_state_0.pth", "training state"),
        ("trainer_state.json", "training state"),
        ("training_args.bin", "training state"),
        ("data_config.json", "training state"),
        ("events.out.tfevents.1700000000.host", "training logs"),
        ("runs/Nov01/events.out.tfevents.1", "training logs"),
        ("checkpoint-500/model.safetensors", "training checkpoint"),
        ("global_step100/mp_rank_00_model_states.pt", "training checkpoint"),
        ("all_results.json", "training logs"),
        ("figures/bench.PNG", "picture, sound or film"),
        ("sample.wav", "picture, sound or film"),
        ("paper.pdf", "documentation"),
        ("demo.ipynb", "documentation"),
        ("docs/deploy.md", "documentation"),
        ("deploy_guide.md", "documentation"),
        ("data/train.json", "data set"),
        ("train.parquet", "data set"),
        ("voices.npz", "arrays of NumPy, which may hold pickles"),
        ("rank0.engine", "compiled for one machine or runtime"),
        ("weights.zip", "archive"),
        ("convert.py", "code that no auto_map names"),
        ("run.sh", "code that no auto_map names"),
        ("Makefile", "no kind of file that a runtime reads"),
        (".gitignore", "hidden file"),
    ],
)
def test_what_no_runtime_reads_is_left_out_and_named(path: str, reason: str) -> None:
    selected = chosen("model.safetensors", "config.json", "README.md", path)
    assert selected.files == ("README.md", "config.json", "model.safetensors")
    assert reasons(selected) == {path: reason}


@pytest.mark.parametrize("path", [".git/config", ".cache/huggingface/x.metadata", "a.lock", "trees/x.json", ".mdl"])
def test_bookkeeping_is_not_even_named(path: str) -> None:
    for selection in (Selection(), Selection(include=("*",))):
        selected = chosen("model.safetensors", path, selection=selection)
        assert selected.files == ("model.safetensors",)
        assert selected.omitted == ()


def test_consolidated_weights_alone_are_the_model() -> None:
    selected = chosen("consolidated.safetensors", "params.json", "tekken.json", "README.md")
    assert selected.files == ("README.md", "consolidated.safetensors", "params.json", "tekken.json")
    assert selected.formats == (WeightFormat.CONSOLIDATED,)


def test_bin_before_pt_and_both_need_consent() -> None:
    paths = ("config.json", "pytorch_model.bin", "model.pt")
    selected = chosen(*paths)
    assert selected.pickles == ("pytorch_model.bin",)
    allowed = chosen(*paths, selection=Selection(allow_pickle=True))
    assert allowed.pickles == ()
    assert allowed.files == ("config.json", "pytorch_model.bin")


def test_consent_does_not_add_duplicates() -> None:
    selected = chosen("model.safetensors", "pytorch_model.bin", selection=Selection(allow_pickle=True))
    assert selected.files == ("model.safetensors",)


def test_excluding_the_preferred_format_falls_back() -> None:
    selection = Selection(exclude=("*.safetensors",), allow_pickle=True)
    selected = chosen("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", selection=selection)
    assert selected.files == ("pytorch_model.bin",)
    assert reasons(selected)["model.safetensors"] == "excluded by the manifest"
    assert reasons(selected)["model.safetensors.index.json"] == "index of weights that are left out"


def test_a_module_directory_is_judged_alone() -> None:
    selected = chosen(
        "model.safetensors", "2_Dense/pytorch_model.bin", "3_Dense/model.safetensors", "3_Dense/pytorch_model.bin"
    )
    assert selected.pickles == ("2_Dense/pytorch_model.bin",)
    assert "3_Dense/model.safetensors" in selected.files
    assert reasons(selected) == {"3_Dense/pytorch_model.bin": "another format of the same weights"}


def test_an_index_without_any_weights_stays_so_that_the_gap_is_seen() -> None:
    assert "model.safetensors.index.json" in chosen("config.json", "model.safetensors.index.json").files


def test_a_variant_alone_is_the_model() -> None:
    assert "model.fp16.safetensors" in chosen("model.fp16.safetensors", "config.json").files


def test_sharded_variant() -> None:
    selected = chosen(
        "model.safetensors", "model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"
    )
    assert selected.files == ("model.safetensors",)


def test_remote_code_is_taken_when_named() -> None:
    selected = chosen("model.safetensors", "modeling_x.py", "train.py", code=("modeling_x.py",))
    assert selected.files == ("model.safetensors", "modeling_x.py")
    assert reasons(selected) == {"train.py": "code that no auto_map names"}


def test_side_files_are_left_out_with_the_given_reason() -> None:
    selected = select(
        [("model.safetensors", 1), ("FINGERPRINT.json", 1)], Selection(), side_files={"FINGERPRINT.json": "because"}
    )
    assert reasons(selected) == {"FINGERPRINT.json": "because"}


class TestGguf:
    def test_one_is_the_model(self) -> None:
        selected = chosen("README.md", "m-Q4_K_M.gguf")
        assert selected.files == ("README.md", "m-Q4_K_M.gguf")
        assert selected.quantizations == ()

    def test_several_ask_for_a_choice(self) -> None:
        selected = chosen("README.md", "m-Q8_0.gguf", "m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf")
        assert selected.quantizations == ("Q4_K_M", "Q8_0")
        assert selected.files == ("README.md",)
        assert set(reasons(selected).values()) == {"one of several GGUF quantizations"}

    def test_one_quantization_of_two_models_is_told_by_stem(self) -> None:
        assert chosen("a-Q4_0.gguf", "b-Q4_0.gguf").quantizations == ("a-Q4_0", "b-Q4_0")

    def test_shards_of_one_are_one(self) -> None:
        paths = ("m-Q4_0-00001-of-00002.gguf", "m-Q4_0-00002-of-00002.gguf")
        assert chosen(*paths).files == paths

    def test_exclude_can_make_the_choice(self) -> None:
        selected = chosen("m-Q8_0.gguf", "m-Q4_0.gguf", selection=Selection(exclude=("*Q8_0*",)))
        assert selected.files == ("m-Q4_0.gguf",)

    def test_the_projector_comes_along_once(self) -> None:
        selected = chosen("m-Q4_0.gguf", "mmproj-m-f32.gguf", "mmproj-m-f16.gguf", "m.imatrix.gguf")
        assert selected.files == ("m-Q4_0.gguf", "mmproj-m-f16.gguf")
        assert reasons(selected) == {
            "mmproj-m-f32.gguf": "another precision of the projector",
            "m.imatrix.gguf": "importance matrix of a quantizer",
        }


class TestPatterns:
    def test_include_is_the_whole_choice_and_star_crosses_slashes(self) -> None:
        selection = Selection(include=("*.json", "onnx/*"))
        selected = chosen("a/b/c.json", "model.safetensors", "onnx/x/model.onnx", selection=selection)
        assert selected.files == ("a/b/c.json", "onnx/x/model.onnx")
        assert reasons(selected) == {"model.safetensors": "not named by the manifest's include"}

    def test_exclude_wins(self) -> None:
        selected = chosen("a.json", "b.json", selection=Selection(include=("*.json",), exclude=("b.*",)))
        assert selected.files == ("a.json",)
        assert reasons(selected) == {"b.json": "excluded by the manifest"}

    def test_an_include_that_matches_nothing_is_reported(self) -> None:
        selected = chosen("a.json", selection=Selection(include=("*.json", "*.safetensor"), exclude=("zzz",)))
        assert selected.unmatched == ("*.safetensor",)

    def test_case_matters(self) -> None:
        assert chosen("A.json", selection=Selection(include=("a.json",))).unmatched == ("a.json",)

    def test_pickles_need_consent_even_when_included(self) -> None:
        paths = ("model.safetensors", "pytorch_model.bin")
        assert chosen(*paths, selection=Selection(include=("*",))).pickles == ("pytorch_model.bin",)
        assert chosen(*paths, selection=Selection(include=("*",), allow_pickle=True)).files == paths

    def test_include_takes_side_files_and_several_ggufs(self) -> None:
        selected = select(
            [("a-Q4_0.gguf", 1), ("a-Q8_0.gguf", 1), ("FINGERPRINT.json", 1)],
            Selection(include=("*",)),
            side_files={"FINGERPRINT.json": "because"},
        )
        assert selected.files == ("FINGERPRINT.json", "a-Q4_0.gguf", "a-Q8_0.gguf")
        assert selected.quantizations == ()


def test_licences_stay_whatever_is_included() -> None:
    legal = ("LICENSE", "LICENCE.txt", "license-model.md", "NOTICE", "COPYING", "USE_POLICY.md")
    others = ("README.md", "licenses.py", "licensed_model.bin", "sub/LICENSE")
    chosen_files = chosen("model.safetensors", *legal, *others, selection=Selection(include=("*.safetensors",))).files
    assert set(chosen_files) == {"model.safetensors", *legal}
    left = chosen("a.safetensors", "LICENSE", selection=Selection(include=("*.safetensors",), exclude=("LICENSE",)))
    assert left.files == ("a.safetensors",)
