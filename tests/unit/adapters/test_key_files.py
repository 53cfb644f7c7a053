"""Keys that a person states, as text or as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hf_pack.adapters.key_files import generate_key, trusted_key
from hf_pack.errors import UsageError
from hf_pack.formats.signing import SecretKey

KEY = SecretKey.generate(b"k" * 32, "cache.example.org-1")


def test_a_public_key_is_taken_as_text_and_as_a_file(tmp_path: Path) -> None:
    text = KEY.public_key().format()
    (tmp_path / "public").write_text(f"{text}\n")
    assert trusted_key(text, "--trusted-key") == KEY.public_key()
    assert trusted_key(str(tmp_path / "public"), "--trusted-key") == KEY.public_key()


def test_a_secret_key_in_the_place_of_a_public_one_is_not_shown() -> None:
    secret = KEY.format()
    with pytest.raises(UsageError, match=r"--trusted-key: found 'cache\.example\.org-1':…") as caught:
        trusted_key(secret, "--trusted-key")
    assert secret.partition(":")[2][:8] not in f"{caught.value.message}{caught.value.hint}"


def test_only_the_secret_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = generate_key("cache.example.org-1", tmp_path)
    assert made.secret.stat().st_mode & 0o077 == 0
    assert made.public.stat().st_mode & 0o044 == 0o044
