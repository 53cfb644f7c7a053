"""What a signature of a model signs: the in-toto statement of OpenSSF Model Signing, version 1.0, from known hashes.

The reference implementation, ``model_signing`` on PyPI, hashes every file of a model's directory; a lock and a store
have these hashes, so nothing is read. Its verifiers pass over what they do not know in the predicate: there the package
stands (``hf_pack``), so that one signature holds for the model's files and for all that a store path stands for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.strict_json import StrictJsonError, loads

STATEMENT = "https://in-toto.io/Statement/v1"
MODEL_SIGNATURE = "https://model_signing/signature/v1.0"
PROVENANCE = "https://slsa.dev/provenance/v1"

#: What the reference implementation leaves out at the top of a model, whatever the signature says.
GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")

_TABLE = "hf_pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedModel:
    """The sha256 of each file that was signed, what was left out, and the package if hf-pack signed it."""

    files: Mapping[str, Hash]
    ignored: tuple[str, ...]
    store_path: StorePath | None = None

    def differences(self, files: Mapping[str, Hash]) -> tuple[tuple[str, str], ...]:
        """Path and problem of every file that is not as it was signed, sorted; empty when all are."""
        counted = {path: sha256 for path, sha256 in files.items() if not _is_below(path, (*self.ignored, *GIT_PATHS))}
        found = [(path, "was signed and is not there") for path in self.files.keys() - files.keys()]
        found += [(path, "was not signed") for path in counted.keys() - self.files.keys()]
        common = self.files.keys() & files.keys()
        found += [(path, "other bytes than were signed") for path in common if files[path] != self.files[path]]
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedProvenance:
    """The subjects of a provenance statement: name and sha256, of a package its store path and NAR hash."""

    subjects: Mapping[str, Hash]


def statement(name: str, files: Mapping[str, Hash], store_path: StorePath) -> bytes:
    """The statement about a package whose model has these files (path below the model's directory, sha256).

    The subject's digest is that of all files' digests in the order of their paths' parts, as the reference has it.
    """
    signed = sorted(
        ((path, sha256) for path, sha256 in files.items() if not _is_below(path, GIT_PATHS)),
        key=lambda item: item[0].split("/"),
    )
    document = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root_digest(sha256 for _, sha256 in signed)}}],
        "predicateType": MODEL_SIGNATURE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": True,  # in a linked package the weights are links
                "ignore_paths": list(GIT_PATHS),
            },
            "resources": [{"name": path, "algorithm": "sha256", "digest": sha256.hex()} for path, sha256 in signed],
            _TABLE: {"store_path": str(store_path)},
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def parse(payload: bytes) -> SignedModel | SignedProvenance:
    """Read the statement in a bundle. Raises ``FormatError`` for another kind, and for one that contradicts itself."""
    try:
        document = loads(payload)
    except StrictJsonError as error:
        raise FormatError(f"the statement is not JSON: {error}") from None
    top = _table(document, "the statement")
    if top.get("_type") != STATEMENT:
        raise FormatError(f"_type: expected {STATEMENT}, found {_shown(top.get('_type'))}")
    kind = top.get("predicateType")
    subjects = {
        str(subject.get("name")): _sha256(_table(subject.get("digest"), "subject.digest").get("sha256"), "subject")
        for subject in _tables(top.get("subject"), "subject")
    }
    if kind == PROVENANCE:
        return SignedProvenance(subjects=subjects)
    if kind != MODEL_SIGNATURE:
        raise FormatError(f"predicateType: expected {MODEL_SIGNATURE} or {PROVENANCE}, found {_shown(kind)}")
    return _signed_model(_table(top.get("predicate"), "predicate"), list(subjects.values()))


def _signed_model(predicate: Mapping[str, object], digests: list[Hash]) -> SignedModel:
    how = _table(predicate.get("serialization"), "serialization")
    if (how.get("method"), how.get("hash_type")) != ("files", "sha256"):
        raise FormatError(
            f"serialization: expected method files with sha256, which are recorded here, "
            f"found {_shown(how.get('method'))} with {_shown(how.get('hash_type'))}"
        )
    rows = _tables(predicate.get("resources"), "resources")
    if any(row.get("algorithm") != "sha256" or not isinstance(row.get("name"), str) for row in rows):
        raise FormatError("resources: expected a name and algorithm sha256 in each")
    listed = [(str(row["name"]), _sha256(row.get("digest"), "resources")) for row in rows]
    if digests != [Hash.from_hex(_root_digest(sha256 for _, sha256 in listed))]:
        raise FormatError("subject: its digest is not that of the resources")
    files = dict(listed)
    if len(files) != len(listed):
        raise FormatError("resources: two have one name")
    ignored = how.get("ignore_paths", [])
    if not isinstance(ignored, list):
        raise FormatError("serialization.ignore_paths: expected a list")
    package = predicate.get(_TABLE)
    stated = None if package is None else _table(package, _TABLE).get("store_path")
    return SignedModel(
        files=files,
        ignored=tuple(str(path) for path in ignored),
        store_path=None if stated is None else StorePath.parse(str(stated)),
    )


def _root_digest(digests: Iterable[Hash]) -> str:
    return hashlib.sha256(b"".join(sha256.digest for sha256 in digests)).hexdigest()


def _is_below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{where}: expected an object, found {_shown(value)}")
    return value


def _tables(value: object, where: str) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not value:
        raise FormatError(f"{where}: expected a list, found {_shown(value)}")
    return [_table(one, where) for one in value]


def _sha256(value: object, where: str) -> Hash:
    if not isinstance(value, str):
        raise FormatError(f"{where}: expected a sha256, found {_shown(value)}")
    return Hash.from_hex(value)


def _shown(value: object) -> str:
    return repr(value)[:100]
