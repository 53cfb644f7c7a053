"""Settings are those of the Hub's own client, which reads its environment once: so each case is a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ASK = """
import json
from hf_pack.adapters.hub.settings import client_settings
s = client_settings()
print(json.dumps([s.endpoint, s.token, s.offline, s.xet, str(s.cache), repr(s)]))
"""


def settings(home: Path, **variables: str) -> list[Any]:
    environment = {"HF_HOME": str(home), **variables}
    answer = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(answer.stdout)
    return found


def test_without_anything_it_is_the_hub_and_nobody(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found[:5] == ["https://huggingface.co", None, False, True, str(tmp_path / "hub")]


def test_variables_are_heeded_and_the_token_shows_nowhere(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        HF_ENDPOINT="https://mirror.example/",
        HF_TOKEN="hf_SecretToken",
        HF_HUB_DISABLE_XET="1",
        HF_HUB_CACHE="/elsewhere",
    )
    assert found[:5] == ["https://mirror.example", "hf_SecretToken", False, False, "/elsewhere"]
    assert "hf_SecretToken" not in found[5]


def test_a_stored_login_is_used_unless_that_is_switched_off(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_Stored\n")
    assert settings(tmp_path)[1] == "hf_Stored"
    assert settings(tmp_path, HF_HUB_DISABLE_IMPLICIT_TOKEN="1")[1] is None


def test_offline_needs_no_token(tmp_path: Path) -> None:
    assert settings(tmp_path, HF_HUB_OFFLINE="1", HF_TOKEN="hf_x")[1:3] == [None, True]
