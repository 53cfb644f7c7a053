"""``--json``: one document on stdout, with the keys of DESIGN.md, section 6, and nothing else on stdout."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Damage, Place
from tests.models import COMMIT

SHA256 = "25651c55edd557a42e86d13f22c6902fd658b991655c8a67d37a2f47dd554f1e"
BLOB = "/nix/store/qpyhlc272ji48y1rikjyjy83jimn9s2x-model.safetensors"


def test_plan(place: Place) -> None:
    place.add()
    document = place.done("plan", "tiny-llm", "--json").document
    assert document.keys() >= {"name", "store_path", "nar_size", "closure_size", "entries", "blobs"}
    assert document["name"] == "tiny-llm-1.0.0+0000000"
    assert document["blobs"] == [{"store_path": BLOB, "sha256": SHA256, "size": 1304, "present": True}]
    assert {tuple(sorted(entry)) for entry in document["entries"]} == {("kind", "path", "size", "target")}
    by_path = {entry["path"]: entry for entry in document["entries"]}
    snapshot = f"share/models/hub/models--acme--tiny-llm/snapshots/{COMMIT}"
    assert by_path[f"{snapshot}/config.json"] == {
        "path": f"{snapshot}/config.json",
        "kind": "file",
        "size": 260,
        "target": None,
    }
    weights = by_path[f"{snapshot}/model.safetensors"]
    assert (weights["kind"], weights["size"]) == ("symlink", 1304)
    assert weights["target"] == "../../../../../../../" + BLOB.removeprefix("/nix/store/")
    assert by_path["share/models/tiny_llm/weights"]["size"] is None
    built = place.done("build", "--json").document[0]
    assert (built["store_path"], built["nar_size"]) == (document["store_path"], document["nar_size"])
    assert place.done("plan", "tiny-llm", "--json").document["disk_needed"] == 0


def test_the_store_path_of_a_self_contained_plan_is_null_until_it_is_built(place: Place) -> None:
    place.done("add", place.cache, "--storage", "self-contained")
    document = place.done("plan", "tiny-llm", "--json").document
    assert document["store_path"] is None
    assert document["closure_size"] == document["nar_size"]
    built = place.done("build", "--json").document[0]
    assert place.done("plan", "tiny-llm", "--json").document["store_path"] == built["store_path"]
    assert built["references"] == []


def test_build(place: Place) -> None:
    place.add()
    (document,) = place.done("build", "--json").document
    assert set(document) == {
        *("name", "store_path", "real_path", "nar_hash", "nar_size", "references"),
        *("bytes_read", "bytes_written", "seconds", "warnings"),
    }
    assert document["name"] == "tiny-llm"
    assert document["references"] == [BLOB]
    assert document["real_path"] == f"HOME/store{document['store_path']}"
    assert document["nar_hash"].startswith("sha256-")
    assert document["bytes_read"] == 0
    (again,) = place.done("build", "--json").document
    assert (again["bytes_read"], again["bytes_written"]) == (0, 0)


def test_verify(place: Place, damage: Damage) -> None:
    path = place.build()
    assert place.done("verify", "tiny-llm", "--json").document == {
        "ok": True,
        "checked": 2,
        "read": 2,
        "skipped": 0,
        "oldest_proof": 0,
        "bad": [],
        "repaired": [],
    }
    inside = "share/models/tiny_llm/config.pbtxt"
    damage(place.real(f"{path}/{inside}"))
    ran = place.run("verify", "tiny-llm", "--json")
    assert ran.code == 5
    assert (ran.document["ok"], ran.document["checked"]) == (False, 2)
    (bad,) = ran.document["bad"]
    assert set(bad) == {"store_path", "path", "problem"}
    assert (bad["store_path"], bad["path"]) == (path, inside)
    repaired = place.done("verify", "tiny-llm", "--repair", "--json").document
    assert (repaired["ok"], repaired["bad"], repaired["repaired"]) == (True, [], [bad])


def test_add(place: Place) -> None:
    document = place.done("add", place.cache, "--json").document
    assert document.keys() >= {"name", "manifest", "lock", "layout", "repo_id", "snapshot_id", "licence", "size"}
    assert document["omitted"] == [{"path": ".gitattributes", "reason": "hidden file"}]
    assert (document["snapshot_id"], document["snapshot_kind"]) == (COMMIT, "commit")


def test_lock(place: Place) -> None:
    place.add()
    (document,) = place.done("lock", "--json").document
    assert (document["name"], document["files"], document["size"]) == ("tiny-llm", 7, 2557)
    assert place.done("lock", "--check", "--json").document == [{"name": "tiny-llm", "stale": False, "reasons": []}]


def test_path_and_show(place: Place) -> None:
    path = place.build()
    assert place.done("path", "tiny-llm", "--json").document == {"store_path": path, "real_path": f"HOME/store{path}"}
    shown = place.done("show", "tiny-llm", "--json").document
    assert shown["store_path"] == path
    assert shown["model"]["parameters"] == 456
    assert shown["files"][4] == {"path": "model.safetensors", "size": 1304, "sha256": SHA256}
    stored = place.done("show", path, "--json").document
    assert (stored["store_path"], stored["files"]) == (path, shown["files"])


def test_list_and_roots_and_gc(place: Place) -> None:
    assert place.done("list", "--json").document == []
    path = place.build()
    (row,) = place.done("list", "--json").document
    assert (row["name"], row["store_path"], row["in_store"]) == ("tiny-llm", path, True)
    roots = place.done("roots", "--json").document
    assert [(root["store_path"], root["owner"]) for root in roots] == [
        (path, "HOME/workspace/result-tiny-llm"),
        (BLOB, "HOME/workspace/models/tiny-llm.lock"),
    ]
    assert place.done("gc", "--json").document == {"deleted": [], "freed": 0, "kept": 2}


def test_diff(place: Place) -> None:
    place.add()
    empty: dict[str, list[object]] = {"files": [], "keys": [], "tensors": [], "notes": []}
    assert place.done("diff", "tiny-llm", "tiny-llm", "--json").document == empty
    place.done("add", place.cache, "--name", "other")
    manifest = place.workspace / "models" / "other.toml"
    manifest.write_text(manifest.read_text() + '\n[[patch]]\nfile = "config.json"\nset = { a = [1] }\nreason = "r"\n')
    place.done("lock", "other")
    document = place.done("diff", "tiny-llm", "other", "--json").document
    assert document["keys"] == [{"path": "config.json", "key": "a", "change": "added", "before": None, "after": [1]}]
    (file,) = document["files"]
    assert (file["path"], file["change"], file["before"]["size"]) == ("config.json", "changed", 260)


def test_init_and_bump_and_completion(bare: Place) -> None:
    assert bare.done("init", "--json").document == {"workspace": "HOME/workspace"}
    bare.add()
    bumped = bare.done("bump", "tiny-llm", "-m", "ü", "--json").document
    assert (bumped["version"], bumped["build_meta"]["changelog"]) == ("1.0.1+0000000", "ü")
    assert bare.done("completion", "bash", "--json").document["shell"] == "bash"


def error_of(place: Place, code: int, *arguments: str) -> dict[str, str]:
    ran = place.run(*arguments, "--json")
    assert (ran.code, ran.err) == (code, "")
    assert set(ran.document) == {"error"}
    error: dict[str, str] = ran.document["error"]
    assert set(error) == {"type", "message", "hint"}
    return error


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "words"),
    [
        (("build", "--bogus"), 2, "UsageError", "unrecognized arguments: --bogus"),
        (("plan",), 2, "UsageError", "the following arguments are required: NAME"),
        (("nonsense",), 2, "UsageError", "there is no command 'nonsense'"),
        (("add", "x", "--layout", "flat"), 2, "UsageError", "invalid choice: 'flat'"),
        (("plan", "tiny-lm"), 2, "UsageError", "no package is called 'tiny-lm'"),
        (("add", "./gone"), 2, "SourceError", "gone"),
        (("path", "tiny-llm"), 3, "LockError", "was never built here"),
        (("path", "/nix/store/" + "0" * 32 + "-x"), 6, "StoreError", "is not in the store"),
        (("show", "x@1"), 2, "UsageError", "x@1 is not in the store"),
        (("build", "--store", "s3://bucket"), 2, "UsageError", "no such kind of store: 's3://bucket'"),
        (("list", "--store", "local?root="), 2, "UsageError", "no such kind of store"),
        (("list", "-C", "gone"), 2, "UsageError", "-C gone: No such file or directory"),
    ],
)
def test_errors_are_documents(place: Place, arguments: tuple[str, ...], code: int, kind: str, words: str) -> None:
    place.add()
    error = error_of(place, code, *arguments)
    assert error["type"] == kind
    assert words in error["message"]
    assert error["hint"] or kind == "SourceError"
