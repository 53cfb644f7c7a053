"""The workspace file, ``hf-pack.toml``: policy and default places, all of them optional."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from hf_pack.model import toml_reading
from hf_pack.model.document import Problem, Problems, Table
from hf_pack.model.gates import Gate
from hf_pack.model.signature_policy import SignaturePolicy


class WorkspaceProblems(Problems):
    """Everything that is wrong with one ``hf-pack.toml``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Licence identifiers as model cards have them (``apache-2.0``). ``allow_licences`` None allows any.

    ``publish_allow_licences`` may go to others beside those that let everybody do so
    (:mod:`hf_pack.weights.redistribution`), ``publish_deny_licences`` may not. ``deny`` are gates that no manifest can
    open.

    ``trusted_keys`` say whose signatures count (``NAME:BASE64``, files, identities of Sigstore), ``signatures`` what is
    asked of them when packages are pulled.
    """

    allow_licences: tuple[str, ...] | None = None
    deny_licences: tuple[str, ...] = ()
    publish_allow_licences: tuple[str, ...] = ()
    publish_deny_licences: tuple[str, ...] = ()
    deny: tuple[Gate, ...] = ()
    trusted_keys: tuple[str, ...] = ()
    signatures: SignaturePolicy | None = None


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
        table.refuse_unknown(tuple(field.name for field in fields(Policy)))
        policy = Policy(
            allow_licences=table.optional_texts("allow_licences"),
            deny_licences=table.texts("deny_licences"),
            publish_allow_licences=table.texts("publish_allow_licences"),
            publish_deny_licences=table.texts("publish_deny_licences"),
            deny=table.parsed_list("deny", _gate),
            trusted_keys=table.texts("trusted_keys"),
            signatures=table.optional_choice("signatures", SignaturePolicy),
        )
    settings = WorkspaceSettings(
        policy=policy, caches=top.texts("caches"), mirrors=top.texts("mirrors"), targets=top.texts("targets")
    )
    if problems:
        raise WorkspaceProblems(problems)
    return settings


def _gate(text: str) -> Gate:
    if text not in tuple(Gate):
        raise ValueError(f"{text!r} is no gate: expected one of {', '.join(Gate)}")
    return Gate(text)
