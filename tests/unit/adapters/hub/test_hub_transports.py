"""One command's ways to the Hub and its mirrors."""

from __future__ import annotations

import pytest
from tests.hub import TestHub
from tests.unit.adapters.hub.reception import IMPATIENT, PATH, MemoryReception, NoProgress, serving, wanted_blob

from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.transports import hub_transports
from hf_pack.errors import UsageError


def test_mirrors_come_first_and_get_no_token() -> None:
    with serving(100_000) as (mirror, data):
        settings = HubSettings(endpoint="http://127.0.0.1:9", token=TestHub.token)
        transports = hub_transports(settings, IMPATIENT, [f"{mirror.endpoint}/"])
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
        assert not any("//" in request.path for request in mirror.requests)


@pytest.mark.parametrize(
    ("mirror", "found"),
    [
        ("mirror.example", "mirror.example"),
        ("s3://bucket", "s3://bucket"),
        ("https://me:secret@mirror.example/a?key=secret", "https://…@mirror.example/a"),
    ],
)
def test_a_mirror_that_is_no_address_is_named(mirror: str, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        hub_transports(HubSettings(), IMPATIENT, ["https://mirror.example", mirror])
    assert caught.value.message == (
        f"this is not the address of a mirror\n  hf-pack.toml: mirrors: expected http(s)://HOST, found {found!r}"
    )
