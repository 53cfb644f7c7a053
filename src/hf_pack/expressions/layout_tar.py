"""A package's tree as a tar of small files and links: Nix's ``builtin:unpack-channel`` unpacks it, without a shell.

Weights are not in it. Of a linked package it holds the links to the blobs, so that unpacking it gives the very tree;
of a self-contained one it holds all but the weights, which are copied into the unpacked tree.
"""

from __future__ import annotations

import io
import tarfile

from hf_pack.model.plan import Entry, Plan, RegularFile, Symlink


def layout_tar(plan: Plan) -> bytes:
    """The tar; equal plans give equal bytes: sorted members, no owner, time or executable bit.

    GNU's format keeps names as they are; the names of the other one depend on the locale of who unpacks.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for path, entry in sorted(_members(plan).items()):
            member = tarfile.TarInfo(path)
            match entry:
                case None:
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(member)
                case Symlink(target=target):
                    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
                    archive.addfile(member)
                case RegularFile(contents=bytes() as contents):
                    member.size, member.mode = len(contents), 0o644
                    archive.addfile(member, io.BytesIO(contents))
    return buffer.getvalue()


def _members(plan: Plan) -> dict[str, Entry | None]:
    """Path to entry, None for a directory."""
    members: dict[str, Entry | None] = {}
    for entry in plan.entries:
        if not isinstance(entry, RegularFile) or isinstance(entry.contents, bytes):
            members[entry.path] = entry
        parents = entry.path.split("/")[:-1]
        for depth in range(len(parents)):
            members["/".join(parents[: depth + 1])] = None
    return members
