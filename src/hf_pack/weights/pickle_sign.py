"""Recognises pickled weights by content, whatever they are called: loading a pickle runs its code."""

from __future__ import annotations

import io
import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SIGN_SIZE = 512
"""Bytes of the start of a file that decide, unless a text in it goes on behind them."""
LONGEST_START = 16 << 20
"""Bytes of the start of a file that are read at most for such a text."""

_OPCODES = frozenset(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
_PROTOCOLS = frozenset({2, 3, 4, 5})
_ZIP = b"PK\x03\x04"
_ZIP_HEADER = 30  #: bytes before a member's name (PKWARE's APPNOTE, 4.3.7)
#: What `torch.save` puts beside its pickle, below one directory (caffe2/serialize/inline_container.cc and
#: torch/serialization.py).
_TORCH_MEMBER = re.compile(
    rb"[^/]+/(?:data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)


#: Opcodes that take something of Python's by name, and those that call it.
_NAMING = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
_CALLING = frozenset({"REDUCE", "BUILD", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX"})
_HOLDING = frozenset({"MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET"})
_MANY = 16  #: opcodes in a row that no text has by chance; a line of text ends most of them
_ENOUGH = 10_000  #: opcodes in a row that are a pickle whatever they do
#: How the standard library says that bytes end within an opcode, or before a STOP.
_CUT_OFF = ("no newline found", "not enough data", "expected ", "pickle exhausted")
_MISSING = re.compile(r"expected (\d+) bytes in a \w+, but only (\d+) remain")
_NPY = b"\x93NUMPY"


def looks_like_pickle(prefix: bytes) -> bool:
    """Whether a file that starts with ``prefix`` (512 bytes or all of it) is pickle, or a container of it.

    True for pickle protocol 2 and later (which legacy ``torch.save`` files also start with), for protocols 0 and 1
    and any other that leave out the sign of their protocol (by opcodes that can follow one another), for a zip with a
    ``.pkl`` or another member of ``torch.save``'s (since 1.6) among those that begin in ``prefix``, for tar
    (``torch.save`` before 0.2, ``.nemo``), and for NumPy's arrays of objects.
    """
    if prefix.startswith(_ZIP):
        return any(name.endswith(b".pkl") or _TORCH_MEMBER.fullmatch(name) for name in _zip_names(prefix))
    if prefix[257:262] == b"ustar":
        return True
    if prefix.startswith(_NPY):
        return b"|O" in prefix[:SIGN_SIZE]
    if len(prefix) >= 3 and prefix[0] == 0x80 and prefix[1] in _PROTOCOLS and prefix[2:3] in _OPCODES:
        return not _is_safetensors(prefix)
    return _unsigned(prefix[:SIGN_SIZE]).is_pickle


def hides_behind_text(read: Callable[[int], bytes], file_size: int) -> bool:
    """Whether a file that :func:`looks_like_pickle` does not see begins with a text longer than :data:`SIGN_SIZE`, or
    with opcodes that do nothing, and is an unsigned pickle after that. ``read`` gives that many first bytes.
    """
    size, most = SIGN_SIZE, min(file_size, LONGEST_START)
    while not (found := _unsigned(read(size)[:size])).is_pickle:
        if found.wanted is None or found.wanted > most:
            return False
        size = min(most, max(4 * size, found.wanted + SIGN_SIZE))
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unsigned:
    """What bytes are as a pickle without a sign. ``wanted`` is how many the opcode takes that they end in, at least."""

    is_pickle: bool
    wanted: int | None = None


def _unsigned(prefix: bytes) -> _Unsigned:
    """Whether the bytes are opcodes that can follow one another, up to a STOP or the end, and enough of them."""
    names: list[str] = []
    depth, marks = 0, [0]
    wanted = None
    try:
        for opcode, _, _ in pickletools.genops(io.BytesIO(prefix)):
            names.append(opcode.name)
            takes = [kind.name for kind in opcode.stack_before]
            if "mark" in takes or (opcode.name == "POP" and depth == marks[-1]):
                depth = marks.pop()
                takes = takes[: takes.index("mark")] if "mark" in takes else []
            depth -= len(takes)
            if not marks or depth < marks[-1]:
                return _Unsigned(is_pickle=False)
            if opcode.name == "MARK":
                marks.append(depth)
            else:
                depth += len(opcode.stack_after)
            if len(names) == _ENOUGH:
                return _Unsigned(is_pickle=True)
    except ValueError as error:
        if len(prefix) < SIGN_SIZE or not str(error).startswith(_CUT_OFF):
            return _Unsigned(is_pickle=False)
        missing = _MISSING.match(str(error))
        wanted = len(prefix) + (int(missing[1]) - int(missing[2]) if missing else 1)
    calls = not _NAMING.isdisjoint(names) and not _CALLING.isdisjoint(names)
    is_pickle = calls or (len(names) >= _MANY and not _HOLDING.isdisjoint(names))
    return _Unsigned(is_pickle=is_pickle, wanted=wanted)


def _zip_names(prefix: bytes) -> Iterator[bytes]:
    """The names in all local headers. Sizes are not followed: a writer of streams states them after the member."""
    start = prefix.find(_ZIP)
    while start >= 0:
        begin = start + _ZIP_HEADER
        yield prefix[begin : begin + int.from_bytes(prefix[start + 26 : start + 28], "little")]
        start = prefix.find(_ZIP, start + len(_ZIP))


def _is_safetensors(prefix: bytes) -> bool:
    # A safetensors header of the right length also starts with 0x80 and a small byte.
    return prefix[4:8] == bytes(4) and prefix[8:9] == b"{"
