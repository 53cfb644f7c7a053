"""Pull packages: which object a person means, whether somebody trusted says so too, and then all that it takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hf_pack.errors import PolicyError, UsageError
from hf_pack.formats.fingerprint import fingerprint
from hf_pack.formats.signing import verify
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.model.published import Published
from hf_pack.model.signature_policy import SignaturePolicy
from hf_pack.ports import ObjectCache, Progress, Store
from hf_pack.steps.caches.published_index import read_index
from hf_pack.steps.caches.pull import Brought, bring, in_no_cache, search_hint
from hf_pack.steps.trust.trust import Trust, refusal
from hf_pack.steps.workspace.locate import parse_store_path

_SHOWN = 8  #: versions in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a person means. ``entry`` is the index's for a name; ``signed`` whether a trusted key signed it."""

    text: str
    store_path: StorePath
    entry: Published | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """The packages, valid now, in the order asked for; and what all of them together took."""

    packages: tuple[tuple[Choice, PathInfo], ...]
    brought: Brought


def pull(texts: Sequence[str], caches: Sequence[ObjectCache], store: Store, trust: Trust, progress: Progress) -> Pulled:
    """Make packages valid that are called ``pname``, ``pname@version`` or by store path.

    Within a session of the store, which keeps them until the caller rooted them. Raises UsageError for a name that
    means nothing or two things, PolicyError for a signature that is missing, and as
    :func:`hf_pack.steps.caches.pull.bring` does.
    """
    choices = [choose(text, caches, trust, progress) for text in texts]
    if trust.required:
        for choice in choices:
            require_origin(choice.store_path, caches, store, trust)
    brought = bring([choice.store_path for choice in choices], caches, store, progress, trusted_keys=trust.keys)
    packages = []
    for choice in choices:
        info = store.path_info(choice.store_path)
        assert info is not None
        packages.append((choice, info))
    return Pulled(packages=tuple(packages), brought=brought)


def all_names(caches: Sequence[ObjectCache]) -> tuple[str, ...]:
    """Every ``pname@version`` that the caches list. Raises UsageError when that is none."""
    listed = [entry for cache in caches for entry in read_index(cache.storage)]
    if not listed:
        places = "".join(f"\n  {cache.name}" for cache in caches)
        raise UsageError(f"no package is listed{places}", hint="name a store path")
    return tuple(dict.fromkeys(f"{entry.pname}@{entry.version}" for entry in listed))


def choose(text: str, caches: Sequence[ObjectCache], trust: Trust, progress: Progress) -> Choice:
    """The store path itself; of ``pname@version`` what the first cache that lists it says; of a ``pname`` the newest.

    Newest is the highest build version, which counts a package's builds up. A store path proves itself, a name does
    not: a note says when no trusted key vouches for it and none had to.
    """
    if "/" in text:
        return Choice(text=text, store_path=parse_store_path(text))
    pname, _, version = text.partition("@")
    listed: list[Published] = []
    for cache in caches:
        here = [entry for entry in read_index(cache.storage, pname) if entry.pname == pname]
        if meant := [entry for entry in here if version in ("", entry.version)]:
            return _chosen(text, cache, meant, trust, progress)
        listed += here
    if listed:
        known = ", ".join(dict.fromkeys(entry.version for entry in listed[:_SHOWN]))
        raise UsageError(
            f"{pname} has no version {version}\n  published: {known}",
            hint=f"hf-pack search {shlex.join([pname, '--from', caches[0].name])}",
        )
    places = "".join(f"\n  {cache.name}: lists none of the name" for cache in caches)
    raise UsageError(f"no package was published as {pname}{places}", hint=search_hint(caches))


def _chosen(text: str, cache: ObjectCache, entries: Sequence[Published], trust: Trust, progress: Progress) -> Choice:
    vouched = _vouched(entries, cache, trust)
    if trust.required and not vouched:
        raise PolicyError(
            f"no trusted key signed what {text} means\n  {cache.name}: signatures: {_signers(entries)}"
            + _reason(_newest(entries)[0].store_path, cache, trust),
            hint="give the publisher's public key with --trusted-key, or the store path itself",
        )
    found = _newest(vouched if trust.required else entries)
    if len(found) > 1:
        found = [entry for entry in found if entry in vouched] or found
    if len(found) > 1:
        lines = "".join(f"\n  {entry.version}: {entry.store_path}" for entry in found)
        raise UsageError(
            f"{text} means {len(found)} packages in {cache.name}{lines}",
            hint="name the store path, or choose by signature with --trusted-key",
        )
    (entry,) = found
    signed = entry in vouched
    if not signed and trust.policy is not SignaturePolicy.OFF:
        progress.note(
            f"note: that {text} means {entry.store_path} is the word of {cache.name} alone: "
            + (f"signatures: {_signers([entry])}, not checked" if entry.signatures else "nobody signed it")
        )
    return Choice(text=text, store_path=entry.store_path, entry=entry, signed=signed)


def _vouched(entries: Sequence[Published], cache: ObjectCache, trust: Trust) -> list[Published]:
    """Those of the highest build version that has any which somebody trusted signed."""
    if trust.policy is SignaturePolicy.OFF:
        return []
    for build_version in sorted({entry.build_version for entry in entries}, reverse=True):
        found = [
            entry
            for entry in entries
            if entry.build_version == build_version
            and (
                verify(entry.fingerprint(), entry.signatures, trust.keys)
                or (trust.verifiers and refusal(entry.store_path, cache, trust) is None)
            )
        ]
        if found or not trust.required:
            return found
    return []


def _reason(store_path: StorePath, cache: ObjectCache, trust: Trust) -> str:
    found = refusal(store_path, cache, trust) if trust.verifiers else None
    return "" if found is None else f"\n  {store_path.name}: {found}"


def _newest(entries: Sequence[Published]) -> list[Published]:
    """Those of the highest build version, each store path once."""
    highest = max(entry.build_version for entry in entries)
    return list({entry.store_path: entry for entry in entries if entry.build_version == highest}.values())


def _signers(entries: Iterable[Published]) -> str:
    names = sorted({signature.partition(":")[0] for entry in entries for signature in entry.signatures})
    return ", ".join(names[:_SHOWN]) or "none"


def require_origin(store_path: StorePath, caches: Sequence[ObjectCache], store: Store, trust: Trust) -> None:
    """Raise PolicyError unless somebody trusted signed the object itself, as the store or a cache has it."""
    known = store.path_info(store_path)
    if known is not None:
        text = fingerprint(store_path, known.nar_hash, known.nar_size, known.references)
        if verify(text, known.signatures, trust.keys):
            return
    names: set[str] = set()
    described = False
    for cache in caches:
        info = cache.describe(store_path)
        if info is not None:
            described = True
            if verify(info.fingerprint(), info.signatures, trust.keys):
                return
            if trust.verifiers and refusal(store_path, cache, trust) is None:
                return
            names |= {signature.partition(":")[0] for signature in info.signatures}
    if not described:
        raise in_no_cache(store_path, caches)
    raise PolicyError(
        f"no trusted key signed {store_path}\n  Sig: found {', '.join(sorted(names)[:_SHOWN]) or 'none'}"
        + "".join(_reason(store_path, cache, trust) for cache in caches),
        hint="give the publisher's public key with --trusted-key",
    )
