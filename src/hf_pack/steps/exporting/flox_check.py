"""The checks of ``flox publish`` as a dry run: each with what was found, and what mends it. Needs no flox."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hf_pack.errors import PolicyError, UsageError
from hf_pack.expressions.package_meta import is_free
from hf_pack.formats import nar
from hf_pack.model.flox_repository import FloxRepository
from hf_pack.ports import Store
from hf_pack.steps.building.realise import second_contents
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.targets import known_store_path

#: Bytes that one store object may have as a NAR in flox's own catalogue store.
NAR_LIMIT = 5_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One point of the checklist. ``ok`` is None when it cannot be known here; ``mend`` is what to do then, or else."""

    name: str
    ok: bool | None
    found: str
    mend: str = ""


def flox_checks(
    package: Package, repository: FloxRepository, exported: Mapping[str, bool], store: Store, *, may_publish: bool
) -> tuple[Check, ...]:
    """Every check, in the order in which ``flox publish`` makes them, then those of its catalogue.

    ``exported`` says for each file of the export whether it lies in the repository as it would be written now;
    ``may_publish`` whether a token for the catalogue is in the environment.
    """
    return (
        _login(may_publish),
        *_environment(package.name, repository),
        *_expressions(package.name, repository, exported),
        *_git(repository),
        _identity(package, store),
        *_sizes(package),
        _licence(package),
    )


def require_publishable(package: Package, checks: Iterable[Check], store: Store) -> None:
    """Raises PolicyError when the version names a second content, UsageError for any other check that fails."""
    store_path = known_store_path(package)
    others = second_contents(package, store_path, store) if store_path is not None else []
    if others:
        what, _, mend = others[0].partition("; ")
        raise PolicyError(what, hint=f"{mend.partition(': ')[2]}, then export and commit again")
    failed = [check for check in checks if check.ok is False]
    if failed:
        lines = "".join(f"\n  {check.name}: {check.found}" for check in failed)
        raise UsageError(f"flox would not publish {package.name}{lines}", hint=failed[0].mend)


def _login(may_publish: bool) -> Check:
    if may_publish:
        return Check(name="login", ok=True, found="FLOX_FLOXHUB_TOKEN is set")
    return Check(name="login", ok=None, found="not known without flox", mend="flox auth status, flox auth login")


def _environment(name: str, repository: FloxRepository) -> Iterator[Check]:
    export = f"hf-pack export {name} --to flox"
    pointer = _json_object(repository.env_json)
    if pointer is None:
        yield Check(name="environment", ok=False, found=".flox/env.json: not there, or no JSON object", mend=export)
    elif "owner" in pointer:
        yield Check(
            name="environment",
            ok=False,
            found=f".flox/env.json: the environment of {pointer['owner']} on FloxHub, not one of this directory",
            mend="publish from a directory with an environment of its own: --output DIR",
        )
    else:
        yield Check(name="environment", ok=True, found=f"{pointer.get('name')}, of this directory")
    try:
        manifest = tomllib.loads((repository.manifest or b"").decode())
    except ValueError as error:
        yield Check(name="manifest", ok=False, found=f".flox/env/manifest.toml: {error}", mend="flox edit")
        return
    if repository.manifest is None:
        yield Check(name="manifest", ok=False, found=".flox/env/manifest.toml: not there", mend=export)
    elif name in manifest.get("build", {}):
        yield Check(
            name="manifest", ok=False, found=f"[build.{name}] has the name of the package", mend="flox edit, rename it"
        )
    elif not manifest.get("install"):
        yield Check(
            name="manifest",
            ok=False,
            found="[install] is empty; publishing wants a package in it",
            mend="flox install jq",
        )
    else:
        yield Check(name="manifest", ok=True, found=f"{len(manifest['install'])} installed")
    there = repository.lockfile
    yield Check(
        name="lockfile",
        ok=there,
        found=".flox/env/manifest.lock" + ("" if there else ": not there"),
        mend="" if there else "flox activate -- true, then git add .flox",
    )


def _expressions(name: str, repository: FloxRepository, exported: Mapping[str, bool]) -> Iterator[Check]:
    stale = sorted(path for path, current in exported.items() if not current)
    yield Check(
        name="export",
        ok=not stale,
        found=f"{_some(stale)}: missing, or not as the lock has it now" if stale else f"{len(exported)} files, current",
        mend=f"hf-pack export {name} --to flox" if stale else "",
    )
    untracked = sorted(set(exported) - repository.tracked)
    yield Check(
        name="tracked",
        ok=not untracked,
        found=f"git does not track {_some(untracked)}, so flox does not see it"
        if untracked
        else "all files of the export",
        mend="git add -A .flox nix build-meta" if untracked else "",
    )
    dotted = [path for path in repository.packages if "." in path.removesuffix(".nix") or not path.endswith(".nix")]
    yield Check(
        name="targets",
        ok=not dotted,
        found=f".flox/pkgs: {_some(dotted)} is no attribute name"
        if dotted
        else f"{len(repository.packages)} in .flox/pkgs",
        mend="move what is no package out of .flox/pkgs; dashes for dots in names" if dotted else "",
    )


def _git(repository: FloxRepository) -> Iterator[Check]:
    if not repository.in_git:
        yield Check(name="git", ok=False, found="no git repository", mend="git init && git add -A . && git commit")
        return
    untracked = [path for path in repository.untracked if path.startswith(".flox/")]
    yield Check(
        name="untracked",
        ok=not untracked,
        found=f"untracked in .flox: {_some(untracked)}" if untracked else "nothing untracked in .flox",
        mend="git add .flox" if untracked else "",
    )
    results = sorted(path for path in repository.tracked if path.startswith("result-") or path == "result")
    yield Check(
        name="results",
        ok=not results,
        found=f"git tracks {_some(results)}; each build changes it" if results else "no link to a build is tracked",
        mend=f"git rm --cached {' '.join(results)}" if results else "",
    )
    yield Check(
        name="clean",
        ok=not repository.changed,
        found=f"changed and not committed: {_some(repository.changed)}"
        if repository.changed
        else "nothing uncommitted",
        mend="git commit -a" if repository.changed else "",
    )
    if repository.head is None:
        yield Check(name="commit", ok=False, found="no commit yet", mend="git commit")
        return
    if repository.branch is None:
        yield Check(name="branch", ok=False, found="HEAD is detached", mend="git switch BRANCH")
        return
    if repository.upstream is None:
        found = f"{repository.branch} follows no branch of a remote"
        yield Check(name="branch", ok=False, found=found, mend=f"git push -u origin {repository.branch}")
        return
    yield Check(name="branch", ok=True, found=f"{repository.branch} follows {repository.upstream}")
    remote = repository.upstream.split("/")[0] + "/"
    pushed = any(branch.startswith(remote) for branch in repository.holding_head)
    yield Check(
        name="pushed",
        ok=pushed,
        found=f"{repository.head[:7]} is {'' if pushed else 'not '}on {remote[:-1]}",
        mend="" if pushed else "git push",
    )


def _identity(package: Package, store: Store) -> Check:
    store_path = known_store_path(package)
    if store_path is None:
        build = f"hf-pack build {package.name}"
        return Check(name="version", ok=False, found="self-contained, and not built as it is planned now", mend=build)
    others = second_contents(package, store_path, store)
    bump = f"hf-pack bump {package.name} -m TEXT, then export again"
    if others:
        return Check(name="version", ok=False, found=others[0].partition(";")[0], mend=bump)
    return Check(name="version", ok=True, found=f"{package.version} names one content")


def _sizes(package: Package) -> Iterator[Check]:
    plan = package.plan
    objects = [(plan.name, plan.nar_size)]
    if plan.references:
        objects += [(blob.name, nar.file_size(blob.size)) for blob in plan.blobs]
    large = [(name, size) for name, size in objects if size > NAR_LIMIT]
    for name, size in large:
        yield Check(
            name="size",
            ok=False,
            found=f"{name}: a NAR of {size / 1e9:.2f} GB, over the catalogue's {NAR_LIMIT / 1e9:.0f} GB",
            mend=(
                "save the model in shards of 4 GB, or publish to a catalogue store of your own"
                if plan.references
                else 'storage = "linked" makes each shard an object of its own'
            ),
        )
    if not large:
        size = max(size for _, size in objects)
        yield Check(name="size", ok=True, found=f"{len(objects)} objects, the largest a NAR of {size / 1e9:.2f} GB")


def _licence(package: Package) -> Check:
    licence = package.lock.licence
    if licence is None:
        mend = "add its LICENSE, or make sure that you may pass it on"
        return Check(name="licence", ok=None, found="the packaged files state none", mend=mend)
    if not is_free(licence):
        return Check(name="licence", ok=None, found=licence, mend="make sure that it lets you pass the weights on")
    return Check(name="licence", ok=True, found=licence)


def _json_object(text: bytes | None) -> dict[str, object] | None:
    try:
        document = json.loads(text or b"")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _some(paths: list[str] | tuple[str, ...]) -> str:
    """The first three, and how many more."""
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
