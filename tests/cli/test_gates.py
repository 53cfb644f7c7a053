"""What the gates say on a command line: one report, its exit code, and the keys that let a package through."""

from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Place
from tests.models import as_json, tiny_model, write_flat

TEMPLATE = b"{{ messages.__class__ }}"


@pytest.fixture
def source(place: Place) -> str:
    files = tiny_model(
        config={"auto_map": {"AutoModel": "m.X"}},
        extra={"m.py": b"pass\n", "chat_template.jinja": TEMPLATE, "vocab.json": b'{"a": 1, "a": 2}'},
    )
    return str(write_flat(place.workspace.parent / "acme--odd", files))


def test_one_report_with_the_key_of_each_finding(place: Place, source: str) -> None:
    ran = place.run("add", source, "--json")
    assert ran.code == 8
    error = json.loads(ran.out)["error"]
    assert error["type"] == "PolicyError"
    assert [(one["file"], one["gate"], one["allowed_by"]) for one in error["findings"]] == [
        ("chat_template.jinja", "templates", '[allow] templates = ["chat_template.jinja"]'),
        ("m.py", "remote_code", '[allow] remote_code = ["m.py"]'),
        ("vocab.json", "duplicate_keys", '[allow] duplicate_keys = ["vocab.json"]'),
    ]
    assert not list((place.workspace / "models").glob("*"))


def test_a_report_of_what_is_broken_too(place: Place) -> None:
    files = tiny_model(extra={"chat_template.jinja": TEMPLATE, "generation_config.json": b"{"})
    ran = place.run("add", str(write_flat(place.workspace.parent / "broken", files)), "--json")
    assert ran.code == 2
    findings = json.loads(ran.out)["error"]["findings"]
    assert {(one["file"], one["gate"]) for one in findings} == {
        ("chat_template.jinja", "templates"),
        ("generation_config.json", None),
    }


def test_consent_file_by_file(place: Place, source: str) -> None:
    allowed = ("--allow", "remote_code=m.py", "--allow", "templates", "--allow", "duplicate_keys=vocab.json")
    added = json.loads(place.done("add", source, *allowed, "--json").out)
    assert [one["file"] for one in added["findings"]] == ["chat_template.jinja", "m.py", "vocab.json"]
    manifest = place.workspace / "models" / f"{added['name']}.toml"
    assert 'remote_code = ["m.py"]' in manifest.read_text()
    place.done("lock", added["name"])
    place.done("build", added["name"])
    (place.workspace / "hf-pack.toml").write_text('[policy]\ndeny = ["templates"]\n')
    ran = place.run("build", added["name"])
    assert ran.code == 8
    assert "chat_template.jinja" in ran.err and "m.py" not in ran.err
    assert 'hint: hf-pack.toml: [policy] deny has "templates", which no manifest can allow' in ran.err


def test_a_key_that_allows_nothing_is_said(place: Place, source: str) -> None:
    ran = place.run("add", source, "--allow", "everything")
    assert ran.code == 2
    assert "--allow: 'everything' allows nothing" in ran.err


def test_publishing_asks_for_the_licence(place: Place) -> None:
    card = b"---\nlicense: cc-by-nc-4.0\n---\n"
    files = tiny_model(extra={"README.md": card, "config.json": as_json({"architectures": ["LlamaForCausalLM"]})})
    del files["LICENSE"]
    source = write_flat(place.workspace.parent / "acme--closed", files)
    place.done("add", str(source), "--name", "closed")
    place.done("build", "closed")
    cache = f"file://{place.workspace.parent}/cache"
    for command in (
        ("publish", "closed", "--to", cache),
        ("export", "closed", "--to", "oci-layout", "--output", str(place.workspace.parent / "oci")),
        ("export", "closed", "--to", "tar", "--output", str(place.workspace.parent / "closed.tar")),
    ):
        ran = place.run(*command)
        assert ran.code == 8, command
        assert "CC-BY-NC-4.0 allows it for non-commercial ends alone" in ran.err
    place.done("publish", "closed", "--to", cache, "--allow-redistribution")
