"""What the Hub's own library finds in HF_HUB_CACHE, offline, as JSON. Arguments: repo id, commit, a file's path."""

import hashlib
import json
import sys
import warnings
from pathlib import Path

import huggingface_hub
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache

warnings.simplefilter("error")
repo_id, commit, file = sys.argv[1:]
scan = scan_cache_dir()
snapshot = Path(snapshot_download(repo_id, local_files_only=True))
print(
    json.dumps(
        {
            "snapshot": str(snapshot),
            "plain": snapshot_download(repo_id),
            "by_commit": snapshot_download(repo_id, revision=commit, local_files_only=True),
            "download": hf_hub_download(repo_id, file),
            "download_by_commit": hf_hub_download(repo_id, file, revision=commit),
            "cached": try_to_load_from_cache(repo_id, file),
            "files": {
                str(path.relative_to(snapshot)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in snapshot.rglob("*")
                if path.is_file()
            },
            "scan_warnings": [str(warning) for warning in scan.warnings],
            "scan": [
                [repo.repo_id, repo.repo_type, revision.commit_hash, sorted(revision.refs), len(revision.files)]
                for repo in scan.repos
                for revision in repo.revisions
            ],
            "version": huggingface_hub.__version__,
        }
    )
)
