"""Bump: the next build of a package."""

from __future__ import annotations

import re
from dataclasses import replace

from hf_pack.model import manifest_text
from hf_pack.model.build_meta import NO_GIT_REV, BuildMeta
from hf_pack.ports import Workspace
from hf_pack.steps.workspace.packages import read_build_meta, read_manifest
from hf_pack.steps.workspace.workspace_files import build_meta_file, manifest_file


def bump(name: str, changelog: str, workspace: Workspace) -> tuple[str, BuildMeta]:
    """Count ``build_version`` up at the workspace's present commit; returns the full version and the metadata.

    When the version would stay the same, because HEAD did not move, the last part of ``base_version`` is raised, so
    that a version never names two contents. Raises ManifestError.
    """
    manifest = read_manifest(workspace, name)
    is_new = workspace.read(build_meta_file(name)) is None
    old = BuildMeta(build_version=0) if is_new else read_build_meta(workspace, name)
    head = workspace.git_head()
    new = replace(
        old,
        build_version=old.build_version + 1,
        changelog=changelog,
        git_rev=head or NO_GIT_REV,
        git_rev_short=(head or NO_GIT_REV)[:7],
    )
    base_version = manifest.base_version
    if not is_new and new.version(base_version) == old.version(base_version):
        base_version = next_version(base_version)
        text = workspace.read(manifest_file(name))
        assert text is not None
        workspace.write(manifest_file(name), manifest_text.set_base_version(text.decode(), base_version).encode())
    workspace.write(build_meta_file(name), new.format())
    return new.version(base_version), new


def next_version(base_version: str) -> str:
    """The version with its last number raised by one: ``1.0.9`` gives ``1.0.10``, ``2.0rc1`` gives ``2.0rc2``."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", base_version, re.DOTALL)
    assert match is not None  # a base version begins with a digit
    return f"{match[1]}{int(match[2]) + 1}{match[3]}"
