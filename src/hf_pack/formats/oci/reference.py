"""Where something lies in a registry: ``oci://REGISTRY[:PORT]/REPOSITORY[:TAG|@DIGEST]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.documents import is_digest

SCHEME = "oci://"
DOCKER_HUB = "docker.io"

# distribution-spec 1.1, "Pulling manifests"; a registry is a host with an optional port.
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LOCAL = re.compile(r"(?:(?:.+\.)?localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """``registry`` is a host with its port, ``repository`` a path; ``tag`` and ``digest`` are None where none is named.

    ``Reference.parse(str(reference)) == reference``.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises FormatError, in words that hold no password."""
        rest = text.removeprefix(SCHEME)
        registry, slash, rest = rest.partition("/")
        if "@" in registry:
            raise FormatError("a user or password does not belong into the address; log in instead")
        rest, at, digest = rest.partition("@")
        head, colon, tag = rest.rpartition(":")
        repository = head if colon else rest
        if not slash or not _HOST.fullmatch(registry):
            raise FormatError("expected oci://REGISTRY/REPOSITORY[:TAG]")
        if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
            raise FormatError(f"not a repository's name (lower case, digits, . _ - /): {repository!r}")
        if colon and not _TAG.fullmatch(tag):
            raise FormatError(f"not a tag: {tag!r}")
        if at and not is_digest(digest):
            raise FormatError(f"not a digest: {digest!r}")
        return cls(registry=registry, repository=repository, tag=tag if colon else None, digest=digest if at else None)

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return f"{SCHEME}{self.registry}/{self.repository}{tag}" + ("" if self.digest is None else f"@{self.digest}")

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: registries there speak plain HTTP."""
        return _LOCAL.fullmatch(self.registry) is not None


def tag_of_version(version: str) -> str:
    """The tag that stands for a version: ``+`` is no character of a tag, and ``_`` takes its place, as Helm has it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", version)[:128].lstrip(".-") or "_"
