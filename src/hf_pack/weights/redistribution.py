"""Which licences let everybody pass a model on, with nothing asked that a packager could not see to.

The list is of what is known to allow it, so that a new or unknown licence is asked about: the licences of
:mod:`hf_pack.weights.licence` that the Open Source Initiative, the Free Software Foundation or Creative Commons (as
"free cultural works"), or the Linux Foundation (CDLA) publish. Not in it, though each may be met:

- Creative Commons NC and ND: to non-commercial ends alone, or nothing adapted, which a patch does (CC BY-NC-ND 4.0
  deed);
- community and use-restricted licences (``llama3.1`` section 1.b, ``gemma`` section 3.1, OpenRAIL paragraph 4): who
  passes the model on must bind others, show names, or pass on an agreement;
- ``other``, and a model that states none: without a licence nobody may copy it.
"""

from __future__ import annotations

import re

_FREE = frozenset(
    name.lower()
    for name in (
        "AFL-3.0", "AGPL-3.0", "Apache-2.0", "Artistic-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause",
        "BSD-3-Clause-Clear", "BSL-1.0", "CC0-1.0", "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0",
        "CC-BY-SA-4.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "ECL-2.0", "EPL-1.0",
        "EPL-2.0", "EUPL-1.1", "EUPL-1.2", "GPL", "GPL-2.0", "GPL-3.0", "ISC", "LGPL", "LGPL-2.1", "LGPL-3.0",
        "LPPL-1.3c", "MIT", "MPL-2.0", "MS-PL", "NCSA", "ODbL-1.0", "OFL-1.1", "OSL-3.0", "PDDL-1.0", "PostgreSQL",
        "Unlicense", "WTFPL", "Zlib",
    )
)  # fmt: skip
_SUFFIX = re.compile(r"-(?:only|or-later)$")


def why_not_redistributable(licence: str | None) -> str | None:
    """Why not everybody may pass a model under this licence on, None where everybody may.

    ``A AND B`` needs both, ``A OR B`` one of them.
    """
    if licence is None:
        return "it states no licence"
    reasons = [_any_of(part) for part in licence.strip("()").split(" AND ")]
    return next((reason for reason in reasons if reason is not None), None)


def _any_of(expression: str) -> str | None:
    reasons = [_one(part.strip(" ()")) for part in expression.split(" OR ")]
    return None if None in reasons else reasons[0]


def _one(licence: str) -> str | None:
    name = _SUFFIX.sub("", licence.lower())
    if name in _FREE:
        return None
    words = name.split("-")
    if "nc" in words or "noncommercial" in name.replace("-", ""):
        return f"{licence} allows it for non-commercial ends alone"
    if "nd" in words:
        return f"{licence} allows nothing adapted"
    if name == "other":
        return "its licence is not one that is known (other)"
    return f"{licence} has terms of its own about passing it on"
