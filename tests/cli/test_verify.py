"""``verify`` a second time: what it reads, what it skips, and where it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Place
from tests.models import tiny_model, write_flat

from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk import checking
from hf_pack.disk.proofs import Claim, Proofs, identity_of
from hf_pack.formats.hashes import Hash
from hf_pack.model.findings import Problem
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Progress

DAY = 86_400


class Clock:
    """The machine's clock, ``ahead`` seconds of the kernel's, whose time stamps files get."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 60.0  # what was just written has been quiet
        now, now_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: now() + self.ahead)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(self.ahead * 1e9))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the objects that are read, in their order: one worker."""
    names: list[str] = []
    real = checking.problems_of

    def problems_of(
        real_path: Path, info: PathInfo, progress: Progress, *, sha256: Hash | None = None
    ) -> tuple[Problem, ...]:
        names.append(info.store_path.name)
        return real(real_path, info, progress, sha256=sha256)

    monkeypatch.setattr(checking, "problems_of", problems_of)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    yield names


def report(place: Place, *arguments: str, code: int = 0) -> Any:
    ran = place.run("verify", *arguments, "--json")
    assert ran.code == code, ran
    return ran.document


def counts(document: Any) -> tuple[int, int, int]:
    return document["checked"], document["read"], document["skipped"]


def flip(path: Path) -> None:
    """One bit, in place."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    path.chmod(0o444)


def blob(place: Place) -> Path:
    return next((place.store / "nix" / "store").glob("*-model.safetensors"))


def test_quick_reads_what_was_never_proved_alone(place: Place, clock: Clock, read: list[str]) -> None:
    place.build()
    first = report(place, "tiny-llm", "--quick")
    assert (counts(first), first["oldest_proof"]) == ((2, 2, 0), 0)
    read.clear()
    clock.ahead += 3 * DAY
    second = report(place, "tiny-llm", "--quick")
    assert (counts(second), read) == ((2, 0, 2), [])
    assert abs(second["oldest_proof"] - 3 * DAY) < 60
    assert place.done("verify", "tiny-llm", "--quick").err == (
        "0 store objects read, 2 unchanged since the last full proof\n"
        "all bytes are what they must be; the oldest full proof is 3 days old\n"
    )


def test_a_full_verify_reads_all_and_is_what_quick_builds_on(place: Place, clock: Clock, read: list[str]) -> None:
    place.build()
    for _ in range(2):
        assert counts(report(place, "tiny-llm")) == (2, 2, 0)
    assert len(read) == 4
    assert counts(report(place, "tiny-llm", "--quick")) == (2, 0, 2)
    assert counts(report(place, "--all", "--quick")) == (2, 0, 2)


@pytest.mark.usefixtures("clock")
def test_quick_reads_and_names_what_changed(place: Place, read: list[str]) -> None:
    place.build()
    report(place, "tiny-llm")
    flip(blob(place))
    read.clear()
    document = report(place, "tiny-llm", "--quick", code=5)
    assert (counts(document), read) == ((2, 1, 1), ["model.safetensors"])
    assert [bad["store_path"][44:] for bad in document["bad"]] == ["model.safetensors"]
    mended = report(place, "tiny-llm", "--quick", "--repair")
    assert [bad["store_path"][44:] for bad in mended["repaired"]] == ["model.safetensors"]


@pytest.mark.usefixtures("clock")
def test_quick_names_what_is_gone(place: Place) -> None:
    place.build()
    report(place, "tiny-llm")
    blob(place).unlink()
    document = report(place, "tiny-llm", "--quick", code=5)
    assert document["bad"][0]["problem"] == "it is not on disk"


@pytest.mark.usefixtures("clock")
def test_bytes_that_rot_without_a_trace_are_found_by_reading_alone(place: Place) -> None:
    path = place.build()
    flip(blob(place))
    with EmbeddedStore(place.store) as store:
        info = next(info for info in store.all_paths() if str(info.store_path) != path)
    # As if it had been proved as it is now: what a disk does by itself changes no identity.
    claim = Claim(real_path=blob(place), info=info)
    Proofs(StoreLayout.at(place.store).proofs).record(claim, identity_of(blob(place)), time.time_ns())
    assert counts(report(place, "tiny-llm", "--quick")) == (2, 1, 1)
    assert report(place, "tiny-llm", code=5)["read"] == 2
    assert len(report(place, "tiny-llm", "--quick", code=5)["bad"]) == 1  # the record is gone


@pytest.mark.usefixtures("clock")
def test_a_lost_record_costs_one_read(place: Place) -> None:
    place.build()
    report(place, "tiny-llm")
    StoreLayout.at(place.store).proofs.unlink()
    assert counts(report(place, "tiny-llm", "--quick")) == (2, 2, 0)
    assert counts(report(place, "tiny-llm", "--quick")) == (2, 0, 2)


def test_a_scheduled_verify_goes_on_where_it_was_cut_short(
    place: Place, clock: Clock, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        place.done("add", write_flat(place.home / f"acme--m{number}", tiny_model(seed=number)), "--name", f"m{number}")
        place.done("build", f"m{number}")
        clock.ahead += DAY
        report(place, f"m{number}")
    assert counts(report(place, "--all", "--older-than", "7d")) == (6, 0, 6)
    clock.ahead += 5 * DAY + DAY / 2
    # The first package was proved 7.5 days ago, the second 6.5.
    read.clear()
    assert counts(report(place, "--all", "--older-than", "7d")) == (6, 2, 4)
    assert sorted(name.split("-")[0] for name in read) == ["m0", "model.safetensors"]
    clock.ahead += 10 * DAY
    read.clear()

    real = checking.problems_of

    def until_cut(
        real_path: Path, info: PathInfo, progress: Progress, *, sha256: Hash | None = None
    ) -> tuple[Problem, ...]:
        found = real(real_path, info, progress, sha256=sha256)
        if len(read) == 3:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(checking, "problems_of", until_cut)
    assert place.run("verify", "--all", "--older-than", "7d").code == 130
    # The oldest proofs first: the second package, then the third.
    assert {name.split("-")[0] for name in read[:2]} == {"m1", "model.safetensors"}
    proved = len(read) - 1  # all but the one that was cut short; the worker may have taken one more
    monkeypatch.setattr(checking, "problems_of", real)
    assert counts(report(place, "--all", "--older-than", "7d")) == (6, 6 - proved, proved)
    assert counts(report(place, "--all", "--older-than", "7d")) == (6, 0, 6)


def test_a_proof_from_the_future_is_none(place: Place, clock: Clock) -> None:
    place.build()
    clock.ahead += 365 * DAY
    report(place, "tiny-llm")
    clock.ahead -= 365 * DAY  # the clock was wrong, and is set right
    assert counts(report(place, "tiny-llm", "--older-than", "7d")) == (2, 2, 0)
    document = report(place, "tiny-llm", "--quick")
    assert counts(document) == (2, 0, 2)
    assert 0 <= document["oldest_proof"] < 60


def test_what_to_verify_is_named(place: Place) -> None:
    for arguments, words in (
        ((), "name what to verify, or --all"),
        (("tiny-llm", "--all"), "name what to verify, or --all"),
        (("--all", "--quick", "--older-than", "7d"), "not allowed with"),
        (("--all", "--older-than", "7"), "expected a number and one of s m h d w"),
        (("--all", "--older-than", "week"), "expected a number and one of"),
    ):
        ran = place.run("verify", *arguments)
        assert ran.code == 2
        assert words in ran.err


def test_an_empty_store_is_sound(place: Place) -> None:
    document = report(place, "--all")
    assert (counts(document), document["oldest_proof"]) == ((0, 0, 0), None)
