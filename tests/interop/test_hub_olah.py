"""olah serves what the test Hub serves, as far as it goes: a second server that the client sees the same in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.hub import Repo, TestHub, olah
from tests.hub.clients import Client

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")
pytestmark = [
    pytest.mark.skipif(not olah.PROGRAM.exists(), reason="needs olah: python -m tests.hub.olah"),
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

QUESTIONS = (
    "api.model_info('org/name', revision='main').sha",
    "api.model_info('org/name', revision='v1').sha",
    "sorted((f.path, f.size, f.blob_id, f.lfs and f.lfs.sha256) for f in"
    " api.list_repo_tree('org/name', recursive=True, revision='v1') if hasattr(f, 'size'))",
    "{ref.name: ref.target_commit for ref in api.list_repo_refs('org/name').branches}",
    "[(f.path, f.lfs.sha256) for f in api.get_paths_info('org/name', ['model.safetensors', 'nothing'])]",
    "{str(p.relative_to(root)): p.read_bytes().hex() for root in [Path(snapshot_download('org/name', revision='v1'))]"
    " for p in root.rglob('*') if p.is_file()}",
)


def test_both_servers_answer_alike(tmp_path: Path) -> None:
    with TestHub() as hub:
        repo: Repo = hub.add_repo(
            "org/name", {"config.json": b"{}", "a/b.txt": b"b", "model.safetensors": bytes(range(256)) * 1000}
        )
        repo.tag("v1")
        repo.commit({"config.json": b"[]"})
        repo.commit({"more": b"1"}, branch="dev")
        variables = {"HF_HUB_DISABLE_XET": "1"}
        ours = Client(endpoint=hub.endpoint, home=tmp_path / "ours", variables=variables).ask(*QUESTIONS)
        with olah.serving((repo,), tmp_path / "olah") as endpoint:
            theirs = Client(endpoint=endpoint, home=tmp_path / "theirs", variables=variables).ask(*QUESTIONS)
        assert theirs == ours
        assert ours[0] == repo.main
