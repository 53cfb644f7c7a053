from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import COMMIT, FINGERPRINT, OTHER_COMMIT, REPO_ID, as_json, tiny_model, write_flat, write_hf_cache

from hf_pack.errors import IntegrityError, ManifestError, SourceError
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import SnapshotKind
from hf_pack.model.lock import BLOB_THRESHOLD

MANIFEST = """\
pname = "m"
base_version = "1.0.0"
layout = "hf"

[source]
path = "{path}"
{more}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    write_flat(tmp_path / "acme--tiny-llm", tiny_model())
    bench.add(tmp_path / "acme--tiny-llm")
    return bench


def write_manifest(bench: Bench, path: Path, more: str = "") -> None:
    bench.manifest("m").write_text(MANIFEST.format(path=path, more=more))
    meta = bench.workspace.read("build-meta/tiny-llm.json")
    assert meta is not None
    bench.workspace.write("build-meta/m.json", meta)


def patch(file: str, change: str, reason: str = "a reason") -> str:
    return f'\n[[patch]]\nfile = "{file}"\n{change}\nreason = "{reason}"\n'


def test_locking_again_changes_no_byte(bench: Bench) -> None:
    before = bench.files()
    bench.lock("tiny-llm")
    assert bench.files() == before


def test_a_lock_says_nothing_of_the_place(bench: Bench, tmp_path: Path) -> None:
    other = new_bench(tmp_path / "other")
    write_flat(tmp_path / "other" / "deep" / "acme--tiny-llm", tiny_model())
    other.add(tmp_path / "other" / "deep" / "acme--tiny-llm")
    assert other.files()["models/tiny-llm.lock"] == bench.files()["models/tiny-llm.lock"]
    assert str(tmp_path) not in bench.files()["models/tiny-llm.lock"].decode()


def test_small_files_lie_beside_the_lock_and_weights_do_not(bench: Bench) -> None:
    kept = {path.removeprefix("models/tiny-llm.files/") for path in bench.files() if ".files/" in path}
    locked = bench.load("tiny-llm").lock
    assert kept == {file.path for file in locked.files} - {"model.safetensors"}
    for file in locked.files:
        assert file.sha256 == Hash.sha256_of(tiny_model()[file.path])


def test_a_patch_is_applied_and_recorded(bench: Bench) -> None:
    bench.append("tiny-llm", patch("tokenizer_config.json", "set = { model_max_length = 128 }", "trained on 128"))
    lock = bench.lock("tiny-llm").lock
    before = tiny_model()["tokenizer_config.json"]
    after = bench.files()["models/tiny-llm.files/tokenizer_config.json"]
    assert json.loads(after) == {**json.loads(before), "model_max_length": 128}
    (applied,) = lock.patches
    assert (applied.file, applied.reason) == ("tokenizer_config.json", "trained on 128")
    assert (applied.before.sha256, applied.after.sha256) == (Hash.sha256_of(before), Hash.sha256_of(after))
    file = next(file for file in lock.files if file.path == "tokenizer_config.json")
    assert file.sha256 == Hash.sha256_of(after)
    assert file.original == applied.before
    assert bench.load("tiny-llm").lock == lock


def test_patches_of_one_file_are_chained(bench: Bench) -> None:
    bench.append("tiny-llm", patch("config.json", "set = { a = 1 }"))
    bench.append("tiny-llm", patch("config.json", 'when = { a = 1 }\nset = { b = 2 }\ndelete = ["a"]'))
    first, second = bench.lock("tiny-llm").lock.patches
    assert first.before.sha256 == Hash.sha256_of(tiny_model()["config.json"])
    assert first.after == second.before
    config = json.loads(bench.files()["models/tiny-llm.files/config.json"])
    assert config["b"] == 2 and "a" not in config


def test_a_patch_leaves_the_snapshot_id_and_the_weights(bench: Bench) -> None:
    before = bench.load("tiny-llm").lock
    bench.append("tiny-llm", patch("config.json", "set = { a = 1 }"))
    after = bench.lock("tiny-llm").lock
    assert after.source == before.source
    assert after.blobs == before.blobs


def test_a_large_patched_file_lies_beside_the_lock_and_is_a_blob(bench: Bench) -> None:
    vocabulary = {f"token {n}": n for n in range(60_000)}
    large = as_json({"version": "1.0", "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "token 0"}})
    assert len(large) > BLOB_THRESHOLD
    write_flat(bench.home / "acme--tiny-llm", {"tokenizer.json": large})
    bench.append("tiny-llm", patch("tokenizer.json", 'set = { version = "2.0" }'))
    locked = bench.lock("tiny-llm")
    file = next(file for file in locked.lock.files if file.path == "tokenizer.json")
    assert file.is_blob and file.kept_beside_lock
    assert bench.files()["models/tiny-llm.files/tokenizer.json"] == large.replace(b'"1.0"', b'"2.0"')
    assert locked.bytes_read >= len(large)


def test_a_replacement_takes_the_place_of_the_whole_file(bench: Bench) -> None:
    bench.workspace.write("models/template.jinja", b"{{ other }}")
    write_flat(bench.home / "acme--tiny-llm", {"chat_template.jinja": b"{{ messages }}"})
    bench.append("tiny-llm", patch("chat_template.jinja", 'replace = "template.jinja"'))
    (applied,) = bench.lock("tiny-llm").lock.patches
    assert applied.replacement == applied.after
    assert bench.files()["models/tiny-llm.files/chat_template.jinja"] == b"{{ other }}"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("tokenizer_config.json", 'when = { tokenizer_class = "Other" }\nset = { x = 1 }', "does not match"),
        ("config.json", 'set = { model_type = "llama" }', "changes nothing"),
        ("config.json", 'delete = ["nothing"]', "found no such key"),
        ("nowhere.json", "set = { x = 1 }", "names a file that is not packaged"),
        ("README.md", 'replace = "gone.md"', "replacement is not there"),
    ],
)
def test_a_patch_that_does_not_fit_writes_nothing(bench: Bench, file: str, change: str, message: str) -> None:
    bench.append("tiny-llm", patch(file, change))
    before = bench.files()
    with pytest.raises(ManifestError, match=message) as caught:
        bench.lock("tiny-llm")
    assert "models/tiny-llm.toml: patch[0]" in caught.value.message
    assert bench.files() == before


def test_a_commit_stays_a_commit_and_any_other_id_is_a_fingerprint(bench: Bench) -> None:
    directory = bench.home / "acme--tiny-llm"
    for snapshot_id, kind in ((COMMIT, SnapshotKind.COMMIT), (FINGERPRINT, SnapshotKind.FINGERPRINT)):
        write_manifest(bench, directory, f'slug = "acme--tiny"\nsnapshot_id = "{snapshot_id}"')
        source = bench.lock("m").lock.source
        assert (source.snapshot_id, source.snapshot_kind) == (snapshot_id, kind)
        assert source.asked_revision == snapshot_id


def test_a_cache_says_itself_what_it_is(bench: Bench) -> None:
    write_manifest(bench, write_hf_cache(bench.home / "hub", REPO_ID, COMMIT, tiny_model()))
    source = bench.lock("m").lock.source
    assert (str(source.repo_id), source.snapshot_id, source.snapshot_kind) == (REPO_ID, COMMIT, SnapshotKind.COMMIT)
    assert (source.asked_repo_id, source.asked_revision) == (None, None)


def test_a_fingerprint_in_a_cache_stays_a_fingerprint(bench: Bench) -> None:
    write_manifest(bench, write_hf_cache(bench.home / "hub", REPO_ID, FINGERPRINT, tiny_model()))
    source = bench.lock("m").lock.source
    assert (source.snapshot_id, source.snapshot_kind) == (FINGERPRINT, SnapshotKind.FINGERPRINT)


def test_a_snapshot_is_chosen_among_several(bench: Bench) -> None:
    write_hf_cache(bench.home / "hub", REPO_ID, COMMIT, tiny_model(seed=1))
    cache = write_hf_cache(bench.home / "hub", REPO_ID, OTHER_COMMIT, tiny_model(seed=2))
    for commit, seed in ((COMMIT, 1), (OTHER_COMMIT, 2)):
        write_manifest(bench, cache, f'slug = "acme--tiny-llm"\nsnapshot_id = "{commit}"')
        (blob,) = bench.lock("m").lock.blobs
        assert blob.sha256 == Hash.sha256_of(tiny_model(seed=seed)["model.safetensors"])


def test_a_directory_without_a_name_has_to_be_named(bench: Bench) -> None:
    write_manifest(bench, write_flat(bench.home / "plain", tiny_model()))
    with pytest.raises(SourceError, match="does not say which repository it is"):
        bench.lock("m")
    assert "models/m.lock" not in bench.files()


def test_content_ids_follow_the_files(bench: Bench) -> None:
    first = bench.load("tiny-llm").lock.source.snapshot_id
    write_flat(bench.home / "acme--tiny-llm", {"README.md": b"# Other\n"})
    second = bench.lock("tiny-llm").lock.source.snapshot_id
    assert first != second
    assert len(second) == 40


def test_bytes_against_the_sources_own_checksums_write_nothing(bench: Bench) -> None:
    cache = write_hf_cache(bench.home / "hub", REPO_ID, COMMIT, tiny_model())
    write_manifest(bench, cache)
    bench.lock("m")
    before = bench.files()
    blob = (cache / "snapshots" / COMMIT / "model.safetensors").resolve()
    contents = blob.read_bytes()
    blob.write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))
    with pytest.raises(IntegrityError) as caught:
        bench.lock("m")
    assert "model.safetensors: expected sha256 " in caught.value.message
    assert bench.files() == before


def test_a_file_that_went_away_leaves_the_kept_files(bench: Bench) -> None:
    (bench.home / "acme--tiny-llm" / "LICENSE").unlink()
    bench.lock("tiny-llm")
    assert "models/tiny-llm.files/LICENSE" not in bench.files()
