"""The licence of a model as its own files state it, as an SPDX identifier where there is one.

The Hub has no field in the files other than the front matter of README.md (``license:``), whose words are
listed in the Hub's documentation ("Licenses"): most are SPDX identifiers in lower case, the rest stay so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPDX_NAMES = (
    "AFL-3.0 AGPL-3.0 Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 "
    "CC0-1.0 CC-BY-2.0 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 "
    "CC-BY-ND-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 "
    "CDLA-Permissive-1.0 CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 "
    "GPL-2.0 GPL-3.0 ISC LGPL-2.1 LGPL-3.0 LPPL-1.3c MIT MPL-2.0 MS-PL NCSA ODbL-1.0 OFL-1.1 OSL-3.0 "
    "PostgreSQL Unlicense WTFPL Zlib"
)
_SPDX = {name.lower(): name for name in _SPDX_NAMES.split()} | {"odbl": "ODbL-1.0", "pddl": "PDDL-1.0"}

_SILENT = frozenset({"", "unknown", "null", "~", "[]"})

_TEXTS = (
    (re.compile(r"apache license,? version 2\.0"), "Apache-2.0"),
    (re.compile(r"permission is hereby granted, free of charge, to any person obtaining a copy"), "MIT"),
    (re.compile(r"redistribution and use in source and binary forms.*neither the name"), "BSD-3-Clause"),
    (re.compile(r"redistribution and use in source and binary forms"), "BSD-2-Clause"),
    (re.compile(r"gemma terms of use"), "gemma"),
    (re.compile(r"gnu affero general public license version 3"), "AGPL-3.0"),
    (re.compile(r"gnu lesser general public license version 3"), "LGPL-3.0"),
    (re.compile(r"gnu general public license version 3"), "GPL-3.0"),
    (re.compile(r"this is free and unencumbered software released into the public domain"), "Unlicense"),
    (re.compile(r"cc0 1\.0 universal"), "CC0-1.0"),
    (re.compile(r"bigscience open rail-m"), "bigscience-openrail-m"),
    (re.compile(r"bigcode open ?rail-m"), "bigcode-openrail-m"),
    (re.compile(r"creativeml open ?rail"), "creativeml-openrail-m"),
)
_LLAMA = re.compile(r"llama (\d(?:\.\d)?) (?:version release date|community license)")
_CREATIVE_COMMONS = re.compile(
    r"(?:creative commons )?attribution((?:-noncommercial|-noderivatives|-noderivs|-sharealike)*) (\d\.\d)"
    r" (?:international|unported|generic)"
)
_CC_WORDS = {"noncommercial": "NC", "noderivatives": "ND", "noderivs": "ND", "sharealike": "SA"}

_READ = 16_384  # bytes of a licence text that are looked at


def spdx(stated: str) -> str:
    """A licence's word of the Hub as its SPDX identifier; the word itself where there is none."""
    return _SPDX.get(stated.lower(), stated)


def disagreements(
    readme: bytes | None, licence_files: Mapping[str, bytes], others: Mapping[str, str | None]
) -> tuple[str, ...]:
    """A sentence where the places that state a licence differ; ``others`` are further ones, by their names.

    ``other``, and a family of licences beside one of it (``llama3``, ``llama3.1``; ``cc``, ``CC-BY-4.0``), agree.
    """
    stated = {"README.md": None if readme is None else _front_matter(readme), **others}
    found = {place: spdx(word) for place, word in stated.items() if word is not None and word.lower() != "other"}
    found |= {path: name for path, data in licence_files.items() if (name := recognise_text(data)) is not None}
    words = list(dict.fromkeys(found.values()))
    if all(_agree(words[0], word) for word in words[1:]):
        return ()
    places = ", ".join(f"{place} {word}" for place, word in found.items())
    return (f"the licence is stated in different ways: {places}",)


def _agree(one: str, other: str) -> bool:
    short, long = sorted((one.lower(), other.lower()), key=len)
    return long.startswith(short)


def licence_of(readme: bytes | None, licence_files: Mapping[str, bytes]) -> str | None:
    """The licence, None where nothing states a known one.

    README.md's front matter comes first (``other`` gives way to its ``license_name``), then the texts in
    ``licence_files`` (file name to content); two different texts give ``A AND B``, since both were shipped.
    """
    stated = None if readme is None else _front_matter(readme)
    if stated is not None and stated != "other":
        return spdx(stated)
    found = sorted({name for data in licence_files.values() if (name := recognise_text(data)) is not None})
    return " AND ".join(found) if found else stated


def recognise_text(data: bytes) -> str | None:
    """The licence whose text ``data`` is, by a phrase that only it has near its start."""
    text = " ".join(data[:_READ].decode("utf-8", "replace").lower().split())
    llama = _LLAMA.search(text)
    if llama:
        return f"llama{llama[1]}"
    for phrase, name in _TEXTS:
        if phrase.search(text):
            return name
    commons = _CREATIVE_COMMONS.search(text)
    if commons:
        words = [_CC_WORDS[word] for word in commons[1].split("-")[1:]]
        return "-".join(["CC-BY", *words, commons[2]])
    return None


def _front_matter(readme: bytes) -> str | None:
    first, *lines = [line.rstrip() for line in readme.decode("utf-8-sig", "replace").split("\n")]
    if first != "---" or "---" not in lines:
        return None
    scalars: dict[str, str] = {}
    key = ""
    for line in lines[: lines.index("---")]:
        if line.lstrip().startswith("- ") and not scalars.get(key, "-"):
            scalars[key] = _scalar(line.lstrip()[1:])  # the first of a list stands for it
            continue
        name, colon, value = line.partition(":")
        if colon and name.isidentifier() and value[:1] in ("", " ", "\t"):
            key = name
            scalars[key] = _scalar(value)
    stated = scalars.get("license", "")
    if stated.lower() in _SILENT:
        return None
    if stated.lower() == "other":
        return scalars.get("license_name") or "other"
    return stated


def _scalar(text: str) -> str:
    """A one-line YAML scalar without its quotes or comment."""
    text = text.strip()
    if text[:1] in ("'", '"'):
        return text[1:].partition(text[0])[0]
    return "" if text.startswith("#") else text.partition(" #")[0].rstrip()
