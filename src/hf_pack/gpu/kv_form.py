"""How many bytes a KV cache's dtype takes, in the runtimes' own words (``kv_cache_dtype``).

vLLM 0.33.0: ``v1/kv_cache_interface.py`` and ``nvfp4_kv_cache_full_dim`` (``utils/torch_utils.py``); the Triton backend
keeps one float32 scale beside each key and each value of a head. SGLang 0.5.23: ``mem_cache/memory_pool.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KvForm:
    """``values`` values take ``size`` bytes, their block's scale among them; ``beside`` bytes more a head's vector."""

    values: int
    size: int
    beside: int = 0

    def bytes_of(self, values: int, vectors: int) -> int:
        """Bytes of so many values in so many vectors (a key and a value: 2)."""
        return values * self.size // self.values + vectors * self.beside


_FLOAT32 = KvForm(values=1, size=4)
_SIXTEEN = KvForm(values=1, size=2)
_EIGHT = KvForm(values=1, size=1)
_EIGHT_SCALED = KvForm(values=1, size=1, beside=4)
_FOUR_IN_BLOCKS = KvForm(values=16, size=9)

#: What is not here is not known: TurboQuant leaves some layers as they are, and sparse MLA has layouts of its own.
KV_FORMS = {
    "float32": _FLOAT32,
    "float16": _SIXTEEN,
    "bfloat16": _SIXTEEN,
    "bf16": _SIXTEEN,
    "fp8": _EIGHT,
    "fp8_e4m3": _EIGHT,
    "fp8_e5m2": _EIGHT,
    "fp8_inc": _EIGHT,
    "fp8_ds_mla": _EIGHT,  # of ordinary layers; of sparse MLA see gpu/cache.py
    "fp8_per_token_head": _EIGHT_SCALED,
    "int8_per_token_head": _EIGHT_SCALED,
    "int4_per_token_head": KvForm(values=2, size=1, beside=4),
    "mxfp8": KvForm(values=32, size=33),
    "nvfp4": _FOUR_IN_BLOCKS,
    "nvfp4_4over6": _FOUR_IN_BLOCKS,
    "fp4_e2m1": _FOUR_IN_BLOCKS,
    "fp4_mx_block16": _FOUR_IN_BLOCKS,
}
