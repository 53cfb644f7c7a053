"""A blob by the Xet client's stream, while its storage has troubles."""

from __future__ import annotations

from typing import Any

import pytest
from tests.hub import TestHub
from tests.unit.adapters.hub.reception import (
    IMPATIENT,
    PART,
    PATH,
    MemoryReception,
    NoProgress,
    serving,
    settings_of,
    wanted_blob,
)

from hf_pack.adapters.hub.hub_errors import StalledError
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.web import Web
from hf_pack.adapters.hub.xet_stream import HubXet
from hf_pack.errors import HubError

pytest.importorskip("hf_xet")

SIZE = 20 * PART + 12_345
PLACES = [0, SIZE // 2, -1]


def source(hub: TestHub) -> HubXet:
    return HubXet(Web(settings_of(hub), IMPATIENT), plain_cas=True)


def test_all_is_well() -> None:
    with serving(SIZE, xet=True) as (hub, data):
        reception, progress = MemoryReception(wanted_blob(hub)), NoProgress()
        assert source(hub).fetch(reception.wanted, reception, progress)
        reception.finish()
        assert reception.data == data
        assert progress.size == SIZE
        assert not hub.leaks
        assert not any(request.path.startswith("/cdn") for request in hub.requests)


def test_only_what_is_missing_is_asked_for() -> None:
    with serving(SIZE, xet=True) as (hub, data):
        reception = MemoryReception(wanted_blob(hub))
        for offset in (0, 5 * PART, 6 * PART):
            reception.write(offset, data[offset : offset + PART])
        assert source(hub).fetch(reception.wanted, reception, NoProgress())
        reception.finish()
        reconstructions = [request.range for request in hub.requests if request.path.startswith("/v1/reconstructions/")]
        assert reconstructions == [f"bytes={PART}-{5 * PART - 1}", f"bytes={7 * PART}-{SIZE - 1}"]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("kind", ["drop", "reset", "short", "stall"])
def test_an_answer_that_breaks_off_is_asked_for_again(kind: Any, at: int) -> None:
    with serving(SIZE, xet=True) as (hub, data):
        hub.fault(kind, PATH, at=at)
        reception = MemoryReception(wanted_blob(hub))
        assert source(hub).fetch(reception.wanted, reception, NoProgress())
        assert reception.data == data


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("status", PATH, {"status": 503}),
        ("expired", PATH, {}),
        ("status", "*xet-read-token*", {"status": 503, "stage": "api"}),
        ("status", "*xet-read-token*", {"status": 429, "retry_after": 0, "stage": "api"}),
        ("status", "*reconstructions*", {"status": 503, "stage": "api"}),
    ],
)
def test_what_may_pass_is_tried_again(kind: Any, path: str, fields: dict[str, Any]) -> None:
    with serving(SIZE, xet=True) as (hub, data):
        hub.fault(kind, path, **fields)
        reception = MemoryReception(wanted_blob(hub))
        assert source(hub).fetch(reception.wanted, reception, NoProgress())
        assert reception.data == data


def test_trouble_that_stays_is_an_error_without_addresses() -> None:
    with serving(SIZE, xet=True) as (hub, _):
        hub.fault("status", PATH, status=500, times=None)
        reception = MemoryReception(wanted_blob(hub))
        with pytest.raises(HubError) as caught:
            source(hub).fetch(reception.wanted, reception, NoProgress())
        assert caught.value.message.startswith("the Xet storage does not deliver\n  org/name, revision ")
        assert hub.cdn not in caught.value.message


def test_a_stall_that_stays_is_for_another_transport() -> None:
    with serving(SIZE, xet=True) as (hub, _):
        hub.fault("stall", PATH, at=SIZE // 2, times=None)
        reception = MemoryReception(wanted_blob(hub))
        with pytest.raises(StalledError, match="the Hub stopped sending"):
            source(hub).fetch(reception.wanted, reception, NoProgress())


def test_a_storage_service_that_is_not_https_is_refused() -> None:
    with serving(SIZE, xet=True) as (hub, _):
        reception = MemoryReception(wanted_blob(hub))
        with pytest.raises(HubError, match="names a Xet storage service that is not https, which is refused"):
            HubXet(Web(settings_of(hub), IMPATIENT)).fetch(reception.wanted, reception, NoProgress())
        assert all(request.origin == "hub" for request in hub.requests)


def test_a_file_without_xet_is_not_for_it() -> None:
    with serving(PART) as (hub, _):
        reception = MemoryReception(wanted_blob(hub))
        assert not source(hub).fetch(reception.wanted, reception, NoProgress())


def test_xet_can_be_switched_off() -> None:
    with serving(PART, xet=True) as (hub, _):
        settings = HubSettings(endpoint=hub.endpoint, token=hub.token, xet=False)
        reception = MemoryReception(wanted_blob(hub))
        assert not HubXet(Web(settings, IMPATIENT), plain_cas=True).fetch(reception.wanted, reception, NoProgress())
        assert not hub.requests
