"""Bad inputs made from good ones: the same ones for the same number."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
_TOKENS = (
    *(b"..", b"/", b"../../x", b"\\", b"\0", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80", "e\u0301".encode()),
    *(b"[" * 2000, b'{"a":' * 2000, b"[[a]]\n", b"NaN", b"-0", b"1e999", b"1" * 5000, b'"', b"null", b"true", b"{}"),
    *(b"sha256:", b"a = {b.c = 1}\n", b"__proto__", b"=" * 100, b"\x1b[2J", b"9" * 20, b"-1"),
)


def mutated(seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """``count`` inputs."""
    chance = random.Random(0)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            _change(data, seeds, chance)
        yield bytes(data)


def _change(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    begin = chance.randrange(len(data) + 1)
    end = min(len(data), begin + chance.choice((1, 1, 4, 8, 64)))
    match chance.randrange(7):
        case 0 if data:
            data[begin % len(data)] ^= 1 << chance.randrange(8)
        case 1:
            del data[begin:end]
        case 2:
            data[begin:begin] = data[begin:end]
        case 3:
            data[begin:end] = chance.choice(_TOKENS)
        case 4:
            data[begin:end] = chance.choice(_NUMBERS).to_bytes(8, chance.choice(("little", "big")))
        case 5:
            del data[begin:]
        case _:
            other = chance.choice(seeds)
            data[begin:] = other[chance.randrange(len(other) + 1) :]
