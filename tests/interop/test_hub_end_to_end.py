"""From a repo id: what locking asks and sends, what is chosen, what moved upstream, what a user may not read."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end import large_tokenizer
from tests.from_hub import HubPlace, declared_shards, hub_place
from tests.hub import Request, Source, TestHub
from tests.models import as_json, filler, gguf, safetensors, tiny_model

from hf_pack.adapters.hub import retrying

REPO = "acme/tiny-llm"
SHARDS = tiny_model(shards=3)


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        yield hub
        assert not hub.leaks


@pytest.fixture
def place(tmp_path: Path, hub: TestHub) -> HubPlace:
    return hub_place(tmp_path / "user", hub)


def weight_requests(hub: TestHub) -> list[Request]:
    return [request for request in hub.requests if request.target.endswith(".safetensors")]


# --- lock from metadata ------------------------------------------------------------------------------------------


def test_a_model_of_terabytes_is_locked_from_its_headers(hub: TestHub, place: HubPlace) -> None:
    files = declared_shards(100, 15 * 10**9)
    hub.add_repo("acme/huge", files)
    place.done("add", "acme/huge")
    assert sum(file["size"] for file in place.lock("huge")["files"]) > 1.49e12
    headers = weight_requests(hub)
    assert len(headers) <= 2 * 100
    assert all(request.range and not request.range.startswith("bytes=0-14") for request in headers)
    small = [path for path in files if not path.endswith((".safetensors", ".gitattributes"))]
    others = len(hub.requests) - len(headers)
    assert others - len(small) < 10
    assert hub.bytes_sent < 20_000_000
    plan = place.done("plan", "huge", "--json").document
    assert plan["store_path"].startswith("/nix/store/")
    assert len(plan["blobs"]) == 100 and not any(blob["present"] for blob in plan["blobs"])
    hub.reset()
    place.done("lock", "huge", "--no-headers")
    assert weight_requests(hub) == []
    assert place.store_path("huge") == plan["store_path"]


def test_weights_are_not_sent_beyond_their_headers(hub: TestHub, place: HubPlace) -> None:
    weights = safetensors({"model.norm.weight": ("BF16", (4_000_000,))})
    hub.add_repo(REPO, {**tiny_model(), "model.safetensors": weights})
    place.done("add", REPO)
    assert hub.bytes_by_file["model.safetensors"] <= 1 << 16
    hub.reset()
    plan = place.done("plan", "tiny-llm", "--json").document
    dry = place.done("build", "tiny-llm", "--dry-run", "--json").document
    assert hub.requests == ()
    assert dry[0]["store_path"] == plan["store_path"]
    assert (plan["fetch_size"], dry[0]["fetch_size"]) == (len(weights), len(weights))
    text = place.done("build", "tiny-llm", "--dry-run").out
    assert plan["store_path"] in text and "to fetch 7.6 MiB" in text and "licence Apache-2.0" in text
    assert not place.done("list", "--json").document[0]["in_store"]
    built = place.done("build", "tiny-llm", "--json").document[0]
    assert built["store_path"] == plan["store_path"]
    assert hub.bytes_by_file["model.safetensors"] == len(weights)
    place.done("verify", "tiny-llm")
    hub.reset()
    place.done("build", "tiny-llm")
    assert hub.requests == ()
    assert "to fetch 0 B" in place.done("build", "tiny-llm", "--dry-run").out


@pytest.mark.parametrize("is_gone", [False, True])
def test_damaged_weights_are_repaired_from_the_hub(hub: TestHub, place: HubPlace, is_gone: bool) -> None:
    hub.add_repo(REPO, SHARDS)
    place.done("add", REPO)
    built = place.done("build", "tiny-llm", "--json").document[0]
    weights = sorted((place.store / "nix" / "store").glob("*-model-*.safetensors"))
    for number, path in enumerate(weights[:2]):
        path.chmod(0o644)
        path.unlink() if is_gone and number else path.write_bytes(path.read_bytes()[::-1])
    said = place.ran("verify", "tiny-llm", "--repair", HF_HUB_OFFLINE="1")
    assert said.code == 5 and said.err.count("is neither beside the lock nor anywhere else on this machine") == 2
    hub.reset()
    place.done("verify", "tiny-llm", "--repair")
    assert len({request.target for request in weight_requests(hub)}) == 2
    assert place.done("verify", "tiny-llm", "--json").document["ok"]
    assert place.done("build", "tiny-llm", "--json").document[0]["store_path"] == built["store_path"]


def test_the_rate_can_be_capped(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, {**tiny_model(), "model.safetensors": safetensors({"w": ("BF16", (500_000,))})})
    place.done("add", REPO)
    (built,) = place.done("build", "tiny-llm", "--limit-rate", "2M", "--json").document
    assert built["seconds"] >= 0.9 * built["bytes_read"] / (2 << 20)
    for wrong in ("fast", "0", "1.5M", "-3"):
        ran = place.ran("build", "tiny-llm", f"--limit-rate={wrong}")
        assert ran.code == 2 and "--limit-rate" in ran.err


def test_every_spelling_of_a_revision_becomes_the_commit(hub: TestHub, place: HubPlace) -> None:
    repo = hub.add_repo(REPO, SHARDS)
    first = repo.main
    repo.tag("v1.0")
    repo.commit({"config.json": as_json({**json.loads(SHARDS["config.json"]), "a": 1})}, branch="refs/topic")
    reference = repo.pull_request({"README.md": b"# Another\n"})
    main = repo.commit({"README.md": b"# Later\n"})
    expected = {
        "main": main,
        "v1.0": first,
        first: first,
        first[:9]: first,
        "refs/topic": repo.branches["refs/topic"],
        reference: repo.pull_requests[reference],
    }
    for number, (revision, commit) in enumerate(expected.items()):
        hub.reset()
        place.done("add", REPO, "--revision", revision, "--name", f"m{number}", "--no-headers")
        assert place.lock(f"m{number}")["source"]["snapshot_id"] == commit
        asked = {request.path.split("/")[4] for request in hub.requests if "/resolve/" in request.path}
        assert asked == {commit}  # from then on, only the commit


def test_a_large_file_that_git_holds_itself_is_proved_and_becomes_a_blob(hub: TestHub, place: HubPlace) -> None:
    tokenizer = large_tokenizer()
    files = {**tiny_model(), "tokenizer.json": tokenizer}
    repo = hub.add_repo(REPO, files)
    assert not repo.file("tokenizer.json").lfs
    hub.fault("corrupt", "tokenizer.json", at=700_000)
    place.done("add", REPO)
    (entry,) = [file for file in place.lock()["files"] if file["path"] == "tokenizer.json"]
    digest = hashlib.sha256(tokenizer).hexdigest()
    assert digest in json.dumps(entry)
    assert hub.bytes_by_file["tokenizer.json"] == 2 * len(tokenizer)
    blobs = {blob["sha256"]: blob for blob in place.done("plan", "tiny-llm", "--json").document["blobs"]}
    assert blobs[digest]["present"]
    hub.reset()
    place.done("build", "tiny-llm")
    assert hub.bytes_by_file["tokenizer.json"] == 0
    place.done("verify", "tiny-llm")
    # On another machine it comes from the Hub like any blob.
    other = HubPlace(place.home, place.endpoint, None, {"HF_PACK_STORE": str(place.home / "other")})
    other.done("build", "tiny-llm")
    assert hub.bytes_by_file["tokenizer.json"] == len(tokenizer)


def test_a_small_file_that_is_wrong_for_ever_writes_nothing(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, SHARDS)
    hub.fault("corrupt", "generation_config.json", at=3, times=None)
    ran = place.ran("add", REPO)
    assert (ran.code, ran.out) == (5, "")
    assert "generation_config.json" in ran.err and "git blob id" in ran.err
    assert list((place.workspace / "models").iterdir()) == []


def test_a_hub_that_asks_to_wait_is_said_to(hub: TestHub, place: HubPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked: the list, a small file, a weight."""
    monkeypatch.setattr(retrying, "_ASKED_WORTH_A_LINE", 0.0)
    said = "note: waiting 1 s, as the Hub asks: the Hub's rate limit is reached"
    hub.add_repo(REPO, SHARDS)
    hub.fault("status", "config.json", status=429, retry_after=1)
    assert said in place.done("add", REPO).err
    hub.fault("status", stage="api", status=429, retry_after=1)
    assert said in place.done("lock", "tiny-llm").err
    hub.fault("status", stage="api", status=429, retry_after=1)
    assert said in place.done("lock", "--check").err
    hub.fault("status", "model-00001-of-00003.safetensors", status=429, retry_after=1)
    assert said in place.done("build", "tiny-llm").err


def test_an_endpoint_that_is_no_address_is_named(place: HubPlace) -> None:
    for wrong, found in (("hub.example", "hub.example"), ("https://me:secret@hub.example/", "https://…@hub.example")):
        ran = place.ran("add", REPO, HF_ENDPOINT=wrong)
        assert ran.code == 4
        assert f"HF_ENDPOINT: expected http(s)://HOST, found {found!r}" in ran.err and "secret" not in ran.err


def test_check_asks_nobody_where_the_environment_forbids_it(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, SHARDS)
    place.done("add", REPO)
    hub.reset()
    ran = place.done("lock", "--check", HF_HUB_OFFLINE="1")
    assert (ran.out, hub.requests) == ("tiny-llm: fresh\n", ())
    assert ran.err == "note: HF_HUB_OFFLINE is set: as with --offline, the Hub is not asked what moved\n"
    assert place.done("lock", "--check", "--offline", HF_HUB_OFFLINE="1").err == ""


def test_pages_of_the_list_do_not_matter(tmp_path: Path) -> None:
    with TestHub(page_size=2) as hub:
        hub.add_repo(REPO, SHARDS)
        place = hub_place(tmp_path / "user", hub)
        place.done("add", REPO)
        assert len(place.lock()["files"]) == len(SHARDS) - 1


def test_a_branch_that_moves_while_it_is_locked(hub: TestHub, place: HubPlace) -> None:
    repo = hub.add_repo(REPO, SHARDS)
    first = repo.main
    changed = as_json({**json.loads(SHARDS["generation_config.json"]), "temperature": 1.5})
    hub.fault(
        "moved", "config.json", files={"generation_config.json": changed, "model-00001-of-00003.safetensors": b"x"}
    )
    place.done("add", REPO)
    assert repo.main != first
    assert place.lock()["source"]["snapshot_id"] == first
    kept = place.workspace / "models/tiny-llm.files/generation_config.json"
    assert kept.read_bytes() == SHARDS["generation_config.json"]
    place.done("build", "tiny-llm")
    place.done("verify", "tiny-llm")


# --- which files -------------------------------------------------------------------------------------------------


def choice(place: HubPlace, *arguments: str) -> tuple[set[str], dict[str, str]]:
    added = place.done("add", REPO, "--json", *arguments).document
    lock = place.lock(added["name"])
    return {file["path"] for file in lock["files"]}, {one["path"]: one["reason"] for one in added["omitted"]}


def test_one_format_of_the_weights(hub: TestHub, place: HubPlace) -> None:
    tiny = tiny_model()
    pickled = b"PK\x03\x04" + filler(200)
    waste: dict[str, Source] = {
        "pytorch_model.bin": pickled,
        "model.pt": pickled,
        "original/consolidated.00.pth": pickled,
        "original/params.json": b"{}",
        "metal/model.bin": pickled,
        "consolidated.safetensors": tiny["model.safetensors"],
        "params.json": b"{}",
        "onnx/model.onnx": filler(99),
        "openvino/openvino_model.xml": b"<net/>",
        "flax_model.msgpack": filler(50),
        "tf_model.h5": filler(51),
        "tiny-Q4_K_M.gguf": gguf(),
        "picture.png": filler(40),
        "optimizer.pt": pickled,
        "runs/events.out.tfevents.1": filler(41),
        "modeling_unused.py": b"import os\n",
    }
    code = as_json({**json.loads(tiny["config.json"]), "auto_map": {"AutoModel": "modeling_tiny.Tiny"}})
    hub.add_repo(REPO, {**tiny, **waste, "config.json": code, "modeling_tiny.py": b"class Tiny: ...\n"})
    files, omitted = choice(place, "--allow", "remote_code=modeling_tiny.py")
    assert files == set(tiny) - {".gitattributes"} | {"modeling_tiny.py"}
    assert set(omitted) >= set(waste)
    assert all(omitted.values())
    said = place.done("add", REPO, "--name", "again", "--allow", "remote_code").err
    for path in waste:
        assert f"left out {path}: {omitted[path]}" in said
    assert not [request for request in hub.requests if request.stage == "body" and request.target in waste]


def test_consolidated_weights_are_the_model_where_there_are_no_others(hub: TestHub, place: HubPlace) -> None:
    tiny = tiny_model()
    own = {"params.json": as_json({"dim": 8, "n_layers": 1, "vocab_size": 32}), "tekken.json": b'{"config": {}}'}
    weights = {"consolidated.safetensors": tiny["model.safetensors"]}
    hub.add_repo(REPO, {"README.md": tiny["README.md"], **own, **weights})
    files, _ = choice(place)
    assert files == {"README.md", *own, *weights}


def test_one_gguf_of_several(hub: TestHub, place: HubPlace) -> None:
    names = [f"tiny-{quantization}.gguf" for quantization in ("Q4_K_M", "Q8_0", "F16")]
    files = {name: gguf(size=4096 + 64 * number) for number, name in enumerate(names)}
    hub.add_repo(REPO, {"README.md": b"# Tiny\n", "config.json": tiny_model()["config.json"], **files})
    ran = place.ran("add", REPO)
    assert ran.code == 2
    assert all(quantization in ran.err for quantization in ("Q4_K_M", "Q8_0", "F16"))
    chosen, omitted = choice(place, "--file", "*Q8_0*")
    assert chosen == {"README.md", "config.json", "tiny-Q8_0.gguf"}
    assert set(omitted) == {"tiny-Q4_K_M.gguf", "tiny-F16.gguf"}
    place.done("build", "tiny-llm")
    place.done("verify", "tiny-llm")
    assert hub.bytes_by_file["tiny-Q4_K_M.gguf"] == 0


def pickle_file(seed: int = 0) -> bytes:
    return b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01u." + filler(400, seed)


def test_a_pickle_on_the_hub_is_looked_into_without_its_tensors(hub: TestHub, place: HubPlace) -> None:
    tiny = tiny_model()
    del tiny["model.safetensors"]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"cposix\nsystem\n(S'true'\ntR.")
        archive.writestr("archive/data/0", filler(5_000_000))
    hub.add_repo(REPO, {**tiny, "pytorch_model.bin": out.getvalue()})
    ran = place.ran("add", REPO, "--allow-pickle")
    assert ran.code == 8
    assert "pytorch_model.bin: a pickle that uses posix.system, which loading tensors does not take" in ran.err
    assert hub.bytes_by_file["pytorch_model.bin"] < 1_000_000
    place.done("add", REPO, "--allow-pickle", "--allow", "pickle_globals=posix.system")


def test_the_hubs_word_about_the_licence_is_held_against_the_files(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, tiny_model(), card={"license": "llama3.1"})
    added = place.done("add", REPO, "--json").document
    assert added["licence"] == "Apache-2.0"
    assert added["notes"] == [
        "the licence is stated in different ways: README.md Apache-2.0, the Hub llama3.1, LICENSE Apache-2.0"
    ]


def test_pickles_need_consent(hub: TestHub, place: HubPlace) -> None:
    tiny = tiny_model()
    del tiny["model.safetensors"]
    hub.add_repo(REPO, {**tiny, "pytorch_model.bin": pickle_file()})
    ran = place.ran("add", REPO)
    assert (ran.code, ran.out) == (8, "")
    assert "pytorch_model.bin" in ran.err and "allow_pickle" in ran.err
    assert hub.bytes_by_file["pytorch_model.bin"] == 0
    files, _ = choice(place, "--allow-pickle")
    assert "pytorch_model.bin" in files
    assert "allow_pickle = true" in (place.workspace / "models/tiny-llm.toml").read_text()
    place.done("build", "tiny-llm")


@pytest.mark.parametrize("path", ["weights.safetensors", "special.json.model"])
def test_a_renamed_pickle_is_known_by_its_content(hub: TestHub, place: HubPlace, path: str) -> None:
    files = {**tiny_model(), path: pickle_file()}
    if path.endswith(".safetensors"):
        del files["model.safetensors"]
    hub.add_repo(REPO, files)
    ran = place.ran("add", REPO)
    assert ran.code == 8, ran.err
    assert path in ran.err and "pickle" in ran.err


def test_the_manifest_decides_otherwise(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, {**tiny_model(), "notes.txt": b"notes", "onnx/config.json": b"{}"})
    place.done("add", REPO)
    manifest = place.workspace / "models/tiny-llm.toml"
    text = manifest.read_text().replace(
        "[source]", '[source]\ninclude = ["*.json", "*.safetensors", "onnx/*"]\nexclude = ["generation_config.json"]'
    )
    manifest.write_text(text)
    place.done("lock", "tiny-llm")
    expected = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "onnx/config.json"}
    expected.add("LICENSE")  # stays, whatever is included
    assert {file["path"] for file in place.lock()["files"]} == expected


# --- is the lock stale ------------------------------------------------------------------------------------------


def test_check_says_what_moved_upstream(hub: TestHub, place: HubPlace) -> None:
    tiny = tiny_model(extra={"chat_template.jinja": b"{{ one }}"})
    config = {**json.loads(tiny["config.json"]), "auto_map": {"AutoModel": "modeling_tiny.Tiny"}}
    code = {"config.json": as_json(config), "modeling_tiny.py": b"class Tiny: ...\n"}
    repo = hub.add_repo(REPO, {**tiny, **code})
    place.done("add", REPO, "--allow", "remote_code")
    hub.reset()
    fresh = place.done("lock", "--check", "--json").document
    assert fresh == [{"name": "tiny-llm", "stale": False, "reasons": []}]
    assert len([request for request in hub.requests if request.status == 200]) == 1
    first = repo.main
    repo.commit(
        {
            "chat_template.jinja": b"{{ two }}",
            "modeling_tiny.py": b"class Tiny: pass\n",
            "config.json": as_json({**config, "rope_theta": 10000}),
            "model.safetensors": tiny_model(seed=5)["model.safetensors"],
            "NOTICE": b"notice\n",
        }
    )
    hub.reset()
    ran = place.ran("lock", "--check")
    assert ran.code == 3
    for words in (
        f"upstream: main moved from {first} to {repo.main}",
        "chat template chat_template.jinja changed, 9 bytes -> 9 bytes",
        "remote code modeling_tiny.py changed, 16 bytes -> 17 bytes",
        "config.json: rope_theta added",
        "model.safetensors changed",
        "NOTICE added, 7 bytes",
    ):
        assert words in ran.out, ran.out
    assert hub.bytes_by_file["model.safetensors"] == 0
    hub.reset()
    assert place.done("lock", "--check", "--offline").out == "tiny-llm: fresh\n"
    assert hub.requests == ()
    difference = place.done("diff", "tiny-llm", "tiny-llm@upstream")
    assert "modeling_tiny.py" in difference.out and "rope_theta" in difference.out
    old = place.store_path()
    relocked = place.done("lock", "tiny-llm", "--json").document[0]
    assert [(change["file"], change["before"] != change["now"]) for change in relocked["code_changes"]] == [
        ("modeling_tiny.py", True)
    ]
    assert [(one["gate"], one["file"]) for one in relocked["findings"]] == [("remote_code", "modeling_tiny.py")]
    assert place.ran("lock", "--check").code == 0
    assert place.store_path() != old


def test_a_patched_file_that_did_not_move_is_not_named(hub: TestHub, place: HubPlace) -> None:
    repo = hub.add_repo(REPO, tiny_model())
    place.done("add", REPO)
    manifest = place.workspace / "models/tiny-llm.toml"
    patch = '\n[[patch]]\nfile = "tokenizer_config.json"\nset = { model_max_length = 128 }\nreason = "short"\n'
    manifest.write_text(manifest.read_text() + patch)
    ran = place.ran("lock", "--check", "--offline")
    assert ran.code == 3 and "patch" in ran.out
    place.done("lock", "tiny-llm")
    repo.commit({"README.md": b"# New\n"})
    ran = place.ran("lock", "--check")
    assert ran.code == 3
    assert "README.md" in ran.out and "tokenizer_config.json" not in ran.out
    manifest.write_text(manifest.read_text().replace("128", "64"))
    assert "patch" in place.ran("lock", "--check", "--offline").out


def test_a_commit_never_moves(hub: TestHub, place: HubPlace) -> None:
    repo = hub.add_repo(REPO, tiny_model())
    place.done("add", REPO, "--revision", repo.main)
    repo.commit({"README.md": b"# New\n"})
    place.done("lock", "--check")
    repo.commit({"model.safetensors": b"", "config.json": b"not JSON"})
    place.done("build", "tiny-llm")


# --- who may read, and secrets -----------------------------------------------------------------------------------

MESSAGES = [
    ("auto", None, "gated", "accept the terms there, then log in: hf auth login"),
    ("manual", "stranger", "gated", "accept the terms there, then ask again with the same account: hf auth whoami"),
    ("private", None, "no such model, or it is private", "if it is private, log in: hf auth login"),
    ("private", "stranger", "no such model, or it is private", "see which account asks: hf auth whoami"),
    ("absent", None, "no such model", "check the name at"),
    ("bad token", "hf_NobodysTokenAtAll000000000000", "does not accept the token", "correct HF_TOKEN"),
]


@pytest.mark.parametrize(("kind", "who", "message", "hint"), MESSAGES)
def test_who_may_not_read_is_told_what_to_do(
    tmp_path: Path, hub: TestHub, kind: str, who: str | None, message: str, hint: str
) -> None:
    if kind != "absent":
        gate = {"auto": "auto", "manual": "manual"}.get(kind, False)
        hub.add_repo(REPO, SHARDS, gated=gate, private=kind == "private")  # type: ignore[arg-type]
    token = hub.stranger_token if who == "stranger" else who
    place = hub_place(tmp_path / "user", hub, token=token)
    ran = place.ran("add", REPO)
    assert (ran.code, ran.out) == (4, "")
    assert message in ran.err and hint in ran.err
    assert f"{hub.endpoint}/{REPO}" in ran.err or kind == "bad token"
    as_json_ = place.ran("add", REPO, "--json")
    assert as_json_.code == 4
    assert set(as_json_.document["error"]) == {"type", "message", "hint"}
    assert list((place.workspace / "models").iterdir()) == []
    assert_silent(place, token, ran.out + ran.err + as_json_.out + as_json_.err)


def test_an_unknown_revision_names_those_that_are_there(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, SHARDS).tag("v1.0")
    ran = place.ran("add", REPO, "--revision", "v1.O")
    assert ran.code == 4
    assert "the model has no such revision" in ran.err and "v1.0" in ran.err


def test_whoever_may_read_builds_and_the_token_is_nowhere(tmp_path: Path, hub: TestHub) -> None:
    hub.add_repo(REPO, SHARDS, private=True, gated="manual")
    place = hub_place(tmp_path / "user", hub, token=hub.token)
    hub.fault("status", "model-00001-of-00003.safetensors", status=500)
    hub.fault("expired", "model-00002-of-00003.safetensors")
    said = [place.done("add", REPO), place.done("plan", "tiny-llm"), place.done("lock", "--check", "--json")]
    assert "gated (manual)" in said[1].out
    hub.fault("reset", "model-00003-of-00003.safetensors", at=-1)
    hub.fault("corrupt", "model-00003-of-00003.safetensors", at=-1, times=2)
    failed = place.ran("build", "tiny-llm", "--json")
    said += [failed, place.done("build", "tiny-llm", "--json"), place.done("verify", "tiny-llm")]
    assert failed.code == 5
    text = "".join(ran.out + ran.err for ran in said)
    assert_silent(place, hub.token, text)
    links = {request.query for request in hub.requests if request.origin == "cdn"}
    assert links and not [link for link in links if link in text]
    assert any(request.bearer == "hub" for request in hub.requests)


def test_access_that_is_lost_between_lock_and_build(tmp_path: Path, hub: TestHub) -> None:
    hub.add_repo(REPO, SHARDS)
    place = hub_place(tmp_path / "user", hub)
    place.done("add", REPO)
    hub.repo(REPO).gated = "auto"
    ran = place.ran("build", "tiny-llm")
    assert ran.code == 4
    assert "the model is gated" in ran.err and f"open {hub.endpoint}/{REPO}" in ran.err


def assert_silent(place: HubPlace, token: str | None, text: str) -> None:
    """The token is in no byte that was printed or written."""
    assert token is None or token not in text
    if token is not None:
        found = subprocess.run(["grep", "-raF", token, place.home], capture_output=True)
        assert found.returncode == 1, found.stdout
