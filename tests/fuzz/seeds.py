"""Valid inputs of every target, from which bad ones are made."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

from tests.corpus import TREES
from tests.fuzz.targets import SOUND_MANIFEST
from tests.models import gguf, safetensors

from hf_pack.expressions import model_signature, oci_package
from hf_pack.formats import nar
from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.dsse import Bundle, Signer
from hf_pack.formats.hashes import Hash
from hf_pack.formats.listing import format_listing, listing_of
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.oci import documents, tar_layer
from hf_pack.formats.store_path import ContentAddress, flat_path, recursive_path
from hf_pack.model import lock_document
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import Lock, LockedFile, LockedSource, ModelSummary
from hf_pack.model.manifest import Layout, Selection, Storage
from hf_pack.model.published import Published, format_index
from hf_pack.model.published_model import PublishedModel
from hf_pack.model.record import PackageRecord

_EXAMPLES = Path(__file__).parents[2] / "examples"
_BLOB = Hash.sha256_of(b"weights")
_SMALL = (tree for tree in TREES.values() if nar.size(tree) < 4096)

_NARINFO = NarInfo(
    store_path=flat_path("model.safetensors", _BLOB),
    nar_hash=Hash.sha256_of(b"nar"),
    nar_size=120,
    content_address=ContentAddress("flat", _BLOB),
    url="nar/x.nar",
    file_hash=Hash.sha256_of(b"nar"),
    file_size=120,
    signatures=("key-1:" + "A" * 86 + "==",),
)
_PUBLISHED = Published(
    pname="tiny-llm",
    version="1.0.0+abc1234",
    build_version=1,
    store_path=recursive_path("tiny-llm-1.0.0+abc1234", _BLOB),
    nar_hash=_BLOB,
    nar_size=1000,
    closure_size=2000,
    layout=Layout.DUAL,
    storage=Storage.LINKED,
    quantization="none",
    licence="Apache-2.0",
    repo_id="acme/tiny-llm",
    snapshot_id="1" * 40,
    files=5,
    model=PublishedModel(summary=ModelSummary(dtype="bfloat16"), weight_size=7, config={"hidden_size": 8}),
    signatures=("key-1:" + "A" * 86 + "==",),
)
_RECORD = PackageRecord(
    store_path=_PUBLISHED.store_path,
    nar_hash=_BLOB,
    nar_size=1000,
    references=(_NARINFO.store_path,),
    plan_digest=_BLOB,
    lock_digest=_BLOB,
)
_LOCK = Lock(
    layout_version=1,
    source=LockedSource(
        repo_id=RepoId.parse("acme/tiny-llm"),
        snapshot_id="1" * 40,
        snapshot_kind=SnapshotKind.COMMIT,
        asked_revision="main",
    ),
    selection=Selection(exclude=("*.bin",)),
    files=(
        LockedFile(path="config.json", size=2, sha256=Hash.sha256_of(b"{}"), git_blob_id="1" * 40),
        LockedFile(path="model.safetensors", size=7, sha256=_BLOB),
    ),
    licence="Apache-2.0",
    model=ModelSummary(architectures=("LlamaForCausalLM",), bytes_by_dtype=(("BF16", 7),)),
)
_INDEX = {
    "metadata": {"total_size": 3},
    "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "x/y.safetensors"},
}
_STATEMENT = model_signature.statement(
    "tiny-llm-1.0.0+abc1234", {"config.json": Hash.sha256_of(b"{}"), "x/y": _BLOB}, _PUBLISHED.store_path
)

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "nar": tuple(b"".join(nar.dump(tree)) for tree in _SMALL),
    "narinfo": (_NARINFO.format().encode(),),
    "listing": tuple(format_listing(listing_of(tree)).encode() for tree in list(TREES.values())[:4]),
    "cache-info": (CacheInfo(want_mass_query=True, priority=40).format().encode(),),
    "lock": (lock_document.format(_LOCK),),
    "manifest": tuple(path.read_bytes() for path in sorted(_EXAMPLES.rglob("models/*.toml"))),
    "workspace": (b'caches = ["https://cache.example"]\ntargets = []\n[policy]\nallow_licences = ["apache-2.0"]\n',),
    "record": (_RECORD.format(),),
    "build-meta": (BuildMeta().format(),),
    "published": (_PUBLISHED.format(),),
    "published-index": (format_index([_PUBLISHED]),),
    "safetensors": (
        safetensors({"a": ("F32", (2, 3)), "b": ("BF16", (4,)), "c": ("I64", ())}) + b"\0\0",
        safetensors({}) + b"\0\0",
    ),
    "gguf": (gguf(), gguf()[:150]),
    "chat-template": (
        b"{%- for m in messages -%}{{ '<|' + m['role'] + '|>' }}{{ m.content | trim }}{%- endfor -%}",
        b"{% generation %}{% if tools is defined %}{{ tools | tojson(indent=2) }}{% endif %}{% endgeneration %}",
    ),
    "pickle": (
        pickle.dumps({"a": [1, 2.5, ("x", b"y"), {2}]}, 4),
        pickle.dumps([1, {"a": 2}], 0),
        b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}, {"w": 1}, ["0"])),
    ),
    "shard-index": (json.dumps(_INDEX).encode(),),
    "oci-manifest": (SOUND_MANIFEST,),
    "oci-index": (documents.Index(manifests=documents.parse_manifest(SOUND_MANIFEST).layers).format(),),
    "oci-package": (documents.parse_manifest(SOUND_MANIFEST).annotations[oci_package.FILES].encode(),),
    "tar-layer": (
        tar_layer.archive({"a": tar_layer.TarDirectory(), "a/b": b"text", "a/c": tar_layer.TarLink("b")}),
        tar_layer.archive({"x" * 90 + "/" + "y" * 200: b"long"}),
    ),
    "challenge": (b'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull"',),
    "reference": (b"oci://localhost:5000/team/m:1.0@sha256:" + b"0a" * 32, b"oci://[::1]:5000/a/b"),
    "bundle": (
        Bundle(payload=b"{}", signature=b"s", signer=Signer.KEY, key_hint="ab").format(),
        Bundle(payload=b"{}", signature=b"s", signer=Signer.CERTIFICATE, certificates=(b"a", b"b")).format(),
    ),
    "statement": (_STATEMENT,),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n",),
}
