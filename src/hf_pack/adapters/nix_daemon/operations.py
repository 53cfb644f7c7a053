"""What we ask of a daemon, each operation with its number (``worker-protocol.hh``) and its answer as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from hf_pack.adapters.nix_daemon import wire
from hf_pack.adapters.nix_daemon.connection import Connection, FilePart
from hf_pack.adapters.nix_daemon.wire import Decoder, WireError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo

FLAT = "fixed:sha256"  #: the body is the bytes of one file
RECURSIVE = "fixed:r:sha256"  #: the body is a NAR

_MOST = (1 << 64) - 1


class _Operation(IntEnum):
    IS_VALID_PATH = 1
    ADD_TO_STORE = 7
    ENSURE_PATH = 10
    ADD_TEMP_ROOT = 11
    ADD_INDIRECT_ROOT = 12
    FIND_ROOTS = 14
    COLLECT_GARBAGE = 20
    QUERY_ALL_VALID_PATHS = 23
    QUERY_PATH_INFO = 26
    QUERY_PATH_FROM_HASH_PART = 29
    QUERY_SUBSTITUTABLE_PATH_INFOS = 30
    QUERY_VALID_PATHS = 31
    ADD_TO_STORE_NAR = 39


class _Collect(IntEnum):
    RETURN_DEAD = 1
    DELETE_DEAD = 2


@dataclass(frozen=True, slots=True)
class FoundRoot:
    """A GC root: the link that makes it one (``{censored}`` and the like for what this user may not see)."""

    link: str
    store_path: StorePath


def add_to_store(
    connection: Connection,
    name: str,
    method: str,
    body: Iterable[bytes | FilePart],
    *,
    references: Iterable[StorePath] = (),
    repair: bool = False,
) -> PathInfo:
    """Make an object valid by its content; the answer is what it was registered as.

    It has a temporary root until the connection ends. Raises DaemonRefusedError; EOFError for a file that got shorter.
    """
    answer = connection.stream(
        _Operation.ADD_TO_STORE,
        wire.text(name),
        wire.text(method),
        wire.texts(map(str, references)),
        wire.number(repair),
        body=body,
    )
    store_path = _store_path(answer.text())
    return _path_info(store_path, answer)


def add_to_store_nar(connection: Connection, info: PathInfo, body: Iterable[bytes], *, repair: bool = False) -> None:
    """Make an object valid that its content address or a signature vouches for, by the daemon's own settings.

    It has a temporary root only when it was named before. Raises DaemonRefusedError.
    """
    connection.stream(
        _Operation.ADD_TO_STORE_NAR,
        wire.text(str(info.store_path)),
        wire.text(""),  # deriver
        wire.text(info.nar_hash.hex()),
        wire.texts(map(str, info.references)),
        wire.number(info.registration_time),
        wire.number(info.nar_size),
        wire.number(0),  # ultimate
        wire.texts(info.signatures),
        wire.text(info.content_address or ""),
        wire.number(repair),
        wire.number(0),  # signatures are checked
        body=body,
    )


def query_path_info(connection: Connection, store_path: StorePath) -> PathInfo | None:
    """What the store knows of a path, None when it is not valid."""
    answer = connection.call(_Operation.QUERY_PATH_INFO, wire.text(str(store_path)))
    return _path_info(store_path, answer) if answer.boolean() else None


def query_valid_paths(connection: Connection, among: Iterable[StorePath]) -> frozenset[StorePath]:
    """Which of these are valid; nothing is substituted."""
    arguments = [wire.texts(map(str, among))]
    if connection.minor >= 27:
        arguments.append(wire.number(0))
    answer = connection.call(_Operation.QUERY_VALID_PATHS, *arguments)
    return frozenset(_store_path(text) for text in answer.texts())


def query_path_from_digest(connection: Connection, digest: str) -> StorePath | None:
    """The valid path that begins with this digest."""
    text = connection.call(_Operation.QUERY_PATH_FROM_HASH_PART, wire.text(digest)).text()
    return _store_path(text) if text else None


def substitutable_paths(connection: Connection, among: Iterable[StorePath]) -> frozenset[StorePath]:
    """Which of these a substituter of the store says it has.

    ``QuerySubstitutablePaths``, by its name the operation for this, leaves out caches that set no ``WantMassQuery``.
    """
    wanted = sorted(among)
    answer = connection.call(
        _Operation.QUERY_SUBSTITUTABLE_PATH_INFOS,
        wire.number(len(wanted)),
        *(wire.text(str(store_path)) + wire.text("") for store_path in wanted),  # no content address
    )
    found = []
    for _ in range(answer.number(wire.MOST_ITEMS)):
        found.append(_store_path(answer.text()))
        answer.text()  # deriver
        answer.texts()
        answer.number()  # sizes: to download, as a NAR
        answer.number()
    return frozenset(found)


def ensure_path(connection: Connection, store_path: StorePath) -> None:
    """Make the path valid by its substituters when it is not. Raises DaemonRefusedError when none gives it."""
    connection.call(_Operation.ENSURE_PATH, wire.text(str(store_path))).number()


def query_all_valid_paths(connection: Connection) -> tuple[StorePath, ...]:
    """Every valid path whose name current Nix allows, sorted."""
    return _store_paths(connection.call(_Operation.QUERY_ALL_VALID_PATHS).texts())


def add_temp_root(connection: Connection, store_path: StorePath) -> None:
    """Keep the path, valid or not, from collectors until the connection ends."""
    connection.call(_Operation.ADD_TEMP_ROOT, wire.text(str(store_path))).number()


def add_indirect_root(connection: Connection, link: str) -> None:
    """Make a root of the link at this absolute path, for as long as it points into the store."""
    connection.call(_Operation.ADD_INDIRECT_ROOT, wire.text(link)).number()


def find_roots(connection: Connection) -> tuple[FoundRoot, ...]:
    """All roots but temporary ones."""
    answer = connection.call(_Operation.FIND_ROOTS)
    found = []
    for _ in range(answer.number(wire.MOST_ITEMS)):
        link, text = answer.text(), answer.text()
        found += [FoundRoot(link, path) for path in _store_paths([text])]
    return tuple(found)


def collect_garbage(connection: Connection, *, delete: bool) -> tuple[tuple[StorePath, ...], int]:
    """Delete what no root reaches, or only say what; returns the paths and the bytes freed (0 when none were)."""
    answer = connection.call(
        _Operation.COLLECT_GARBAGE,
        wire.number(_Collect.DELETE_DEAD if delete else _Collect.RETURN_DEAD),
        wire.texts([]),
        wire.number(0),  # roots count
        wire.number(_MOST),  # no limit to what is freed
        wire.number(0) * 3,  # of earlier protocols
    )
    paths, freed = _store_paths(answer.texts()), answer.number()
    answer.number()
    return paths, freed


def _path_info(store_path: StorePath, answer: Decoder) -> PathInfo:
    answer.text()  # deriver
    try:
        nar_hash = Hash.parse(answer.text(), HashAlgorithm.SHA256)
    except FormatError as error:
        raise WireError(str(error)) from None
    references = tuple(sorted(_store_path(text) for text in answer.texts()))
    registration_time, nar_size = answer.number(), answer.number()
    answer.boolean()  # ultimate
    signatures = tuple(sorted(answer.texts()))
    content_address = answer.text()
    return PathInfo(
        store_path=store_path,
        nar_hash=nar_hash,
        nar_size=nar_size,
        references=references,
        content_address=content_address or None,
        registration_time=registration_time,
        signatures=signatures,
    )


def _store_path(text: str) -> StorePath:
    try:
        return StorePath.parse(text)
    except FormatError as error:
        raise WireError(str(error)) from None


def _store_paths(texts: Iterable[str]) -> tuple[StorePath, ...]:
    """Those that are store paths: a store also has locks, and paths of names that are not allowed any more."""
    found = []
    for text in texts:
        try:
            if not text.endswith(".lock"):
                found.append(StorePath.parse(text))
        except FormatError:
            continue
    return tuple(sorted(found))
