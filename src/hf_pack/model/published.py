"""The index of a binary cache by name: what was published, one entry a store path (docs/formats.md).

::

    hf-pack/<pname>/<version>/<digest of the store path>.json   an entry; what it says is never changed
    hf-pack/<pname>/index.json, hf-pack/index.json              derived: the entries of a pname, of the cache
    hf-pack/<digest of the store path>.sig.json                 a signature of the model, as OpenSSF has it

A store path proves itself; that a name means it is only as good as a signature of the entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from hf_pack.formats.hashes import Hash
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model import published_model
from hf_pack.model.document import Problem, Problems, Table, show
from hf_pack.model.json_value import JsonValue
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.published_model import PublishedModel
from hf_pack.model.strict_json import StrictJsonError, loads

ROOT = "hf-pack"
VERSION = 1  #: of the entry's and the index's form

_WORD = re.compile(r"[0-9A-Za-z+._?=-]+")
_ENTRY_KEY = re.compile(rf"{ROOT}/([^/]+)/([^/]+)/([^/]+)\.json")


class PublishedError(Problems):
    """The text is not an entry or an index; its problems name field, expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published version. Sizes are in bytes; ``None`` where the package does not say.

    ``build_version`` counts a pname's builds up, so that of two versions the newer one is known. ``quantization`` is
    the method as vLLM takes it, or ``none``. ``files`` is the number of the model's files. ``signatures`` are of
    :meth:`fingerprint`, each ``<key name>:<base 64>``.
    """

    pname: str
    version: str
    build_version: int
    store_path: StorePath
    nar_hash: Hash  #: of the tree
    nar_size: int
    closure_size: int  #: NAR bytes of the tree and all that it refers to
    layout: Layout
    storage: Storage
    quantization: str
    licence: str | None
    repo_id: str
    snapshot_id: str
    files: int
    model: PublishedModel  #: what `check` asks for
    signatures: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Where the entry lies in its cache."""
        return f"{version_prefix(self.pname, self.version)}{self.store_path.digest}.json"

    def fingerprint(self) -> str:
        """The text that a signature covers: ``hf-pack-entry;1;`` and the entry without signatures as canonical JSON.

        That is sorted keys, no white space, UTF-8 without escapes but those that JSON demands.
        """
        facts = {key: value for key, value in self._document().items() if key != "signatures"}
        return f"hf-pack-entry;{VERSION};" + json.dumps(
            facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )

    def with_signatures(self, signatures: Iterable[str]) -> Published:
        """The same entry with these signatures too, each once, sorted."""
        return replace(self, signatures=tuple(sorted({*self.signatures, *signatures})))

    def signed_by(self, keys: Iterable[SecretKey]) -> Published:
        """The same entry with a signature of each key, beside those that it has."""
        text = self.fingerprint()
        return self.with_signatures(key.sign(text) for key in keys)

    def format(self) -> bytes:
        """The object's bytes; :func:`parse` gives the value back."""
        return _text(self._document())

    def _document(self) -> dict[str, JsonValue]:
        return {
            "entry_version": VERSION,
            "pname": self.pname,
            "version": self.version,
            "build_version": self.build_version,
            "store_path": str(self.store_path),
            "nar_hash": self.nar_hash.sri(),
            "nar_size": self.nar_size,
            "closure_size": self.closure_size,
            "layout": self.layout.value,
            "storage": self.storage.value,
            "quantization": self.quantization,
            "licence": self.licence,
            "repo_id": self.repo_id,
            "snapshot_id": self.snapshot_id,
            "files": self.files,
            "model": published_model.document(self.model),
            "signatures": list(self.signatures),
        }


def version_prefix(pname: str, version: str) -> str:
    """What the keys of all entries of a version begin with."""
    return f"{ROOT}/{pname}/{version}/"


def index_key(pname: str | None = None) -> str:
    """The key of a pname's index, or of the whole cache's."""
    return f"{ROOT}/index.json" if pname is None else f"{ROOT}/{pname}/index.json"


def signature_key(store_path: StorePath) -> str:
    """Where the model signature of a package lies: found by the store path alone."""
    return f"{ROOT}/{store_path.digest}.sig.json"


def is_entry_key(key: str) -> bool:
    """Whether an object of this key is an entry."""
    return _ENTRY_KEY.fullmatch(key) is not None


def pname_of(key: str) -> str:
    """The pname in the key of an entry."""
    return key.split("/")[1]


def parse(text: bytes) -> Published:
    """Read an entry. Raises :class:`PublishedError`."""
    problems: list[Problem] = []
    entry = _entry(Table(_object(text), "", problems))
    if entry is None or problems:
        raise PublishedError(problems)
    return entry


def format_index(entries: Iterable[Published]) -> bytes:
    """The bytes of an index; the entries are sorted, newest builds of a pname first, and each is there once."""
    documents: list[JsonValue] = [entry._document() for entry in _in_order(entries)]
    return _text({"index_version": VERSION, "entries": documents})


def parse_index(text: bytes) -> tuple[Published, ...]:
    """Read an index; entries of a form that a newer hf-pack wrote are passed over. Raises :class:`PublishedError`."""
    problems: list[Problem] = []
    top = Table(_object(text), "", problems)
    version = top.whole("index_version", minimum=1)
    if version != VERSION:
        top.problem("index_version", "unknown version", expected=str(VERSION), found=str(version))
        raise PublishedError(problems)
    known = [table for table in top.tables("entries") if table.optional_whole("entry_version") in (None, VERSION)]
    found = [entry for entry in map(_entry, known) if entry is not None]
    if problems:
        raise PublishedError(problems)
    return _in_order(found)


def _in_order(entries: Iterable[Published]) -> tuple[Published, ...]:
    by_key = {entry.key: entry for entry in entries}
    return tuple(
        sorted(by_key.values(), key=lambda entry: (entry.pname, -entry.build_version, entry.version, entry.key))
    )


def _object(text: bytes) -> Mapping[str, JsonValue]:
    try:
        document = loads(text)
    except StrictJsonError as error:
        raise PublishedError([Problem(path="", message=f"not JSON: {error}")]) from None
    if not isinstance(document, Mapping):
        raise PublishedError([Problem(path="", message="not an object", found=show(document))])
    return document


def _entry(table: Table) -> Published | None:
    table.refuse_unknown(["entry_version", *(field.name for field in fields(Published))])
    version = table.whole("entry_version", minimum=1)
    if version != VERSION:
        table.problem("entry_version", "unknown version", expected=str(VERSION), found=str(version))
    store_path, nar_hash = table.parsed("store_path", StorePath.parse), table.parsed("nar_hash", Hash.parse)
    layout, storage = table.choice("layout", Layout), table.choice("storage", Storage)
    pname, full_version = table.parsed("pname", _word), table.parsed("version", _word)
    if None in (store_path, nar_hash, layout, storage, pname, full_version):
        return None
    assert store_path and nar_hash and layout and storage and pname and full_version
    if store_path.name != f"{pname}-{full_version}":
        table.problem("store_path", "another name", expected=f"{pname}-{full_version}", found=show(store_path.name))
    return Published(
        pname=pname,
        version=full_version,
        build_version=table.whole("build_version"),
        store_path=store_path,
        nar_hash=nar_hash,
        nar_size=table.whole("nar_size", minimum=1),
        closure_size=table.whole("closure_size", minimum=1),
        layout=layout,
        storage=storage,
        quantization=table.text("quantization"),
        licence=table.optional_text("licence"),
        repo_id=table.text("repo_id"),
        snapshot_id=table.text("snapshot_id"),
        files=table.whole("files"),
        model=published_model.read(table.table("model")),
        signatures=table.texts("signatures"),
    )


def _word(text: str) -> str:
    if not _WORD.fullmatch(text) or text in (".", ".."):
        raise ValueError(f"not a part of a store name: {text[:100]!r}")
    return text


def _text(document: Mapping[str, JsonValue]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
