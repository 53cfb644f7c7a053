"""Implements :class:`hf_pack.ports.PickleScanner` by fickling, which reads pickles as programs and runs none.

fickling, and not a scanner with a list of what is dangerous: such lists are passed by ever new names. It has a list of
what loading tensors takes, each name reviewed, and everything else counts. What this module adds is which parts of a
file are pickles: a zip's members by name, as ``torch.load`` opens them, and the five pickles of the format before it.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from hf_pack.errors import Error
from hf_pack.ports import Scanned

if TYPE_CHECKING:
    from fickling.fickle import Pickled

_INSTALL = "no scanner is installed: pip install 'hf-pack[scan]'"

#: Bytes of one pickle; that of a model with ten thousand tensors takes some 2 million, its tensors lie beside it.
PICKLE_LIMIT = 64 << 20
#: One behind the other in a file; the shortest has a byte, and each takes a fraction of a millisecond.
MOST_PICKLES = 1000

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py, MAGIC_NUMBER
_TORCH_PICKLES = 5  # magic number, protocol, machine, the object, the keys of its tensors
#: In fickling's list, on the condition that what is loaded inside is looked at as well, which nobody does here.
_LOADS_INSIDE = frozenset({"torch.storage._load_from_bytes"})
#: Newer than fickling's list: what torch itself takes with ``weights_only`` (torch/_weights_only_unpickler.py).
_TENSORS = frozenset(
    {"torch._utils._rebuild_tensor_v3", "torch.storage.UntypedStorage", "torch.storage.TypedStorage"}
    | {f"torch.{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
    | {f"torch.float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")}
    | {"torch.float64", "torch.bool", "torch.complex64", "torch.complex128", "torch.float4_e2m1fn_x2"}
)


class _Unclear(Exception):  # noqa: N818 - it ends one scan
    """Why nobody can tell what a pickle does."""


@dataclass(frozen=True)
class FicklingScanner:
    """See the module."""

    def scan(self, stream: BinaryIO) -> Scanned:
        """See :class:`hf_pack.ports.PickleScanner`."""
        try:
            import fickling.fickle  # noqa: F401 - it is an extra
        except ImportError:
            return Scanned(problem=_INSTALL)
        names: set[str] = set()
        problem = None
        try:
            for pickled in _pickles(stream):
                names |= _names(pickled)
        except _Unclear as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - a zip of a stranger's, read by the standard library
            _raise_if_of_the_stream(error)
            problem = f"it cannot be read ({_one_line(error)})"
        return Scanned(names=tuple(sorted(names)), problem=problem)


def _pickles(stream: BinaryIO) -> Iterator[Pickled]:
    start = stream.read(4)
    stream.seek(0)
    if start == b"PK\x03\x04":
        yield from _zipped(stream)
        return
    first = _next(stream)
    yield first
    if any(getattr(opcode, "arg", None) == _TORCH_MAGIC for opcode in first):
        for _ in range(_TORCH_PICKLES - 1):
            yield _next(stream)
        return
    for _ in range(MOST_PICKLES):
        try:
            following = _next(stream)
        except _Unclear:  # nothing loads what follows, and it need not be a pickle
            return
        yield following
    raise _Unclear(f"over {MOST_PICKLES} pickles stand one behind the other")


def _zipped(stream: BinaryIO) -> Iterator[Pickled]:
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise _Unclear(f"a zip that cannot be read ({error})") from None
    found = False
    for member in archive.infolist():
        name = member.filename
        if name.endswith(".py") or "/code/" in f"/{name}":
            raise _Unclear(f"it holds a program of TorchScript ({name[:100]!r})")
        if not name.lower().endswith((".pkl", ".pickle")):
            continue
        found = True
        with archive.open(member) as inside:
            inside._expected_crc = None  # type: ignore[attr-defined] # torch does not look at it either
            data = inside.read(PICKLE_LIMIT + 1)
        if len(data) > PICKLE_LIMIT:
            raise _Unclear(f"{name[:100]!r} in it has over {PICKLE_LIMIT} bytes")
        yield _next(io.BytesIO(data))
    if not found:
        raise _Unclear("a zip without the pickle that torch.load reads")


def _next(stream: BinaryIO) -> Pickled:
    """The pickle that starts here; the stream is behind it afterwards."""
    from fickling.fickle import Pickled

    try:
        with _silence():
            return Pickled.load(cast(BinaryIO, _Bounded(stream)))
    except Exception as error:  # noqa: BLE001 - fickling raises what it likes
        _raise_if_of_the_stream(error)
        raise _Unclear(f"no pickle that can be read ({_one_line(error)})") from None


def _names(pickled: Pickled) -> set[str]:
    """What it uses beyond what loading tensors takes. Raises _Unclear where its form is made to mislead."""
    from fickling import analysis
    from fickling.ml import ML_ALLOWLIST

    # Its other analyses judge names and calls by lists of what is bad; here all is bad that is not known.
    form = analysis.Analyzer(
        [
            analysis.InvalidOpcode(),
            analysis.InterpretationErrorAnalysis(),
            analysis.ResourceExhaustionAnalysis(),
            analysis.ExpansionAttackAnalysis(),
            analysis.DuplicateProtoAnalysis(),
            analysis.MisplacedProtoAnalysis(),
        ]
    )
    try:
        with _silence():
            imports = list(pickled.properties.imports)
            problems = [result for result in form.analyze(pickled).results if not result]
    except Exception as error:  # noqa: BLE001 - as above
        raise _Unclear(f"a pickle that cannot be followed ({_one_line(error)})") from None
    if problems:
        raise _Unclear(_one_line(problems[0]))
    names: set[str] = set()
    for found in imports:
        module = f"{found.module}." if isinstance(found, ast.ImportFrom) else ""
        names |= {f"{module}{alias.name}" for alias in found.names}
    known = {f"{module}.{name}" for module, inside in ML_ALLOWLIST.items() for name in inside}
    return names - (known - _LOADS_INSIDE) - _TENSORS


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The library prints warnings, to either stream."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _raise_if_of_the_stream(error: Exception) -> None:
    """Raise what reading raised; all else comes from a stranger's bytes, which were not understood."""
    if isinstance(error, Error) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
        raise error


def _one_line(value: object) -> str:
    return " ".join(str(value).split())[:200] or type(value).__name__


class _Bounded(io.RawIOBase):
    """A stream of which only the start is read, where pickles lie: their lengths are their author's."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        left = PICKLE_LIMIT - self._stream.tell()
        if size is not None and size > left:
            raise ValueError(f"it has over {PICKLE_LIMIT} bytes, or says so")
        return self._stream.read(left if size is None or size < 0 else size)

    def readline(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - nobody here asks for part of a line
        return self._stream.readline(max(0, PICKLE_LIMIT - self._stream.tell()))

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)
