"""A name that nobody knows, most often a misspelt one, is said at once; one that was known is waited for."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from tests.hub import TestHub
from tests.unit.adapters.hub.reception import REPO, settings_of

from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.metadata import list_snapshot
from hf_pack.adapters.hub.retrying import Transient, Waits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.web import Web
from hf_pack.adapters.object_storage.web import WebStorage
from hf_pack.adapters.oci.memory import Memory
from hf_pack.adapters.oci.registry import RegistryRepository
from hf_pack.errors import HubError
from hf_pack.formats.oci.reference import Reference
from hf_pack.model.hub_ids import RepoId

URL = "https://misspelt.example.org"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were asked for; none of them is known."""
    names: list[str] = []

    def getaddrinfo(host: str, *_: Any, **__: Any) -> None:
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def test_of_a_cache(asked: list[str]) -> None:
    with pytest.raises(HubError, match=f"^{URL}: nix-cache-info: the name cannot be resolved$"):
        WebStorage(URL, URL).small("nix-cache-info")
    assert asked.count("misspelt.example.org") == 1


def test_of_a_registry(asked: list[str], tmp_path: Path) -> None:
    reference = Reference(registry="misspelt.example.org", repository="team/m")
    repository = RegistryRepository(reference, lambda: None, Memory(tmp_path), plain_http=False, action="pull")
    with pytest.raises(HubError, match=r"^misspelt\.example\.org: the name cannot be resolved$"):
        repository.manifest("1.0.0")
    assert asked.count("misspelt.example.org") == 1


def test_of_the_hubs_metadata(asked: list[str]) -> None:
    with pytest.raises(HubError, match=f"^the name of {URL} cannot be resolved"):
        list_snapshot(RepoId.parse("org/name"), "main", HubSettings(endpoint=URL), Limits(), Waits())
    assert asked.count("misspelt.example.org") == 1


def test_of_the_hub(asked: list[str]) -> None:
    web = Web(HubSettings(endpoint=URL), Limits())
    with pytest.raises(HubError, match=f"^the name of {URL} cannot be resolved"):
        web.ask("GET", f"{URL}/api", {}, web.place("org/name", "main"))


def test_a_name_that_is_lost_while_a_file_comes_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, {"config.json": b"{}"})
        web = Web(settings_of(hub), Limits())
        place = web.place(REPO, "main")
        web.ask("GET", f"{hub.endpoint}/api/models/{REPO}", {}, place).close()
        error = web.lost(socket.gaierror(socket.EAI_NONAME, "Name or service not known"), URL, place)
    assert isinstance(error, Transient)
