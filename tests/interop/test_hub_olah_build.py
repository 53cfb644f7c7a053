"""A model served by olah, a third party's server, locks and builds to what the test Hub's copy does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.from_hub import hub_place
from tests.hub import TestHub, olah
from tests.models import safetensors, shard_index, tiny_model

pytestmark = pytest.mark.skipif(not olah.PROGRAM.exists(), reason="needs olah (python -m tests.hub.olah)")

REPO = "acme/tiny-llm"
SHARDS = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
FILES = {
    **{path: data for path, data in tiny_model().items() if path != "model.safetensors"},
    **{name: safetensors({name: ("BF16", (150_000,))}, seed=number) for number, name in enumerate(SHARDS)},
    "model.safetensors.index.json": shard_index({name: name for name in SHARDS}),
}


def test_both_servers_give_one_package(tmp_path: Path) -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        repo.tag("v1.0")
        ours = hub_place(tmp_path / "ours", hub)
        ours.done("add", REPO)
        built = ours.done("build", "tiny-llm").out
        with olah.serving((repo,), tmp_path / "olah") as endpoint:
            theirs = hub_place(tmp_path / "theirs", endpoint)
            theirs.done("add", REPO)
            assert theirs.lock() == ours.lock()
            assert theirs.done("build", "tiny-llm").out == built
            theirs.done("verify", "tiny-llm")
            assert theirs.done("lock", "--check").out == "tiny-llm: fresh\n"
            theirs.done("add", REPO, "--revision", "v1.0", "--name", "tagged", "--no-headers")
            assert theirs.lock("tagged")["source"]["snapshot_id"] == repo.main
            absent = theirs.ran("add", "acme/none")
            assert absent.code == 4 and "no such model" in absent.err
