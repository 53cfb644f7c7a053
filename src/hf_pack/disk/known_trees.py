"""Where self-contained plans led before: for each a link, named by the plan's digest, to its store path's base name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.durable import replace_symlink
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import StorePath

if TYPE_CHECKING:
    from hf_pack.model.plan import Plan


@dataclass(frozen=True, slots=True)
class KnownTrees:
    """The links of a directory, which may be deleted: a path that is not known is found by reading the files again.

    A tree's path follows from what its plan's digest covers, so what is known stays true.
    """

    directory: Path

    def find(self, plan: Plan) -> StorePath | None:
        """The path that the plan gave before."""
        try:
            return StorePath.parse_base_name(str(self._link(plan).readlink()))
        except (OSError, FormatError):
            return None

    def remember(self, plan: Plan, store_path: StorePath) -> None:
        """The path that the plan gave. Raises OSError."""
        if self.find(plan) != store_path:
            self.directory.mkdir(parents=True, exist_ok=True)
            replace_symlink(self._link(plan), store_path.base_name)

    def _link(self, plan: Plan) -> Path:
        return self.directory / plan.digest().nix32()
