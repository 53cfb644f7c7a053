"""Who signs statements, and who says that somebody trusted did."""

from __future__ import annotations

from typing import Protocol


class BundleSigner(Protocol):
    """A private key, with certificates or without, or an identity of Sigstore."""

    def sign(self, payload: bytes) -> bytes:
        """The bundle of Sigstore (JSON) around an in-toto statement. Raises HubError without the network it needs."""


class BundleVerifier(Protocol):
    """Somebody whose signatures count."""

    @property
    def name(self) -> str:
        """As a person stated it."""

    def payload(self, bundle: bytes) -> bytes:
        """The statement in a bundle that this one signed. Raises PolicyError that says why it did not."""
