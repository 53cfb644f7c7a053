from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hf_pack.formats.hashes import Hash
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import recursive_path
from hf_pack.model import published
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.published import Published, PublishedError
from hf_pack.model.published_model import PublishedModel

MODEL = PublishedModel(
    summary=ModelSummary(architectures=("A",), parameters=7, weight_parts=(("sharded BF16", 14),)),
    weight_size=15,
    config={"hidden_size": 8, "rope_scaling": None},
    engine_parameters={"vllm": {"max_model_len": 8192, "gpu_memory_utilization": 0.85}},
)
MODEL_TEXT = (
    '{"config":{"hidden_size":8,"rope_scaling":null},'
    '"engine_parameters":{"vllm":{"gpu_memory_utilization":0.85,"max_model_len":8192}},"summary":{'
    '"architectures":["A"],"bytes_by_dtype":[],"context_length":null,"dtype":null,"model_type":null,"notes":[],'
    '"parameters":7,"quantization_activations":null,"quantization_bits":null,"quantization_broken":false,'
    '"quantization_group_size":null,"quantization_method":"none","quantization_scheme":"none",'
    '"weight_parts":[["sharded BF16",14]]},"weight_size":15}'
)
NAR_HASH = Hash.sha256_of(b"the tree")


def entry(version: str = "1.0.0+ca88e16", *, pname: str = "vllm-qwen3.5-2b", build: int = 1) -> Published:
    return Published(
        pname=pname,
        version=version,
        build_version=build,
        store_path=recursive_path(f"{pname}-{version}", NAR_HASH),
        nar_hash=NAR_HASH,
        nar_size=1000,
        closure_size=5000,
        layout=Layout.DUAL,
        storage=Storage.LINKED,
        quantization="none",
        licence="apache-2.0",
        repo_id="Qwen/Qwen3.5-2B",
        snapshot_id="15852e8c16360a2fea060d615a32b45270f8a8fc",
        files=7,
        model=MODEL,
    )


def test_an_entry_is_read_back() -> None:
    for value in (entry(), replace(entry(), licence=None), entry().with_signatures(["b:Yg==", "a:YQ==", "b:Yg=="])):
        assert published.parse(value.format()) == value
    assert entry().with_signatures(["b:Yg==", "a:YQ=="]).signatures == ("a:YQ==", "b:Yg==")


def test_an_index_is_sorted_newest_build_first_and_holds_each_entry_once() -> None:
    old, new, other = entry(), entry("1.0.1+ca88e16", build=2), entry(pname="a")
    index = published.format_index([old, other, new, old])
    assert published.parse_index(index) == (other, new, old)
    assert published.format_index([new, old, other]) == index
    assert published.parse_index(published.format_index([])) == ()


def test_keys() -> None:
    value = entry()
    assert value.key == f"hf-pack/vllm-qwen3.5-2b/1.0.0+ca88e16/{value.store_path.digest}.json"
    assert published.is_entry_key(value.key) and published.pname_of(value.key) == value.pname
    assert not published.is_entry_key(published.index_key()) and not published.is_entry_key(published.index_key("a"))


def test_what_a_signature_covers() -> None:
    """The fingerprint, byte for byte: others verify it too."""
    value = entry()
    assert value.fingerprint() == (
        'hf-pack-entry;1;{"build_version":1,"closure_size":5000,"entry_version":1,"files":7,"layout":"dual",'
        f'"licence":"apache-2.0","model":{MODEL_TEXT},"nar_hash":"{NAR_HASH.sri()}","nar_size":1000,"pname":"vllm-qwen3.5-2b",'
        '"quantization":"none","repo_id":"Qwen/Qwen3.5-2B","snapshot_id":"15852e8c16360a2fea060d615a32b45270f8a8fc",'
        f'"storage":"linked","store_path":"{value.store_path}","version":"1.0.0+ca88e16"}}'
    )
    key = SecretKey.generate(bytes(32), "cache-1")
    signed = value.with_signatures([key.sign(value.fingerprint())])
    assert signed.fingerprint() == value.fingerprint()
    forged = replace(signed, nar_size=1001)
    assert key.public_key().verify(signed.fingerprint(), signed.signatures[0])
    assert not key.public_key().verify(forged.fingerprint(), forged.signatures[0])


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("nar_hash", "sha256-x", "nar_hash"),
        ("store_path", "/etc/passwd", "store_path: not a path in /nix/store"),
        ("version", "2.0.0", "store_path: another name: expected vllm-qwen3.5-2b-2.0.0"),
        ("version", "..", "version: not a part of a store name"),
        ("pname", "a/../b", "pname: not a part of a store name"),
        ("layout", "other", "layout: unknown value"),
        ("entry_version", 2, "entry_version: unknown version: expected 1, found 2"),
        ("files", -1, "files: out of range"),
        ("surprise", 1, "surprise: unknown key"),
        ("signatures", [1], "signatures"),
    ],
)
def test_what_is_wrong_is_named(key: str, value: object, problem: str) -> None:
    document = {**json.loads(entry().format()), key: value}
    with pytest.raises(PublishedError, match=problem):
        published.parse(json.dumps(document).encode())
    index = {"index_version": 1, "entries": [json.loads(entry().format()), document]}
    if key == "entry_version":
        assert published.parse_index(json.dumps(index).encode()) == (entry(),)
    else:
        with pytest.raises(PublishedError, match=r"entries\[1\]"):
            published.parse_index(json.dumps(index).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b'{"index_version": 2, "entries": []}', b'{"index_version": 1, "a": 1'])
def test_what_is_no_index(text: bytes) -> None:
    with pytest.raises(PublishedError):
        published.parse_index(text)
