"""A registry that gives tokens, redirects, and keeps what came of an upload that broke off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet
from tests.models import filler
from tests.registry_server import Registry, running

from hf_pack.adapters.oci.logins import Login
from hf_pack.adapters.oci.memory import Memory
from hf_pack.adapters.oci.registry import RegistryRepository
from hf_pack.errors import HubError, IntegrityError
from hf_pack.formats.oci.documents import MANIFEST, digest_of
from hf_pack.formats.oci.reference import Reference
from hf_pack.steps.registries.joined import Joined

LARGE = filler(1_000_000, 3)


@dataclass(frozen=True)
class Bench:
    memory: Memory

    def repository(
        self, registry: Registry, *, login: Login | None = None, repository: str = "team/m", chunk: int = 100_000
    ) -> RegistryRepository:
        reference = Reference(registry=registry.address, repository=repository)
        return RegistryRepository(reference, lambda: login, self.memory, plain_http=False, action="push", chunk=chunk)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Memory(tmp_path / "memory"))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running(Registry()) as one:
        yield one


def _upload(repository: RegistryRepository, data: bytes = LARGE) -> int:
    return repository.upload(digest_of(data), Joined((data,)), Quiet())


def test_a_large_blob_goes_up_by_chunks_and_comes_down_by_ranges(bench: Bench, registry: Registry) -> None:
    repository = bench.repository(registry)
    assert not repository.has(digest_of(LARGE))
    assert _upload(repository) == len(LARGE)
    assert [one.body_size for one in registry.sent("PATCH")] == [100_000] * 10
    assert repository.has(digest_of(LARGE))
    assert b"".join(map(bytes, repository.chunks(digest_of(LARGE), 5, 999_000))) == LARGE[5:999_005]


def test_a_registry_without_chunks_gets_it_whole(bench: Bench) -> None:
    with running(Registry(refuses_chunks_with=405)) as registry:
        _upload(bench.repository(registry))
        assert registry.blobs[digest_of(LARGE)] == LARGE


@pytest.mark.parametrize("first", [0, 1])
def test_a_broken_chunk_is_not_sent_again_where_the_registry_kept_it(bench: Bench, first: int) -> None:
    with running(Registry()) as registry:

        class Breaking(Quiet):
            def advance(self, size: int) -> None:
                if len(registry.sent("PATCH")) == first and not registry.cuts:
                    registry.cuts, registry.cut_after = 1, 300_000

        bench.repository(registry, chunk=400_000).upload(digest_of(LARGE), Joined((LARGE,)), Breaking())
        assert registry.blobs[digest_of(LARGE)] == LARGE
        assert sum(one.body_size for one in registry.seen) == len(LARGE)


def test_a_registry_that_refuses_every_chunk_gets_it_whole(bench: Bench) -> None:
    with running(Registry(refuses_chunks_with=416)) as registry:
        _upload(bench.repository(registry))
        assert registry.blobs[digest_of(LARGE)] == LARGE


def test_another_process_goes_on_where_one_was_killed(bench: Bench) -> None:
    with running(Registry()) as registry:
        seen = 0

        class Killed(Quiet):
            def advance(self, size: int) -> None:
                nonlocal seen
                seen += size
                if seen > 700_000:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.repository(registry).upload(digest_of(LARGE), Joined((LARGE,)), Killed())
        before = len(registry.seen)
        assert _upload(bench.repository(registry)) <= 300_000
        assert sum(one.body_size for one in registry.seen[before:]) <= 300_000
        assert registry.blobs[digest_of(LARGE)] == LARGE


@pytest.mark.parametrize("status", [408, 500, 503])
def test_an_end_that_failed_is_asked_for_again_and_nothing_else(bench: Bench, status: int) -> None:
    with running(Registry(refuses_ends_with=[status, status])) as registry:
        assert _upload(bench.repository(registry)) == len(LARGE)
        assert sum(one.body_size for one in registry.seen) == len(LARGE)
        assert registry.blobs[digest_of(LARGE)] == LARGE


def test_other_bytes_than_the_digest_s_are_refused(bench: Bench, registry: Registry) -> None:
    with pytest.raises(IntegrityError, match="other bytes"):
        bench.repository(registry).upload(digest_of(b"right"), Joined((b"wrong",)), Quiet())
    assert not registry.blobs


@pytest.mark.parametrize("login", [Login(user="me", password="s3cret"), Login(identity_token="identity")])
def test_tokens_are_got_with_the_login(bench: Bench, login: Login) -> None:
    with running(Registry(user="me", password="s3cret", identity_token="identity")) as registry:
        repository = bench.repository(registry, login=login)
        _upload(repository)
        repository.put_manifest(MANIFEST, b"{}", "t")
        assert repository.manifest("t") == (MANIFEST, b"{}")
        assert registry.scopes == [["repository:team/m:pull,push"]]


@pytest.mark.parametrize("login", [None, Login(user="me", password="wr0ng")])
def test_a_wrong_login_is_refused_and_not_said(bench: Bench, login: Login | None) -> None:
    with running(Registry(user="me", password="s3cret")) as registry:
        with pytest.raises(HubError) as caught:
            bench.repository(registry, login=login).has(digest_of(b""))
        assert "wr0ng" not in caught.value.message + caught.value.hint
        assert "docker login" in caught.value.hint


def test_the_login_does_not_go_where_a_blob_is_redirected(bench: Bench) -> None:
    with running(Registry()) as storage, running(Registry(user="me", password="s3cret")) as registry:
        registry.storage = f"http://{storage.address}"
        storage.blobs[digest_of(LARGE)] = registry.blobs[digest_of(LARGE)] = LARGE
        repository = bench.repository(registry, login=Login(user="me", password="s3cret"))
        assert hashlib.sha256(b"".join(map(bytes, repository.chunks(digest_of(LARGE), 0, len(LARGE))))).hexdigest() in (
            digest_of(LARGE)
        )
        assert [one.authorization for one in storage.seen] == [None]
        assert any(one.authorization for one in registry.seen)


def test_a_manifest_that_is_not_its_digest_s_is_refused(bench: Bench, registry: Registry) -> None:
    registry.manifests[digest_of(b"{}")] = (MANIFEST, b"{ }")
    with pytest.raises(IntegrityError, match="other bytes"):
        bench.repository(registry).manifest(digest_of(b"{}"))


def test_a_registry_that_is_not_there_is_said(bench: Bench) -> None:
    with running(Registry()) as registry:
        pass
    with pytest.raises(HubError, match=r"127\.0\.0\.1:\d+: it refuses connections$"):
        bench.repository(registry).has(digest_of(b""))
