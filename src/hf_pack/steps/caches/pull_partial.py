"""A package without its weights, as plain files: what a scheduler reads before it chooses a machine.

It is no store object, since its references would be missing. Of a linked package it is the tree's NAR, which is small
and proves itself; of an uncompressed self-contained one the small files are read where they lie in the NAR, and only
its whole would prove them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hf_pack.errors import IntegrityError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.nar_reader import FileChunk, FileEnd, FileStart
from hf_pack.model.lock import BLOB_THRESHOLD, FileDigest, is_blob
from hf_pack.model.proven_nar import ProvenNar, require_authentic
from hf_pack.ports import ObjectCache, Progress, Store
from hf_pack.steps.caches import pull_tree
from hf_pack.steps.caches.pull import Offer, find
from hf_pack.steps.caches.pull_packages import Choice, choose, require_origin
from hf_pack.steps.trust.trust import Trust

_CONFIG = (".json", ".pbtxt")


class Only(StrEnum):
    """Which files: those that say what the model is and how it is served, or all but weights."""

    CONFIG = "config"
    TREE = "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """The small files of a package, sorted; ``proved``: each byte follows from the store path."""

    choice: Choice
    files: tuple[tuple[str, bytes], ...]
    proved: bool

    @property
    def digests(self) -> dict[str, FileDigest]:
        """Size and sha256 of each."""
        return {path: FileDigest(size=len(contents), sha256=Hash.sha256_of(contents)) for path, contents in self.files}


def pull_partial(
    text: str, only: Only, caches: Sequence[ObjectCache], store: Store, trust: Trust, progress: Progress
) -> Partial:
    """The small files of what ``text`` means, as :func:`hf_pack.steps.caches.pull_packages.choose` says.

    When a signature is demanded, all is proved, at the cost of reading a self-contained package whole. Raises
    UsageError, PolicyError, HubError, IntegrityError.
    """
    choice = choose(text, caches, trust, progress)
    if trust.required:
        require_origin(choice.store_path, caches, store, trust)
    offer = find(choice.store_path, caches)
    info = offer.info
    proved = trust.required or info.compression != "none" or info.nar_size < pull_tree.LEAST
    found = _proved(offer, trust) if proved else _where_they_lie(offer)
    partial = partial_of(choice, found, only, proved=proved, where=offer.cache.name)
    if not proved:
        progress.note(
            f"note: only the whole of {choice.store_path.name} proves these files: "
            "a full pull reads it, and so does --signatures enforce"
        )
    return partial


def partial_of(choice: Choice, files: Mapping[str, bytes], only: Only, *, proved: bool, where: str) -> Partial:
    """What is wanted of a package's small files. Raises IntegrityError when that is nothing."""
    wanted = {path: contents for path, contents in files.items() if _belongs(path, contents, only)}
    if not wanted:
        raise IntegrityError(f"{choice.store_path} holds no such file\n  {where}: --only {only}")
    return Partial(choice=choice, files=tuple(sorted(wanted.items())), proved=proved)


def _belongs(path: str, contents: bytes, only: Only) -> bool:
    return path.endswith(_CONFIG) if only is Only.CONFIG else not is_blob(path, len(contents))


def _where_they_lie(offer: Offer) -> dict[str, bytes]:
    walked = pull_tree.walk(offer.info, offer.cache)
    return {file.path: file.contents for file in walked.files if file.contents is not None}


def _proved(offer: Offer, trust: Trust) -> dict[str, bytes]:
    require_authentic(offer.info, trust.keys)
    files: dict[str, bytes] = {}
    contents, is_small = bytearray(), False
    for event in ProvenNar(offer.info, offer.cache.nar(offer.info)).events():
        match event:
            case FileStart():
                contents.clear()
                is_small = event.size <= BLOB_THRESHOLD
            case FileChunk(data) if is_small:
                contents += data
            case FileEnd(path) if is_small:
                files[b"/".join(path).decode(errors="replace")] = bytes(contents)
            case _:
                pass
    return files
