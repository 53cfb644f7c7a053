"""A self-contained tree, pulled as what it is made of: its structure by range reads, each large file as a blob.

The large files arrive side by side, go on after a kill, and are links into the tree where the store has them so. The
package's own ``hf-pack.json`` says what their sha256 is; nothing is believed of it, since the store path that the whole
tree gives is compared in the end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from hf_pack.errors import IntegrityError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.nar_reader import DirectoryStart, FileChunk, FileStart, NarPath, Symlink, read_events
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import sanitize_name
from hf_pack.layouts.provenance import PROVENANCE_FILE
from hf_pack.model import plan
from hf_pack.model.lock import BLOB_THRESHOLD, Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Plan, RegularFile
from hf_pack.ports import ObjectCache, Progress, Store

_WINDOW = 1 << 17  #: bytes of a NAR that are read at once where its structure is
LEAST = 16 << 20  #: bytes; a smaller NAR is streamed
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInNar:
    """A file of a tree: ``contents`` when it is small, else where its bytes begin in the NAR."""

    path: str
    size: int
    at: int
    contents: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A tree's structure; ``is_plan``: nothing in it is of a kind that our trees have not."""

    files: tuple[FileInNar, ...]
    links: tuple[plan.Symlink, ...]
    is_plan: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A tree as what it is made of: the plan, and for each of its blobs where it begins in the NAR."""

    plan: Plan
    blobs: tuple[tuple[Blob, int], ...]


def parts_of(info: NarInfo, cache: ObjectCache) -> Parts | None:
    """What the tree is made of; None when it has to be streamed: it is small, compressed, linked, or not one of ours.

    Raises IntegrityError for what is no NAR, HubError.
    """
    address = info.content_address
    if address is None or address.method != "recursive" or info.references or not info.content_address_holds():
        return None
    if info.compression != "none" or info.nar_size < LEAST:
        return None
    walked = walk(info, cache)
    digests = _stated_digests(walked)
    entries: list[plan.Entry] = list(walked.links)
    blobs: dict[Blob, int] = {}
    for file in walked.files:
        if file.contents is not None:
            entries.append(RegularFile(path=file.path, contents=file.contents))
            continue
        named = [(size, sha256) for path, size, sha256 in digests if f"/{file.path}".endswith(f"/{path}")]
        stated = {sha256 for size, sha256 in named if size == file.size}
        if len(stated) != 1:
            return None
        blob = Blob(name=sanitize_name(file.path.rpartition("/")[2]), sha256=stated.pop(), size=file.size)
        entries.append(RegularFile(path=file.path, contents=blob))
        blobs.setdefault(blob, file.at)
    if not walked.is_plan or not blobs:
        return None
    tree = Plan(
        name=info.store_path.name,
        storage=Storage.SELF_CONTAINED,
        entries=tuple(sorted(entries, key=lambda entry: entry.path)),
    )
    if tree.nar_size != info.nar_size:
        return None  # an empty directory, say
    return Parts(plan=tree, blobs=tuple(blobs.items()))


def make(parts: Parts, info: NarInfo, store: Store, progress: Progress) -> None:
    """Make the tree of its blobs, which are valid or held.

    Raises IntegrityError when it is not the tree that was wanted: what became valid then is another one, under the path
    of its own bytes, to which nothing refers.
    """
    if store.streamer is None:
        made = store.add_tree(parts.plan, progress).info.store_path
    else:
        made = store.streamer.add_tree(parts.plan, {}, progress).info.store_path
    if made != info.store_path:
        raise IntegrityError(
            f"{info.store_path} arrived with other bytes than it must have\n"
            f"  expected the tree {info.store_path.digest}, found {made.digest}",
            hint="take it from another cache",
        )


def walk(info: NarInfo, cache: ObjectCache) -> Walked:
    """The structure and the small files of an uncompressed NAR; of large files nothing is read."""
    files: list[FileInNar] = []
    links: list[plan.Symlink] = []
    is_plan, small = True, bytearray()
    current: FileInNar | None = None

    def end() -> None:
        if current is not None:
            kept = bytes(small) if current.size <= BLOB_THRESHOLD else None
            files.append(FileInNar(path=current.path, size=current.size, at=current.at, contents=kept))

    window = _Windows(info, cache)
    try:
        for event in read_events(window.read):
            match event:
                case FileChunk(data):
                    if current is not None and current.size <= BLOB_THRESHOLD:
                        small += data
                    continue
                case FileStart():
                    end()
                    small.clear()
                    path, fits = _text(event.path)
                    is_plan &= fits and not event.executable and bool(event.path)
                    current = FileInNar(path=path, size=event.size, at=event.nar_offset, contents=None)
                    if event.size > BLOB_THRESHOLD:
                        window.pass_over(event.size)
                case Symlink():
                    path, fits = _text(event.path)
                    target, target_fits = _text((event.target,))
                    is_plan &= fits and target_fits and bool(event.path)
                    if fits and target_fits:
                        links.append(plan.Symlink(path=path, target=target))
                case DirectoryStart(directory):
                    is_plan &= _text(directory)[1]
                case _:
                    pass
        end()
    except FormatError as error:
        raise IntegrityError(f"{info.store_path} arrived with other bytes than it must have\n  {error}") from None
    return Walked(files=tuple(files), links=tuple(links), is_plan=is_plan)


def _text(path: NarPath) -> tuple[str, bool]:
    joined = b"/".join(path)
    try:
        return joined.decode(), True
    except UnicodeDecodeError:
        return joined.decode(errors="replace"), False


def _stated_digests(walked: Walked) -> tuple[tuple[str, int, Hash], ...]:
    """Path, size and sha256 of the model's files as the package itself states them; none when it does not."""
    for file in walked.files:
        if file.path.endswith(f"/{PROVENANCE_FILE}") and file.contents is not None:
            try:
                stated = json.loads(file.contents)["files"]
                return tuple((one["path"], one["size"], Hash.from_hex(one["sha256"])) for one in stated)
            except (ValueError, KeyError, TypeError, AttributeError):
                return ()
    return ()


class _Windows:
    """The NAR in windows, read as they are needed; zeros in the place of what is passed over."""

    def __init__(self, info: NarInfo, cache: ObjectCache) -> None:
        self._info = info
        self._cache = cache
        self._position = 0
        self._window = b""
        self._zeros = 0  # bytes still to be passed over

    def pass_over(self, size: int) -> None:
        """The next ``size`` bytes are not wanted."""
        self._zeros = size
        self._window = self._window[size:]
        self._position += size

    def read(self, n: int) -> bytes:
        if self._zeros:
            size = min(n, self._zeros, len(_ZEROS))
            self._zeros -= size
            return _ZEROS if size == len(_ZEROS) else _ZEROS[:size]
        if not self._window:
            size = min(_WINDOW, self._info.nar_size - self._position)
            if size <= 0:
                return b""
            self._window = self._cache.nar_part(self._info, self._position, size)
        data, self._window = self._window[:n], self._window[n:]
        self._position += len(data)
        return data
