"""``/{repo}/resolve/{revision}/{path}`` and the CDN behind it."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from urllib.parse import quote

from tests.hub.content import BytesContent
from tests.hub.messages import Answer, Ask, Header, error_answer, part, unquoted, whole
from tests.hub.repo import Commit, File
from tests.hub.site import Site, xet_hash

_TEXT: Header = ("Content-Type", "text/plain; charset=utf-8")


def resolve(site: Site, ask: Ask) -> Answer:
    """A regular file itself, or where a large one is; ``ask.segments`` have ``resolve`` second or third."""
    middle = 1 if ask.segments[1] == "resolve" else 2
    repo_id = unquoted(ask.segments[:middle])
    return _located(site, ask, repo_id, ask.segments[middle + 1 :], cached=False)


def resolve_cached(site: Site, ask: Ask) -> Answer:
    """``/api/resolve-cache/models/{repo}/{commit}/{path}``: where the Hub sends clients for a regular file."""
    repo_id = unquoted(ask.segments[3:5])
    return _located(site, ask, repo_id, ask.segments[5:], cached=True)


def cdn(site: Site, ask: Ask) -> Answer:
    """``/cdn/{sha256}``: the bytes of a large file, for whoever has a signed link."""
    file = site.linked_file(ask) if site.opens(ask) else None
    if file is None:
        return replace(error_answer(403, "Access denied: the link is not valid"), stages=("body",))
    etag = hashlib.sha1(file.sha256.encode(), usedforsecurity=False).hexdigest()
    headers = (("Content-Type", "application/octet-stream"), ("ETag", f'"{etag}-7"'))
    answer = whole(file.content, headers=headers, stages=("body",), target=file.path, repo_id=ask.text("repo"))
    return part(answer, ask.headers.get("range"))


def _located(site: Site, ask: Ask, repo_id: str, rest: tuple[str, ...], *, cached: bool) -> Answer:
    path = unquoted(rest[1:])
    answer = site.refusal(ask, repo_id, files=True) or _answer(site, ask, repo_id, unquoted(rest[:1]), path, cached)
    body = ask.method == "GET" and answer.status in (200, 206)
    return replace(answer, stages=("resolve", "body") if body else ("resolve",), target=path, repo_id=repo_id)


def _answer(site: Site, ask: Ask, repo_id: str, revision: str, path: str, cached: bool) -> Answer:
    try:
        commit = site.repos[repo_id].at(revision)
    except KeyError:
        return error_answer(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    file = commit.files.get(path)
    if file is None:
        return error_answer(404, "Entry not found", "EntryNotFound", ("X-Repo-Commit", commit.id))
    if file.lfs:
        return _redirect(site, repo_id, commit, file)
    headers = (("X-Repo-Commit", commit.id), ("ETag", f'"{file.etag}"'), _TEXT)
    if site.resolve_cache and not cached:
        location = f"/api/resolve-cache/models/{repo_id}/{commit.id}/{quote(path)}"
        return Answer(status=307, headers=(*headers, ("Location", location)))
    if site.compress and ask.method == "GET" and "range" not in ask.headers and _takes_gzip(ask):
        content = BytesContent(gzip.compress(file.content.read(0, file.size), mtime=0))
        return whole(content, headers=(*headers, ("Content-Encoding", "gzip")), chunked=True)
    return part(whole(file.content, headers=headers), ask.headers.get("range"))


def _redirect(site: Site, repo_id: str, commit: Commit, file: File) -> Answer:
    headers = [
        ("X-Repo-Commit", commit.id),
        ("X-Linked-ETag", f'"{file.sha256}"'),
        ("X-Linked-Size", str(file.size)),
        ("ETag", f'"{file.oid}"'),
        ("Location", site.signed(f"/cdn/{file.sha256}", repo_id, file.path)),
        _TEXT,
    ]
    if site.xet:
        route = f"{site.endpoint}/api/models/{repo_id}/xet-read-token/{commit.id}"
        headers += [("X-Xet-Hash", xet_hash(file)), ("Link", f'<{route}>; rel="xet-auth"')]
    content = BytesContent(b"Found. Redirecting to the CDN")
    return replace(whole(content), status=302, headers=tuple(headers))


def _takes_gzip(ask: Ask) -> bool:
    return "gzip" in ask.headers.get("accept-encoding", "")
