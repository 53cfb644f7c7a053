"""One command's ways to the Hub and its mirrors."""

from __future__ import annotations

from tests.hub import TestHub
from tests.unit.adapters.hub.reception import IMPATIENT, PATH, MemoryReception, NoProgress, serving, wanted_blob

from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.transports import hub_transports


def test_mirrors_come_first_and_get_no_token() -> None:
    with serving(100_000) as (mirror, data):
        settings = HubSettings(endpoint="http://127.0.0.1:9", token=TestHub.token)
        transports = hub_transports(settings, IMPATIENT, [mirror.endpoint])
        assert [transport.name for transport in transports] == [
            f"{mirror.endpoint}, by HTTP",
            "http://127.0.0.1:9, by HTTP",
            "http://127.0.0.1:9, by Xet",
        ]
        reception = MemoryReception(wanted_blob(mirror))
        assert transports[0].fetch(reception.wanted, reception, NoProgress())
        assert reception.data == data
        assert mirror.bytes_by_file[PATH] == len(data)
        assert not any(request.authorization for request in mirror.requests)
