"""The packages that a command line means."""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_pack.errors import UsageError


def chosen(arguments: argparse.Namespace) -> list[str]:
    """The stems of the packages named, or of all packages of the workspace. Raises UsageError."""
    from hf_pack import wiring
    from hf_pack.steps.workspace.workspace_files import find_name

    workspace = wiring.open_workspace(Path())
    if arguments.names:
        return [find_name(workspace, name) for name in arguments.names]
    names = list(workspace.names())
    if not names:
        raise UsageError(
            f"the workspace has no package\n  {workspace.root / 'models'}: empty",
            hint="hf-pack add ORG/NAME, or a path",
        )
    return names
