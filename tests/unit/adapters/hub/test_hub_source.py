"""Small files whole, large ones by their first bytes, each byte asked for once."""

from __future__ import annotations

import pytest
from tests.hub import DeclaredFile, TestHub
from tests.unit.adapters.hub.reception import IMPATIENT, PATH, REPO, content, settings_of

from hf_pack.adapters.hub.source import HubSource, open_hub_source
from hf_pack.errors import HubError, IntegrityError, SourceError
from hf_pack.model.hub_ids import RepoId, SnapshotKind

CONFIG = b'{"model_type": "x"}\n' * 1000
WEIGHTS = content(300_000)
FILES = {"config.json": CONFIG, "empty.txt": b"", PATH: WEIGHTS}


def opened(hub: TestHub, *, token: str | None = TestHub.token) -> HubSource:
    source = open_hub_source(RepoId.parse(REPO), "main", settings_of(hub, token=token), IMPATIENT)
    hub.reset()
    return source


@pytest.mark.parametrize("options", [{}, {"compress": True}, {"resolve_cache": True}, {"xet": True}])
def test_files_are_read_whole(options: dict[str, bool]) -> None:
    with TestHub(**options) as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        assert {path: source.read(path) for path in FILES} == FILES
        assert not hub.leaks


def test_compressed_files_cost_less() -> None:
    with TestHub(compress=True) as hub:
        hub.add_repo(REPO, FILES)
        assert opened(hub).read("config.json") == CONFIG
        assert hub.bytes_sent < len(CONFIG) // 4


def test_the_listing_is_the_commits() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES, gated="auto")
        listing = opened(hub).listing
        assert (listing.kind, listing.snapshot_id, listing.snapshot_kind) == ("hub", repo.main, SnapshotKind.COMMIT)
        assert (listing.repo_id, listing.gated) == (RepoId.parse(REPO), "auto")
        assert listing.place == f"org/name at {repo.main}"
        assert [file.path for file in listing.files] == sorted(FILES)


def test_only_the_commit_is_used_when_the_branch_moves() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        source = opened(hub)
        repo.commit({"config.json": b"moved"})
        assert source.read("config.json") == CONFIG


def test_a_longer_read_asks_for_the_rest_alone() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        assert source.read(PATH, size=1000) == WEIGHTS[:1000]
        assert [request.range for request in hub.requests] == ["bytes=0-999", "bytes=0-999"]
        hub.reset()
        assert source.read(PATH, size=10) == WEIGHTS[:10]
        assert not hub.requests
        assert source.read(PATH) == WEIGHTS
        assert [(request.origin, request.range) for request in hub.requests] == [("cdn", "bytes=1000-299999")]


def test_nothing_is_read_twice() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        for _ in range(2):
            source.prepare([("config.json", None), ("config.json", 5), ("empty.txt", None), (PATH, 100)])
        assert hub.bytes_by_file == {"config.json": len(CONFIG), PATH: 100}


def test_headers_of_many_shards_are_two_requests_each_and_few_bytes() -> None:
    shards = {f"{index:03}.safetensors": DeclaredFile(15 << 30, f"{index:064x}", b"header") for index in range(100)}
    with TestHub() as hub:
        hub.add_repo(REPO, shards)
        source = opened(hub)
        source.prepare([(path, 4096) for path in shards])
        assert len(hub.requests) == 200
        assert all(hub.bytes_by_file[path] == 4096 for path in shards)
        assert source.read("042.safetensors", size=8) == b"header\0\0"


def test_an_expired_link_is_renewed() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        source.read(PATH, size=10)
        hub.expire_links()
        assert source.read(PATH) == WEIGHTS


@pytest.mark.parametrize("path", ["config.json", PATH])
def test_a_wrong_byte_is_asked_for_again(path: str) -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        hub.fault("corrupt", path, at=5)
        assert source.read(path) == FILES[path]


@pytest.mark.parametrize(("path", "kind"), [("config.json", "git blob id"), (PATH, "sha256")])
def test_bytes_that_stay_wrong_are_refused(path: str, kind: str) -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        hub.fault("corrupt", path, at=-1, times=None)
        with pytest.raises(IntegrityError, match=f"{path} in org/name at .*: expected {kind} [0-9a-f]+, found other"):
            source.read(path)


@pytest.mark.parametrize("kind", ["drop", "reset", "short", "stall"])
@pytest.mark.parametrize("path", ["config.json", PATH])
@pytest.mark.parametrize("at", [0, 7000, -1])
def test_a_broken_answer_is_asked_for_again(kind: str, path: str, at: int) -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        hub.fault(kind, path, at=at)  # type: ignore[arg-type]
        assert source.read(path) == FILES[path]


def test_a_range_that_is_ignored_is_read_past() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        hub.fault("ignore-range", PATH, times=None)
        assert source.read(PATH, size=1000) == WEIGHTS[:1000]
        assert source.read(PATH) == WEIGHTS


def test_an_unlisted_file_is_no_file() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        with pytest.raises(SourceError, match=f"no.txt: no such file in org/name at {repo.main}"):
            opened(hub).read("no.txt")


def test_gated_files_say_what_to_click() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES, gated="manual")
        page = f"{hub.endpoint}/org/name"
        where = f"\n  org/name, revision {repo.main}, file config.json: HTTP"
        what = "the model is gated: the Hub gives it to those who have accepted its terms"
        with pytest.raises(HubError) as caught:
            opened(hub, token=None).read("config.json")
        assert caught.value.message == f"{what}{where} 401"
        assert caught.value.hint == f"open {page}, accept the terms there, then log in: hf auth login"
        with pytest.raises(HubError) as caught:
            opened(hub, token=hub.stranger_token).read("config.json")
        assert caught.value.message == f"{what}{where} 403"
        assert caught.value.hint == (
            f"open {page}, accept the terms there, then ask again with the same account: hf auth whoami"
        )
        assert opened(hub).read("config.json") == CONFIG


def test_a_large_file_is_read_in_places() -> None:
    weights = content(3_000_000)
    with TestHub() as hub:
        hub.add_repo(REPO, {**FILES, PATH: weights})
        with opened(hub).open(PATH) as stream:
            assert stream.read(100) == weights[:100]
            stream.seek(-50, 2)
            assert stream.read() == weights[-50:]
            stream.seek(1_000_000)
            assert stream.read(10) == weights[1_000_000:1_000_010]
        assert hub.bytes_by_file[PATH] < len(weights) / 3


def test_a_small_file_is_proved_before_it_is_read_in_places() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        with opened(hub).open("config.json") as stream:
            assert stream.read() == CONFIG


def test_a_place_that_is_not_there() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        source = opened(hub)
        with pytest.raises(SourceError, match="no such file"):
            source.open("other.bin")
        with source.open(PATH) as stream:
            stream.seek(len(WEIGHTS) + 5)
            assert stream.read(1) == b""
            with pytest.raises(ValueError, match="before the start"):
                stream.seek(-1)
