"""Which versions of a runtime a package is for (PEP 440)."""

from __future__ import annotations


def satisfies(version: str, requirement: str) -> bool:
    """Whether the version meets the specifiers (``>=0.30,<0.40``); a build of the same version (``+cpu``) does, and a
    pre-release that is new enough. A version that is none by PEP 440 does not."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        found = Version(version)
    except InvalidVersion:
        return False
    return SpecifierSet(requirement).contains(found, prereleases=True)


def exactly(version: str | None) -> str:
    """The specifier of one version; of one that is not known, or is none by PEP 440, that of every version."""
    from packaging.version import InvalidVersion, Version

    try:
        return "" if version is None else f"=={Version(version)}"
    except InvalidVersion:
        return ""


def overlap(one: str, other: str) -> bool:
    """Whether some version meets both specifiers; decided at the versions that they name and just beside them."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    named = {spec.version.removesuffix(".*") for text in (one, other) for spec in SpecifierSet(text)}
    tried = {"0", "9999"} | named | {f"{Version(version).base_version}.0.0.1" for version in named}
    both = SpecifierSet(",".join(filter(None, (one, other))))
    return any(both.contains(version, prereleases=True) for version in tried)
