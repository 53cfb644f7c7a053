"""A build from the Hub that is killed or interrupted goes on where it was; what a terminal sees of it, and a pipe."""

from __future__ import annotations

import os
import pty
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.embedded_stores import assert_sound
from tests.from_hub import HubPlace, hub_place
from tests.hub import TestHub
from tests.models import safetensors, shard_index, tiny_model

REPO = "acme/tiny-llm"
MIB = 1 << 20
SIZES = {
    "model-00001-of-00003.safetensors": 66,
    "model-00002-of-00003.safetensors": 5,
    "model-00003-of-00003.safetensors": 9,
}
PARTS = 5  # the large file has three of 32 MiB, each on a connection of its own
WEIGHTS = {name: safetensors({name: ("BF16", (size * MIB // 2,))}, seed=size) for name, size in SIZES.items()}
TOTAL = sum(map(len, WEIGHTS.values()))
FILES = {
    **{path: data for path, data in tiny_model().items() if path != "model.safetensors"},
    **WEIGHTS,
    "model.safetensors.index.json": shard_index({name: name for name in WEIGHTS}),
}
RATE = 16 * MIB  # of one connection, a second
STEP = RATE // 20  # what the server sends at once then

#: What may be under way when the client dies: on each connection one write that it still gathers, and two of the
#: server's steps, one in the sockets and one that the server counts only when it is sent.
IN_FLIGHT = PARTS * (MIB + 2 * STEP)
KILLS, PLACES = 5, 4


@pytest.fixture(scope="module")
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        yield hub


@pytest.fixture(scope="module")
def locked(hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> HubPlace:
    place = hub_place(tmp_path_factory.mktemp("locked"), hub)
    place.done("add", REPO)
    return place


@pytest.fixture
def place(hub: TestHub, locked: HubPlace, tmp_path: Path) -> HubPlace:
    hub.faults.clear()
    hub.reset()
    place = HubPlace(tmp_path / "user", locked.endpoint, None, {"HF_HUB_DOWNLOAD_TIMEOUT": "60"})
    shutil.copytree(locked.workspace, place.workspace, symlinks=True)
    return place


def wait_for_bytes(hub: TestHub, size: int, process: subprocess.Popen[str]) -> None:
    while sum(request.sent for request in hub.log.so_far) < size and process.poll() is None:
        time.sleep(0.002)


def wait_for_stalls(hub: TestHub, number: int, process: subprocess.Popen[str]) -> None:
    while sum(request.fault == "stall" for request in hub.log.so_far) < number and process.poll() is None:
        time.sleep(0.002)


def assert_ended_right(place: HubPlace) -> None:
    ran = place.done("build", "tiny-llm")
    assert ran.out == f"{place.store_path()}\n"
    place.done("verify", "tiny-llm")
    assert list((place.store / "nix/var/hf-pack/receiving").glob("*")) == []
    if shutil.which("nix-store"):
        assert_sound(place.store)


@pytest.mark.parametrize("seed", range(PLACES))
def test_killed_at_random_moments(hub: TestHub, place: HubPlace, seed: int) -> None:
    hub.fault("slow", "*.safetensors", rate=RATE, times=None)
    moments = sorted(random.Random(seed).randrange(TOTAL) for _ in range(KILLS))
    for moment in moments:
        process = place.start("build", "tiny-llm")
        wait_for_bytes(hub, moment, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    if (place.store / "nix/store").exists():
        shown = [path for path in (place.store / "nix/store").iterdir() if path.name.endswith(".safetensors")]
        assert all(path.read_bytes() == WEIGHTS[path.name[33:]] for path in shown)
    assert_ended_right(place)
    assert hub.bytes_sent <= TOTAL + KILLS * IN_FLIGHT, (hub.bytes_sent - TOTAL) / MIB


@pytest.mark.parametrize("stalled", [True, False])
def test_an_interrupt_ends_it_and_the_next_goes_on(hub: TestHub, place: HubPlace, stalled: bool) -> None:
    if stalled:  # nothing comes any more, and the client would wait a minute
        hub.fault("stall", "*.safetensors", at=4 * MIB, times=None)
    hub.fault("slow", "*.safetensors", rate=RATE, times=None)
    process = place.start("build", "tiny-llm")
    if stalled:
        wait_for_stalls(hub, 3, process)
    else:
        wait_for_bytes(hub, 20 * MIB, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; run the same command again to go on\n"
    hub.faults.clear()
    assert_ended_right(place)
    assert hub.bytes_sent <= TOTAL + IN_FLIGHT


def test_an_interrupt_while_locking(hub: TestHub, place: HubPlace) -> None:
    hub.fault("stall", "*.safetensors", at=100, times=None)
    process = place.start("lock", "tiny-llm")
    wait_for_stalls(hub, 3, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; run the same command again to go on\n"
    place.done("plan", "tiny-llm")


def test_a_terminal_sees_every_file(hub: TestHub, place: HubPlace) -> None:
    hub.fault("slow", "*.safetensors", rate=RATE, times=None)
    hub.fault("status", "model-00002*", stage="resolve", method="*")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        place.command("build", "tiny-llm"),
        cwd=place.workspace,
        env={**place.environment, "COLUMNS": "120", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 1 << 16):
            seen += piece
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    process.communicate()
    assert process.returncode == 0
    text = seen.decode()
    line = re.compile(r"(\S+): +\d+%\|.*?\| [\d.]+M/[\d.]+M \[\d\d:\d\d<\d\d:\d\d, +[\d.]+MB/s\]")
    assert {match[1] for match in line.finditer(text)} >= {"fetch", *WEIGHTS}, seen
    assert all(f"verified {name}" in text for name in WEIGHTS)
    assert "model-00002-of-00003.safetensors: trying again: the Hub has trouble" in text


def test_a_pipe_gets_no_progress(hub: TestHub, place: HubPlace) -> None:
    hub.fault("drop", "model-00002*", at=1000)
    done = subprocess.run(
        place.command("build", "tiny-llm"), cwd=place.workspace, env=place.environment, capture_output=True, text=True
    )
    assert done.stdout == f"{place.store_path()}\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("tiny-llm: read 80.0 MiB, wrote 80.0 MiB in ")
