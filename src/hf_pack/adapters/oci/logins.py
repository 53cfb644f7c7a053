"""Who logs in at a registry: what ``docker login``, ``podman login`` and credential helpers left for it.

Read are, in this order: ``$REGISTRY_AUTH_FILE`` (then nothing else), ``$DOCKER_CONFIG/config.json``, podman's
``auth.json``, ``~/.docker/config.json``. No secret of them stands in any message.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hf_pack.errors import HubError
from hf_pack.formats.oci.reference import DOCKER_HUB

_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS = 60  # it may ask somebody for a password
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
_TOKEN_USER = "<token>"  # how helpers say that the secret is an identity token


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user with a password, or an identity token that is exchanged for others, or a token that is used as it is."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of ``Authorization``."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def find_login(registry: str, repository: str, environ: Mapping[str, str]) -> Login | None:
    """The login for a repository, None where nobody logged in. Raises HubError for a file or helper that is broken."""
    for place in _places(environ):
        try:
            text = place.read_text()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except (OSError, ValueError) as error:
            raise HubError(f"a login file cannot be read\n  {place}: {type(error).__name__}") from None
        try:
            document = json.loads(text or "{}")
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise HubError(f"a login file is no JSON object\n  {place}", hint=f"log in again: docker login {registry}")
        login = _from_document(document, registry, repository, place, environ)
        if login is not None:
            return login
    return None


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    if explicit := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(explicit)
        return
    home = Path(environ.get("HOME") or "~").expanduser()
    if docker := environ.get("DOCKER_CONFIG"):
        yield Path(docker) / "config.json"
    if run := environ.get("XDG_RUNTIME_DIR"):
        yield Path(run) / "containers" / "auth.json"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"
    if not docker:
        yield home / ".docker" / "config.json"


def _from_document(
    document: Mapping[str, object], registry: str, repository: str, place: Path, environ: Mapping[str, str]
) -> Login | None:
    helpers, auths = document.get("credHelpers"), document.get("auths")
    keys = _keys(registry, repository)
    if isinstance(helpers, dict):
        for key in keys:
            if isinstance(name := helpers.get(key), str):
                return _ask_helper(name, key, place, environ)
    if isinstance(auths, dict):
        by_key = {_normal(key): value for key, value in auths.items()}
        for key in keys:
            if isinstance(entry := by_key.get(_normal(key)), dict) and (login := _entry(entry, place)) is not None:
                return login
    if isinstance(name := document.get("credsStore"), str) and name:
        server = _HUB_KEYS[0] if registry == DOCKER_HUB else registry
        return _ask_helper(name, server, place, environ)
    return None


def _keys(registry: str, repository: str) -> tuple[str, ...]:
    """The closest first: podman keeps logins also for parts of a registry."""
    parts = repository.split("/")
    within = [f"{registry}/{'/'.join(parts[:end])}" for end in range(len(parts), 0, -1)]
    return (*within, registry, *(_HUB_KEYS if registry == DOCKER_HUB else ()))


def _normal(key: str) -> str:
    """Docker once wrote whole addresses: ``https://registry.example/v1/``."""
    return re.sub(r"^https?://|/v[12]/?$|/$", "", key)


def _entry(entry: Mapping[str, object], place: Path) -> Login | None:
    if isinstance(token := entry.get("registrytoken"), str) and token:
        return Login(registry_token=token)
    user, password = entry.get("username"), entry.get("password")
    if isinstance(auth := entry.get("auth"), str) and auth:
        try:
            user, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise HubError(f"a login cannot be read\n  {place}: auths: expected base64 of user:password") from None
    identity = entry.get("identitytoken")
    if isinstance(identity, str) and identity:
        return Login(user=user if isinstance(user, str) else "", identity_token=identity)
    if isinstance(user, str) and isinstance(password, str) and user:
        return Login(user=user, password=password.rstrip("\0"))
    return None


def _ask_helper(name: str, server: str, place: Path, environ: Mapping[str, str]) -> Login | None:
    """``docker-credential-NAME get``: the server's name in, JSON out."""
    program = f"docker-credential-{name}"
    if not _HELPER.fullmatch(name):
        raise HubError(f"not the name of a credential helper: {name!r}\n  {place}")
    try:
        done = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False,
            env=dict(environ),
        )  # fmt: skip
    except FileNotFoundError:
        raise HubError(f"{program} is not installed\n  {place}: names it for {server}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HubError(f"{program} did not answer: {type(error).__name__}\n  asked for {server}") from None
    if done.returncode:
        if b"credentials not found" in done.stdout + done.stderr:
            return None
        raise HubError(f"{program} failed with exit code {done.returncode}\n  asked for {server}")
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise HubError(f"{program} gave no login\n  asked for {server}") from None
    return Login(identity_token=secret) if user == _TOKEN_USER else Login(user=user, password=secret)
