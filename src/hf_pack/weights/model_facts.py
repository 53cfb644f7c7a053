"""What ``config.json`` and its neighbours say of a model, whatever spelling they use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hf_pack.weights.strict_json import JsonValue, child, whole

Config = Mapping[str, JsonValue]

_NESTED = ("text_config", "llm_config", "language_config")
_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_sequence_length",
    "seq_length",
    "model_max_length",
)
_SANE_CONTEXT = 100_000_000  # tokens; tokenizers without a limit write 10^30 here
_REFERENCE = re.compile(r"(?:(?P<repo>[\w./-]+?)--)?(?P<module>\w[\w-]*)\.\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """``None`` and empty mean that the files do not say.

    ``dtype`` is the bare name (``bfloat16``), ``context_length`` tokens. ``auto_map_files`` are the Python
    files of this repository that ``auto_map`` names, ``auto_map_repos`` the other repositories it takes code
    from; both run only with ``trust_remote_code``.
    """

    architectures: tuple[str, ...]
    model_type: str | None
    dtype: str | None
    context_length: int | None
    auto_map_files: tuple[str, ...]
    auto_map_repos: tuple[str, ...]


def model_facts(config: Config | None, tokenizer_config: Config | None) -> ModelFacts:
    """Reads the two parsed files; a field that is out of shape counts as absent, nothing is raised."""
    config, tokenizer = config or {}, tokenizer_config or {}
    references = sorted({*_auto_map(config), *_auto_map(tokenizer)})
    matches = [match for match in map(_REFERENCE.fullmatch, references) if match]
    return ModelFacts(
        architectures=_texts(config.get("architectures")),
        model_type=_text(config, "model_type"),
        dtype=_dtype(config),
        context_length=_context_length(config, tokenizer),
        auto_map_files=tuple(sorted({f"{match['module']}.py" for match in matches if not match["repo"]})),
        auto_map_repos=tuple(sorted({match["repo"] for match in matches if match["repo"]})),
    )


def language_configs(config: Config | None) -> Iterator[tuple[str, Config]]:
    """``config``, then the language model's part of a multimodal one, each with its key ("" at the top)."""
    if config is None:
        return
    yield "", config
    for key in _NESTED:
        nested = child(config, key)
        if nested is not None:
            yield key, nested


def _dtype(config: Config) -> str | None:
    for _, part in language_configs(config):
        found = _text(part, "dtype") or _text(part, "torch_dtype")
        if found:
            return found.removeprefix("torch.")
    return None


def _context_length(config: Config, tokenizer: Config) -> int | None:
    parts = [part for _, part in language_configs(config)]
    for part in parts:
        for key in _CONTEXT_KEYS:
            length = whole(part.get(key))
            if length is not None and 0 < length < _SANE_CONTEXT:
                return length
    length = whole(tokenizer.get("model_max_length"))
    return length if length is not None and 0 < length < _SANE_CONTEXT else None


def _auto_map(config: Config) -> Iterator[str]:
    for value in (child(config, "auto_map") or {}).values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):  # slow and fast tokenizer, either may be null
            yield from _texts(value)


def _text(config: Config, key: str) -> str | None:
    value = config.get(key)
    return value if isinstance(value, str) and value else None


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
