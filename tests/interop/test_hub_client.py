"""The Hub's own client works against the test Hub: everything that it lists, downloads and refuses."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hub import Repo, TestHub
from tests.hub.clients import Client, Failure

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")

PLAIN = {"HF_HUB_DISABLE_XET": "1"}


def safetensors(size: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(range(256)) * (size // 256)


FILES = {
    "config.json": b'{"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}',
    "model.safetensors": safetensors(1 << 20),
    "extra/tokenizer.json": b"{}" * 1000,
    "extra/deep er/file+1.txt": b"quoted",
    "empty": b"",
}


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub(page_size=2) as hub:
        yield hub


@pytest.fixture
def repo(hub: TestHub) -> Repo:
    repo = hub.add_repo("org/name", FILES, card={"license": "apache-2.0"}, security={"config.json": "unsafe"})
    repo.tag("v1")
    repo.commit({"config.json": b"{}"}, message="second")
    return repo


def held(folder: str) -> dict[str, bytes]:
    """The files of a snapshot."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_information_and_listings(hub: TestHub, repo: Repo, tmp_path: Path) -> None:
    client = Client(endpoint=hub.endpoint, home=tmp_path, variables=PLAIN)
    ref = repo.pull_request({"config.json": b"[]"})
    info, tree, expanded, folder, refs, commits, paths, metadata, short, expand, licence = client.ask(
        "api.model_info('org/name', files_metadata=True, securityStatus=True)",
        "list(api.list_repo_tree('org/name', recursive=True))",
        "list(api.list_repo_tree('org/name', recursive=True, expand=True, revision='v1'))",
        "list(api.list_repo_tree('org/name', 'extra/deep er', revision='refs/pr/1'))",
        "api.list_repo_refs('org/name', include_pull_requests=True)",
        "api.list_repo_commits('org/name')",
        "api.get_paths_info('org/name', ['extra', 'config.json', 'nothing'], revision='v1')",
        "api.get_safetensors_metadata('org/name').parameter_count",
        f"api.model_info('org/name', revision={repo.main[:8]!r}).sha",
        "api.model_info('org/name', expand=['gated', 'sha']).sha",
        "api.model_info('org/name').card_data.license",
    )
    assert (info["sha"], info["private"], info["gated"]) == (repo.main, False, False)
    assert info["config"] == {}
    assert licence == "apache-2.0"
    assert info["safetensors"]["total"] == 1 << 18
    assert info["security_repo_status"]["filesWithIssues"] == [{"path": "config.json", "level": "unsafe"}]
    files = repo.at("main").files
    assert {line["rfilename"]: (line["size"], line["blob_id"]) for line in info["siblings"]} == {
        path: (file.size, file.oid) for path, file in files.items()
    }
    assert {line["path"]: line["lfs"]["sha256"] for line in tree if line.get("lfs")} == {
        "model.safetensors": hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    }
    assert [line["path"] for line in tree] == sorted([*FILES, "extra", "extra/deep er"])
    assert {line["path"]: line["last_commit"]["oid"] for line in expanded} == dict.fromkeys(
        sorted([*FILES, "extra", "extra/deep er"]), repo.tags["v1"]
    )
    assert [line["security"]["safe"] for line in expanded if line["path"] in ("config.json", "empty")] == [False, True]
    assert [line["path"] for line in folder] == ["extra/deep er/file+1.txt"]
    assert [line["target_commit"] for line in refs["branches"] + refs["tags"] + refs["pull_requests"]] == [
        repo.main,
        repo.tags["v1"],
        repo.pull_requests[ref],
    ]
    assert [line["commit_id"] for line in commits] == [repo.main, repo.tags["v1"]]
    assert [line["path"] for line in paths] == ["extra", "config.json"]
    assert metadata == {"F32": 1 << 18}
    assert short == expand == repo.main
    assert sum(hub.bytes_by_file.values()) < 150_000


def test_snapshots_by_branch_tag_and_commit(hub: TestHub, repo: Repo, tmp_path: Path) -> None:
    first, second = repo.tags["v1"], repo.main
    client = Client(endpoint=hub.endpoint, home=tmp_path, token=hub.token, variables=PLAIN)
    folders = client.ask(
        "snapshot_download('org/name')",
        "snapshot_download('org/name', revision='v1')",
        f"snapshot_download('org/name', revision='{first}')",
    )
    assert [Path(folder).name for folder in folders] == [second, first, first]
    assert held(folders[0]) == {**FILES, "config.json": b"{}"}
    assert held(folders[1]) == FILES
    assert hub.bytes_by_file["model.safetensors"] == len(FILES["model.safetensors"])
    assert any(request.bearer == "hub" for request in hub.requests)
    assert any(request.origin == "cdn" for request in hub.requests)
    assert not hub.leaks
    hub.reset()
    assert client.ask(f"snapshot_download('org/name', revision='{first}')") == (folders[1],)
    assert [request.path for request in hub.requests if request.target != "/api/agent-harnesses"] == []


def test_the_command_and_its_verification(hub: TestHub, repo: Repo, tmp_path: Path) -> None:
    client = Client(endpoint=hub.endpoint, home=tmp_path, variables=PLAIN)
    done = client.hf("download", "org/name", "--local-dir", str(tmp_path / "here"), "--revision", "v1")
    assert done.returncode == 0, done.stderr
    assert {path: (tmp_path / "here" / path).read_bytes() for path in FILES} == FILES
    checked = client.hf("cache", "verify", "org/name", "--local-dir", str(tmp_path / "here"), "--revision", "v1")
    assert checked.returncode == 0, checked.stderr


def test_what_the_client_says_of_what_it_may_not_have(hub: TestHub, repo: Repo, tmp_path: Path) -> None:
    hub.add_repo("org/private", FILES, private=True)
    hub.add_repo("org/gated", FILES, gated="auto")
    hub.add_repo("org/disabled", FILES, disabled=True)

    def kinds(token: str | None, home: str) -> list[str]:
        client = Client(endpoint=hub.endpoint, home=tmp_path / home, token=token, variables=PLAIN)
        outcomes = client.ask(
            "hf_hub_download('org/private', 'config.json')",
            "hf_hub_download('org/gated', 'config.json')",
            "api.model_info('org/disabled')",
            "hf_hub_download('org/none', 'config.json')",
            "hf_hub_download('org/name', 'config.json', revision='none')",
            "hf_hub_download('org/name', 'none')",
            "api.auth_check('org/gated')",
            "api.whoami()['name']",
            "api.model_info('org/gated').gated",
        )
        return [outcome.kinds[0] if isinstance(outcome, Failure) else str(outcome)[-11:] for outcome in outcomes]

    missing = ["RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError"]
    assert kinds(None, "nobody") == [
        "RepositoryNotFoundError", "GatedRepoError", "DisabledRepoError", *missing,
        "GatedRepoError", "LocalTokenNotFoundError", "auto",
    ]  # fmt: skip
    assert kinds(hub.stranger_token, "stranger") == [
        "RepositoryNotFoundError", "GatedRepoError", "DisabledRepoError", *missing,
        "GatedRepoError", "stranger", "auto",
    ]  # fmt: skip
    assert kinds(hub.token, "tester") == [
        "config.json", "config.json", "DisabledRepoError", *missing, "None", "tester", "auto",
    ]  # fmt: skip


def test_compressed_and_redirected_files(tmp_path: Path) -> None:
    with TestHub(compress=True, resolve_cache=True) as hub:
        hub.add_repo("org/name", FILES)
        client = Client(endpoint=hub.endpoint, home=tmp_path, variables=PLAIN)
        (folder,) = client.ask("snapshot_download('org/name')")
        assert held(folder) == FILES
        assert any(request.status == 307 for request in hub.requests)


def test_xet_files_come_from_the_storage_service(tmp_path: Path) -> None:
    with TestHub(xet=True) as hub:
        weights = safetensors(40 << 20)
        hub.add_repo("org/name", {**FILES, "model.safetensors": weights})
        hub.add_repo("org/gated", FILES, gated="manual")
        hub.fault("expired", "model.safetensors")
        client = Client(endpoint=hub.endpoint, home=tmp_path, token=hub.token)
        (folder,) = client.ask("snapshot_download('org/name')")
        assert held(folder) == {**FILES, "model.safetensors": weights}
        assert any(request.path.startswith("/xorbs/") for request in hub.requests)
        assert [request.fault for request in hub.requests].count("expired") == 1
        assert not any(request.path.startswith("/cdn/") for request in hub.requests)
        assert not hub.leaks
        stranger = Client(endpoint=hub.endpoint, home=tmp_path, token=hub.stranger_token)
        (tree,) = stranger.ask("[file.xet_hash for file in api.list_repo_tree('org/gated') if file.path[0] == 'm']")
        assert tree == ["*" * 64]
