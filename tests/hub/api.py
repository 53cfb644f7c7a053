"""``/api/…``: model information, tree listings, paths, refs, commits, access and identity."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast
from urllib.parse import parse_qs, urlencode

from tests.hub import xet
from tests.hub.listing import date_of, entry_of, paths_under
from tests.hub.messages import Answer, Ask, Header, error_answer, json_answer, unquoted
from tests.hub.model_info import info_of
from tests.hub.repo import Commit, Repo
from tests.hub.site import Site

_EXPANDED_PAGE = 50
_COMMIT_PAGE = 50

Endpoint = Callable[[Site, Ask, Repo, Commit, str], Answer]


def api(site: Site, ask: Ask) -> Answer:
    """The answer to a request under ``/api/``; 404 for what this Hub does not know."""
    if ask.path == "/api/whoami-v2":
        answer = _whoami(site, ask)
    elif ask.path == "/api/models":
        answer = _models(site, ask)
    elif ask.segments[1] == "models" and len(ask.segments) > 2:
        answer = _model(site, ask)
    else:
        answer = error_answer(404, "Sorry, we can't find the page you are looking for.")
    return replace(answer, target=ask.path)


def _models(site: Site, ask: Ask) -> Answer:
    """The list of models that bear every tag asked for; a public one each, as ``expand`` shows it."""
    wanted = set(ask.query.get("filter", []))
    found = [
        info_of(repo, repo.at("main"), blobs=False, security=False)
        for repo in site.repos.values()
        if not repo.private and "main" in repo.branches
    ]
    return json_answer([info for info in found if wanted <= set(cast("list[str]", info["tags"]))])


def _model(site: Site, ask: Ask) -> Answer:
    rest = ask.segments[2:]
    parts = 1 if len(rest) == 1 or (rest[1] in _BY_ACTION and unquoted(rest[:2]) not in site.repos) else 2
    repo_id, action, names = unquoted(rest[:parts]), "".join(rest[parts : parts + 1]), rest[parts + 1 :]
    if action not in _BY_ACTION or (ask.method == "POST") != (action == "paths-info"):
        return error_answer(404, "Sorry, we can't find the page you are looking for.")
    needs_files = action in ("auth-check", "xet-read-token")
    refusal = site.refusal(ask, repo_id, files=needs_files)
    if refusal is not None:
        return replace(refusal, repo_id=repo_id)
    repo = site.repos[repo_id]
    revision = unquoted(names[:1]) or "main"
    try:
        commit = repo.at(revision)
    except KeyError:
        answer = error_answer(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    else:
        answer = _BY_ACTION[action](site, ask, repo, commit, unquoted(names[1:]))
    return replace(answer, repo_id=repo_id)


def _info(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    expand = ask.query.get("expand", []) + ask.query.get("expand[]", [])
    if expand and (ask.flag("blobs") or ask.flag("securityStatus")):
        return error_answer(400, "`expand` cannot be combined with `blobs` or `securityStatus`")
    document = info_of(repo, commit, blobs=ask.flag("blobs"), security=ask.flag("securityStatus") or bool(expand))
    if expand:
        document = {name: value for name, value in document.items() if name in ("_id", "id", *expand)}
    return json_answer(document)


def _tree(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    if path not in commit.directories:
        return error_answer(404, f"{path} does not exist", "EntryNotFound", ("X-Repo-Commit", commit.id))
    expand = ask.flag("expand")
    size = min(site.page_size, _EXPANDED_PAGE) if expand else site.page_size
    after = base64.urlsafe_b64decode(ask.text("cursor")).decode()
    paths = [one for one in paths_under(commit, path, recursive=ask.flag("recursive")) if one > after]
    page = paths[: int(ask.text("limit") or size)]
    headers: tuple[Header, ...] = ()
    if len(page) < len(paths):
        headers = (_next_page(site, ask, "cursor", base64.urlsafe_b64encode(page[-1].encode()).decode()),)
    reader = site.reads(ask, repo)
    return json_answer(
        [entry_of(repo, commit, one, expand=expand, xet=site.xet, reader=reader) for one in page], *headers
    )


def _paths_info(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    paths, expand = _asked_paths(ask)
    known = [one for one in paths if one in commit.files or one in commit.directories]
    reader = site.reads(ask, repo)
    return json_answer([entry_of(repo, commit, one, expand=expand, xet=site.xet, reader=reader) for one in known])


def _asked_paths(ask: Ask) -> tuple[list[str], bool]:
    if "json" in ask.headers.get("content-type", ""):
        document = json.loads(ask.body)
        return list(document["paths"]), bool(document.get("expand"))
    form = parse_qs(ask.body.decode())
    return form.get("paths", []), form.get("expand", ["false"])[0].lower() == "true"


def _refs(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    document = {
        "branches": _ref_lines(repo.branches, "refs/heads/"),
        "tags": _ref_lines(repo.tags, "refs/tags/"),
        "converts": [],
    }
    if ask.flag("include_prs"):
        document["pullRequests"] = _ref_lines(repo.pull_requests, "")
    return json_answer(document)


def _ref_lines(names: Mapping[str, str], prefix: str) -> list[dict[str, str]]:
    return [{"name": name, "ref": prefix + name, "targetCommit": commit} for name, commit in names.items()]


def _commits(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    history = [commit]
    while history[-1].parent:
        history.append(repo.commits[history[-1].parent])
    page, limit = int(ask.text("p") or 0), int(ask.text("limit") or min(site.page_size, _COMMIT_PAGE))
    more = len(history) > (page + 1) * limit
    headers = (_next_page(site, ask, "p", str(page + 1)),) if more else ()
    lines = [
        {"id": one.id, "title": one.message, "message": "", "authors": [{"user": "hub"}], "date": date_of(one)}
        for one in history[page * limit : (page + 1) * limit]
    ]
    return json_answer(lines, *headers)


def _next_page(site: Site, ask: Ask, name: str, value: str) -> Header:
    query = urlencode({**ask.query, name: [value]}, doseq=True)
    return ("Link", f'<{site.endpoint}{ask.path}?{query}>; rel="next"')


def _allowed(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    return json_answer("OK")


def _xet_token(site: Site, ask: Ask, repo: Repo, commit: Commit, path: str) -> Answer:
    return xet.read_token(site) if site.xet else error_answer(404, "Not a xet repository")


def _whoami(site: Site, ask: Ask) -> Answer:
    user = site.user(ask)
    if not user:
        return error_answer(401, "Invalid username or password.")
    token = {"type": "access_token", "accessToken": {"displayName": "test", "role": "read"}}
    return json_answer({"type": "user", "id": user, "name": user, "fullname": user, "orgs": [], "auth": token})


_BY_ACTION: dict[str, Endpoint] = {
    "": _info,
    "revision": _info,
    "tree": _tree,
    "paths-info": _paths_info,
    "refs": _refs,
    "commits": _commits,
    "auth-check": _allowed,
    "xet-read-token": _xet_token,
}
