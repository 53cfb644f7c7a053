"""A repository that ``flox build`` and ``flox publish`` take: one expression a package, the environment's own files.

Every file below ``.flox/pkgs`` is a target, so each expression is whole and no helper lies there; a dot in a file name
would part attributes, and manifest names have none. The data lie in ``nix/``, where ``export --to nix`` has them too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from hf_pack.expressions.nix_export import Files
from hf_pack.expressions.nix_texts import PACKAGE_BODY

DATA = "nix"  #: directory of the data, from the repository's root

#: What git must not see: links to builds, and what flox itself writes.
IGNORED = ("/result", "result-*", ".flox/cache/", ".flox/log/", ".flox/run/")

_MANIFEST = """\
# The environment in which these packages are built. Publishing wants at least one package in it, and its lockfile:
#   flox activate -- true
version = 1

[install]
huggingface-hub.pkg-path = "python3Packages.huggingface-hub"

[options]
systems = ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"]
"""


def flox_files(packages: Mapping[str, Files], build_metas: Mapping[str, bytes]) -> Files:
    """What an export writes anew each time: expressions, their data, build metadata (name to its bytes)."""
    files: Files = {}
    for name, package in packages.items():
        files[f".flox/pkgs/{name}.nix"] = _expression(name)
        files[f"build-meta/{name}.json"] = build_metas[name]
        files |= {f"{DATA}/{path}": contents for path, contents in package.items()}
    return files


def environment_files(environment_name: str) -> Files:
    """What a flox environment needs to be one; written once, then the user's own."""
    pointer = {"name": environment_name, "version": 1}
    return {
        ".flox/env.json": (json.dumps(pointer, indent=2) + "\n").encode(),
        ".flox/env/manifest.toml": _MANIFEST.encode(),
    }


def _expression(name: str) -> bytes:
    """Self-contained packages are put together by the shell of flox's nixpkgs: its catalogue is where they go first."""
    body = PACKAGE_BODY.replace("  pkgs = null;\n", "  inherit pkgs;\n")
    return f"""\
# Written by `hf-pack export --to flox`; write it again after `hf-pack lock` and `bump`.
{{ pkgs }}:
let
  name = "{name}";
  directory = ../../{DATA};
in
{body}""".encode()
