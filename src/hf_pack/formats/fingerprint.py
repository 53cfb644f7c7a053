"""The text that a signature of a store object covers.

It states the path, the NAR and the references, and nothing else: not the URL, the compression, the
deriver or the content address of a narinfo, which a signature therefore does not make trustworthy.
(Nix manual, "Store object signature".)
"""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import StorePath


def fingerprint(store_path: StorePath, nar_hash: Hash, nar_size: int, references: Iterable[StorePath] = ()) -> str:
    """Return ``1;<path>;sha256:<nix32>;<size>;<sorted full reference paths, comma-separated>``.

    ``nar_size`` is in bytes. Raises ``FormatError`` for a NAR hash that is not a sha256 and for a size
    that is not positive.
    """
    if nar_hash.algorithm != HashAlgorithm.SHA256:
        raise FormatError(f"a NAR hash is a sha256, not a {nar_hash.algorithm}")
    if nar_size <= 0:
        raise FormatError(f"a NAR size is positive, not {nar_size}")
    listed = ",".join(map(str, sorted(set(references))))
    return f"1;{store_path};{nar_hash.nix_text()};{nar_size};{listed}"
