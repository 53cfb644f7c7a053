"""The server by itself, asked by ``http.client``: what goes over the wire, fault by fault."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.hub import DeclaredFile, TestHub
from tests.hub.faults import Kind
from tests.hub.xet import CHUNK, RUN, Xorb

DATA = bytes(range(256)) * 40
SIZE = len(DATA)


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        hub.add_repo("org/name", {"config.json": DATA, "model.bin": DATA, "a/b": b"", "b": b"b"})
        yield hub


class Reply:
    """An answer read to its end, or to where it broke off."""

    def __init__(
        self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, patience: float = 20
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=patience)
        connection.request(method, f"{parts.path}?{parts.query}", headers=dict(headers or {}))
        self.error: Exception | None = None
        self.body = b""
        self.status = 0
        try:
            with connection.getresponse() as response:
                self.status, self.headers = response.status, response.headers
                while piece := response.read1(100):
                    self.body += piece
                if response.length:
                    self.error = http.client.IncompleteRead(b"", response.length)
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        finally:
            connection.close()

    @property
    def document(self) -> object:
        return json.loads(self.body)


def resolve(hub: TestHub, path: str, asked: str = "", patience: float = 20) -> Reply:
    """A file, or the range of it asked for, as a client gets it: over the redirect, if there is one."""
    headers = {"Range": asked} if asked else {}
    reply = Reply(f"{hub.endpoint}/org/name/resolve/main/{path}", headers=headers, patience=patience)
    return Reply(reply.headers["Location"], headers=headers, patience=patience) if reply.status == 302 else reply


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=100-", (100, SIZE)),
        ("bytes=-5", (SIZE - 5, SIZE)),
        (f"bytes=10-{SIZE + 100}", (10, SIZE)),
    ],
)
@pytest.mark.parametrize("path", ["config.json", "model.bin"])
def test_a_range(hub: TestHub, path: str, asked: str, expected: tuple[int, int]) -> None:
    start, stop = expected
    reply = resolve(hub, path, asked)
    assert (reply.status, reply.body) == (206, DATA[start:stop])
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert hub.bytes_by_file == {path: stop - start}


def test_a_range_behind_the_end(hub: TestHub) -> None:
    reply = resolve(hub, "config.json", f"bytes={SIZE}-")
    assert (reply.status, reply.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


def test_a_large_file_is_elsewhere(hub: TestHub) -> None:
    file = hub.repo("org/name").file("model.bin")
    head = Reply(f"{hub.endpoint}/org/name/resolve/main/model.bin", "HEAD")
    assert head.status == 302
    assert head.headers["X-Linked-ETag"] == f'"{file.sha256}"'
    assert head.headers["X-Linked-Size"] == str(SIZE)
    assert head.headers["X-Repo-Commit"] == hub.repo("org/name").main
    link = head.headers["Location"]
    assert link.startswith(f"{hub.cdn}/cdn/{file.sha256}?")
    assert Reply(link).body == DATA
    assert Reply(link[:-1] + ("0" if link[-1] != "0" else "1")).status == 403
    hub.expire_links()
    assert Reply(link).status == 403
    assert resolve(hub, "model.bin").body == DATA


def test_files_come_from_disk_and_from_declarations(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(DATA)
    with TestHub() as hub:
        hub.add_repo("org/name", {"a.bin": tmp_path / "weights", "b.bin": DeclaredFile(1 << 40, "0" * 64, DATA)})
        assert resolve(hub, "a.bin").body == DATA
        assert resolve(hub, "b.bin", f"bytes={SIZE - 1}-{SIZE + 1}").body == DATA[-1:] + b"\0\0"


def test_a_file_that_vanished_is_the_tests_own_mistake(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(DATA)
    with pytest.raises(FileNotFoundError), TestHub() as hub:
        hub.add_repo("org/name", {"a.bin": tmp_path / "weights"})
        (tmp_path / "weights").unlink()
        resolve(hub, "a.bin")


def test_who_may_read_what(hub: TestHub) -> None:
    hub.add_repo("org/private", {"x": b"1"}, private=True)
    hub.add_repo("org/gated", {"x": b"1"}, gated="manual")
    hub.add_repo("org/disabled", {"x": b"1"}, disabled=True)
    expected = {
        ("private", ""): (401, "RepoNotFound"),
        ("private", hub.stranger_token): (404, "RepoNotFound"),
        ("private", hub.token): (200, None),
        ("gated", ""): (401, "GatedRepo"),
        ("gated", hub.stranger_token): (403, "GatedRepo"),
        ("gated", hub.token): (200, None),
        ("disabled", hub.token): (403, None),
        ("none", ""): (401, "RepoNotFound"),
        ("none", hub.token): (404, "RepoNotFound"),
        ("gated", "hf_wrong"): (401, None),
    }
    for (name, token), outcome in expected.items():
        reply = Reply(f"{hub.endpoint}/org/{name}/resolve/main/x", headers=bearer(token))
        assert (reply.status, reply.headers["X-Error-Code"]) == outcome, (name, token)
    assert Reply(f"{hub.endpoint}/api/models/org/gated").status == 200


def test_a_token_at_the_cdn_is_a_leak(hub: TestHub) -> None:
    link = Reply(f"{hub.endpoint}/org/name/resolve/main/model.bin", headers=bearer(hub.token)).headers
    assert not hub.leaks
    Reply(link["Location"], headers=bearer(hub.token))
    assert [request.path[:5] for request in hub.leaks] == ["/cdn/"]


def test_pages_link_to_the_next(hub: TestHub) -> None:
    url = f"{hub.endpoint}/api/models/org/name/tree/main?recursive=true&limit=2"
    pages = []
    while url:
        reply = Reply(url)
        assert isinstance(reply.document, list)
        pages.append([entry["path"] for entry in reply.document])
        url = reply.headers.get("Link", "").partition("<")[2].partition(">")[0]
    assert pages == [["a", "a/b"], ["b", "config.json"], ["model.bin"]]


def test_a_folder_a_revision_and_a_path_that_are_not_there(hub: TestHub) -> None:
    tree = f"{hub.endpoint}/api/models/org/name/tree"
    assert [entry["path"] for entry in json.loads(Reply(f"{tree}/refs%2Fheads%2Fmain/a").body)] == ["a/b"]
    assert Reply(f"{tree}/nothing").headers["X-Error-Code"] == "RevisionNotFound"
    assert Reply(f"{tree}/main/nothing").headers["X-Error-Code"] == "EntryNotFound"
    missing = resolve(hub, "nothing")
    assert (missing.status, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert missing.headers["X-Repo-Commit"] == hub.repo("org/name").main


def test_gzip_and_the_redirect_on_the_same_origin() -> None:
    with TestHub(compress=True, resolve_cache=True) as hub:
        hub.add_repo("org/name", {"config.json": DATA})
        first = Reply(f"{hub.endpoint}/org/name/resolve/main/config.json")
        assert first.status == 307
        url = hub.endpoint + first.headers["Location"]
        reply = Reply(url, headers={"Accept-Encoding": "gzip"})
        assert reply.headers["Content-Length"] is None
        assert gzip.decompress(reply.body) == DATA
        assert Reply(url).body == DATA


@pytest.mark.parametrize("path", ["config.json", "model.bin"])
@pytest.mark.parametrize("at", [0, 5000, -1])
@pytest.mark.parametrize("kind", ["drop", "reset", "stall"])
def test_a_body_that_breaks_off(hub: TestHub, path: str, at: int, kind: Kind) -> None:
    hub.fault(kind, path, at=at)
    reply = resolve(hub, path, patience=0.2 if kind == "stall" else 20)
    errors: dict[str, type[Exception]] = {
        "drop": http.client.IncompleteRead,
        "reset": ConnectionResetError,
        "stall": TimeoutError,
    }
    assert isinstance(reply.error, errors[kind])
    assert reply.body == DATA[: at % SIZE]
    assert hub.requests[-1].fault == kind
    assert resolve(hub, path).body == DATA


def test_a_fault_waits_for_the_range_that_holds_its_byte(hub: TestHub) -> None:
    hub.fault("corrupt", "model.bin", at=5000)
    assert resolve(hub, "model.bin", "bytes=0-4999").body == DATA[:5000]
    spoiled = resolve(hub, "model.bin", "bytes=4000-5999").body
    assert [i for i in range(2000) if spoiled[i] != DATA[4000 + i]] == [1000]
    assert resolve(hub, "model.bin").body == DATA


def test_lengths_that_lie(hub: TestHub) -> None:
    hub.fault("short", "model.bin", at=100)
    hub.fault("wrong-length", "model.bin", length=SIZE + 1)
    hub.fault("wrong-length", "model.bin", length=10)
    short = resolve(hub, "model.bin", "bytes=50-")
    assert (short.body, short.error, short.headers["Content-Range"]) == (DATA[50:100], None, f"bytes 50-99/{SIZE}")
    long = resolve(hub, "model.bin")
    assert isinstance(long.error, http.client.IncompleteRead)
    assert long.body == DATA
    assert resolve(hub, "model.bin").body == DATA[:10]


def test_statuses_expired_links_and_ignored_ranges(hub: TestHub) -> None:
    hub.fault("status", "model.bin", status=429, retry_after=3, stage="resolve", method="HEAD")
    hub.fault("status", "*/tree/*", status=500, stage="api", times=2)
    hub.fault("ignore-range", "config.json")
    hub.fault("expired", "model.bin")
    url = f"{hub.endpoint}/org/name/resolve/main/model.bin"
    limited = Reply(url, "HEAD")
    assert (limited.status, limited.headers["Retry-After"]) == (429, "3")
    assert Reply(url, "HEAD").status == 302
    assert [Reply(f"{hub.endpoint}/api/models/org/name/tree/main").status for _ in range(3)] == [500, 500, 200]
    whole = resolve(hub, "config.json", "bytes=5-")
    assert (whole.status, whole.body) == (200, DATA)
    link = Reply(url).headers["Location"]
    assert [Reply(link).status for _ in range(2)] == [403, 403]
    assert resolve(hub, "model.bin").body == DATA


def test_the_script_counts_for_each_target_and_in_order(hub: TestHub) -> None:
    hub.fault("ok", times=1)
    hub.fault("status", times=1)
    assert [resolve(hub, "config.json").status for _ in range(3)] == [200, 503, 200]
    assert [resolve(hub, "model.bin").status for _ in range(3)] == [200, 503, 200]
    hub.fault("status", times=None)
    assert [resolve(hub, "b").status for _ in range(4)] == [200, 503, 503, 503]
    hub.faults.clear()
    assert resolve(hub, "b").status == 200


def test_main_moves_between_two_requests(hub: TestHub) -> None:
    first = hub.repo("org/name").main
    hub.fault("moved", "config.json", files={"config.json": b"new"})
    url = f"{hub.endpoint}/org/name/resolve/main/config.json"
    assert Reply(url, "HEAD").headers["X-Repo-Commit"] == first
    moved = Reply(url)
    assert (moved.body, moved.headers["X-Repo-Commit"]) == (b"new", hub.repo("org/name").main)
    assert hub.repo("org/name").main != first


def test_a_slow_body_comes_whole(hub: TestHub) -> None:
    hub.fault("slow", "model.bin", rate=SIZE * 10)
    assert resolve(hub, "model.bin").body == DATA


def test_everything_ends_with_the_server() -> None:
    with TestHub() as hub:
        hub.add_repo("org/name", {"x": b"1", "y": DATA})
        hub.fault("hang", "x")
        hub.fault("slow", "y", rate=1)
        connections = []
        for path in ("x", "y"):
            connection = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc, timeout=20)
            connection.request("GET", f"/org/name/resolve/main/{path}")
            connections.append(connection)
        connections[1].getresponse()
        idle = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc, timeout=20)
        idle.request("GET", "/")
        assert idle.getresponse().read()
    with pytest.raises((OSError, http.client.HTTPException)):
        connections[0].getresponse()
    assert idle.sock.recv(1) == b""
    with pytest.raises(OSError):
        http.client.HTTPConnection(urlsplit(hub.endpoint).netloc, timeout=20).connect()


def test_counters_start_again(hub: TestHub) -> None:
    resolve(hub, "config.json")
    assert (len(hub.requests), hub.bytes_sent) == (1, SIZE)
    hub.reset()
    assert (hub.requests, hub.bytes_sent) == ((), 0)


def test_a_xorb_is_the_file_in_frames() -> None:
    size = 2 * CHUNK + 7
    content = DeclaredFile(RUN + size, "0" * 64, b"head")
    xorb = Xorb(content, RUN, size)
    framed = xorb.read(0, xorb.size)
    assert len(framed) == size + 3 * 8
    assert framed[:8] == b"\0\0\0\2\0\0\0\2"
    assert framed[-15:-7] == b"\0\7\0\0\0\7\0\0"
    assert xorb.read(CHUNK + 6, CHUNK + 20) == framed[CHUNK + 6 : CHUNK + 20]
    assert (xorb.place(RUN), xorb.place(RUN + CHUNK), xorb.place(RUN - 1)) == (8, CHUNK + 16, -1)
