"""``meta`` of a package in the words of nixpkgs: description, homepage, licence, platforms."""

from __future__ import annotations

from hf_pack.model.hub_ids import SnapshotKind
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Layout, Manifest

HUB = "https://huggingface.co"

#: Systems that packages are listed for; weights are the same bytes on each.
SYSTEMS = ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux")

_RUNTIMES = {Layout.DUAL: "vLLM, SGLang and Triton", Layout.SINGLE: "Triton", Layout.HF: "vLLM and SGLang"}

#: SPDX identifiers of licences that let anybody use, change and pass on the weights.
_FREE_NAMES = (
    "AFL-3.0 AGPL-3.0 Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 CC0-1.0 CC-BY-2.0 "
    "CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0 "
    "EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GPL-2.0 GPL-3.0 ISC LGPL-2.1 LGPL-3.0 LPPL-1.3c MIT MPL-2.0 MS-PL NCSA "
    "ODbL-1.0 OFL-1.1 OSL-3.0 PDDL-1.0 PostgreSQL Unlicense WTFPL Zlib"
)
_FREE = {name.lower(): name for name in _FREE_NAMES.split()}


def package_meta(manifest: Manifest, lock: Lock) -> JsonObject:
    """The attribute set as JSON. A model that is no commit of the Hub's has no homepage, a silent one no licence."""
    meta: dict[str, JsonValue] = {
        "description": f"Weights of {lock.source.repo_id} for {_RUNTIMES[manifest.layout]}",
        "platforms": list(SYSTEMS),
    }
    if lock.source.snapshot_kind is SnapshotKind.COMMIT:
        meta["homepage"] = f"{HUB}/{lock.source.repo_id}"
    if lock.licence is not None:
        meta["license"] = _licence(lock.licence)
    return meta


def is_free(licence: str) -> bool:
    """Whether every part of ``A AND B`` is a free licence, in SPDX's spelling or the Hub's."""
    return all(part.lower() in _FREE for part in licence.split(" AND "))


def spdx_id(licence: str) -> str | None:
    """The SPDX identifier of one licence, in SPDX's spelling or the Hub's; None for another name."""
    known = _FREE.get(licence.lower())
    return licence if known is None and licence.startswith("CC-") else known


def _licence(licence: str) -> JsonObject:
    known = spdx_id(licence)
    spdx: JsonObject = {} if known is None else {"spdxId": known}
    return {"shortName": licence.lower(), "fullName": known or licence, "free": is_free(licence), **spdx}
