# mypy: disable-error-code="import-not-found"
"""Makes the recordings beside this file: tiny models that the real quantizers wrote, without their weights.

    python make.py [NAME…]

Needs torch (CPU), transformers, torchao, llmcompressor, auto-round, nvidia-modelopt and gguf in the environment; the
versions that wrote what is here stand in ``versions.json``. Of each model the configuration files and the header of the
weights are kept (``<name>/config.json``, ``<name>/model.header``), which is all that detection reads.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOOLS = (
    "torch", "transformers", "torchao", "llmcompressor", "compressed-tensors", "auto-round", "nvidia-modelopt", "gguf",
)  # fmt: skip


def tiny() -> Any:
    """One layer of Llama, wide enough for groups of 128."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=256, intermediate_size=512, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=256, max_position_embeddings=512, tie_word_embeddings=False, dtype="bfloat16",
    )  # fmt: skip
    return LlamaForCausalLM(config).to(torch.bfloat16)


def tokenizer() -> Any:
    """Single letters, enough for calibration."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({chr(number): number for number in range(256)}, unk_token="\0"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="\0", eos_token="\1")


def torchao(kind: str, **options: Any) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        import torchao.quantization as quantization
        from transformers import AutoModelForCausalLM, TorchAoConfig

        with tempfile.TemporaryDirectory() as plain:
            tiny().save_pretrained(plain)
            config = TorchAoConfig(quant_type=getattr(quantization, kind)(**options))
            model = AutoModelForCausalLM.from_pretrained(plain, dtype="bfloat16", quantization_config=config)
        model.save_pretrained(place)

    return write


def llm_compressor(scheme: str) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        from llmcompressor import oneshot
        from llmcompressor.modifiers.quantization import QuantizationModifier

        with tempfile.TemporaryDirectory() as plain:
            tiny().save_pretrained(plain)
            tokenizer().save_pretrained(plain)
            recipe = QuantizationModifier(targets="Linear", scheme=scheme, ignore=["lm_head"])
            oneshot(model=plain, recipe=recipe, output_dir=str(place), save_compressed=True)

    return write


def auto_round(form: str, **scheme: Any) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        from auto_round import AutoRound

        with tempfile.TemporaryDirectory() as plain:
            tiny().save_pretrained(plain)
            tokenizer().save_pretrained(plain)
            rounder = AutoRound(plain, iters=0, disable_opt_rtn=True, device_map="cpu", **scheme)
            rounder.quantize_and_save(str(place), format=form)
        if not (place / "config.json").exists():  # it writes into a folder of the format's name
            (inner,) = place.glob("**/config.json")
            shutil.copytree(inner.parent, place, dirs_exist_ok=True)

    return write


def model_opt(name: str) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        import modelopt.torch.quantization as mtq
        import torch
        from modelopt.torch.export import export_hf_checkpoint
        from transformers import AutoModelForCausalLM

        with tempfile.TemporaryDirectory() as plain:
            tiny().save_pretrained(plain)
            model = AutoModelForCausalLM.from_pretrained(plain, dtype="bfloat16")
        mtq.quantize(model, getattr(mtq, name), lambda calibrated: calibrated(torch.arange(8).unsqueeze(0)))
        export_hf_checkpoint(model, export_dir=place)

    return write


def gguf(kind: str) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        import numpy
        from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, quants

        writer = GGUFWriter(place / "model.gguf", "llama")
        writer.add_context_length(512)
        writer.add_block_count(1)
        writer.add_file_type(LlamaFileType[f"MOSTLY_{kind}"])
        values = numpy.random.default_rng(0).standard_normal((256, 256), dtype=numpy.float32)
        form = GGMLQuantizationType[kind]
        for name in ("token_embd.weight", "blk.0.ffn_up.weight"):
            writer.add_tensor(name, quants.quantize(values, form), raw_dtype=form)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    return write


MAKERS: dict[str, Callable[[Path], None]] = {
    "torchao-fp8-weight-only": torchao("Float8WeightOnlyConfig"),
    "torchao-int8-weight-only": torchao("Int8WeightOnlyConfig"),
    "llm-compressor-fp8": llm_compressor("FP8_DYNAMIC"),
    "llm-compressor-fp8-block": llm_compressor("FP8_BLOCK"),
    "llm-compressor-w4a16": llm_compressor("W4A16"),
    "llm-compressor-w8a8": llm_compressor("W8A8"),
    "llm-compressor-nvfp4a16": llm_compressor("NVFP4A16"),
    "llm-compressor-mxfp4a16": llm_compressor("MXFP4A16"),
    "auto-round-gptq": auto_round("auto_gptq", scheme="W4A16"),
    "auto-round-gptq-8": auto_round("auto_gptq", scheme="W8A16"),
    "auto-round-awq": auto_round("auto_awq", scheme="W4A16"),
    "auto-round": auto_round("auto_round", scheme="W4A16"),
    "modelopt-fp8": model_opt("FP8_DEFAULT_CFG"),
    "modelopt-nvfp4": model_opt("NVFP4_DEFAULT_CFG"),
    "gguf-q8-0": gguf("Q8_0"),
    "gguf-q4-0": gguf("Q4_0"),
}


def keep(made: Path, place: Path) -> None:
    """The small files that say how a model is quantized, and the header of its weights."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in ("config.json", "hf_quant_config.json", "quantize_config.json", "quantization_config.json"):
        if (made / name).exists():
            (place / name).write_bytes((made / name).read_bytes())
    for weights in sorted(made.glob("*.safetensors")):
        data = weights.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        (place / "model.header").write_text(json.dumps({"header": header, "file_size": len(data)}, indent=0) + "\n")
    for weights in made.glob("*.gguf"):
        (place / "model.gguf").write_bytes(weights.read_bytes()[:4096])


def main(names: list[str]) -> None:
    failed = []
    for name in names or MAKERS:
        with tempfile.TemporaryDirectory() as made:
            try:
                MAKERS[name](Path(made))
                keep(Path(made), HERE / name)
            except Exception:  # noqa: BLE001 - each tool fails in a way of its own, and the others go on
                traceback.print_exc()
                failed.append(name)
    versions = {tool: importlib.metadata.version(tool) for tool in TOOLS}
    (HERE / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")
    print("failed:", failed)


if __name__ == "__main__":
    main(sys.argv[1:])
