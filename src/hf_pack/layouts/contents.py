"""One packaged file as an entry of the tree: its bytes, or a relative link to its blob."""

from __future__ import annotations

from collections.abc import Mapping

from hf_pack.model.lock import LockedFile
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Entry, RegularFile, Symlink


def file_entry(path: str, file: LockedFile, kept: Mapping[str, bytes], storage: Storage) -> Entry:
    """``file`` placed at ``path`` in the tree.

    The tree lies in the store directory beside its blobs, so a link climbs out of the tree and names the blob:
    it holds under any physical root.
    """
    if not file.is_blob:
        return RegularFile(path=path, contents=kept[file.path])
    if storage is Storage.SELF_CONTAINED:
        return RegularFile(path=path, contents=file.blob)
    up = "../" * (path.count("/") + 1)
    return Symlink(path=path, target=up + file.blob.store_path.base_name, blob=file.blob)
