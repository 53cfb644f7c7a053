"""Whether a package may go to others: before it is published, sent to a registry, or written into an archive."""

from __future__ import annotations

from hf_pack.errors import PolicyError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.workspace_document import Policy
from hf_pack.ports import Store, Workspace
from hf_pack.steps.stored.contents import stored_contents
from hf_pack.steps.workspace.packages import Package, load
from hf_pack.steps.workspace.policy import is_denied
from hf_pack.steps.workspace.workspace_files import find_name, manifest_file
from hf_pack.weights.redistribution import why_not_redistributable


def require_redistributable(
    name: str, store_path: StorePath, workspace: Workspace | None, store: Store, policy: Policy, *, told: bool
) -> None:
    """Raises PolicyError for a package whose licence, or the Hub's gate, does not let everybody pass it on.

    The licence is what the package in the store says; ``name`` is how it was named: of a workspace's package the
    manifest's consent counts, and whether the Hub gates it. ``told`` is consent for this once. What ``policy`` denies
    nobody can consent to. An object that is no package passes.
    """
    if store.package_files(store_path) is None:
        return
    stated = stored_contents(store_path, store).provenance.get("licence")
    package = None
    if workspace is not None and "/" not in name and "@" not in name:
        package = load(workspace, find_name(workspace, name))
    _judge(name, stated if isinstance(stated, str) else None, package, policy, told=told)


def require_package_redistributable(package: Package, policy: Policy, *, told: bool) -> None:
    """The same of a workspace's package that need not be built."""
    _judge(package.name, package.lock.licence, package, policy, told=told)


def _judge(name: str, licence: str | None, package: Package | None, policy: Policy, *, told: bool) -> None:
    _require_not_denied(name, licence, policy)
    if told or (licence or "").lower() in {one.lower() for one in policy.publish_allow_licences}:
        return
    if package is not None and package.manifest.allow.redistribution:
        return
    reason = why_not_redistributable(licence)
    if reason is None and package is not None and package.lock.source.gated is not None:
        reason = f"the Hub gives it only to who agrees to its terms (gated: {package.lock.source.gated})"
    if reason is None:
        return
    options = ["--allow-redistribution"]
    if package is not None:
        options.append(f"[allow] redistribution = true in {manifest_file(package.name)}")
    if licence is not None:
        options.append(f'[policy] publish_allow_licences = ["{licence}"] in hf-pack.toml')
    raise PolicyError(
        f"{name}: not everybody may pass this model on: {reason}", hint=f"if you may: {'; or '.join(options)}"
    )


def _require_not_denied(name: str, licence: str | None, policy: Policy) -> None:
    denied = policy.publish_deny_licences
    if is_denied(licence, denied):
        raise PolicyError(
            f"{name}: the workspace's policy keeps its licence from others\n  hf-pack.toml: "
            f"policy.publish_deny_licences: expected none of {', '.join(denied)}, found {licence}",
            hint="change [policy] in hf-pack.toml if this model may be published",
        )
