"""How a registry asks for a login: the header ``WWW-Authenticate`` (RFC 9110, section 11; its Bearer form)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CHALLENGE = re.compile(r"\s*([A-Za-z]+)\s+((?:[A-Za-z_-]+\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s,\"]+)\s*,?\s*)+)")
_PARAMETER = re.compile(r"([A-Za-z_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """``scheme`` is in lower case. Of ``bearer``: ``realm`` is the address of who gives tokens."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """What a header asks for, in its order; what cannot be read is passed over."""
    found = []
    for scheme, rest in _CHALLENGE.findall(header[:8192]):
        values = {
            key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for key, quoted, plain in _PARAMETER.findall(rest)
        }
        found.append(
            Challenge(
                scheme=scheme.lower(),
                realm=values.get("realm", ""),
                service=values.get("service", ""),
                scope=values.get("scope", ""),
            )
        )
    return tuple(found)
