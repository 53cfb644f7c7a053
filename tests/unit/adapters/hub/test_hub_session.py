"""The library's one session: ours while we ask, the importer's own before and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import get_session, set_client_factory
from huggingface_hub.utils import _http
from tests.hub import TestHub
from tests.unit.adapters.hub.reception import IMPATIENT, REPO, settings_of
from tests.unit.adapters.hub.servers import answer, certificate, forget_settings, listening

from hf_pack.adapters.hub.client import open_client
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.metadata import list_snapshot
from hf_pack.adapters.hub.retrying import Waits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.errors import HubError
from hf_pack.model.hub_ids import RepoId


def patient_session() -> Any:
    """What somebody who imports us may have set."""
    session = _http.default_client_factory()
    session.headers["x-mine"] = "yes"
    session.timeout = 77.0
    return session


@pytest.fixture(autouse=True)
def own_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget_settings(monkeypatch)
    before = _http._GLOBAL_CLIENT_FACTORY
    set_client_factory(patient_session)
    yield
    set_client_factory(before)


def test_the_session_of_whoever_imports_us_is_as_it_was() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, {"config.json": b"{}"})
        list_snapshot(RepoId.parse(REPO), "main", settings_of(hub), IMPATIENT, Waits())
        assert get_session().timeout.read == 77.0
        with pytest.raises(HubError):
            list_snapshot(RepoId.parse("org/none"), "main", settings_of(hub), IMPATIENT, Waits())
    assert get_session().timeout.read == 77.0
    assert _http._GLOBAL_CLIENT_FACTORY is patient_session


def test_ours_is_theirs_with_a_bound() -> None:
    settings = HubSettings()
    with open_client(settings, Limits(stall_seconds=3.0)):
        with open_client(settings, Limits(stall_seconds=5.0)):
            assert get_session().timeout.read == 3.0
        assert get_session().timeout.read == 3.0
        assert get_session().headers["x-mine"] == "yes"
    assert get_session().timeout.read == 77.0


def test_certificates_of_ones_own_hold_for_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)
    pem, context = certificate(tmp_path)
    with listening(lambda handler: answer(handler, b"{}"), context) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        with open_client(HubSettings(), IMPATIENT):
            assert get_session().get(f"https://{server}/").status_code == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    with pytest.raises(HubError, match=r"REQUESTS_CA_BUNDLE=/no/such\.pem"), open_client(HubSettings(), IMPATIENT):
        pass
    assert get_session().timeout.read == 77.0
