"""Store paths, and how content determines them (Nix manual, "Store Path" and "Content-Addressing").

A store path is ``/nix/store/<digest>-<name>``. The digest is a sha256 folded to 160 bits over what the
object is (its type, the hash of its content, the store directory, its name), so that everything here
follows from hashes alone and no content is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, get_args

from hf_pack.formats import nix32
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm

STORE_DIR = "/nix/store"

_DIGEST_LENGTH = 32
_MAX_NAME_LENGTH = 211
_MAX_SANITIZED_LENGTH = 207  # Nix appends ".drv" to the name of a derivation
_FOREIGN_CHARACTER = re.compile(r"[^0-9A-Za-z+._?=-]")
# Nix 2.26 refuses "." and ".." alone or before a dash, Nix 2.8 does not.
_DOTS = re.compile(r"\.\.?(-.*)?")


def sanitize_name(text: str) -> str:
    """Return the store name for a file or package called ``text``.

    Characters outside ``[0-9A-Za-z+._?=-]`` become ``-``, a leading ``.`` or ``-`` gets the prefix ``_``,
    a trailing ``.drv`` the suffix ``_``, and at most 207 characters stay. The result is a name in every
    version of Nix, and is its own store name. Raises ``FormatError`` for the empty text.
    """
    if not text:
        raise FormatError("a store name cannot be empty")
    name = _FOREIGN_CHARACTER.sub("-", text)
    if name[0] in ".-":
        name = "_" + name
    name = name[:_MAX_SANITIZED_LENGTH]
    if name.endswith(".drv"):
        name = name[: _MAX_SANITIZED_LENGTH - 1] + "_"
    return name


def check_name(name: str) -> None:
    """Raise ``FormatError`` unless ``name`` is a store name in current Nix.

    That is 1 to 211 characters of ``[0-9A-Za-z+._?=-]``, without ``.`` or ``..`` as the first
    dash-separated part.
    """
    if not 1 <= len(name) <= _MAX_NAME_LENGTH:
        raise FormatError(f"a store name has 1 to {_MAX_NAME_LENGTH} characters, not {len(name)}")
    foreign = _FOREIGN_CHARACTER.search(name)
    if foreign is not None:
        raise FormatError(f"{foreign.group()!r} cannot be in a store name: {name!r}")
    if _DOTS.fullmatch(name):
        raise FormatError(f"a store name cannot begin with the part '.' or '..': {name!r}")


@dataclass(frozen=True, slots=True, order=True)
class StorePath:
    """A path directly in the store directory ``/nix/store``, wherever that store lies on disk.

    ``digest`` is 32 nix32 characters, ``name`` a store name (see ``check_name``); anything else raises
    ``FormatError``. The order is that of the text, in which Nix lists references.
    """

    digest: str
    name: str

    def __post_init__(self) -> None:
        if len(self.digest) != _DIGEST_LENGTH:
            raise FormatError(f"the digest of a store path has 32 characters: {self.digest[:100]!r}")
        nix32.decode(self.digest)
        check_name(self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the absolute path ``/nix/store/<digest>-<name>``; raises ``FormatError``."""
        prefix = STORE_DIR + "/"
        if not text.startswith(prefix):
            raise FormatError(f"not a path in {STORE_DIR}: {text[:300]!r}")
        return cls.parse_base_name(text[len(prefix) :])

    @classmethod
    def parse_base_name(cls, text: str) -> Self:
        """Read ``<digest>-<name>``; raises ``FormatError``."""
        if text[_DIGEST_LENGTH : _DIGEST_LENGTH + 1] != "-":
            raise FormatError(f"not the base name of a store path: {text[:300]!r}")
        return cls(text[:_DIGEST_LENGTH], text[_DIGEST_LENGTH + 1 :])

    @property
    def base_name(self) -> str:
        """``<digest>-<name>``, the form of references in a narinfo."""
        return f"{self.digest}-{self.name}"

    def __str__(self) -> str:
        return f"{STORE_DIR}/{self.base_name}"


ContentAddressMethod = Literal["flat", "recursive", "text"]

_PREFIXES: dict[ContentAddressMethod, str] = {"flat": "fixed:", "recursive": "fixed:r:", "text": "text:"}


@dataclass(frozen=True, slots=True)
class ContentAddress:
    """How the content of a store object determines its path.

    ``flat``: ``hash`` is of the bytes of a single file that is not executable. ``recursive``: of the NAR.
    ``text``: of the bytes of a single file that may have references (``builtins.toFile``, derivations);
    always sha256, another algorithm raises ``FormatError``. ``str`` gives the form of narinfo files and
    of the store database, and ``parse_content_address`` reads it back.
    """

    method: ContentAddressMethod
    hash: Hash

    def __post_init__(self) -> None:
        if self.method not in get_args(ContentAddressMethod):
            raise FormatError(f"unknown content-address method: {self.method!r}")
        if self.method == "text":
            _require_sha256(self.hash)

    def __str__(self) -> str:
        return _PREFIXES[self.method] + self.hash.nix_text()


def flat_content_address(sha256: Hash) -> str:
    """Return ``fixed:sha256:<nix32>``, the content address of a flat object."""
    return str(ContentAddress("flat", sha256))


def recursive_content_address(nar_sha256: Hash) -> str:
    """Return ``fixed:r:sha256:<nix32>``, the content address of a recursive object."""
    return str(ContentAddress("recursive", nar_sha256))


def parse_content_address(text: str) -> ContentAddress:
    """Read ``fixed:<hash>``, ``fixed:r:<hash>`` or ``text:<hash>``; raises ``FormatError``.

    The hash is in one of the prefixed forms; Nix writes nix32.
    """
    for method in ("recursive", "flat", "text"):  # "fixed:r:" before "fixed:"
        prefix = _PREFIXES[method]
        if text.startswith(prefix):
            return ContentAddress(method, Hash.parse(text[len(prefix) :]))
    raise FormatError(f"unknown kind of content address: {text[:200]!r}")


def flat_path(name: str, sha256: Hash) -> StorePath:
    """Return the path of one non-executable file, from the sha256 of its bytes.

    It is the path of ``nix-store --add-fixed sha256`` and of a fixed-output derivation (``fetchurl``) of
    that name and hash. Raises ``FormatError`` for a bad name or another algorithm.
    """
    _require_sha256(sha256)
    return _fixed_output_path(name, f"fixed:out:{sha256.hex_text()}:")


def recursive_path(name: str, nar_sha256: Hash, references: Iterable[StorePath] = ()) -> StorePath:
    """Return the path of a tree, from the sha256 of its NAR and the store paths that it refers to.

    It is the path of ``nix-store --add``, ``nix store add-path`` and of a recursive fixed-output
    derivation. Raises ``FormatError`` for a bad name or another algorithm.
    """
    _require_sha256(nar_sha256)
    return _make_path(_type_with_references("source", references), nar_sha256.digest, name)


def text_path(name: str, sha256: Hash, references: Iterable[StorePath] = ()) -> StorePath:
    """Return the path of ``builtins.toFile`` and of a derivation, from the sha256 of the file's bytes.

    Raises ``FormatError`` for a bad name or another algorithm.
    """
    _require_sha256(sha256)
    return _make_path(_type_with_references("text", references), sha256.digest, name)


def path_of_content_address(
    name: str,
    content_address: ContentAddress,
    references: Iterable[StorePath] = (),
    *,
    self_reference: bool = False,
) -> StorePath:
    """Return the path of an object called ``name`` with that content address.

    ``references`` are the other objects that it refers to, ``self_reference`` says whether it refers to
    itself as well, which only a recursive sha256 may. Raises ``FormatError`` for a bad name and for
    references where the method has none.
    """
    references = tuple(references)
    method, content_hash = content_address.method, content_address.hash
    if method == "recursive" and content_hash.algorithm == HashAlgorithm.SHA256:
        kind = _type_with_references("source", references) + (":self" if self_reference else "")
        return _make_path(kind, content_hash.digest, name)
    if self_reference:
        raise FormatError(f"an object with content address {content_address} cannot refer to itself")
    if method == "text":
        return text_path(name, content_hash, references)
    if references:
        raise FormatError(f"an object with content address {content_address} cannot have references")
    mode = "r:" if method == "recursive" else ""
    return _fixed_output_path(name, f"fixed:out:{mode}{content_hash.hex_text()}:")


def _require_sha256(value: Hash) -> None:
    if value.algorithm != HashAlgorithm.SHA256:
        raise FormatError(f"expected a sha256, found a {value.algorithm}")


def _type_with_references(kind: str, references: Iterable[StorePath]) -> str:
    return ":".join([kind, *map(str, sorted(set(references)))])


def _fixed_output_path(name: str, description: str) -> StorePath:
    return _make_path("output:out", hashlib.sha256(description.encode()).digest(), name)


def _make_path(kind: str, inner: bytes, name: str) -> StorePath:
    # The name goes into the hash, so a bad one must not get that far.
    check_name(name)
    whole = hashlib.sha256(f"{kind}:sha256:{inner.hex()}:{STORE_DIR}:{name}".encode()).digest()
    folded = bytearray(20)
    for index, byte in enumerate(whole):
        folded[index % 20] ^= byte
    return StorePath(nix32.encode(bytes(folded)), name)
