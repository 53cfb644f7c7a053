"""Export: packages of the workspace as files for other tools. Nothing is fetched, nothing is read from a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

from hf_pack.errors import LockError, UsageError
from hf_pack.expressions.flox_export import flox_files
from hf_pack.expressions.mk_hf_model import mk_hf_model_nix
from hf_pack.expressions.nix_export import Files, nix_files, package_files
from hf_pack.formats.hashes import Hash
from hf_pack.model.manifest import Storage
from hf_pack.model.workspace_document import WorkspaceSettings
from hf_pack.runtimes.triton import CONFIG_PBTXT
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.workspace_files import manifest_file


def to_nix(packages: Sequence[Package], settings: WorkspaceSettings) -> Files:
    """``default.nix`` and what it reads, by relative path.

    Raises LockError for a self-contained package that was never built as it is planned now.
    """
    return nix_files(data_of(packages, settings)) | {"mkHfModel.nix": mk_hf_model_nix(CONFIG_PBTXT)}


def to_flox(packages: Sequence[Package], settings: WorkspaceSettings) -> Files:
    """Expressions, data and build metadata of a flox repository, by relative path.

    Raises LockError as :func:`to_nix` does, UsageError for a name that flox takes for something else.
    """
    for package in packages:
        if package.name == "default" or package.name.endswith("flake"):
            raise UsageError(
                f"{package.name}: flox does not take .flox/pkgs/{package.name}.nix for a package",
                hint=f"rename {manifest_file(package.name)} and what belongs to it; pname may stay",
            )
    return flox_files(data_of(packages, settings), {package.name: package.build_meta.format() for package in packages})


def data_of(packages: Sequence[Package], settings: WorkspaceSettings) -> Mapping[str, Files]:
    """The data of each package, by name."""
    return {
        package.name: package_files(
            package.manifest,
            package.lock,
            package.plan,
            package.version,
            package.kept,
            nar_hash=_recorded_nar_hash(package),
            mirrors=[_public(url) for url in settings.mirrors],
            caches=[_public(url) for url in settings.caches],
        )
        for package in packages
    }


def _public(url: str) -> str:
    """An address without user, password and query: what is exported goes into git and every store."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _recorded_nar_hash(package: Package) -> Hash | None:
    if package.manifest.storage is Storage.LINKED:
        return None
    record = package.record
    if record is None or record.plan_digest != package.plan.digest():
        raise LockError(
            f"{package.name} is self-contained: its hash is known after it was built, and it "
            + ("never was" if record is None else "was not as it is planned now"),
            hint=f"hf-pack build {package.name}",
        )
    return record.nar_hash
