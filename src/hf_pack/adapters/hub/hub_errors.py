"""What went wrong with the Hub, in the words of the person who asked: every failure becomes a HubError.

No text here holds a token, a URL's query or an exception's own text that might: only what is known to be harmless.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from hf_pack.errors import HubError
from hf_pack.model.file_names import shown
from hf_pack.web_pool import is_unknown_name

_SECRET = re.compile(r"hf_\w+|(?i:bearer\s+\S+)|(?<=\?)\S+|https?://\S*@\S*")


class StalledError(HubError):
    """The server sends nothing, again and again: another transport may do better."""


class UnknownRevisionError(HubError):
    """The repository is there, the revision is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something went wrong, and as whom it was asked."""

    endpoint: str
    repo_id: str
    revision: str
    path: str | None = None
    logged_in: bool = False

    @property
    def page(self) -> str:
        """The model's page on the Hub."""
        return f"{self.endpoint}/{self.repo_id}"

    def __str__(self) -> str:
        file = "" if self.path is None else f", file {shown(self.path)}"
        return f"{shown(self.repo_id)}, revision {shown(self.revision)}{file}"


def hub_error(what: str, place: Place, *, detail: str = "", hint: str = "") -> HubError:
    """One line for what, one for where."""
    return HubError(_text(what, place, detail), hint=hint)


def offline_error(place: Place) -> HubError:
    """HF_HUB_OFFLINE forbids to ask."""
    return hub_error("the Hub is not asked, because HF_HUB_OFFLINE is set", place, hint="unset HF_HUB_OFFLINE")


def stalled_error(place: Place, seconds: float) -> StalledError:
    """Nothing came for ``seconds``, more than once."""
    return StalledError(
        _text(f"the Hub stopped sending: nothing came for {seconds:g} s, again and again", place, ""),
        hint="run the command again: what is here is kept",
    )


def status_error(status: int, headers: Mapping[str, str], place: Place) -> HubError:
    """An answer that is no success. ``headers`` are looked up as they are spelled on the Hub, in any case."""
    fields = {name.lower(): value for name, value in headers.items()}
    code, said = fields.get("x-error-code", ""), fields.get("x-error-message", "")
    where = f"HTTP {status}"
    if said == "Access to this resource is disabled.":
        return hub_error(
            "the Hub has disabled this repository", place, detail=where, hint=f"see {place.page} for the reason"
        )
    if code == "GatedRepo":
        return _gated(place, where, said)
    if "invalid credentials" in said.lower() or "invalid username" in said.lower():
        return hub_error(
            "the Hub does not accept the token", place, detail=where, hint="hf auth login (or correct HF_TOKEN)"
        )
    if code == "RepoNotFound" or (status == 401 and not code):
        hint = f"check the name at {place.page}"
        hint += "\nif it is private, see which account asks: hf auth whoami" if place.logged_in else ""
        hint += "" if place.logged_in else "\nif it is private, log in: hf auth login"
        return hub_error("the Hub has no such model, or it is private", place, detail=where, hint=hint)
    if code == "RevisionNotFound":
        return UnknownRevisionError(
            _text("the model has no such revision", place, where), hint=f"see its branches at {place.page}/tree/main"
        )
    if code == "EntryNotFound":
        return hub_error("the Hub has no such file", place, detail=where, hint=f"see {place.page}/tree/main")
    if status == 429:
        wait = retry_after(headers)
        ends = "" if wait is None else f"; it ends in {wait:.0f} s"
        login = "" if place.logged_in else "; with a login the limit is higher: hf auth login"
        return hub_error(
            f"the Hub's rate limit is reached{ends}", place, detail=where, hint=f"run it again later{login}"
        )
    if status == 403:
        return hub_error(
            "the Hub forbids this",
            place,
            detail=_said(where, said),
            hint="does the token have read access to this model? see hf auth whoami",
        )
    if status == 407:
        return hub_error(
            "the proxy wants a login", place, detail=where, hint="set https_proxy=http://USER:PASSWORD@HOST:PORT"
        )
    if status >= 500:
        return hub_error(
            "the Hub has trouble", place, detail=_said(where, said), hint="see https://status.huggingface.co"
        )
    return hub_error("the Hub gave an answer that makes no sense here", place, detail=_said(where, said))


def _gated(place: Place, where: str, said: str) -> HubError:
    lower = said.lower()
    if "awaiting" in lower:
        return hub_error(
            "your request for access still awaits the authors' approval",
            place,
            detail=where,
            hint=f"see {place.page}; run the command again when they have approved it",
        )
    if "rejected" in lower:
        return hub_error(
            "the authors have rejected your request for access", place, detail=where, hint=f"see {place.page}"
        )
    then = "ask again with the same account: hf auth whoami" if place.logged_in else "log in: hf auth login"
    return hub_error(
        "the model is gated: the Hub gives it to those who have accepted its terms",
        place,
        detail=where,
        hint=f"open {place.page}, accept the terms there, then {then}",
    )


def transport_error(error: BaseException, place: Place, server: str) -> HubError:
    """A connection that failed; ``server`` is an origin, so that it is safe to show."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return hub_error(
                f"the certificate of {server} cannot be verified ({cause.verify_message})",
                place,
                hint="behind a company's proxy: set SSL_CERT_FILE to its certificates",
            )
        if isinstance(cause, ssl.SSLError):
            return hub_error(f"TLS with {server} failed ({getattr(cause, 'reason', None) or 'no reason given'})", place)
        if isinstance(cause, socket.gaierror):
            return hub_error(
                f"the name of {server} cannot be resolved",
                place,
                hint="is this machine online? a mirror is set by HF_ENDPOINT, a proxy by https_proxy",
            )
        if isinstance(cause, ConnectionRefusedError):
            return hub_error(
                f"{server} refuses connections", place, hint="check HF_ENDPOINT, https_proxy and the network"
            )
        if isinstance(cause, TimeoutError):
            return hub_error(f"{server} does not answer", place, hint="check the network, HF_ENDPOINT and https_proxy")
        if isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed: "):
            said = str(cause).removeprefix("Tunnel connection failed: ")[:60]
            return hub_error(f"the proxy does not connect to {server} ({said})", place, hint="check https_proxy")
    reason = errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)
    return hub_error(f"the connection to {server} failed ({reason})", place, hint="run the command again")


def may_pass(error: BaseException) -> bool:
    """Whether a failed connection is worth another try."""
    return isinstance(error, OSError) and not any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error)
    )


def asks_an_unknown_name(error: BaseException) -> bool:
    """Whether there is no such server: a name is wrong, or the network is away."""
    return any(is_unknown_name(cause) for cause in _chain(error))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a 429 or 503 asks to wait: ``Retry-After``, else the ``t`` of the Hub's ``RateLimit``."""
    fields = {name.lower(): value.strip() for name, value in headers.items()}
    stated = fields.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}", stated):
        return float(stated)
    if stated:
        try:
            return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
        except ValueError:
            pass
    reset = re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})", fields.get("ratelimit", ""))
    return None if reset is None else float(reset.group(1))


def is_transient(status: int) -> bool:
    """Statuses that another try may turn into a success."""
    return status in (408, 425, 429) or 500 <= status <= 599


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _text(what: str, place: Place, detail: str) -> str:
    return f"{what}\n  {place}" + (f": {detail}" if detail else "")


def _said(where: str, said: str) -> str:
    line = _SECRET.sub("…", said.splitlines()[0] if said else "")[:200]
    return f"{where}, {line}" if line.isprintable() and line else where
