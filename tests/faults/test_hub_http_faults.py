"""A blob by HTTP ranges, while everything that can go wrong with a connection does."""

from __future__ import annotations

import threading
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
    serving,
    settings_of,
    wanted_blob,
)

from hf_pack.adapters.hub.http_parts import HubHttp
from hf_pack.adapters.hub.hub_errors import StalledError
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.web import Web
from hf_pack.errors import HubError, StoreError

SIZE = 20 * PART + 12_345
PLACES = [0, SIZE // 2, -1]


def fetched(hub: TestHub, path: str = PATH, limits: Limits = IMPATIENT) -> MemoryReception:
    """The reception after one whole fetch, its progress counted right."""
    reception, progress = MemoryReception(wanted_blob(hub, path)), NoProgress()
    assert HubHttp(Web(settings_of(hub), limits)).fetch(reception.wanted, reception, progress)
    assert progress.size == reception.written
    reception.finish()
    assert not hub.leaks
    return reception


@pytest.mark.parametrize("connections", [1, 2, 8])
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, SIZE])
def test_all_is_well(size: int, connections: int) -> None:
    with serving(size) as (hub, data):
        limits = Limits(connections=connections)
        assert fetched(hub, limits=limits).data == data
        assert hub.bytes_by_file[PATH] == size
        assert sum(request.method == "HEAD" for request in hub.requests) == min(1, size)


def test_a_file_that_git_holds_comes_from_the_hub_itself() -> None:
    data = content(SIZE)
    with TestHub(resolve_cache=True) as hub:
        hub.add_repo(REPO, {"vocabulary.txt": data})
        assert fetched(hub, "vocabulary.txt").data == data


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("kind", ["drop", "reset", "short", "stall"])
def test_an_answer_that_breaks_off_goes_on_elsewhere(kind: Any, at: int) -> None:
    with serving(SIZE) as (hub, _):
        hub.fault(kind, PATH, at=at)
        reception = fetched(hub)
        assert reception.written == SIZE, "no byte was written twice"
        assert hub.bytes_by_file[PATH] <= SIZE + IMPATIENT.connections * PART


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("hang", {}),
        ("hang", {"stage": "resolve", "method": "HEAD"}),
        ("slow", {"rate": 4 << 20}),
        ("wrong-length", {"length": 5}),
        ("wrong-length", {"length": 1 << 40}),
        ("ignore-range", {}),
        ("ignore-range", {"times": None}),
        ("status", {"status": 500}),
        ("status", {"status": 503, "times": 3}),
        ("status", {"status": 429, "retry_after": 0}),
        ("status", {"status": 503, "stage": "resolve", "method": "HEAD"}),
        ("status", {"status": 429, "retry_after": 0, "stage": "resolve", "method": "HEAD"}),
        ("expired", {}),
    ],
)
def test_what_may_pass_is_tried_again(kind: Any, fields: dict[str, Any]) -> None:
    with serving(SIZE) as (hub, data):
        hub.fault(kind, PATH, **fields)
        assert fetched(hub).data == data


@pytest.mark.parametrize("kind", ["drop", "reset", "short"])
def test_all_files_at_once_break_off_everywhere(kind: Any) -> None:
    files = {f"model-{index}.safetensors": content(SIZE, index) for index in range(5)}
    with TestHub() as hub:
        hub.add_repo(REPO, files)
        for at in PLACES:
            hub.fault(kind, at=at)
        source = HubHttp(Web(settings_of(hub), IMPATIENT))
        receptions = {path: MemoryReception(wanted_blob(hub, path)) for path in files}
        threads = [
            threading.Thread(target=source.fetch, args=(reception.wanted, reception, NoProgress()))
            for reception in receptions.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {path: bytes(reception.data) for path, reception in receptions.items()} == files


@pytest.mark.parametrize("at", PLACES)
def test_a_line_that_always_breaks_still_gets_there(at: int) -> None:
    with serving(SIZE) as (hub, data):
        for place in range(PART, SIZE, PART):
            hub.fault("reset", PATH, at=place - 1)
        hub.fault("drop", PATH, at=at)
        assert fetched(hub).data == data


def refusal(hub: TestHub, reception: MemoryReception, kind: type[HubError] = HubError) -> HubError:
    with pytest.raises(kind) as caught:
        HubHttp(Web(settings_of(hub), IMPATIENT)).fetch(reception.wanted, reception, NoProgress())
    assert not hub.leaks
    return caught.value


@pytest.mark.parametrize("at", PLACES)
def test_what_is_here_is_not_fetched_again(at: int) -> None:
    with serving(SIZE) as (hub, data):
        hub.fault("reset", PATH, at=at, times=None)
        reception = MemoryReception(wanted_blob(hub))
        error = refusal(hub, reception)
        assert "failed (ECONNRESET)" in error.message
        assert error.hint == "run the command again"
        missing = sum(part.size for part in reception.missing)
        assert missing < SIZE
        hub.faults.clear()
        hub.reset()
        HubHttp(Web(settings_of(hub), IMPATIENT)).fetch(reception.wanted, reception, NoProgress())
        reception.finish()
        assert hub.bytes_by_file[PATH] == missing
        assert reception.data == data


@pytest.mark.parametrize("at", PLACES)
def test_a_second_stall_is_for_another_transport(at: int) -> None:
    with serving(SIZE) as (hub, _):
        hub.fault("stall", PATH, at=at, times=None)
        error = refusal(hub, MemoryReception(wanted_blob(hub)), StalledError)
        assert error.message.startswith("the Hub stopped sending: nothing came for 0.4 s, again and again\n  org/name")


def test_a_line_that_drips_is_as_good_as_stalled() -> None:
    with serving(PART) as (hub, _):
        hub.fault("slow", PATH, rate=100, times=None)
        refusal(hub, MemoryReception(wanted_blob(hub)), StalledError)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status": 503}, "the Hub has trouble"),
        ({"status": 429, "retry_after": 100_000}, "the Hub's rate limit is reached; it ends in 100000 s"),
        ({"status": 404, "stage": "resolve", "method": "HEAD"}, "the Hub gave an answer that makes no sense here"),
        ({"status": 403}, "the Hub forbids this"),
    ],
)
def test_what_does_not_pass_is_an_error(fields: dict[str, Any], message: str) -> None:
    with serving(SIZE) as (hub, _):
        hub.fault("status", PATH, times=None, **fields)
        error = refusal(hub, MemoryReception(wanted_blob(hub)))
        assert error.message.startswith(f"{message}\n  org/name, revision {hub.repo(REPO).main}, file {PATH}: HTTP ")


def test_other_bytes_than_the_lock_states_are_not_asked_for() -> None:
    with serving(SIZE) as (hub, _):
        wanted = wanted_blob(hub)
        hub.add_repo(REPO, {PATH: content(SIZE, 2)})
        wanted = type(wanted)(
            blob=wanted.blob, repo_id=wanted.repo_id, commit_hash=hub.repo(REPO).main, path=wanted.path
        )
        error = refusal(hub, MemoryReception(wanted))
        assert error.message.startswith("the Hub has other bytes there than the lock\n")
        assert f": expected sha256 {wanted.blob.sha256.hex()}, found " in error.message
        assert hub.bytes_by_file[PATH] == 0


def test_a_gated_file_says_what_to_click() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, {PATH: content(PART)}, gated="auto")
        reception = MemoryReception(wanted_blob(hub))
        with pytest.raises(HubError) as caught:
            HubHttp(Web(settings_of(hub, token=None), IMPATIENT)).fetch(reception.wanted, reception, NoProgress())
        assert caught.value.hint == (
            f"open {hub.endpoint}/org/name, accept the terms there, then log in: hf auth login"
        )


def test_an_error_of_the_store_ends_the_fetch() -> None:
    class FullDisk(MemoryReception):
        def write(self, offset: int, data: bytes | memoryview) -> None:
            if offset >= SIZE // 2:
                raise StoreError("the disk is full")
            super().write(offset, data)

    with serving(SIZE) as (hub, _):
        reception = FullDisk(wanted_blob(hub))
        with pytest.raises(StoreError, match="the disk is full"):
            HubHttp(Web(settings_of(hub), IMPATIENT)).fetch(reception.wanted, reception, NoProgress())


def test_a_fetch_can_be_stopped() -> None:
    with serving(SIZE) as (hub, _):
        hub.fault("stall", PATH, at=SIZE // 2, times=None)
        source = HubHttp(Web(settings_of(hub), Limits(stall_seconds=60.0)))

        class Stopping(MemoryReception):
            def write(self, offset: int, data: bytes | memoryview) -> None:
                super().write(offset, data)
                source.stop()

        reception = Stopping(wanted_blob(hub))
        with pytest.raises(HubError, match="the download was stopped"):
            source.fetch(reception.wanted, reception, NoProgress())
