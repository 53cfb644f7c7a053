"""The package record: what a build registered (``models/<name>.record``)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath


class RecordError(ValueError):
    """The text is not a package record; the message names field, expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """Store path, NAR hash and size and references of a built package, and what it was built from."""

    store_path: StorePath
    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...]
    plan_digest: Hash
    lock_digest: Hash

    def format(self) -> bytes:
        """The file's bytes; :func:`parse` gives the value back."""
        document = {
            "store_path": str(self.store_path),
            "nar_hash": self.nar_hash.sri(),
            "nar_size": self.nar_size,
            "references": [str(reference) for reference in self.references],
            "plan_digest": self.plan_digest.sri(),
            "lock_digest": self.lock_digest.sri(),
        }
        return (json.dumps(document, indent=2) + "\n").encode()


def parse(text: bytes) -> PackageRecord:
    """Read ``models/<name>.record``. Raises :class:`RecordError`."""
    try:
        document = json.loads(text)
        nar_size = document["nar_size"]
        if not isinstance(nar_size, int) or isinstance(nar_size, bool) or nar_size < 0:
            raise RecordError(f"nar_size: expected a size in bytes, found {nar_size!r}")
        return PackageRecord(
            store_path=StorePath.parse(document["store_path"]),
            nar_hash=Hash.parse(document["nar_hash"]),
            nar_size=nar_size,
            references=tuple(StorePath.parse(reference) for reference in document["references"]),
            plan_digest=Hash.parse(document["plan_digest"]),
            lock_digest=Hash.parse(document["lock_digest"]),
        )
    except RecordError:
        raise
    except KeyError as error:
        raise RecordError(f"{error.args[0]}: missing") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(str(error)) from None
