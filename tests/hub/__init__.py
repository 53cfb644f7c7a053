"""A Hub for tests: a real HTTP server that today's ``huggingface_hub`` client works against, unmodified.

    with TestHub() as hub:
        repo = hub.add_repo("org/name", {"config.json": b"{}", "model.safetensors": Path("weights")})
        hub.fault("reset", "model.safetensors", at=1000, times=2)
        ...  # a client with HF_ENDPOINT=hub.endpoint
        assert hub.bytes_by_file["model.safetensors"] < 2 * size

Two origins, each on a port of its own of 127.0.0.1: the Hub (``endpoint``), and the CDN (``cdn``), which serves large
files through signed links and holds the Xet storage service when ``xet`` is on. A client's token must not arrive at
the CDN: ``leaks`` are the requests with which it did. Everything ends when the ``with`` block does.

Clients read their environment when they are imported: run them in processes of their own, with their own ``HF_HOME``.

Modules: ``git_ids`` and ``repo`` (what is served), ``content`` (bytes), ``site`` (state, access, links), ``api``,
``model_info``, ``listing``, ``files`` and ``xet`` (endpoints), ``faults``, ``log``, ``delivery`` and ``server``;
``clients`` runs real clients against it, ``olah`` runs another Hub server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.hub.content import DeclaredFile, DiskFile, Source
from tests.hub.faults import Fault, FaultScript, Kind
from tests.hub.log import Request, RequestLog
from tests.hub.repo import GITATTRIBUTES, Commit, File, Gate, Repo
from tests.hub.server import Listener
from tests.hub.site import Site

__all__ = [
    "GITATTRIBUTES",
    "Commit",
    "DeclaredFile",
    "DiskFile",
    "Fault",
    "File",
    "Repo",
    "Request",
    "Source",
    "TestHub",
]


class TestHub:
    """A running Hub. ``token`` reads every repository; ``stranger_token`` is valid and reads the public ones only.

    ``page_size`` bounds a page of a tree listing, in entries. With ``xet`` large files have xet hashes and a CAS;
    with ``compress`` regular files come in gzip, without a length, to clients that take it; with ``resolve_cache``
    regular files come through a relative redirect on the same origin, as the Hub does it. Links to the CDN work for
    ``link_seconds``.
    """

    __test__: ClassVar = False
    token: ClassVar = "hf_TokenOfTheTester0123456789"
    stranger_token: ClassVar = "hf_TokenOfTheStranger0123456"

    def __init__(
        self,
        *,
        page_size: int = 1000,
        xet: bool = False,
        compress: bool = False,
        resolve_cache: bool = False,
        link_seconds: int = 3600,
    ) -> None:
        self.log = RequestLog()
        self.faults = FaultScript()
        self._site = Site(
            users={self.token: "tester", self.stranger_token: "stranger"},
            page_size=page_size,
            xet=xet,
            compress=compress,
            resolve_cache=resolve_cache,
            link_seconds=link_seconds,
        )
        self._hub = Listener("hub", self._site, self.faults, self.log)
        self._cdn = Listener("cdn", self._site, self.faults, self.log)
        self.endpoint = self._site.endpoint = self._hub.url
        self.cdn = self._site.cdn = self._cdn.url

    def __enter__(self) -> Self:
        self._hub.start()
        self._cdn.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stops; raises what went wrong in the server itself, unless something was raised already."""
        self._hub.stop()
        self._cdn.stop()
        errors = [*self._hub.errors, *self._cdn.errors]
        if errors and error is None:
            raise errors[0]

    def add_repo(
        self,
        repo_id: str,
        files: Mapping[str, Source],
        *,
        private: bool = False,
        gated: Gate = False,
        disabled: bool = False,
        card: Mapping[str, object] | None = None,
        security: Mapping[str, str] | None = None,
    ) -> Repo:
        """A new repository with one commit on ``main``; ``tester`` reads it whatever it is."""
        repo = Repo(
            repo_id=repo_id,
            private=private,
            gated=gated,
            disabled=disabled,
            readers=frozenset({"tester"}),
            card=card or {},
            security=security or {},
        )
        repo.commit(files, message="initial commit")
        self._site.repos[repo_id] = repo
        return repo

    def repo(self, repo_id: str) -> Repo:
        """A repository that was added."""
        return self._site.repos[repo_id]

    def fault(self, kind: Kind, path: str = "*", **fields: Any) -> None:
        """Puts ``Fault(kind, path, **fields)`` at the end of the script."""
        self.faults.add(Fault(kind, path, **fields))

    def expire_links(self) -> None:
        """No link to the CDN that was given so far works any longer."""
        self._site.revoke_all()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request since the last ``reset``."""
        return self.log.requests

    @property
    def leaks(self) -> tuple[Request, ...]:
        """The requests that brought the CDN a token of the Hub, or one that is nobody's."""
        return tuple(request for request in self.requests if request.origin == "cdn" and request.bearer in _SECRET)

    @property
    def bytes_sent(self) -> int:
        """Body bytes sent since the last ``reset``."""
        return self.log.bytes_sent

    @property
    def bytes_by_file(self) -> Counter[str]:
        """Body bytes of files sent since the last ``reset``, by path."""
        return self.log.bytes_by_file

    def reset(self) -> None:
        """Forgets the requests so far; the fault script stays."""
        self.log.reset()


_SECRET = ("hub", "unknown")
