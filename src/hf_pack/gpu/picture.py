"""A picture of a check: one bar a GPU, its memory by part, as SVG text. Needs no library to draw and none to show."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from hf_pack.gpu.catalogue import GIB
from hf_pack.gpu.check import Check

_WIDTH, _LEFT, _RIGHT = 900, 24, 24
_BAR, _GAP, _TOP = 44, 40, 92
_COLOURS = {"weights": "#3b6ea5", "other": "#c98b2f", "cache": "#4a9a6b", "free": "#e3e6ea", "missing": "#c0453b"}
_TITLES = {
    "weights": "weights",
    "other": "activations, graphs, CUDA (estimate)",
    "cache": "KV cache",
    "free": "not used by the runtime",
    "missing": "missing",
}
_FONT = 'font-family="Helvetica, Arial, sans-serif"'


def picture(found: Check) -> str:
    """The SVG document."""
    parts = _parts(found)
    most = max(found.memory.total, sum(size for part, size in parts if part != "missing"))
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    count = found.tensor_parallel
    height = _TOP + count * (_BAR + _GAP) + 54
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 32, f"{found.label} on {_gpus(found)} with {found.runtime}: {found.verdict.value}", 20, bold=True),
        _text(_LEFT, 56, _facts(found), 13, colour="#555555"),
    ]
    for number in range(count):
        gpu = found.gpus[min(number, len(found.gpus) - 1)]
        lines += _bar(_TOP + number * (_BAR + _GAP), f"GPU {number}: {gpu.name}", parts, found.memory.total, scale)
    lines += _legend(height - 26, [part for part, size in parts if size])
    return "\n".join((*lines, "</svg>")) + "\n"


def _parts(found: Check) -> list[tuple[str, int]]:
    memory = found.memory
    cache = max(0, memory.kv.likely)
    used = memory.weights + memory.overhead.likely + cache
    return [
        ("weights", memory.weights),
        ("other", memory.overhead.likely),
        ("cache", cache),
        ("free", max(0, memory.total - used)),
        ("missing", max(0, used - memory.total)),
    ]


def _bar(top: int, title: str, parts: list[tuple[str, int]], total: int, scale: float) -> Iterator[str]:
    yield _text(_LEFT, top + 12, title, 13)
    at = float(_LEFT)
    edge = _LEFT + total * scale
    labels = []
    for part, size in parts:
        if part == "missing" or not size:
            continue
        width = size * scale
        yield f'<rect x="{at:.1f}" y="{top + 20}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[part]}"/>'
        words = f"{size / GIB:.1f} GiB"
        if width > 9 * len(words):
            colour = "#333333" if part == "free" else "#ffffff"
            end = min(at + width, edge) if at < edge else at + width
            labels.append(_text((at + end) / 2, top + 20 + _BAR / 2 + 5, words, 13, colour=colour, middle=True))
        at += width
    if at > edge + 1:  # what hangs over the end of the memory
        place = f'x="{edge:.1f}" y="{top + 20}" width="{at - edge:.1f}" height="{_BAR}"'
        yield f'<rect {place} fill="{_COLOURS["missing"]}"/>'
        missing = f"{(at - edge) / scale / GIB:.1f} GiB missing"
        if at - edge > 9 * len(missing):
            labels.append(_text((at + edge) / 2, top + 20 + _BAR / 2 + 5, missing, 13, colour="#ffffff", middle=True))
    yield from labels
    ends = f'x1="{edge:.1f}" y1="{top + 14}" x2="{edge:.1f}" y2="{top + 26 + _BAR}"'
    yield f'<line {ends} stroke="#222222" stroke-width="2"/>'
    yield _text(edge, top + 12, f"{total / GIB:.1f} GiB", 12, colour="#222222", end=True)


def _legend(y: int, parts: list[str]) -> Iterator[str]:
    at = _LEFT
    for part in parts:
        yield f'<rect x="{at}" y="{y - 11}" width="14" height="14" fill="{_COLOURS[part]}"/>'
        yield _text(at + 20, y, _TITLES[part], 13)
        at += 44 + int(7.2 * len(_TITLES[part]))


def _gpus(found: Check) -> str:
    count = len(found.gpus)
    return f"{count}x {found.gpus[0].name}" if count > 1 else found.gpus[0].name


def _facts(found: Check) -> str:
    words = [f"{found.quantization.method}, kernel {found.kernel}"]
    if found.max_model_len is not None:
        words.append(f"longest context {found.max_model_len:,} tokens")
    if found.concurrency is not None and found.context_length is not None:
        words.append(f"{found.concurrency:,.1f} requests of {found.context_length:,} tokens at once")
    return " · ".join(words)


def _text(
    x: float,
    y: float,
    words: str,
    size: int,
    *,
    colour: str = "#222222",
    bold: bool = False,
    middle: bool = False,
    end: bool = False,
) -> str:
    anchor = ' text-anchor="middle"' if middle else ' text-anchor="end"' if end else ""
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"'
    return f"<text {place} {_FONT}{anchor}{weight}>{escape(words)}</text>"
