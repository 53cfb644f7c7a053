"""The ``flox`` of this machine."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hf_pack.errors import StoreError, UsageError

_STDERR = 2  # what flox says is talk; stdout is for data


@dataclass(frozen=True, slots=True)
class Flox:
    """``program`` is its absolute path."""

    program: str

    def publish(self, directory: Path, name: str, organisation: str | None) -> None:
        """``flox publish`` of a package in the repository at ``directory``. Raises StoreError when it fails."""
        words = ["publish", *(("-o", organisation) if organisation else ()), name]
        done = subprocess.run([self.program, *words], cwd=directory, stdout=_STDERR, check=False)
        if done.returncode:
            raise StoreError(
                f"flox did not publish {name}\n  `flox {' '.join(words)}` in {directory}: exit code {done.returncode}",
                hint="see what flox said above; `flox auth status` says who you are to it",
            )


def find_flox() -> Flox:
    """The one on ``PATH``. Raises UsageError when there is none."""
    program = shutil.which("flox")
    if program is None:
        raise UsageError("flox is not on PATH", hint="install flox, or run `flox publish` where it is")
    return Flox(str(Path(program).absolute()))
