"""Logins: every file that other tools leave, the closest first, and no secret in a message."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from hf_pack.adapters.oci.logins import Login, find_login
from hf_pack.errors import HubError


def _auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def _helper(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_docker_s_file_is_read_by_host_and_by_the_addresses_it_once_wrote(tmp_path: Path) -> None:
    _write(tmp_path / ".docker" / "config.json", {"auths": {"https://r.io/v1/": _auth("me", "pass:word")}})
    assert find_login("r.io", "a/b", {"HOME": str(tmp_path)}) == Login(user="me", password="pass:word")
    assert find_login("other.io", "a/b", {"HOME": str(tmp_path)}) is None


def test_the_closest_part_of_a_registry_wins(tmp_path: Path) -> None:
    auths = {"r.io": _auth("all", "1"), "r.io/team": _auth("team", "2"), "r.io/team/m": _auth("one", "3")}
    _write(tmp_path / "auth.json", {"auths": auths})
    environ = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"), "HOME": str(tmp_path)}
    found = [find_login("r.io", name, environ) for name in ("team/m", "team/n", "x")]
    assert [login and login.user for login in found] == ["one", "team", "all"]


def test_files_come_in_their_order(tmp_path: Path) -> None:
    _write(tmp_path / "home" / ".docker" / "config.json", {"auths": {"r.io": _auth("home", "1")}})
    _write(tmp_path / "run" / "containers" / "auth.json", {"auths": {"r.io": _auth("podman", "1")}})
    _write(tmp_path / "docker" / "config.json", {"auths": {"r.io": _auth("docker", "1")}})
    _write(tmp_path / "explicit", {"auths": {}})
    environ = {"HOME": str(tmp_path / "home")}
    users = []
    for name, value in (
        ("", ""),
        ("XDG_RUNTIME_DIR", str(tmp_path / "run")),
        ("DOCKER_CONFIG", str(tmp_path / "docker")),
        ("REGISTRY_AUTH_FILE", str(tmp_path / "explicit")),
    ):
        environ |= {name: value} if name else {}
        login = find_login("r.io", "a", environ)
        users.append(login and login.user)
    assert users == ["home", "podman", "docker", None]


def test_a_helper_is_asked_for_its_registry_and_the_store_for_all_others(tmp_path: Path) -> None:
    _helper(tmp_path / "bin", "one", 'read server; echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}"')
    _helper(tmp_path / "bin", "all", 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"id\\"}"')
    _helper(tmp_path / "bin", "none", "echo credentials not found in native keychain; exit 1")
    environ = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    _write(tmp_path / "config.json", {"credHelpers": {"r.io": "one", "n.io": "none"}, "credsStore": "all"})
    assert find_login("r.io", "a", environ) == Login(user="r.io", password="s")
    assert find_login("x.io", "a", environ) == Login(identity_token="id")
    assert find_login("n.io", "a", environ) is None


@pytest.mark.parametrize(
    "document",
    [
        ["not an object"],
        {"auths": {"r.io": {"auth": "s3cret is no base64"}}},
        {"credHelpers": {"r.io": "../../evil"}},
        {"credHelpers": {"r.io": "not-there"}},
        {"credHelpers": {"r.io": "fails"}},
        {"credHelpers": {"r.io": "babbles"}},
    ],
)
def test_what_is_broken_is_said_without_a_secret(tmp_path: Path, document: object) -> None:
    _helper(tmp_path / "bin", "fails", "echo s3cret; exit 3")
    _helper(tmp_path / "bin", "babbles", "echo s3cret")
    _write(tmp_path / "config.json", document)
    environ = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    with pytest.raises(HubError) as caught:
        find_login("r.io", "a", environ)
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_login_does_not_show_its_secret() -> None:
    assert "s3cret" not in repr(Login(user="me", password="s3cret", identity_token="s3cret", registry_token="s3cret"))
