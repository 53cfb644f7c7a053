"""What the KV cache of a request takes on one GPU, by the runtime's own allocation.

vLLM 0.33.0 (``v1/core/kv_cache_planning.py``, ``v1/kv_cache_interface.py``): layers that keep the same form groups of
equal size, each with a block table of its own over one pool of equal blocks; a request of a given length takes whole
blocks of every group, a sliding window at most its window and what is in flight, a state one block (two with prefix
caching). Blocks are 16 tokens, more where a state must fit into one. SGLang has a pool for each kind, in tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.gpu.kv_form import KvForm
from hf_pack.gpu.settings import SGLANG, Settings
from hf_pack.weights.cache_layers import CacheLayers

BLOCK = 16  #: tokens
_MLA_FP8_WORDS = 656  # bytes a token of DeepSeek sparse MLA's own FP8 form: 512 values, their scales, 64 rope values
_SGLANG_SLIDING_SHARE = 0.8  # swa_full_tokens_ratio: sliding tokens for each full one
_SGLANG_STATE_RATIO = 0.9  # mamba_full_memory_ratio: bytes of states for each byte of full layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some layers of one kind: ``blocks`` tables, ``token`` bytes a token and GPU for all its layers together."""

    kind: str
    layers: int
    token: int  #: bytes a token of one layer on one GPU
    state: int  #: bytes of one layer's state on one GPU
    window: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """The cache of a model under some settings, on each GPU. An encoder has no groups: it keeps nothing."""

    groups: tuple[Group, ...]
    block: int  #: tokens
    in_flight: int  #: tokens that a step may hold beyond the window
    state_blocks: int  #: of a request in each state layer
    runtime: str

    @property
    def bytes_per_token(self) -> int:
        """What one more token of a long request takes on each GPU (where all layers slide: inside the window)."""
        growing = sum(group.layers * group.token for group in self.groups if group.window is None)
        return growing or sum(group.layers * group.token for group in self.groups)

    @property
    def state_bytes(self) -> int:
        """What a request takes whatever its length."""
        return sum(group.layers * group.state for group in self.groups)

    def request(self, length: int) -> int:
        """Bytes that a request of ``length`` tokens takes on each GPU."""
        if not self.groups:
            return 0
        if self.runtime == SGLANG:
            return sum(group.layers * group.token for group in self.groups) * length + self.state_bytes
        if self._mixed:  # layers of several sizes are packed without padding
            return sum(
                group.layers * self._blocks(group, length) * (group.token * self.block or group.state)
                for group in self.groups
            )
        width = self._width
        return sum(-(-group.layers // width) * self._blocks(group, length) for group in self.groups) * self._page

    def longest(self, memory: int, limit: int) -> int:
        """The longest request that ``memory`` bytes hold, up to ``limit`` tokens; 0 when not even one block."""
        if memory <= 0:
            return 0
        if not self.groups:
            return limit
        low, high = 0, limit
        while low < high:
            middle = (low + high + 1) // 2
            if self.fits(middle, memory):
                low = middle
            else:
                high = middle - 1
        return low

    def fits(self, length: int, memory: int) -> bool:
        """Whether one request of this length fits."""
        return self.requests(length, memory) >= 1

    def requests(self, length: int, memory: int) -> float:
        """How many requests of ``length`` tokens ``memory`` bytes on each GPU hold at once. Asked where groups are."""
        if memory <= 0 or length <= 0:
            return 0.0
        if self.runtime == SGLANG:
            return self._sglang(length, memory)
        needed = self.request(length)
        page = 1 if self._mixed else self._page
        return memory // page * page / needed

    @property
    def _mixed(self) -> bool:
        return len({group.token for group in self.groups if group.token}) > 1

    @property
    def _width(self) -> int:
        """Layers in a group: the fewest of a kind, or the most where that pads less (1.5 is vLLM's number)."""
        counts = [group.layers for group in self.groups]
        return max(counts) if max(counts) < 1.5 * min(counts) else min(counts)

    @property
    def _page(self) -> int:
        """Bytes of a block of a group; states are padded to it."""
        return self._width * max(group.token * self.block or group.state for group in self.groups)

    def _blocks(self, group: Group, length: int) -> int:
        if group.state:
            return self.state_blocks
        if group.window is None:
            return -(-length // self.block)
        if group.kind == "chunked":
            return -(-min(group.window + self.in_flight, length) // self.block)
        return -(-min(group.window - 1 + self.in_flight, length) // self.block) + 1

    def _sglang(self, length: int, memory: int) -> float:
        full = sum(group.layers * group.token for group in self.groups if group.window is None)
        sliding = sum(group.layers * group.token for group in self.groups if group.window is not None)
        if self.state_bytes and full:
            memory = int(memory / (1 + _SGLANG_STATE_RATIO))
        per_token = full + _SGLANG_SLIDING_SHARE * sliding if full else sliding
        return memory / per_token / length if per_token else memory / self.state_bytes


def cache_of(layers: tuple[CacheLayers, ...] | None, settings: Settings) -> Cache | None:
    """The cache of these layers; None where they, or how much the KV dtype keeps, are not known."""
    form = settings.kv_form
    if layers is None or form is None:
        return None
    groups = tuple(_group(one, settings.tensor_parallel, form, settings) for one in layers)
    state = max((group.state for group in groups), default=0)
    token = max((group.token for group in groups), default=0)
    block = BLOCK
    if state and token:
        step = 128 if any(group.kind == "mla" for group in groups) else BLOCK
        block = step * -(-state // (step * token))
    return Cache(
        groups=groups,
        block=block,
        in_flight=2 * settings.batched_tokens,
        state_blocks=2 if settings.prefix_caching else 1,
        runtime=settings.runtime,
    )


def _group(one: CacheLayers, parallel: int, form: KvForm, settings: Settings) -> Group:
    if one.kind == "state":
        conv = one.state_values // parallel * 2
        return Group(
            kind="state",
            layers=one.count,
            token=0,
            state=conv + one.float_values // parallel * one.float_bytes,
            window=None,
        )
    if one.kind == "mla":
        token = _MLA_FP8_WORDS if settings.kv_dtype == "fp8_ds_mla" else form.bytes_of(one.width, 1)
        return Group(kind="mla", layers=one.count, token=token, state=0, window=None)
    heads = max(1, one.heads // parallel)
    token = heads * form.bytes_of(one.width, 2)
    return Group(kind=one.kind, layers=one.count, token=token, state=0, window=one.window)
