"""The workspace file, ``hf-pack.toml``: policy and default places, all of them optional."""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_pack.model import toml_reading
from hf_pack.model.document import Problem, Problems, Table


class WorkspaceProblems(Problems):
    """Everything that is wrong with one ``hf-pack.toml``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Licence identifiers as model cards have them (``apache-2.0``). ``allow_licences`` None allows any.

    ``trusted_keys`` are public keys (``NAME:BASE64``) whose signatures count when packages are pulled;
    ``require_signature`` demands one.
    """

    allow_licences: tuple[str, ...] | None = None
    deny_licences: tuple[str, ...] = ()
    trusted_keys: tuple[str, ...] = ()
    require_signature: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """``caches``, ``mirrors`` and ``targets`` are URLs, in the order to use them."""

    policy: Policy = field(default_factory=Policy)
    caches: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


def parse(text: str) -> WorkspaceSettings:
    """Read ``hf-pack.toml``. Raises :class:`WorkspaceProblems` with all problems."""
    try:
        document = toml_reading.read(text)
    except Problems as error:
        raise WorkspaceProblems(error.problems) from None
    problems: list[Problem] = []
    top = Table(document, "", problems)
    top.refuse_unknown(("policy", "caches", "mirrors", "targets"))
    policy = Policy()
    if (table := top.optional_table("policy")) is not None:
        table.refuse_unknown(("allow_licences", "deny_licences", "trusted_keys", "require_signature"))
        policy = Policy(
            allow_licences=table.optional_texts("allow_licences"),
            deny_licences=table.texts("deny_licences"),
            trusted_keys=table.texts("trusted_keys"),
            require_signature=table.flag("require_signature"),
        )
    settings = WorkspaceSettings(
        policy=policy, caches=top.texts("caches"), mirrors=top.texts("mirrors"), targets=top.texts("targets")
    )
    if problems:
        raise WorkspaceProblems(problems)
    return settings
