"""The gates that a model's content passes before it is locked and built: findings, what allows them, and the verdict.

A finding is something in a file that may do harm to who loads it. Every one has the key that accepts it: of the
manifest, which speaks of one package, while ``[policy] deny`` of the workspace takes a whole gate away from manifests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hf_pack.model.manifest import Allow


class Gate(StrEnum):
    """What a finding is about; the values are the words of ``[policy] deny``."""

    PICKLE = "pickle"  #: weights that may run code when they are loaded
    PICKLE_GLOBAL = "pickle_globals"  #: a pickle uses more of Python than loading tensors takes
    UNSCANNED_PICKLE = "unscanned_pickles"  #: nobody can tell what a pickle does
    REMOTE_CODE = "remote_code"  #: Python of the model's own, which runs with trust_remote_code
    TEMPLATE = "templates"  #: a chat template that reaches outside Jinja's sandbox
    DUPLICATE_KEY = "duplicate_keys"  #: JSON that readers understand in two ways


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Finding:
    """One thing that was found in one file. ``name`` is the ``module.name`` of a pickle's global, else empty."""

    file: str
    gate: Gate
    reason: str
    name: str = ""

    @property
    def key(self) -> str:
        """The manifest's entry that accepts this finding and no other."""
        return consent([self])[0]

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A line of the report about what was refused. ``allowed_by`` is what accepts it, None where nothing does."""

    file: str
    reason: str
    gate: Gate | None = None  #: None for a file that is broken
    allowed_by: str | None = None


def consent(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The manifest's entries that accept these findings and no others, one for each gate."""
    by_gate: dict[Gate, list[str]] = {}
    for finding in sorted(findings, key=lambda finding: (finding.gate, finding.file, finding.name)):
        by_gate.setdefault(finding.gate, []).append(finding.name or finding.file)
    return tuple(
        "[source] allow_pickle = true"
        if gate is Gate.PICKLE
        else f"[allow] {gate.value} = {json.dumps(list(dict.fromkeys(words)), ensure_ascii=False)}"
        for gate, words in by_gate.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is accepted: the manifest's consent, less what the workspace's policy denies."""

    allow_pickle: bool = False
    allow: Allow = field(default_factory=Allow)
    denied: tuple[Gate, ...] = ()

    def refused(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings that do not pass, sorted."""
        return tuple(finding for finding in sorted(findings) if not self.allows(finding))

    def allows(self, finding: Finding) -> bool:
        """Whether a finding passes."""
        return finding.gate not in self.denied and self._is_allowed(finding)

    def reported(self, finding: Finding) -> Refused:
        """A refused finding with what would accept it."""
        allowed_by = None if finding.gate in self.denied else finding.key
        return Refused(file=finding.file, reason=finding.reason, gate=finding.gate, allowed_by=allowed_by)

    def hint(self, refused: Iterable[Finding]) -> str:
        """What a person can do about refused findings: entries of the manifest, or of the workspace's policy."""
        refused = tuple(refused)
        denied = sorted({finding.gate for finding in refused if finding.gate in self.denied})
        if denied:
            words = ", ".join(f'"{gate}"' for gate in denied)
            return f"hf-pack.toml: [policy] deny has {words}, which no manifest can allow"
        options = dict.fromkeys(
            "--allow-pickle" if gate is Gate.PICKLE else f"--allow {gate.value}"
            for gate in sorted(finding.gate for finding in refused)
        )
        return f"if you trust it: {' '.join(options)} of hf-pack add, or in the manifest: " + "; ".join(
            consent(refused)
        )

    def _is_allowed(self, finding: Finding) -> bool:
        match finding.gate:
            case Gate.PICKLE:
                return self.allow_pickle
            case Gate.PICKLE_GLOBAL:
                return finding.name in self.allow.pickle_globals
            case Gate.UNSCANNED_PICKLE:
                consent = self.allow.unscanned_pickles
            case Gate.REMOTE_CODE:
                consent = self.allow.remote_code
            case Gate.TEMPLATE:
                consent = self.allow.templates
            case Gate.DUPLICATE_KEY:
                consent = self.allow.duplicate_keys
        return consent if isinstance(consent, bool) else finding.file in consent
