"""What this user's machine remembers of registries: unfinished uploads, where a blob is, digests of layers.

Each is a small file in a private directory. All of it can be lost: it only saves work.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from hf_pack import durable

_MOST = 16_384  #: bytes


class Memory:
    """Implements :class:`hf_pack.ports.registry.LayerDigests`, too. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, key: str) -> str | None:
        """What was remembered under this key."""
        try:
            with self._place(key).open("rb") as file:
                return file.read(_MOST).decode()
        except (OSError, ValueError):
            return None

    def remember(self, key: str, digest: str) -> None:
        """Keep it as far as that is possible."""
        place = self._place(key)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            durable.replace_file(place, digest.encode())

    def forget(self, key: str) -> None:
        """Nothing is remembered under this key any more."""
        with suppress(OSError):
            self._place(key).unlink()

    def _place(self, key: str) -> Path:
        return self._directory / hashlib.sha256(key.encode()).hexdigest()
