"""The sample package as provenance and bill of materials see it."""

from __future__ import annotations

from tests import sample_package

from hf_pack.expressions.package_facts import Making, PackageFacts, PatchedFile
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import FileDigest, ModelSummary


def facts() -> PackageFacts:
    lock, plan = sample_package.lock(), sample_package.plan()
    store_path, nar_hash = plan.store_path(), plan.nar_hash()
    assert store_path is not None and nar_hash is not None
    return PackageFacts(
        pname="tiny-1.5",
        version="1.0.0+a1b2c3d",
        store_path=store_path,
        nar_hash=nar_hash,
        repo_id=str(lock.source.repo_id),
        snapshot_id=lock.source.snapshot_id,
        is_commit=True,
        licence=lock.licence,
        files={file.path: FileDigest(size=file.size, sha256=file.sha256) for file in lock.files},
        patches=tuple(
            PatchedFile(file=patch.file, reason=patch.reason, before=patch.before, after=patch.after)
            for patch in lock.patches
        ),
        model=ModelSummary(model_type="llama", architectures=("LlamaForCausalLM",), parameters=8195, dtype="bfloat16"),
        engine_parameters={"vllm": {"max_model_len": 4096}},
        making=Making(
            tool_version="0.1.0",
            lock_digest=Hash.sha256_of(b"lock"),
            layout="dual",
            storage="linked",
            layout_version=1,
            asked_revision="main",
            git_rev="a1b2c3d" + "0" * 33,
        ),
    )
