"""What the endpoints share: the repositories, the users, the options, and links that are signed and expire."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from tests.hub.log import Bearer
from tests.hub.messages import Answer, Ask, error_answer
from tests.hub.repo import File, Repo

_KEY = b"a key that signs links for tests"
XET_TOKEN = "xet_token_of_the_test_hub"


@dataclass(kw_only=True, slots=True)
class Site:
    """The Hub's state. ``users`` maps a token to its user's name; ``link_seconds`` is how long a link works."""

    users: Mapping[str, str]
    page_size: int
    xet: bool
    compress: bool
    resolve_cache: bool
    link_seconds: int
    endpoint: str = ""
    cdn: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    _revoked: set[str] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _oldest: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def user(self, ask: Ask) -> str:
        """The name of the user whose token came; empty for nobody."""
        return self.users.get(ask.token, "")

    def bearer(self, ask: Ask) -> Bearer:
        """Whose token came."""
        if not ask.token:
            return "none"
        if ask.token == XET_TOKEN:
            return "xet"
        return "hub" if ask.token in self.users else "unknown"

    def refusal(self, ask: Ask, repo_id: str, *, files: bool) -> Answer | None:
        """Why this user may not see a repository (or its ``files``' bytes); None when they may."""
        if ask.token and not self.user(ask):
            return error_answer(401, "Invalid credentials in Authorization header")
        repo = self.repos.get(repo_id)
        reader = repo is not None and self.reads(ask, repo)
        if repo is None or (repo.private and not reader):
            return error_answer(404 if ask.token else 401, "Repository not found", "RepoNotFound")
        if repo.disabled:
            return error_answer(403, "Access to this resource is disabled.")
        if repo.gated and files and not reader:
            what = f"Access to model {repo_id} is restricted"
            if not ask.token:
                rest = ". You must have access to it and be authenticated to access it. Please log in."
                return error_answer(401, what + rest, "GatedRepo")
            rest = f" and you are not in the authorized list. Visit {self.endpoint}/{repo_id} to ask for access."
            return error_answer(403, what + rest, "GatedRepo")
        return None

    def reads(self, ask: Ask, repo: Repo) -> bool:
        """Whether this user is one of a repository's readers."""
        return self.user(ask) in repo.readers

    def signed(self, path: str, repo_id: str, file_path: str) -> str:
        """A link to the CDN that works for ``link_seconds`` or until it is revoked."""
        with self._lock:
            number = next(self._numbers)
        query = {"repo": repo_id, "path": file_path, "n": str(number), "Expires": str(self._now() + self.link_seconds)}
        return f"{self.cdn}{path}?{urlencode(query)}&Signature={_signature(path, urlencode(query))}"

    def opens(self, ask: Ask) -> bool:
        """Whether this is a link that still works."""
        query = urlencode([(name, value) for name, value in parse_qsl(ask.target.partition("?")[2])][:-1])
        signature = ask.text("Signature")
        if not hmac.compare_digest(signature, _signature(ask.path, query)):
            return False
        with self._lock:
            known = signature not in self._revoked and int(ask.text("n")) >= self._oldest
        return known and self._now() <= int(ask.text("Expires"))

    def revoke(self, ask: Ask) -> None:
        """This link works no longer."""
        with self._lock:
            self._revoked.add(ask.text("Signature"))

    def revoke_all(self) -> None:
        """No link given so far works any longer."""
        with self._lock:
            self._oldest = next(self._numbers)

    def linked_file(self, ask: Ask) -> File | None:
        """The large file that a link names, by its path and the hash in the URL."""
        repo = self.repos.get(ask.text("repo"))
        name = ask.segments[1]
        path = ask.text("path")
        for commit in repo.commits.values() if repo else ():
            file = commit.files.get(path)
            if file is not None and name in (file.sha256, xet_hash(file)):
                return file
        return None

    @staticmethod
    def _now() -> int:
        return int(time.time())


def xet_hash(file: File) -> str:
    """A xet hash for a file. An invented one: the Xet client does not check it."""
    return hashlib.sha256(b"xet" + bytes.fromhex(file.sha256)).hexdigest()


def _signature(path: str, query: str) -> str:
    return hmac.new(_KEY, f"{path}?{query}".encode(), "sha256").hexdigest()
