"""Files that no runtime reads, by name, each with the reason that the lock and the user see."""

from __future__ import annotations

import re

_DIRECTORIES = {
    "original": "the authors' original checkpoint, a duplicate of the weights",
    "metal": "weights for Apple's Metal, a duplicate",
    "onnx": "ONNX export, a duplicate of the weights",
    "openvino": "OpenVINO export, a duplicate of the weights",
    "coreml": "Core ML export, a duplicate of the weights",
    "tflite": "TensorFlow Lite export, a duplicate of the weights",
    "saved_model": "TensorFlow export, a duplicate of the weights",
    "flax": "Flax export, a duplicate of the weights",
    "rust": "export for rust-bert, a duplicate of the weights",
    "runs": "training logs",
    "logs": "training logs",
    "wandb": "training logs",
    "data": "data set",
    "dataset": "data set",
    "datasets": "data set",
    "docs": "documentation",
    "examples": "examples",
    "tests": "tests",
}
_DIRECTORY_PATTERNS = (
    (re.compile(r"checkpoints?(?:-\d+)?"), "training checkpoint"),
    (re.compile(r"global_step\d+"), "training checkpoint"),
    (re.compile(r".+\.mlpackage|.+\.mlmodelc"), "Core ML export, a duplicate of the weights"),
)
_NAMES = (
    (r"optimizer.*\.(?:pt|pth|bin|safetensors)|scheduler.*\.(?:pt|pth|bin)|scaler\.pt", "training state"),
    (r"rng_state.*\.pth|zero_pp_rank_.*|.*_(?:optim|model)_states\.pt|latest", "training state"),
    (r"trainer_state\.json|training_args\.(?:bin|json)|trainer_config\.json|data_config\.json", "training state"),
    (r"(?:all|train|eval|test|predict)_results\.(?:json|txt)|events\.out\..*|.*\.log", "training logs"),
    (r"openvino_.*\.(?:bin|xml)|.*\.xml", "OpenVINO export, a duplicate of the weights"),
    (r"flax_model.*|.*\.msgpack", "Flax weights, a duplicate format"),
    (r"tf_model.*|.*\.(?:h5|keras|pb)", "TensorFlow weights, a duplicate format"),
    (r"rust_model.*|.*\.ot", "weights for rust-bert, a duplicate format"),
    (r".*\.(?:onnx|onnx_data|onnx\.data|onnx_data_\d+)", "ONNX weights, a duplicate format"),
    (r".*\.tflite", "TensorFlow Lite weights, a duplicate format"),
    (r".*\.(?:mlmodel|mlpackage|espresso\.weights)", "Core ML weights, a duplicate format"),
    (r".*\.(?:engine|plan|so|dll|dylib|pt2|pte|nemo)", "compiled for one machine or runtime"),
    (r".*\.(?:npy|npz)", "arrays of NumPy, which may hold pickles"),
    (r".*imatrix.*\.(?:gguf|dat)", "importance matrix of a quantizer"),
    (
        r".*\.(?:png|jpe?g|gif|webp|svg|bmp|ico|tiff?|avif|heic|mp4|mov|avi|webm|mkv|mp3|wav|flac|ogg|m4a)",
        "picture, sound or film",
    ),
    (r".*\.(?:pdf|ipynb|pptx?|docx?|xlsx?|html?|tex|bib|rst)", "documentation"),
    (r".*\.(?:zip|tar|gz|tgz|bz2|xz|7z|rar|zst)", "archive"),
    (r".*\.(?:parquet|arrow|feather|csv|jsonl|sqlite|db)", "data set"),
)  # fmt: skip
_NAME_PATTERNS = tuple((re.compile(pattern), reason) for pattern, reason in _NAMES)

_TEXTS = re.compile(
    r"(?i)readme|licen[cs]e|copying|copyright|notice|authors|citation|use[_-]?policy|acceptable|terms|model[_-]?card|"
    r"attribution|eula|agreement|third[_-]?party"
)
_LEGAL = re.compile(r"(?i)(?:licen[cs]e|copying|notice|use[_-]?policy|acceptable[_-]?use)(?:[^a-z/][^/]*)?")
_NEEDED_ENDINGS = (
    ".json", ".txt", ".model", ".jinja", ".jinja2", ".tiktoken", ".bpe", ".vocab", ".spm", ".yaml", ".yml",
)  # fmt: skip
_TOKENIZER = re.compile(r"(?i)(?:tokenizer|vocab|merges|spiece|sentencepiece|tekken|spm|bpe)[^/]*")


def unneeded(path: str) -> str | None:
    """Why no runtime reads a file of this name, None where one may."""
    *directories, name = (part.lower() for part in path.split("/"))
    for directory in directories:
        reason = _DIRECTORIES.get(directory)
        if reason is None:
            reason = next((why for pattern, why in _DIRECTORY_PATTERNS if pattern.fullmatch(directory)), None)
        if reason is not None:
            return reason
    if any(part.startswith(".") for part in (*directories, name)):
        return "hidden file"
    return next((reason for pattern, reason in _NAME_PATTERNS if pattern.fullmatch(name)), None)


def is_legal_text(path: str) -> bool:
    """Whether a file at the model's top is its licence, or a notice or policy that the licence sends along."""
    return _LEGAL.fullmatch(path) is not None and not path.endswith(".py")


def is_text_that_matters(path: str) -> bool:
    """Whether a file that is no weights and no code is settings, tokenizer, template, licence or card."""
    name = path.rsplit("/", 1)[-1]
    if _TEXTS.search(name):
        return True
    return name.lower().endswith(_NEEDED_ENDINGS) or _TOKENIZER.fullmatch(name) is not None
