"""The narinfo file: what a binary cache says about one store object.

Lines of ``<Field>: <value>``. A cache can only be believed as far as each group of fields can be checked;
``NarInfo`` lists them in these groups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from hf_pack.formats.fingerprint import fingerprint
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import (
    ContentAddress,
    StorePath,
    parse_content_address,
    path_of_content_address,
)

_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
_WORD = re.compile(r"[!-~]+")  # printable ASCII without space: cannot break a line


@dataclass(frozen=True, slots=True, kw_only=True)
class NarInfo:
    """The description of a store object in a binary cache; sizes are in bytes.

    Sorted references and signatures, each once; ``format`` and ``parse`` are inverse. Raises
    ``FormatError`` for values that cannot stand in the file.
    """

    # What a signature covers, and a content address together with the path proves.
    store_path: StorePath
    nar_hash: Hash  # sha256
    nar_size: int
    references: tuple[StorePath, ...] = ()

    # The proofs themselves.
    signatures: tuple[str, ...] = ()  # each "<key name>:<base 64>"
    content_address: ContentAddress | None = None

    # Where the NAR is. Checked by what comes from there: the NAR has its hash, or not.
    url: str  # relative to the cache, or absolute
    compression: str = "none"  # "none", "xz", "zstd", …
    file_hash: Hash | None = None  # of the compressed NAR
    file_size: int | None = None

    # Hearsay.
    deriver: StorePath | None = None

    def __post_init__(self) -> None:
        if self.nar_hash.algorithm != HashAlgorithm.SHA256:
            raise FormatError(f"NarHash is a sha256, not a {self.nar_hash.algorithm}")
        if self.nar_size <= 0:
            raise FormatError(f"NarSize is positive, not {self.nar_size}")
        if self.file_size is not None and self.file_size < 0:
            raise FormatError(f"FileSize is not negative: {self.file_size}")
        for what, word in (("URL", self.url), ("Compression", self.compression)):
            if not _WORD.fullmatch(word):
                raise FormatError(f"{what} is one word of ASCII characters: {word[:200]!r}")
        for signature in self.signatures:
            if not _WORD.fullmatch(signature) or ":" not in signature:
                raise FormatError(f"Sig is '<key name>:<base 64>': {signature[:200]!r}")
        object.__setattr__(self, "references", tuple(sorted(set(self.references))))
        object.__setattr__(self, "signatures", tuple(sorted(set(self.signatures))))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a narinfo file.

        Unknown fields are ignored, as Nix does; a known field but ``Sig`` may stand only once. FileHash,
        FileSize, References, Deriver, Sig and CA may be absent; without Compression it is ``bzip2``.
        Raises ``FormatError``, whose message names the field.
        """
        fields, signatures = _fields(text)
        for required in ("StorePath", "URL", "NarHash", "NarSize"):
            if required not in fields:
                raise FormatError(f"the narinfo has no {required}")
        try:
            path = StorePath.parse(fields["StorePath"])
            file_hash = fields.get("FileHash")
            file_size = fields.get("FileSize")
            content_address = fields.get("CA")
            deriver = fields.get("Deriver", "unknown-deriver")
            return cls(
                store_path=path,
                nar_hash=Hash.parse(fields["NarHash"]),
                nar_size=_number(fields["NarSize"]),
                references=tuple(map(StorePath.parse_base_name, fields.get("References", "").split())),
                signatures=tuple(signatures),
                content_address=parse_content_address(content_address) if content_address else None,
                url=fields["URL"],
                compression=fields.get("Compression", "bzip2"),
                file_hash=Hash.parse(file_hash) if file_hash is not None else None,
                file_size=_number(file_size) if file_size is not None else None,
                deriver=StorePath.parse_base_name(deriver) if deriver != "unknown-deriver" else None,
            )
        except FormatError as error:
            raise FormatError(f"narinfo of {fields['StorePath'][:300]}: {error}") from error

    def format(self) -> str:
        """Return the text of the file, with the fields in the order in which Nix writes them."""
        lines = [f"StorePath: {self.store_path}", f"URL: {self.url}", f"Compression: {self.compression}"]
        if self.file_hash is not None:
            lines.append(f"FileHash: {self.file_hash.nix_text()}")
        if self.file_size is not None:
            lines.append(f"FileSize: {self.file_size}")
        lines.append(f"NarHash: {self.nar_hash.nix_text()}")
        lines.append(f"NarSize: {self.nar_size}")
        lines.append("References: " + " ".join(path.base_name for path in self.references))
        if self.deriver is not None:
            lines.append(f"Deriver: {self.deriver.base_name}")
        lines += (f"Sig: {signature}" for signature in self.signatures)
        if self.content_address is not None:
            lines.append(f"CA: {self.content_address}")
        return "\n".join(lines) + "\n"

    def fingerprint(self) -> str:
        """Return the text that a signature covers."""
        return fingerprint(self.store_path, self.nar_hash, self.nar_size, self.references)

    def with_signature(self, signature: str) -> Self:
        """Return the same narinfo with one more signature, ``<key name>:<base 64>``."""
        return replace(self, signatures=(*self.signatures, signature))

    def content_address_holds(self) -> bool:
        """Say whether the store path follows from the content address, the name and the references.

        If so, the object needs no signature: whoever has its content can check it against the path. For
        a tree without reference to itself NarHash must be the hash in the content address, too.
        """
        content_address = self.content_address
        if content_address is None:
            return False
        others = tuple(path for path in self.references if path != self.store_path)
        refers_to_itself = len(others) < len(self.references)
        try:
            expected = path_of_content_address(
                self.store_path.name, content_address, others, self_reference=refers_to_itself
            )
        except FormatError:  # references that the method cannot have
            return False
        hashes_nar = content_address.method == "recursive" and not refers_to_itself
        if hashes_nar and content_address.hash.algorithm == HashAlgorithm.SHA256:
            return expected == self.store_path and content_address.hash == self.nar_hash
        return expected == self.store_path


_FIELDS = frozenset(
    {
        *("StorePath", "URL", "Compression", "FileHash", "FileSize"),
        *("NarHash", "NarSize", "References", "Deriver", "CA"),
    }
)


def _fields(text: str) -> tuple[dict[str, str], list[str]]:
    """Return the known fields but ``Sig``, and the signatures."""
    if not text.endswith("\n"):
        raise FormatError("the narinfo does not end with a line end")
    fields: dict[str, str] = {}
    signatures = []
    for line in text[:-1].split("\n"):
        name, separator, value = line.partition(": ")
        if not separator:
            raise FormatError(f"not a line of a narinfo: {line[:200]!r}")
        if name == "Sig":
            signatures.append(value)
        elif name in fields:
            raise FormatError(f"the narinfo has {name} twice")
        elif name in _FIELDS:
            fields[name] = value
    return fields, signatures


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise FormatError(f"not a size in bytes: {text[:100]!r}")
    return int(text)
