"""Our own requests against olah, a third party's server, which knows no sizes in a model's page and no ranges."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.hub import TestHub, olah
from tests.unit.adapters.hub.reception import (
    IMPATIENT,
    PART,
    PATH,
    REPO,
    MemoryReception,
    NoProgress,
    content,
    settings_of,
    wanted_blob,
)

from hf_pack.adapters.hub.http_parts import HubHttp
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.source import open_hub_source
from hf_pack.adapters.hub.web import Web
from hf_pack.errors import HubError

pytestmark = [
    pytest.mark.skipif(not olah.PROGRAM.exists(), reason="needs olah: python -m tests.hub.olah"),
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

WEIGHTS = content(40 * PART + 1)


def test_a_model_is_listed_read_and_fetched_alike_from_both_servers(tmp_path: Path) -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, {"config.json": b"{}\n", "sub/a b.txt": b"x", "empty": b"", PATH: WEIGHTS})
        repo.tag("v1")
        ours = open_hub_source(wanted_blob(hub).repo_id, "v1", settings_of(hub), IMPATIENT)
        with olah.serving((repo,), tmp_path / "olah") as endpoint:
            settings = HubSettings(endpoint=endpoint)
            theirs = open_hub_source(wanted_blob(hub).repo_id, "v1", settings, Limits())
            assert theirs.listing.files == ours.listing.files
            assert theirs.snapshot.commit_hash == repo.main
            for path in ("config.json", "sub/a b.txt", "empty"):
                assert theirs.read(path) == ours.read(path)
            assert theirs.read(PATH, size=1000) == WEIGHTS[:1000]
            reception = MemoryReception(wanted_blob(hub))
            assert HubHttp(Web(settings, Limits())).fetch(reception.wanted, reception, NoProgress())
            reception.finish()
            with pytest.raises(HubError, match="the Hub has no such model, or it is private"):
                open_hub_source(type(reception.wanted.repo_id)("org", "none"), "main", settings, IMPATIENT)
