"""What a workspace's policy says about a package."""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.errors import PolicyError
from hf_pack.model.gates import Terms
from hf_pack.model.workspace_document import Policy
from hf_pack.steps.workspace.packages import Package


def check_licence(policy: Policy, package: Package) -> None:
    """Raises PolicyError when the package's licence is denied, or is none of the allowed ones.

    Identifiers are compared without regard to case: cards write ``apache-2.0``, SPDX ``Apache-2.0``.
    """
    licence = package.lock.licence
    stated = (licence or "").lower()
    if is_denied(licence, policy.deny_licences):
        raise _refused(package, f"expected none of {', '.join(policy.deny_licences)}", "deny_licences")
    allowed = policy.allow_licences
    if allowed is not None and stated not in {one.lower() for one in allowed}:
        raise _refused(package, f"expected one of {', '.join(allowed) or 'none'}", "allow_licences")


def is_denied(licence: str | None, denied: Iterable[str]) -> bool:
    """Whether a licence is one of these, or one of several that hold at once (``A AND B``) is."""
    stated = (licence or "").lower()
    return licence is not None and not {stated, *stated.split(" and ")}.isdisjoint(one.lower() for one in denied)


def check_gates(policy: Policy, package: Package) -> None:
    """Raises PolicyError for what was found when the package was locked, and is not, or no longer, allowed.

    What its files hold cannot change after that; what manifest and policy accept can.
    """
    manifest = package.manifest
    terms = Terms(allow_pickle=manifest.selection.allow_pickle, allow=manifest.allow, denied=policy.deny)
    if refused := terms.refused(package.lock.findings):
        lines = "".join(f"\n  {finding}" for finding in refused)
        raise PolicyError(
            f"{package.name}: what was found when it was locked is not allowed{lines}",
            hint=terms.hint(refused),
            findings=[terms.reported(finding) for finding in refused],
        )


def _refused(package: Package, expected: str, key: str) -> PolicyError:
    found = package.lock.licence or "no licence stated in its files"
    return PolicyError(
        f"{package.name}: the workspace's policy refuses its licence\n  hf-pack.toml: policy.{key}: {expected}, "
        f"found {found}",
        hint="change [policy] in hf-pack.toml if this model may be used here",
    )
