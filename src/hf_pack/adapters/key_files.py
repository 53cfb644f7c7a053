"""Key files as Nix has them: one line, ``<name>:<base 64>``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hf_pack import durable
from hf_pack.errors import UsageError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.signing import PublicKey, SecretKey
from hf_pack.user_path import user_path

_MOST = 4096  #: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key and its two files."""

    secret: Path
    public: Path
    public_key: PublicKey


def generate_key(name: str, directory: Path) -> MadeKey:
    """Make ``<name>.secret``, readable by this user alone, and ``<name>.public``.

    Raises UsageError for what is no key's name, and when one of the files is there.
    """
    try:
        key = SecretKey.generate(os.urandom(32), name)
    except FormatError as error:
        raise UsageError(str(error), hint="hf-pack key generate cache.example.org-1") from None
    if "/" in name:
        raise UsageError(f"a key's name is its files' name, too: it cannot hold '/', as {name!r} does")
    secret, public = directory / f"{name}.secret", directory / f"{name}.public"
    for path, text, mode in ((secret, key.format(), 0o600), (public, key.public_key().format(), 0o644)):
        try:
            made = durable.create_file(path, text.encode(), mode=mode)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", hint="name another directory with --output") from None
        if not made:
            raise UsageError(f"{path} is there already", hint="a key is never replaced: take another name")
    return MadeKey(secret=secret, public=public, public_key=key.public_key())


def read_secret_key(path: Path) -> SecretKey:
    """Raises UsageError; no message quotes the secret."""
    try:
        return SecretKey.parse(_text(path))
    except FormatError as error:
        raise UsageError(f"{path} is no secret key: {error}", hint="hf-pack key generate NAME") from None


def read_public_key(path: Path) -> PublicKey:
    """The public key in a file of either kind. Raises UsageError."""
    text = _text(path).strip()
    try:
        return PublicKey.parse(text)
    except FormatError:
        return read_secret_key(path).public_key()


def trusted_key(text: str, where: str) -> PublicKey:
    """The public key that a person states at ``where``: its text, or a file of it. Raises UsageError."""
    if ":" not in text:
        return read_public_key(user_path(text))
    try:
        return PublicKey.parse(text)
    except FormatError as error:
        name = text.partition(":")[0]  # what follows may be a secret key, taken for the public one
        raise UsageError(f"no public key: {error}\n  {where}: found {name[:100]!r}:…", hint="NAME:BASE64") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode(errors="replace")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a key file that is there") from None
