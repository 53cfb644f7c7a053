"""A build goes on by the Xet stream where HTTP stalls again and again, with the parts that are here already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.adapters.hub.reception import IMPATIENT, PATH, serving, settings_of, wanted_blob

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.hub.http_parts import HubHttp
from hf_pack.adapters.hub.web import Web
from hf_pack.adapters.hub.xet_stream import HubXet
from hf_pack.steps.building.fetch import Elsewhere, fetch
from hf_pack.steps.quiet import QUIET

pytest.importorskip("hf_xet")

SIZE = 70 << 20  # several parts of a reception


def test_what_stalls_by_http_ends_by_xet(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    with serving(SIZE, xet=True) as (hub, data):
        hub.fault("stall", PATH, at=SIZE // 2, times=2)  # the first is cut and tried again, the second is enough
        web = Web(settings_of(hub), replace(IMPATIENT, connections=1))
        elsewhere = Elsewhere(sources=(HubHttp(web), HubXet(web, plain_cas=True)))
        wanted = wanted_blob(hub)
        (added,) = fetch([wanted], elsewhere, store, QUIET)
        assert added.blob == wanted.blob
        by_http = sum(request.sent for request in hub.requests if request.path.startswith("/cdn"))
        by_xet = [request for request in hub.requests if request.path.startswith("/v1/reconstructions/")]
    assert store.read(wanted.blob.store_path) == data
    assert by_http > SIZE // 3
    assert by_xet
    assert all(request.range != f"bytes=0-{SIZE - 1}" for request in by_xet), "what HTTP brought is not fetched again"
