"""The checklist of publishing, on repositories as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests import sample_package
from tests.memory_store import MemoryStore

from hf_pack.formats.hashes import Hash
from hf_pack.model.flox_repository import FloxRepository
from hf_pack.model.lock import LockedFile
from hf_pack.model.manifest import Layout, Storage
from hf_pack.steps.exporting.flox_check import Check, flox_checks
from hf_pack.steps.workspace.packages import Package

FILES = (".flox/pkgs/tiny-1-5.nix", "nix/tiny-1-5.json", "nix/tiny-1-5.tar", "build-meta/tiny-1-5.json")
EXPORTED = dict.fromkeys(FILES, True)
READY = FloxRepository(
    in_git=True,
    head="a" * 40,
    branch="main",
    upstream="origin/main",
    holding_head=("origin/main",),
    tracked=frozenset(FILES),
    packages=("tiny-1-5.nix",),
    env_json=b'{"name": "models", "version": 1}',
    manifest=b'version = 1\n[install]\njq.pkg-path = "jq"\n',
    lockfile=True,
)


def _package(storage: Storage = Storage.LINKED, *, size: int = 100) -> Package:
    lock = sample_package.lock()
    large = LockedFile(path="large.safetensors", size=size, sha256=Hash.sha256_of(b"large"))
    return Package(
        name="tiny-1-5",
        manifest=sample_package.manifest(Layout.DUAL, storage),
        build_meta=sample_package.META,
        lock=replace(lock, files=(*lock.files, large)),
        lock_digest=Hash.sha256_of(b""),
        kept=sample_package.kept(),
        record=None,
    )


def _checks(
    repository: FloxRepository = READY, package: Package | None = None, exported: dict[str, bool] = EXPORTED
) -> dict[str, Check]:
    checks = flox_checks(package or _package(), repository, exported, MemoryStore(Path()), may_publish=True)
    return {check.name: check for check in checks}


def test_all_is_well_with_a_repository_that_flox_takes() -> None:
    checks = _checks()
    assert all(check.ok and not check.mend for check in checks.values()), checks
    assert list(checks) == [
        "login", "environment", "manifest", "lockfile", "export", "tracked", "targets", "untracked", "results", "clean",
        "branch", "pushed", "version", "size", "licence",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "repository", "mend"),
    [
        ("environment", replace(READY, env_json=None), "hf-pack export tiny-1-5 --to flox"),
        ("environment", replace(READY, env_json=b"[]"), "hf-pack export tiny-1-5 --to flox"),
        ("environment", replace(READY, env_json=b'{"name": "a", "owner": "me", "version": 1}'), "--output DIR"),
        ("manifest", replace(READY, manifest=None), "hf-pack export tiny-1-5 --to flox"),
        ("manifest", replace(READY, manifest=b"[install"), "flox edit"),
        ("manifest", replace(READY, manifest=b"version = 1\n"), "flox install"),
        ("manifest", replace(READY, manifest=b"[install]\na.b = 1\n[build.tiny-1-5]\ncommand = ''\n"), "flox edit"),
        ("lockfile", replace(READY, lockfile=False), "flox activate -- true"),
        ("tracked", replace(READY, tracked=frozenset(FILES[:2])), "git add -A"),
        ("targets", replace(READY, packages=("a.b.nix",)), "dashes"),
        ("targets", replace(READY, packages=("tiny-1-5.nix", "notes.txt")), "move"),
        ("git", replace(READY, in_git=False), "git init"),
        ("untracked", replace(READY, untracked=("x", ".flox/pkgs/new.nix")), "git add .flox"),
        ("results", replace(READY, tracked=frozenset((*FILES, "result-a"))), "git rm --cached result-a"),
        ("clean", replace(READY, changed=("models/a.toml",)), "git commit"),
        ("commit", replace(READY, head=None), "git commit"),
        ("branch", replace(READY, branch=None), "git switch"),
        ("branch", replace(READY, upstream=None), "git push -u origin main"),
        ("pushed", replace(READY, holding_head=("fork/main",)), "git push"),
    ],
)
def test_each_failure_says_what_mends_it(name: str, repository: FloxRepository, mend: str) -> None:
    checks = _checks(repository)
    assert checks[name].ok is False and mend in checks[name].mend
    assert [check.name for check in checks.values() if check.ok is False] == [name]


def test_an_export_that_is_out_of_date_fails() -> None:
    check = _checks(exported={**EXPORTED, FILES[1]: False})["export"]
    assert (check.ok, check.mend) == (False, "hf-pack export tiny-1-5 --to flox") and FILES[1] in check.found


def test_an_object_over_the_catalogues_limit_fails() -> None:
    assert _checks(package=_package(size=4_999_999_000))["size"].ok
    linked = _checks(package=_package(size=5_000_000_000))["size"]
    assert linked.ok is False and "large.safetensors" in linked.found and "shards of 4 GB" in linked.mend
    solid = _checks(package=_package(Storage.SELF_CONTAINED, size=5_000_000_000))
    assert solid["size"].ok is False and "linked" in solid["size"].mend
    assert solid["version"].ok is False and solid["version"].mend == "hf-pack build tiny-1-5"


def test_what_cannot_be_known_is_no_failure() -> None:
    package = _package()
    for licence, found in ((None, "none"), ("gemma", "gemma")):
        package = replace(package, lock=replace(package.lock, licence=licence))
        check = _checks(package=package)["licence"]
        assert check.ok is None and found in check.found and check.mend
    (login, *_) = flox_checks(package, READY, EXPORTED, MemoryStore(Path()), may_publish=False)
    assert (login.name, login.ok) == ("login", None)
