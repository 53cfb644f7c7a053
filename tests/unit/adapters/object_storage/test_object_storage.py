"""Every kind of object storage keeps the same rules."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet
from tests.s3_server import S3Server, serving_s3
from tests.served import served
from tests.unit.adapters.object_storage.storages import Contents, filler
from tests.web_storage import keeping

from hf_pack.adapters.object_storage.cloud import CloudStorage
from hf_pack.adapters.object_storage.opening import open_storage
from hf_pack.errors import Error, HubError, IntegrityError, UsageError
from hf_pack.ports import ObjectStorage


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("moto")
    with serving_s3() as server:
        yield server


@pytest.fixture(params=["file", "http", "s3", "obstore"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    if request.param == "file":
        yield open_storage(f"file://{tmp_path}/cache", where="--to")
    elif request.param == "http":
        with keeping() as kept:
            yield open_storage(kept.url, where="--to")
    elif request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield open_storage(server.cache(tmp_path.name), where="--to")
    else:
        from obstore.store import MemoryStore

        yield CloudStorage(MemoryStore(), "memory://")


def whole(storage: ObjectStorage, key: str) -> bytes:
    return b"".join(bytes(chunk) for chunk in storage.chunks(key, 0, None))


def test_what_is_not_there(storage: ObjectStorage) -> None:
    assert storage.size_of("a/b") is None
    assert storage.small("a/b") is None
    assert storage.keys("a/") in ((), None)
    for size in (None, 3):
        with pytest.raises(HubError, match="a/b"):
            b"".join(bytes(chunk) for chunk in storage.chunks("a/b", 0, size))


def test_small_objects(storage: ObjectStorage) -> None:
    key = "hf-pack/p+q/1.0.0+abc/x.json"
    assert storage.put(key, b"one")
    assert storage.put(key, b"two")
    assert not storage.put(key, b"three", replace=False)
    assert storage.put(key + "2", b"four", replace=False)
    assert storage.small(key) == b"two" and storage.size_of(key) == 3
    assert storage.small(key, 3) == b"two"
    with pytest.raises(HubError, match="is larger than 2 bytes"):
        storage.small(key, 2)
    storage.put("empty", b"")
    assert storage.small("empty") == b"" and storage.size_of("empty") == 0


def test_listing(storage: ObjectStorage) -> None:
    for key in ("b", "a/1", "a/b+c/2", "ab/3"):
        storage.put(key, b"x")
    if storage.keys("") is None:
        return
    assert storage.keys("a/") == ("a/1", "a/b+c/2")
    assert storage.keys("a") == ("a/1", "a/b+c/2", "ab/3")
    assert storage.keys("") == ("a/1", "a/b+c/2", "ab/3", "b")
    assert storage.keys("c/") == ()


@pytest.mark.parametrize("mib", [0, 3, 37])
def test_large_objects(storage: ObjectStorage, mib: int) -> None:
    data, progress = filler(mib), Quiet()
    assert storage.upload("nar/x", Contents(data), progress) == len(data)
    assert progress.done == len(data) == storage.size_of("nar/x")
    assert whole(storage, "nar/x") == data
    assert b"".join(bytes(chunk) for chunk in storage.chunks("nar/x", 3, 4)) == data[3:7]


def test_what_turns_out_to_be_wrong_at_its_end_is_not_there(storage: ObjectStorage) -> None:
    for mib in (2, 37):
        with pytest.raises(IntegrityError, match="the object is damaged"):
            storage.upload("nar/x", Contents(filler(mib), wrong=True), Quiet())
        assert storage.size_of("nar/x") is None
    data = filler(37, "b")
    assert storage.upload("nar/x", Contents(data), Quiet()) == len(data)
    assert whole(storage, "nar/x") == data


def test_two_who_upload_the_same(storage: ObjectStorage) -> None:
    data = filler(37)
    failed: list[BaseException] = []

    def upload() -> None:
        try:
            storage.upload("nar/x", Contents(data), Quiet())
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=upload) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert whole(storage, "nar/x") == data


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/x"])
def test_a_key_leads_nowhere_else(storage: ObjectStorage, key: str) -> None:
    with pytest.raises(HubError):
        whole(storage, key)


def test_a_user_in_the_url_of_a_web_server_logs_in_and_is_not_named() -> None:
    with served({"/cache/a": b"one"}, password="p@ss") as url:
        place = url.replace("http://", "http://user:p%40ss@")
        assert open_storage(f"{place}/cache", where="--to").small("a") == b"one"
        wrong = open_storage(f"{place.replace('p%40ss', 'secret')}/cache", where="--to")
        with pytest.raises(HubError, match="HTTP 401") as caught:
            wrong.small("a")
        assert "secret" not in caught.value.message and "secret" not in wrong.name


@pytest.mark.parametrize(
    "url",
    [
        "https:/me:pass-word@cache.example.org/x",
        "https://me:pass-word@:99/x",
        "me:pass-word@cache.example.org/x",
        "cache.example.org?token=pass-word",
        "ftp://me:pass-word@cache.example.org/x?token=pass-word",
        "s3://me:pass-word@bucket",
    ],
)
def test_a_mistyped_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(Error) as caught:
        open_storage(url, where="--to")
    assert "pass-word" not in caught.value.message
    assert "--to" in caught.value.message


def test_an_endpoint_that_is_none_is_named_without_what_stands_in_it() -> None:
    storage = open_storage("s3://bucket?endpoint=me:pass-word@not%20a%20host", where="--to")
    for _ in range(2):
        with pytest.raises(UsageError, match="s3://bucket: Invalid endpoint") as caught:
            storage.small("nix-cache-info")
        assert "pass-word" not in caught.value.message
