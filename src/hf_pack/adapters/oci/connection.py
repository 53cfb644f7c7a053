"""Requests to one registry: logged in as it asks, repeated where that can help, redirected without the login."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from io import RawIOBase
from typing import Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from hf_pack.adapters.oci.logins import Login
from hf_pack.errors import HubError
from hf_pack.formats.oci.challenge import Challenge, parse_challenges
from hf_pack.formats.oci.reference import DOCKER_HUB, Reference
from hf_pack.model.file_names import shown
from hf_pack.web_pool import Answer, WebPool, failure, is_unknown_name

_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_TRIES = 5
_MOST_REDIRECTS = 5
_MOST_ANSWER = 1 << 20
_MOST_WAIT = 30.0  #: seconds
_CONNECTIONS = 8

Action = Literal["pull", "push"]


class Refused(HubError):  # noqa: N818 - the name of what a registry does
    """The registry's answer is an error; ``status`` is HTTP's, ``code`` the registry's own."""

    def __init__(self, message: str, status: int, code: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class RegistryConnection:
    """``find_login`` is asked once, when the registry wants to know who asks. Thread-safe."""

    def __init__(
        self, reference: Reference, find_login: Callable[[], Login | None], *, plain_http: bool, action: Action
    ) -> None:
        scheme = "http" if plain_http or reference.is_local else "https"
        host = "registry-1.docker.io" if reference.registry == DOCKER_HUB else reference.registry
        self._registry = reference.registry
        self._repository = reference.repository
        self._origin = f"{scheme}://{host}"
        self._base = f"{self._origin}/v2/{reference.repository}/"
        self._find_login = find_login
        self._actions = "pull,push" if action == "push" else "pull"
        self._mounts: frozenset[str] = frozenset()
        self._pool = WebPool(connections=_CONNECTIONS, connect_seconds=10, read_seconds=300)
        self._turn = threading.Lock()
        self._authorization: str | None = None
        self._login: Login | None = None
        self._login_known = False
        self._stopped = threading.Event()

    def url(self, relative: str) -> str:
        """Of something in the repository, or of what an answer names."""
        return urljoin(self._base, relative)

    def may_read(self, repository: str) -> None:
        """Ask for a token that reads this other repository, too: what is mounted from there."""
        with self._turn:
            if repository not in self._mounts:
                self._mounts |= {repository}
                if (self._authorization or "").startswith("Bearer"):
                    self._authorization = None

    def stop(self) -> None:
        """No request begins any more."""
        self._stopped.set()

    def require_going(self) -> None:
        """Raise HubError once it was stopped."""
        if self._stopped.is_set():
            raise HubError(f"{self._registry}: the transfer was stopped")

    def ask(
        self,
        method: str,
        url: str,
        expected: tuple[int, ...],
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """The answer, of an ``expected`` status; the caller closes it. Failures that may pass are tried again.

        Raises Refused, HubError.
        """
        for attempt in range(_TRIES):
            self.require_going()
            try:
                answer = self._redirected(method, url, headers or {}, body)
            except OSError as error:
                if attempt == _TRIES - 1 or is_unknown_name(error):
                    raise HubError(
                        f"{self._registry}: {failure(error)}", hint="is the address right, and the registry reachable?"
                    ) from None
                self._stopped.wait(0.2 * 2**attempt)
                continue
            if answer.status in expected:
                return answer
            if answer.status not in _MAY_PASS or attempt == _TRIES - 1:
                raise self.refusal(answer)
            wait = _seconds(answer.headers.get("Retry-After"), 0.2 * 2**attempt)
            answer.close()
            self._stopped.wait(wait)
        raise AssertionError

    def ask_once(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | RawIOBase | None = None
    ) -> Answer:
        """The answer to one request, whatever its status; a login is renewed where the registry asks for it.

        Raises OSError for a connection that breaks.
        """
        self.require_going()
        start = body.tell() if isinstance(body, RawIOBase) else 0
        answer = self._pool.send(method, url, self._with_login(url, headers), body)
        if answer.status != 401 or not self._is_here(url):
            return answer
        challenges = parse_challenges(answer.headers.get("WWW-Authenticate", ""))
        used = self._authorization
        answer.read(_MOST_ANSWER)
        answer.close()
        self._authorise(challenges, used)
        if isinstance(body, RawIOBase):
            body.seek(start)
        return self._pool.send(method, url, self._with_login(url, headers), body)

    def refusal(self, answer: Answer) -> Refused:
        """What the registry says no with. Closes the answer."""
        try:
            data = answer.read(_MOST_ANSWER)
        except OSError:
            data = b""
        answer.close()
        code, text = _error_of(data)
        where = f"{self._registry}/{self._repository}"
        said = f": {code}" + (f" ({text})" if text else "") if code else ""
        hint = ""
        if answer.status in (401, 403):
            hint = f"log in with a user who may: docker login {self._registry} (or podman, skopeo)"
        return Refused(f"{where}: HTTP {answer.status}{said}", answer.status, code, hint=hint)

    def _redirected(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        for _ in range(_MOST_REDIRECTS):
            answer = self.ask_once(method, url, headers=headers, body=body)
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None or method not in ("GET", "HEAD"):
                return answer
            answer.read(_MOST_ANSWER)
            answer.close()
            target = urljoin(url, target)
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise HubError(f"{self._registry}: redirects to an address that is not encrypted")
            url = target
        raise HubError(f"{self._registry}: more than {_MOST_REDIRECTS} redirects")

    def _is_here(self, url: str) -> bool:
        """Whether it is the registry itself: the login is for nobody else."""
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}" == self._origin

    def _with_login(self, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        authorization = self._authorization
        return {**headers, "Authorization": authorization} if authorization and self._is_here(url) else headers

    def _authorise(self, challenges: tuple[Challenge, ...], used: str | None) -> None:
        with self._turn:
            if self._authorization != used:  # another thread was faster
                return
            if not self._login_known:
                self._login, self._login_known = self._find_login(), True
            login = self._login
            for challenge in challenges:
                if challenge.scheme == "bearer" and challenge.realm:
                    token = login.registry_token if login and login.registry_token else self._token(challenge, login)
                    self._authorization = f"Bearer {token}"
                    return
                if challenge.scheme == "basic" and login is not None and login.user and login.basic != used:
                    self._authorization = login.basic
                    return

    def _token(self, challenge: Challenge, login: Login | None) -> str:
        """From whom the registry names, for this repository."""
        realm = urlsplit(challenge.realm)
        if realm.scheme != "https" and not (realm.scheme == "http" and self._origin.startswith("http:")):
            raise HubError(f"{self._registry}: its tokens come from an address that is not encrypted")
        scopes = [f"repository:{self._repository}:{self._actions}"]
        scopes += [f"repository:{name}:pull" for name in sorted(self._mounts)]
        fields = [("service", challenge.service)] if challenge.service else []
        headers, body, method, url = {}, None, "GET", challenge.realm
        if login is not None and login.identity_token:
            fields += [("grant_type", "refresh_token"), ("client_id", "hf-pack"), ("scope", " ".join(scopes))]
            body = urlencode([*fields, ("refresh_token", login.identity_token)]).encode()
            method, headers = "POST", {"Content-Type": "application/x-www-form-urlencoded"}
        else:
            fields += [("scope", scope) for scope in scopes]
            url += ("&" if realm.query else "?") + urlencode(fields, quote_via=quote)
            if login is not None and login.user:
                headers = {"Authorization": login.basic}
        try:
            answer = self._pool.send(method, url, headers, body)
            data = answer.read(_MOST_ANSWER)
        except OSError as error:
            raise HubError(
                f"{self._registry}: whoever gives its tokens does not answer: {failure(error)}\n"
                f"  {shown(realm.netloc.rpartition('@')[2])}"
            ) from None
        answer.close()
        try:
            document = json.loads(data) if answer.status == 200 else {}
            token = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
        except ValueError:
            token = None
        if not isinstance(token, str) or not token.isprintable() or not token:
            raise Refused(
                f"{self._registry}/{self._repository}: no token for it: HTTP {answer.status}\n"
                f"  asked at {shown(realm.netloc.rpartition('@')[2])}"
                + ("" if login else ", as nobody: no login was found"),
                answer.status,
                "",
                hint=f"docker login {self._registry} (or podman, skopeo)",
            )
        return token


def _seconds(header: str | None, otherwise: float) -> float:
    return min(float(header), _MOST_WAIT) if header and header.isascii() and header.isdigit() else otherwise


def _error_of(data: bytes) -> tuple[str, str]:
    """The first error's code and message (distribution-spec, "Error Codes")."""
    try:
        first = json.loads(data)["errors"][0]
        return shown(str(first.get("code", "")))[:60], shown(str(first.get("message", "")))[:200]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
