"""Each fault does to the Hub's own client what it is known to do: so the faults are real ones.

What the client does was measured with huggingface_hub 2.4.0 (and hf-xet 1.8.0).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hub import TestHub
from tests.hub.clients import Client, Failure

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")

BLOCK = 10 << 20  # the client takes up a download again where its last whole read of this many bytes ended
DATA = bytes(range(256)) * (12 << 12)
PLAIN = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}


def test_faults_of_the_body(tmp_path: Path) -> None:
    names = ("corrupt", "reset", "drop", "stall", "short", "429", "503", "expired", "unranged")
    contents = {name: name.encode() + DATA for name in names}  # one blob a file in the client's cache
    with TestHub() as hub:
        hub.add_repo("org/name", {f"{name}.bin": contents[name] for name in names})
        hub.fault("corrupt", "corrupt.bin", at=-1)
        hub.fault("reset", "reset.bin", at=1000)
        hub.fault("drop", "drop.bin", at=BLOCK + 5)
        hub.fault("stall", "stall.bin", at=BLOCK + 5)
        hub.fault("short", "short.bin", at=-1)
        hub.fault("status", "429.bin", status=429, retry_after=0)
        hub.fault("status", "503.bin", status=503, retry_after=0)
        hub.fault("expired", "expired.bin")
        hub.fault("drop", "unranged.bin", at=BLOCK + 5)
        hub.fault("ignore-range", "unranged.bin")
        client = Client(endpoint=hub.endpoint, home=tmp_path, variables=PLAIN)
        outcomes = dict(
            zip(names, client.ask(*(f"hf_hub_download('org/name', '{n}.bin')" for n in names)), strict=True)
        )
        ranges = {request.target: request.range for request in hub.requests if request.range}
    fatal = {name: outcome.kinds[0] for name, outcome in outcomes.items() if isinstance(outcome, Failure)}
    assert set(fatal) == {"reset", "short", "503", "expired"}
    assert fatal["reset"] == "ReadError"
    for name in set(names) - set(fatal) - {"corrupt"}:
        assert Path(outcomes[name]).read_bytes() == contents[name], name
    spoiled = Path(outcomes["corrupt"]).read_bytes()
    assert (spoiled[:-1], spoiled[-1]) == (contents["corrupt"][:-1], DATA[-1] ^ 0xFF)
    assert ranges == {f"{name}.bin": f"bytes={BLOCK}-" for name in ("drop", "stall", "unranged")}


def test_main_that_moves_puts_one_commits_bytes_under_another(tmp_path: Path) -> None:
    with TestHub() as hub:
        repo = hub.add_repo("org/name", {"config.json": b"old", "model.bin": b"1"})
        first = repo.main
        hub.fault("moved", "config.json", files={"config.json": b"new"})
        client = Client(endpoint=hub.endpoint, home=tmp_path, variables=PLAIN)
        (path,) = client.ask("hf_hub_download('org/name', 'config.json')")
        assert (Path(path).parent.name, Path(path).read_bytes()) == (first, b"new")


def test_faults_of_the_api(tmp_path: Path) -> None:
    with TestHub() as hub:
        hub.add_repo("org/name", {"config.json": b"{}"})
        hub.fault("status", "/api/models/org/name", stage="api", status=503)
        client = Client(endpoint=hub.endpoint, home=tmp_path, variables=PLAIN)
        failed, sha = client.ask("api.model_info('org/name').sha", "api.model_info('org/name').sha")
        assert isinstance(failed, Failure)
        assert "503" in failed.message
        assert sha == hub.repo("org/name").main


@pytest.mark.parametrize("at", [0, 40 << 20, -1])
def test_a_corrupt_xorb_goes_unnoticed(tmp_path: Path, at: int) -> None:
    data = DATA * 4
    with TestHub(xet=True) as hub:
        hub.add_repo("org/name", {"model.bin": data})
        hub.fault("corrupt", "model.bin", at=at)
        client = Client(endpoint=hub.endpoint, home=tmp_path)
        (path,) = client.ask("hf_hub_download('org/name', 'model.bin')")
    spoiled = bytearray(Path(path).read_bytes())
    assert spoiled != data
    spoiled[at] ^= 0xFF
    assert spoiled == data
