"""The package record: what a build registered (``models/<name>.record``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.document import Problem, Problems, Table, show
from hf_pack.model.strict_json import StrictJsonError, loads


class RecordError(Problems):
    """The text is not a package record; its problems name field, expected and found."""


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
        document = loads(text)
    except StrictJsonError as error:
        raise RecordError([Problem(path="", message=f"not JSON: {error}")]) from None
    if not isinstance(document, Mapping):
        raise RecordError([Problem(path="", message="not a record", expected="an object", found=show(document))])
    problems: list[Problem] = []
    top = Table(document, "", problems)
    top.refuse_unknown([field.name for field in fields(PackageRecord)])
    store_path = top.parsed("store_path", StorePath.parse)
    nar_hash, nar_size = top.parsed("nar_hash", Hash.parse), top.whole("nar_size")
    references = top.parsed_list("references", StorePath.parse)
    plan_digest, lock_digest = top.parsed("plan_digest", Hash.parse), top.parsed("lock_digest", Hash.parse)
    if store_path and nar_hash and plan_digest and lock_digest and not problems:
        return PackageRecord(
            store_path=store_path,
            nar_hash=nar_hash,
            nar_size=nar_size,
            references=references,
            plan_digest=plan_digest,
            lock_digest=lock_digest,
        )
    raise RecordError(problems)
