"""The ``nix-cache-info`` file, which says what a binary cache is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import STORE_DIR

_NUMBER = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a binary cache says about itself; ``format`` and ``parse`` are inverse.

    ``store_dir`` is the store directory of every path in it, ``want_mass_query`` says that it is fast
    enough to be asked about many paths, ``priority`` orders caches, the lowest first (cache.nixos.org
    has 40).
    """

    store_dir: str = STORE_DIR
    want_mass_query: bool = False
    priority: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the file; unknown fields are ignored and absent ones have Nix's defaults.

        Raises ``FormatError`` for a line without a colon and a priority that is no number.
        """
        fields = {}
        for line in text.splitlines():
            name, separator, value = line.partition(":")
            if not separator:
                raise FormatError(f"not a line of nix-cache-info: {line[:200]!r}")
            fields[name] = value.strip()
        priority = fields.get("Priority", "0")
        if not _NUMBER.fullmatch(priority):
            raise FormatError(f"Priority is a number, not {priority[:100]!r}")
        return cls(
            store_dir=fields.get("StoreDir", STORE_DIR),
            want_mass_query=fields.get("WantMassQuery") == "1",
            priority=int(priority),
        )

    def format(self) -> str:
        """Return the text of the file, in the order in which Nix writes it."""
        return f"StoreDir: {self.store_dir}\nWantMassQuery: {int(self.want_mass_query)}\nPriority: {self.priority}\n"
