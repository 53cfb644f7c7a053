from __future__ import annotations

from collections.abc import Mapping

from tests.models import COMMIT, as_json

from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import Lock, LockedFile, LockedSource
from hf_pack.model.manifest import Selection
from hf_pack.steps.inspecting.remote_code import code_changes, needed_code


def needed(files: Mapping[str, bytes]) -> tuple[str, ...]:
    return needed_code(files.keys(), files.__getitem__)


def auto_map(**classes: str | list[str | None]) -> bytes:
    return as_json({"auto_map": classes})


def test_what_each_configuration_names() -> None:
    files = {
        "config.json": auto_map(AutoConfig="configuration_x.X", AutoModel="modeling_x.X"),
        "tokenizer_config.json": auto_map(AutoTokenizer=["tokenization_x.T", None]),
        "processor_config.json": auto_map(AutoProcessor="processing_x.P"),
        "preprocessor_config.json": auto_map(AutoImageProcessor="image_x.I"),
        "configuration_x.py": b"",
        "modeling_x.py": b"",
        "tokenization_x.py": b"",
        "processing_x.py": b"",
        "image_x.py": b"",
        "train.py": b"",
    }
    assert needed(files) == (
        "configuration_x.py",
        "image_x.py",
        "modeling_x.py",
        "processing_x.py",
        "tokenization_x.py",
    )


def test_relative_imports_are_followed_and_others_are_not() -> None:
    files = {
        "config.json": auto_map(AutoModel="modeling_x.X"),
        "modeling_x.py": b"import torch\nfrom .layers import Layer\nfrom . import rope, absent\nfrom train import x\n"
        b"def f():\n    from .pkg.deep import y\n",
        "layers.py": b"from .modeling_x import X\n",
        "rope.py": b"",
        "pkg/deep.py": b"from ..util import z\nfrom . import sibling\n",
        "pkg/sibling.py": b"",
        "util.py": b"",
        "train.py": b"",
    }
    assert needed(files) == (
        "layers.py",
        "modeling_x.py",
        "pkg/deep.py",
        "pkg/sibling.py",
        "rope.py",
        "util.py",
    )


def test_code_of_another_repository_and_missing_code_are_not_named() -> None:
    files = {"config.json": auto_map(AutoModel="acme/code--modeling_x.X", AutoConfig="gone.X"), "modeling_x.py": b""}
    assert needed(files) == ()


def test_modules_of_sentence_transformers() -> None:
    modules = [{"type": "sentence_transformers.models.Pooling"}, {"type": "custom_st.Transformer"}, {"type": 1}, 2]
    files = {"modules.json": as_json(modules), "custom_st.py": b""}
    assert needed(files) == ("custom_st.py",)


def test_broken_files_name_nothing() -> None:
    files = {
        "config.json": auto_map(AutoModel="a.X"),
        "tokenizer_config.json": b"{",
        "modules.json": b"{}",
        "a.py": b"def (",
    }
    assert needed(files) == ("a.py",)


def test_changes_between_two_locks() -> None:
    def lock(**code: bytes) -> Lock:
        return Lock(
            layout_version=1,
            source=LockedSource(repo_id=RepoId("a", "b"), snapshot_id=COMMIT, snapshot_kind=SnapshotKind.COMMIT),
            selection=Selection(),
            files=tuple(
                LockedFile(path=f"{name}.py", size=len(data), sha256=Hash.sha256_of(data))
                for name, data in sorted(code.items())
            ),
        )

    changes = code_changes(lock(a=b"1", b=b"1", c=b"1"), lock(a=b"1", b=b"2", d=b"1"))
    assert [str(change) for change in changes] == [
        f"remote code changed: b.py, sha256 {Hash.sha256_of(b'1').hex()} -> {Hash.sha256_of(b'2').hex()}",
        "remote code gone: c.py",
        "remote code new: d.py",
    ]
    assert code_changes(lock(a=b"1"), lock(a=b"1")) == ()
