"""What a model's tensors are for, as far as it decides which GPU holds them: told from their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_pack.weights.safetensors import Header, Tensor


class Part(StrEnum):
    """How a runtime spreads a tensor over the GPUs of a tensor-parallel group (vLLM's ``layers/linear.py``)."""

    SHARDED = "sharded"  #: one slice a GPU
    KEY_VALUE = "key-value"  #: sharded down to one KV head a GPU, then copied
    EMBEDDING = "embedding"  #: by vocabulary
    HEAD = "head"  #: by vocabulary; not loaded where the embedding is tied to it
    REPLICATED = "replicated"  #: a whole copy on every GPU: norms, routers, MLA's down projections
    VISION = "vision"  #: the encoders of pictures and sound with their projectors
    DRAFT = "draft"  #: multi-token prediction: loaded only for speculative decoding


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class WeightPart:
    """Bytes of one part in one safetensors dtype."""

    part: Part
    dtype: str
    size: int


_DRAFT = re.compile(r"(^|\.)(mtp|nextn|mtp_layers|mtp_block|eagle|medusa)(\.|_|\d|$)")
_VISION = re.compile(
    r"(^|\.)(visual|vision_tower|vision_model|vision_encoder|vision_embed\w*|vit|image_newline|audio_tower|audio_encoder|"
    r"multi_modal_projector|mm_projector|embed_vision|embed_audio|patch_merger|aligner|sound_\w+|vision_language_adapter)"
    r"(\.|$)"
)
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_KEY_VALUE = re.compile(r"\.(k_proj|v_proj|key|value|wk|wv)\.")
_REPLICATED = re.compile(
    r"(norm|layernorm|ln_\w+|rotary\w*|inv_freq|q_a_proj|kv_a_proj_with_mqa|wq_a|wkv_a_with_mqa|fused_qkv_a_proj\w*|indexer\.\w+|"
    r"e_score_correction_bias|shared_expert_gate|router|(?<!experts\.)mlp\.gate|block_sparse_moe\.gate|feed_forward\.gate|layers\.\d+\.gate|"
    r"per_layer_\w+|pos_emb\w*|wpe)(\.|$)"
)
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|embeddings|embedding)\.\w+$")
_HEAD = re.compile(r"(^|\.)(lm_head|output|embed_out)\.\w+$")


def part_of(name: str, shape: tuple[int, ...], draft_from: int | None = None) -> Part:
    """The part that a tensor belongs to; ``draft_from`` is the number of the first layer past the model's own."""
    layer = _LAYER.search(name)
    if _DRAFT.search(name) or (draft_from is not None and layer is not None and int(layer[1]) >= draft_from):
        return Part.DRAFT
    if _VISION.search(name):
        return Part.VISION
    if layer is None and _HEAD.search(name):
        return Part.HEAD
    if layer is None and _EMBEDDING.search(name):
        return Part.EMBEDDING
    if _REPLICATED.search(name):
        return Part.REPLICATED
    if _KEY_VALUE.search(name):
        return Part.KEY_VALUE
    return Part.REPLICATED if len(shape) == 0 or shape == (1,) else Part.SHARDED


def weight_parts(headers: Iterable[Header], layers: int | None = None) -> tuple[WeightPart, ...]:
    """Bytes by part and dtype, sorted. ``layers`` (of config.json) tells the layers of a model from its draft's."""
    sizes: Counter[tuple[Part, str]] = Counter()
    for tensor in _tensors(headers):
        draft_from = layers if "vision" not in tensor.name and "visual" not in tensor.name else None
        sizes[part_of(tensor.name, tensor.shape, draft_from), tensor.dtype] += tensor.size
    return tuple(sorted(WeightPart(part=part, dtype=dtype, size=size) for (part, dtype), size in sizes.items()))


def _tensors(headers: Iterable[Header]) -> Iterable[Tensor]:
    """Each name once: some repositories hold a tensor in two files, and runtimes load it into one place."""
    return {tensor.name: tensor for header in headers for tensor in header.tensors}.values()
