from __future__ import annotations

import collections
import io
import pickle
import struct
import sys
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest

from hf_pack.adapters.pickle_scanner import MOST_PICKLES, PICKLE_LIMIT, FicklingScanner
from hf_pack.ports import Scanned

#: What a public scanner's tests and advisories (picklescan's GHSA-* and malicious* pickles) use to run code, and what
#: at some time passed a list of bad names.
BYPASSES = [
    "__builtin__.eval",
    "__builtin__.exec",
    "builtins.eval",
    "builtins.getattr",
    "builtins.breakpoint",
    "builtins.__import__",
    "posix.system",
    "nt.system",
    "subprocess.run",
    "subprocess.Popen",
    "socket.create_connection",
    "httplib.HTTPSConnection",
    "requests.api.get",
    "aiohttp.client.ClientSession",
    "sys.exit",
    "pickle.loads",
    "_pickle.loads",
    "importlib.import_module",
    "marshal.loads",
    "operator.attrgetter",
    "operator.methodcaller",
    "functools.partial",
    "pkgutil.resolve_name",
    "types.CodeType",
    "uuid._popen",
    "cloudpickle.cloudpickle._make_function",
    "cloudpickle.cloudpickle.subimport",
    "logging.FileHandler",
    "_io.FileIO",
    "numpy.f2py.crackfortran.getlincoef",
    "numpy.testing._private.utils.runstring",
    "torch._dynamo.guards.GuardBuilder.get",
    "torch.utils.bottleneck.__main__.run_cprofile",
    "torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression",
    "torch.utils._config_module.load_config",
    "torch.jit.unsupported_tensor_ops.execWrapper",
    "torch.storage._load_from_bytes",
    "torch.load",
    "torch.hub.load",
    "timeit.timeit",
    "cProfile.runctx",
    "profile.run",
    "trace.Trace.run",
    "code.InteractiveInterpreter.runcode",
    "idlelib.run.Executive.runcode",
    "lib2to3.pgen2.grammar.Grammar.loads",
    "doctest.debug_script",
    "ensurepip._run_pip",
    "distutils.file_util.write_file",
    "asyncio.unix_events._UnixSubprocessTransport._start",
    "ssl.get_server_certificate",
    "venv.create",
    "webbrowser.open",
    "shelve.open",
    "zlib.decompress",
    "base64.b64decode",
    "site.main",
    "ctypes.CDLL",
    "bdb.Bdb.run",
    "imaplib.IMAP4_stream",
]


def scan(data: bytes) -> Scanned:
    return FicklingScanner().scan(io.BytesIO(data))


def calling(name: str, *, stack: bool) -> bytes:
    """A pickle that calls ``module.name`` with a text: by GLOBAL, or by STACK_GLOBAL from the memo."""
    module, _, attribute = name.rpartition(".")
    if not stack:
        return f"c{module}\n{attribute}\n(S'x'\ntR.".encode()
    parts = b"".join(b"\x8c" + struct.pack("<B", len(text)) + text.encode() + b"\x94" for text in (module, attribute))
    return b"\x80\x04" + parts + b"00h\x00h\x01\x93(\x8c\x01xtR."


@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize("name", BYPASSES)
def test_names_that_passed_other_scanners_are_told(name: str, stack: bool) -> None:
    assert scan(calling(name, stack=stack)) == Scanned(names=(name,))


def test_a_memo_that_misleads_hides_nothing() -> None:
    data = b"Vos\np2\n0Vsystem\np3\n0Vtorch\np0\n0VLongStorage\np1\n0g2\ng3\n\x93(Vx\ntR."
    assert scan(data).names == ("os.system",)


def test_inst_is_told() -> None:
    assert scan(b"(S'x'\ni__builtin__\nexec\n.").names == ("__builtin__.exec",)


def test_a_second_pickle_is_told() -> None:
    assert scan(pickle.dumps(["a"]) + calling("os.system", stack=False)).names == ("os.system",)


def test_a_file_of_nothing_but_tiny_pickles_ends_the_scan() -> None:
    assert scan(b"N." * MOST_PICKLES) == Scanned()
    scanned = scan(b"N." * (PICKLE_LIMIT // 2))
    assert scanned.problem == f"over {MOST_PICKLES} pickles stand one behind the other"


def test_one_that_breaks_off_is_told() -> None:
    """A loader runs what comes before the break."""
    found = scan(calling("os.system", stack=False)[:-1] + b"X\xff\xff\xff")
    assert found.names == ("os.system",) or found.problem is not None


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x04", b"garbage", b"PK\x03\x04rest", b"\x80\x02\x93.", b"\x82\x01."]
)
def test_what_cannot_be_read_is_no_clean_one(data: bytes) -> None:
    found = scan(data)
    assert found.problem is not None or found.names


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


PLAIN = pickle.dumps(collections.OrderedDict(a=1), 2)
EVIL = calling("os.system", stack=False)


@pytest.mark.parametrize(
    "members",
    [
        [("archive/data.pkl", EVIL)],
        [("archive/data.pkl", PLAIN), ("archive/constants.pkl", EVIL)],
        [("archive/data.pkl", PLAIN), ("archive/data.PKL", EVIL)],
    ],
)
def test_every_pickle_of_a_zip_is_looked_into(members: Sequence[tuple[str, bytes]]) -> None:
    assert scan(zipped(*members)) == Scanned(names=("os.system",))


def test_a_wrong_checksum_hides_nothing() -> None:
    data = bytearray(zipped(("archive/data.pkl", EVIL)))
    at = data.index(b"PK\x01\x02") + 16
    data[at : at + 4] = b"\0\0\0\0"
    assert scan(bytes(data)).names == ("os.system",)


def test_a_flag_of_encryption_is_no_clean_one() -> None:
    data = bytearray(zipped(("archive/data.pkl", EVIL)))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert scan(bytes(data)).problem is not None


@pytest.mark.parametrize("members", [[("a/b", b"x")], [("archive/data.pkl", PLAIN), ("archive/code/m.py", b"x")]])
def test_zips_of_something_else_are_no_clean_ones(members: Sequence[tuple[str, bytes]]) -> None:
    assert scan(zipped(*members)).problem is not None


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zipped(("archive/data.pkl", b"0" * (PICKLE_LIMIT + 2)), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1_000_000
    assert f"has over {PICKLE_LIMIT} bytes" in (scan(bomb).problem or "")


def test_a_length_of_the_author_allocates_nothing() -> None:
    found = scan(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.")
    assert found.problem is not None


class _Storage:
    """Pickled as `torch.save` pickles a tensor's storage: by a persistent id."""


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", "FloatStorage", "0", "cpu", 1) if isinstance(obj, _Storage) else None


def test_plain_data_is_clean() -> None:
    assert scan(PLAIN) == Scanned()
    assert scan(zipped(("archive/data.pkl", PLAIN), ("archive/version", b"3"))) == Scanned()
    out = io.BytesIO()
    _Pickler(out, 2).dump({"w": _Storage()})
    assert scan(out.getvalue()) == Scanned()


def test_the_format_of_torch_before_zip() -> None:
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    tail = pickle.dumps(["0"], 2) + b"\x00\x01\x02 bytes of tensors" * 10
    assert scan(head + PLAIN + tail) == Scanned()
    assert scan(head + EVIL + tail).names == ("os.system",)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fickling", None)
    monkeypatch.setitem(sys.modules, "fickling.fickle", None)
    assert scan(PLAIN) == Scanned(problem="no scanner is installed: pip install 'hf-pack[scan]'")


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    scan(b"\x80\x02K\x01K\x02\x93.")
    assert capsys.readouterr().out == ""
