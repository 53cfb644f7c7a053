"""Verify: re-hash a package's objects against lock and store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hf_pack.errors import LockError, StoreError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Problem
from hf_pack.model.lock import is_blob
from hf_pack.model.manifest import Storage
from hf_pack.ports import Progress, Store
from hf_pack.side_by_side import all_side_by_side
from hf_pack.steps.stored.contents import stored_contents
from hf_pack.steps.workspace.packages import Package, digest_of
from hf_pack.steps.workspace.targets import Target


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Of ``checked`` objects those were re-hashed that were not ``skipped``; ``bad`` is what is wrong now, ``repaired``
    what was and is not any more."""

    checked: int
    bad: tuple[Problem, ...]
    repaired: tuple[Problem, ...] = ()
    skipped: int = 0  #: what was proved before, and is the same by its files' identity
    oldest_proof: int | None = None  #: age in seconds of the oldest proof among the sound objects; None without any


@dataclass(frozen=True, kw_only=True)
class Recent:
    """Which earlier proofs count: those not before ``since``; without it none. ``now`` is the time of this run: a proof
    from after it is none, the clock jumped. Both in seconds since the epoch."""

    now: int
    since: int | None = None

    def counts(self, proved_at: int) -> bool:
        """Whether what was proved at that time needs no reading."""
        return self.since is not None and self.since <= proved_at


def verify(targets: Sequence[Target], store: Store, workers: int, progress: Progress, recent: Recent) -> Verified:
    """Re-hash every object of the targets' closures, each once, ``workers`` at a time, but for what was ``recent``-ly
    proved and has not changed. What was never proved comes first, then the oldest proof.

    The blobs of a package must have the bytes that its lock says, and its tree be the planned one, whatever the store
    recorded.
    """
    for target in targets:
        _require_built(target, store)
    objects, unknown = _closure(targets, store)
    locked = {blob.store_path: blob.sha256 for package in _packages(targets) for blob in package.plan.blobs}
    infos = {path: info for path in objects if (info := store.path_info(path)) is not None}
    wanted = {path: locked.get(path) for path in objects}
    known = store.proved(wanted) if recent.since is not None else {}
    proved = {path: time for path, time in known.items() if time <= recent.now}
    skipped = {path: time for path, time in proved.items() if recent.counts(time)}
    to_read = [path for path in objects if path not in skipped]
    # The largest first, so that no worker is left with it at the end; sorting keeps that order among equals.
    to_read.sort(key=lambda path: -infos[path].nar_size if path in infos else 0)
    to_read.sort(key=lambda path: proved.get(path, 0))
    progress.start("verify", sum(infos[path].nar_size for path in to_read if path in infos))
    found = all_side_by_side([partial(store.check, path, progress, sha256=wanted[path]) for path in to_read], workers)
    progress.finish()
    problems = [problem for problems in found for problem in problems] + unknown
    for target in targets:
        # A tree with a content address is the planned one, since its path follows from both.
        info = infos.get(target.store_path)
        if target.package is not None and info is not None and info.content_address is None:
            problems += store.compare(target.package.plan, target.store_path)[:1]
    unnamed = {target.store_path for target in targets if not target.named}
    gone = unnamed - store.valid_paths(unnamed) if problems else set()
    problems = [problem for problem in problems if problem.store_path not in gone]
    bad = tuple(sorted(set(_localised(problems, targets, store))))
    return Verified(checked=len(objects), bad=bad, skipped=len(skipped), oldest_proof=_oldest(found, skipped, recent))


def _oldest(found: Sequence[tuple[Problem, ...]], skipped: Mapping[StorePath, int], recent: Recent) -> int | None:
    ages = [recent.now - proved_at for proved_at in skipped.values()]
    return max(ages, default=0 if () in found else None)


def _packages(targets: Sequence[Target]) -> list[Package]:
    return [target.package for target in targets if target.package is not None]


def _require_built(target: Target, store: Store) -> None:
    """A package that was never built as it is planned now is not damaged. Raises LockError."""
    package = target.package
    if package is None or store.path_info(target.store_path) is not None:
        return
    if package.record is None or package.record.store_path != target.store_path:
        raise LockError(
            f"{package.name} {package.version} is not built\n  {store.url}: does not hold {target.store_path}",
            hint=f"hf-pack build {package.name}",
        )


def _closure(targets: Sequence[Target], store: Store) -> tuple[list[StorePath], list[Problem]]:
    """Every object to check once; and a problem for each that ought to be there and is not valid."""
    waiting = [target.store_path for target in targets]
    for target in targets:
        if target.package is not None:
            blobs = [blob.store_path for blob in target.package.plan.blobs]
            linked = target.package.manifest.storage is Storage.LINKED
            waiting += blobs if linked else sorted(store.valid_paths(blobs))
    seen: set[StorePath] = set()
    objects, unknown = [], []
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        info = store.path_info(path)
        if info is None:
            unknown.append(Problem(store_path=path, path="", problem="is not in the store"))
            continue
        objects.append(path)
        waiting += info.references
    return objects, unknown


def _localised(problems: list[Problem], targets: Sequence[Target], store: Store) -> list[Problem]:
    """The files of a damaged tree that are wrong, in place of the tree as a whole: by its plan, else by the tree's own
    ``hf-pack.json``."""
    plans = {target.store_path: target.package.plan for target in targets if target.package is not None}
    result = []
    for problem in problems:
        plan = plans.get(problem.store_path)
        if store.path_info(problem.store_path) is None:
            inside: tuple[Problem, ...] = ()
        elif plan is not None:
            inside = store.compare(plan, problem.store_path)
        else:
            inside = tuple(_by_own_account(problem.store_path, store))
        result += list(inside) or [problem]
    return result


def _by_own_account(store_path: StorePath, store: Store) -> Iterator[Problem]:
    """The small files that are not what the package's ``hf-pack.json`` says; blobs are objects of their own."""
    try:
        contents = stored_contents(store_path, store)
    except StoreError:
        return
    for path, digest in contents.files.items():
        if is_blob(path, digest.size):
            continue
        try:
            problem = "" if digest_of(contents.read(path) or b"") == digest else "other bytes than it states"
        except StoreError:  # the name may be what is damaged
            problem = "it is stated and not there"
        if problem:
            yield Problem(store_path=store_path, path=f"{contents.directory}/{path}", problem=problem)
