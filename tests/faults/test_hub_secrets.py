"""Whatever goes wrong: no token and no signed address in an error, a log, a progress line or on a terminal."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from tests.hub import TestHub
from tests.unit.adapters.hub.reception import (
    IMPATIENT,
    PART,
    PATH,
    REPO,
    MemoryReception,
    NoProgress,
    content,
    settings_of,
    wanted_blob,
)

from hf_pack.adapters.hub.http_parts import HubHttp
from hf_pack.adapters.hub.source import open_hub_source
from hf_pack.adapters.hub.web import Web
from hf_pack.adapters.hub.xet_stream import HubXet
from hf_pack.errors import Error

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 403}),
    ("status", {"status": 500}),
    ("status", {"status": 404}),
    ("status", {"status": 429, "retry_after": 9999}),
    ("reset", {"at": 100}),
    ("short", {"at": 0}),
    ("wrong-length", {"length": 7}),
    ("expired", {}),
    ("status", {"status": 401, "stage": "resolve", "method": "*"}),
    ("status", {"status": 503, "stage": "resolve", "method": "*"}),
    ("status", {"status": 401, "stage": "api", "path": "*"}),
    ("reset", {"at": 0, "stage": "api", "path": "*"}),
]


class Talk(NoProgress):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    detail = note

    def child(self, name: str, size: int) -> Talk:
        return self


def by_http(hub: TestHub, talk: Talk) -> None:
    reception = MemoryReception(wanted_blob(hub))
    HubHttp(Web(settings_of(hub), IMPATIENT)).fetch(reception.wanted, reception, talk)


def by_xet(hub: TestHub, talk: Talk) -> None:
    reception = MemoryReception(wanted_blob(hub))
    HubXet(Web(settings_of(hub), IMPATIENT), plain_cas=True).fetch(reception.wanted, reception, talk)


def by_reading(hub: TestHub, talk: Talk) -> None:
    open_hub_source(wanted_blob(hub).repo_id, "main", settings_of(hub), IMPATIENT).read(PATH)


@pytest.mark.parametrize("use", [by_http, by_xet, by_reading])
@pytest.mark.parametrize(("kind", "fields"), FAULTS)
def test_nothing_secret_is_said(
    kind: Any,
    fields: dict[str, Any],
    use: Callable[[TestHub, Talk], None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    talk = Talk()
    said = []
    with TestHub(xet=True) as hub:
        hub.add_repo(REPO, {PATH: content(4 * PART)}, private=True)
        hub.fault(kind, **{"path": PATH, **fields}, times=None)
        try:
            use(hub, talk)
        except Error as error:
            said += [error.message, error.hint, repr(error), *traceback.format_exception(error)]
        links = {request.query for request in hub.requests if request.origin == "cdn"} - {""}
        assert not hub.leaks
    said += [*talk.lines, *capfd.readouterr(), caplog.text]
    text = "\n".join(said)
    assert not [secret for secret in (hub.token, *links) if secret in text]
