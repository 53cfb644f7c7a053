from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.models import (
    COMMIT,
    REPO_ID,
    TENSORS,
    as_json,
    gguf,
    lfs_pointer,
    safetensors,
    shard_index,
    tiny_model,
    write_flat,
    write_git_clone,
    write_hf_cache,
)
from tests.sources import MemorySource

from hf_pack.adapters.local.source import open_source
from hf_pack.adapters.pickle_scanner import FicklingScanner
from hf_pack.errors import Error, PolicyError, SourceError
from hf_pack.formats.hashes import Hash
from hf_pack.model.gates import Gate, Refused
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import Allow, Selection
from hf_pack.steps.inspecting.gates import Guard
from hf_pack.steps.inspecting.inspect_source import Inspection, inspect

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
FETCH = "copy the model again from where it came from"
ALLOW = "if you trust it: --allow-pickle of hf-pack add, or in the manifest: [source] allow_pickle = true"
NOTHING = Allow()


class Shell:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


SHELL = pickle.dumps(Shell())


def inspected(files: Mapping[str, bytes], selection: Selection | None = None, allow: Allow = NOTHING) -> Inspection:
    selection = selection or Selection()
    gates = Guard(scanner=FicklingScanner()).gates(selection, allow)
    return inspect(MemorySource(files), selection, gates=gates)


def refusal(
    files: Mapping[str, bytes], selection: Selection | None = None, allow: Allow = NOTHING
) -> tuple[list[str], str]:
    """The problem lines and the hint."""
    with pytest.raises(SourceError) as caught:
        inspected(files, selection, allow)
    first, *lines = caught.value.message.splitlines()
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    assert first == f"the model in /model cannot be packaged: {count}"
    return lines, caught.value.hint


def denial(
    files: Mapping[str, bytes], selection: Selection | None = None, allow: Allow = NOTHING
) -> tuple[list[str], str]:
    """The lines of what the gates refuse, and the hint."""
    with pytest.raises(PolicyError) as caught:
        inspected(files, selection, allow)
    first, *lines = caught.value.message.splitlines()
    assert first == f"/model: refused for {len(lines)} finding{'s' if len(lines) > 1 else ''}"
    return lines, caught.value.hint


def without(files: Mapping[str, bytes], *paths: str) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path not in paths}


@pytest.mark.parametrize("shards", [1, 2])
def test_a_good_model(shards: int) -> None:
    found = inspected(tiny_model(shards=shards))
    assert found.model == ModelSummary(
        architectures=("LlamaForCausalLM",),
        model_type="llama",
        dtype="bfloat16",
        context_length=64,
        parameters=32 * 8 + 8 * 8 + 8 * 16 + 8,
        bytes_by_dtype=(("BF16", 2 * (32 * 8 + 8 * 8 + 8 * 16 + 8)),),
        quantization_method="none",
        weight_parts=(("embedding BF16", 2 * 32 * 8), ("replicated BF16", 2 * 8), ("sharded BF16", 2 * (64 + 128))),
    )
    assert found.licence == "Apache-2.0"
    assert [file.path for file in found.files] == sorted(without(tiny_model(shards=shards), ".gitattributes"))
    assert [file.path for file in found.omitted] == [".gitattributes"]
    assert (found.notes, found.provenance, dict(found.claimed)) == ((), (), {})


def test_weights_are_not_read_beyond_their_headers() -> None:
    big = safetensors({"w": ("F32", (1 << 20,))})
    source = MemorySource(tiny_model(extra={"model.safetensors": big}))
    inspect(source, Selection())
    assert source.bytes_read["model.safetensors"] < 100_000 < len(big)


def test_a_long_header_is_read_whole() -> None:
    many = safetensors({f"layer.{number}.weight": ("F32", (1,)) for number in range(2000)})
    assert inspected(tiny_model(extra={"model.safetensors": many})).model.parameters == 2000


class TestSafetensors:
    def test_truncated(self) -> None:
        data = tiny_model()["model.safetensors"]
        lines, hint = refusal(tiny_model(extra={"model.safetensors": data[:-10]}))
        assert lines == ["  model.safetensors: data: the file is truncated, expected 912 bytes of data, found 902"]
        assert hint == FETCH

    def test_trailing_bytes(self) -> None:
        data = tiny_model()["model.safetensors"]
        lines, _ = refusal(tiny_model(extra={"model.safetensors": data + b"x"}))
        assert lines == ["  model.safetensors: data: expected 912 bytes of data, found 913 (trailing bytes)"]

    def test_truncated_in_the_header(self) -> None:
        data = tiny_model()["model.safetensors"]
        lines, _ = refusal(tiny_model(extra={"model.safetensors": data[:100]}))
        assert len(lines) == 1
        assert "header: the file is truncated, expected" in lines[0]

    def test_no_header(self) -> None:
        lines, _ = refusal(tiny_model(extra={"model.safetensors": b"<html>not found</html>"}))
        assert lines[0].endswith("(no safetensors file)")

    def test_empty(self) -> None:
        assert refusal(tiny_model(extra={"model.safetensors": b""}))[0] == [
            "  model.safetensors: expected weights, found an empty file"
        ]


class TestPointers:
    def test_each_is_named(self) -> None:
        files = tiny_model(shards=2)
        pointers = {path: lfs_pointer(files[path]) for path in (FIRST, SECOND, "tokenizer.json")}
        lines, hint = refusal({**files, **pointers})
        assert lines == [
            f"  {path}: expected {len(files[path])} bytes of content, found the git-lfs pointer to them"
            for path in sorted(pointers)
        ]
        assert hint == f"git lfs pull in the clone that this was copied from, or: {FETCH}"

    def test_in_a_clone(self, tmp_path: Path) -> None:
        clone = write_git_clone(tmp_path, tiny_model(), COMMIT, pointers=True)
        with pytest.raises(SourceError) as caught:
            inspect(open_source(clone), Selection())
        assert caught.value.hint == f"git -C {tmp_path} lfs pull"

    def test_one_that_is_not_packaged_does_not_matter(self) -> None:
        inspected(tiny_model(extra={"picture.png": lfs_pointer(b"x")}))


class TestShards:
    def test_missing(self) -> None:
        lines, hint = refusal(without(tiny_model(shards=2), SECOND))
        assert lines == [f"  {SECOND}: expected a file ({INDEX} lists it), found none"]
        assert hint == FETCH

    def test_the_hint_fetches_from_the_hub(self, tmp_path: Path) -> None:
        repo = write_hf_cache(tmp_path, REPO_ID, COMMIT, without(tiny_model(shards=2), SECOND))
        with pytest.raises(SourceError) as caught:
            inspect(open_source(repo), Selection())
        assert caught.value.hint == f"hf download {REPO_ID} --revision {COMMIT}"

    def test_excluded(self) -> None:
        lines, hint = refusal(tiny_model(shards=2), Selection(exclude=(SECOND,)))
        assert lines == [f"  {SECOND}: expected among the packaged files ({INDEX} lists it), found it left out"]
        assert hint == "take it with include, or drop the exclude, under [source] in the manifest"

    def test_unlisted(self) -> None:
        extra = "model-00003-of-00003.safetensors"
        files = tiny_model(shards=2, extra={extra: safetensors({"x": ("F32", (1,))})})
        lines, hint = refusal(files)
        assert lines == [f"  {extra}: expected a shard that {INDEX} lists, found one that it does not"]
        assert hint == f'leave it out under [source] in the manifest: exclude = ["{extra}"]'

    def test_unlisted_whole_model_beside_its_shards(self) -> None:
        files = tiny_model(shards=2, extra={"model.safetensors": tiny_model()["model.safetensors"]})
        assert len(refusal(files)[0]) == 1

    def test_weights_of_another_name_are_taken_and_noted(self) -> None:
        found = inspected(tiny_model(shards=2, extra={"mtp.safetensors": safetensors({"m": ("F32", (1,))})}))
        assert found.notes == (f"mtp.safetensors is packaged, but {INDEX} does not list it",)

    def test_a_tensor_in_the_wrong_shard(self) -> None:
        files = tiny_model(shards=2)
        held = {tensor: (FIRST if number % 2 == 0 else SECOND) for number, (tensor, _) in enumerate(TENSORS)}
        moved = "model.norm.weight"
        lines, _ = refusal({**files, INDEX: shard_index({**held, moved: FIRST})})
        assert lines == [
            f"  {FIRST}: expected tensor {moved} ({INDEX} puts them there), found other tensors",
            f"  {SECOND}: expected no tensor {moved} ({INDEX} puts them in another shard)",
        ]

    def test_no_index(self) -> None:
        lines, _ = refusal(without(tiny_model(shards=2), INDEX))
        assert lines == [f"  {INDEX}: expected a file (the index of its shards), found none"]

    def test_a_gap_without_an_index(self) -> None:
        lines, _ = refusal(without(tiny_model(shards=3), INDEX, "model-00002-of-00003.safetensors"))
        assert lines == [
            "  model-00002-of-00003.safetensors: expected a file (one of 1 missing shards), found none",
            f"  {INDEX}: expected a file (the index of its shards), found none",
        ]

    def test_a_gap_in_gguf(self) -> None:
        lines, _ = refusal({"m-00002-of-00002.gguf": gguf()})
        assert lines == ["  m-00001-of-00002.gguf: expected a file (one of 1 missing shards), found none"]

    def test_an_index_that_leads_out(self) -> None:
        lines, _ = refusal(tiny_model(shards=2, extra={INDEX: shard_index({"x": "../x.safetensors"})}))
        assert any("expected a file below the model's directory, found '../x.safetensors'" in line for line in lines)

    def test_shards_in_a_subdirectory(self) -> None:
        inner = {f"unet/{path}": data for path, data in tiny_model(shards=2).items() if "safetensors" in path}
        inspected({**inner, "model_index.json": b"{}"})
        lines, _ = refusal({**without(inner, f"unet/{FIRST}"), "model_index.json": b"{}"})
        assert lines == [f"  unet/{FIRST}: expected a file (unet/{INDEX} lists it), found none"]


class TestConfiguration:
    def test_missing(self) -> None:
        lines, hint = refusal(without(tiny_model(), "config.json"))
        assert lines == ["  config.json: expected a file (the settings of the weights), found none"]
        assert hint == FETCH

    def test_excluded(self) -> None:
        lines, _ = refusal(tiny_model(), Selection(exclude=("config.json",)))
        assert lines == [
            "  config.json: expected among the packaged files (the settings of the weights), found it left out"
        ]

    def test_consolidated_weights_have_params(self) -> None:
        weights = {"consolidated.safetensors": tiny_model()["model.safetensors"]}
        found = inspected({**weights, "params.json": as_json({"max_seq_len": 32768}), "tekken.json": b"{}"})
        assert found.model.context_length == 32768
        assert refusal(weights)[0] == [
            "  params.json: expected a file (the settings of consolidated weights), found none"
        ]

    def test_gguf_alone_needs_none(self) -> None:
        found = inspected({"m-Q4_1.gguf": gguf(context_length=2048)})
        assert (found.model.model_type, found.model.context_length) == ("llama", 2048)
        assert (found.model.quantization_method, found.licence) == ("gguf", "MIT")
        assert found.notes == ("The file's mix is Q4_1.",)

    def test_truncated_gguf(self) -> None:
        assert "header: the file is truncated" in refusal({"m.gguf": gguf()[:100]})[0][0]

    def test_an_adapter_names_its_base(self) -> None:
        found = inspected(
            {
                "adapter_model.safetensors": tiny_model()["model.safetensors"],
                "adapter_config.json": as_json({"base_model_name_or_path": "acme/base"}),
            }
        )
        assert found.notes == ("this is an adapter: it needs its base model, acme/base",)

    def test_sentence_transformers(self) -> None:
        found = inspected(
            {
                **tiny_model(),
                "modules.json": as_json([{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]),
                "1_Pooling/config.json": b"{}",
                "2_Dense/config.json": b"{}",
                "2_Dense/model.safetensors": safetensors({"linear.weight": ("F32", (2, 2))}),
            }
        )
        assert {"1_Pooling/config.json", "2_Dense/model.safetensors", "modules.json"} <= {
            file.path for file in found.files
        }

    @pytest.mark.parametrize(
        ("path", "data", "problem"),
        [
            ("config.json", b"{", "JSON: Expecting property name"),
            ("config.json", b"[]", "JSON: expected an object, found a list"),
            ("config.json", b'{"a": 1, "a": 2}', "JSON: key "),
            ("generation_config.json", b"", "JSON: Expecting value"),
            ("tokenizer_config.json", b"\xff", "JSON: expected UTF-8"),
            ("1_Pooling/config.json", b"nope", "JSON: Expecting value"),
            ("tokenizer.json", b'{"model": ', "JSON: Expecting value"),
            ("vocab.json", b"[" * 100_000, "JSON: "),
        ],
    )
    def test_malformed_json(self, path: str, data: bytes, problem: str) -> None:
        lines, _ = refusal(tiny_model(extra={path: data}))
        assert len(lines) == 1
        assert lines[0].startswith(f"  {path}: {problem}")

    def test_a_vocabulary_that_repeats_a_key_needs_consent(self) -> None:
        files = tiny_model(extra={"vocab.json": b'{"a": 1, "a": 2}'})
        lines, hint = denial(files)
        assert lines == ['  vocab.json: JSON of two meanings: key "a" appears twice in one object']
        assert hint.endswith('or in the manifest: [allow] duplicate_keys = ["vocab.json"]')
        found = inspected(files, allow=Allow(duplicate_keys=("vocab.json",)))
        assert [(finding.gate, finding.file) for finding in found.findings] == [(Gate.DUPLICATE_KEY, "vocab.json")]

    def test_consent_to_repeated_keys_is_none_to_depth(self) -> None:
        deep = b'{"a": 1, "a": ' + b"[" * 300 + b"]" * 300 + b"}"
        lines, _ = refusal(tiny_model(extra={"vocab.json": deep}), allow=Allow(duplicate_keys=True))
        assert lines == ["  vocab.json: JSON: nested more than 200 levels deep"]


class TestPickles:
    PICKLE = pickle.dumps({"w": [1, 2]})

    def test_one_under_another_name(self) -> None:
        lines, hint = denial(tiny_model(extra={"model.safetensors": self.PICKLE}))
        assert lines == ["  model.safetensors: a pickle by its content, which can run code when it is loaded"]
        assert hint == "fetch the safetensors file again, or give the pickle its own ending (.bin) if you trust it"

    @pytest.mark.parametrize("protocol", [0, 1, 4])
    def test_one_in_a_text(self, protocol: int) -> None:
        files = tiny_model(extra={"vocab.txt": pickle.dumps(list(range(100)), protocol)})
        assert denial(files)[1] == ALLOW
        inspected(files, Selection(allow_pickle=True))

    def test_one_behind_a_long_text(self) -> None:
        unsigned = pickle.dumps(["x" * 70_000, Shell()], 2)[2:]
        lines, _ = denial(tiny_model(extra={"vocab.txt": unsigned}))
        assert lines == ["  vocab.txt: a pickle by its content, which can run code when it is loaded"]
        inspected(tiny_model(extra={"vocab.txt": b"V" + b"x" * 70_000}))

    def test_consent_does_not_make_it_safetensors(self) -> None:
        lines, _ = refusal(tiny_model(extra={"model.safetensors": self.PICKLE}), Selection(allow_pickle=True))
        assert lines[0].startswith("  model.safetensors: ")

    def test_weights_by_name(self) -> None:
        files = without(tiny_model(extra={"pytorch_model.bin": self.PICKLE}), "model.safetensors")
        assert denial(files) == (
            ["  pytorch_model.bin: weights in pickle format, which can run code when it is loaded"],
            ALLOW,
        )

    def test_allowed_weights(self) -> None:
        files = without(tiny_model(extra={"pytorch_model.bin": self.PICKLE}), "model.safetensors")
        found = inspected(files, Selection(allow_pickle=True))
        assert (found.model.parameters, found.model.bytes_by_dtype) == (None, ())
        assert [(finding.gate, finding.file) for finding in found.findings] == [(Gate.PICKLE, "pytorch_model.bin")]

    def test_what_an_allowed_pickle_does_needs_consent_by_name(self) -> None:
        files = without(tiny_model(extra={"pytorch_model.bin": SHELL}), "model.safetensors")
        lines, hint = denial(files, Selection(allow_pickle=True))
        assert lines == ["  pytorch_model.bin: a pickle that uses posix.system, which loading tensors does not take"]
        assert '[allow] pickle_globals = ["posix.system"]' in hint
        found = inspected(files, Selection(allow_pickle=True), Allow(pickle_globals=("posix.system",)))
        assert [finding.name for finding in found.findings] == ["", "posix.system"]

    def test_what_nobody_can_tell_needs_consent(self) -> None:
        files = without(tiny_model(extra={"pytorch_model.bin": b"garbage"}), "model.safetensors")
        lines, _ = denial(files, Selection(allow_pickle=True))
        assert "a pickle of which nobody can tell what it does: no pickle that can be read" in lines[0]
        inspected(files, Selection(allow_pickle=True), Allow(unscanned_pickles=("pytorch_model.bin",)))

    def test_without_a_scanner_it_is_said(self) -> None:
        files = without(tiny_model(extra={"pytorch_model.bin": self.PICKLE}), "model.safetensors")
        gates = Guard().gates(Selection(allow_pickle=True), Allow())
        with pytest.raises(PolicyError, match="nobody can tell what it does: there is no scanner"):
            inspect(MemorySource(files), Selection(allow_pickle=True), gates=gates)

    def test_beside_other_problems(self) -> None:
        lines, _ = refusal(tiny_model(extra={"vocab.txt": self.PICKLE, "config.json": b""}))
        assert lines[1] == "  vocab.txt: a pickle by its content, which can run code when it is loaded"


class TestRemoteCode:
    FILES = tiny_model(
        config={"auto_map": {"AutoModel": "modeling_x.X", "AutoConfig": "acme/code--configuration_y.Y"}},
        extra={"modeling_x.py": b"import torch\n"},
    )

    def test_it_is_refused_with_its_key(self) -> None:
        lines, hint = denial(self.FILES)
        assert lines == [
            "  config.json: its auto_map takes Python from another repository, acme/code, which is not packaged",
            "  modeling_x.py: Python of the model's own, which runs with trust_remote_code",
        ]
        assert hint == (
            "if you trust it: --allow remote_code of hf-pack add, or in the manifest: "
            '[allow] remote_code = ["config.json", "modeling_x.py"]'
        )

    def test_consent_to_one_file_is_none_to_another(self) -> None:
        lines, _ = denial(self.FILES, allow=Allow(remote_code=("modeling_x.py",)))
        assert [line.split(":")[0] for line in lines] == ["  config.json"]

    def test_no_manifest_allows_what_policy_denies(self) -> None:
        gates = Guard(denied=(Gate.REMOTE_CODE,)).gates(Selection(), Allow(remote_code=True))
        with pytest.raises(PolicyError) as caught:
            inspect(MemorySource(self.FILES), Selection(), gates=gates)
        assert caught.value.hint == 'hf-pack.toml: [policy] deny has "remote_code", which no manifest can allow'
        assert caught.value.findings[0] == Refused(
            file="config.json",
            reason="its auto_map takes Python from another repository, acme/code, which is not packaged",
            gate=Gate.REMOTE_CODE,
        )


class TestTemplates:
    BAD = "{{ ''.__class__ }}"

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("chat_template.jinja", BAD.encode()),
            ("additional_chat_templates/tool.jinja", BAD.encode()),
            ("chat_template.json", as_json({"chat_template": BAD})),
            ("tokenizer_config.json", as_json({"chat_template": BAD})),
            ("tokenizer_config.json", as_json({"chat_template": [{"name": "rag", "template": BAD}]})),
            ("processor_config.json", as_json({"chat_template": {"default": BAD}})),
        ],
    )
    def test_one_that_reaches_out(self, path: str, content: bytes) -> None:
        files = tiny_model(extra={path: content})
        lines, hint = denial(files)
        expected = "a chat template that reaches outside Jinja's sandbox: line 1 asks for the attribute __class__"
        assert lines == [f"  {path}: {expected}"]
        assert hint.endswith(f'[allow] templates = ["{path}"]')
        assert [finding.file for finding in inspected(files, allow=Allow(templates=True)).findings] == [path]

    def test_in_a_gguf_file(self) -> None:
        lines, _ = denial({"a.gguf": gguf(chat_template=self.BAD)})
        assert lines[0].startswith("  a.gguf: a chat template that reaches outside Jinja's sandbox")

    def test_what_a_patch_leaves_counts(self) -> None:
        gates = Guard().gates(Selection(), Allow(), lambda path, data: b"ok" if path.endswith(".jinja") else data)
        inspect(MemorySource(tiny_model(extra={"chat_template.jinja": self.BAD.encode()})), Selection(), gates=gates)


def test_everything_that_is_refused_is_one_report() -> None:
    files = tiny_model(
        extra={
            "vocab.txt": SHELL,
            "vocab.json": b'{"a": 1, "a": 2}',
            "chat_template.jinja": TestTemplates.BAD.encode(),
            "config.json": as_json({"auto_map": {"AutoModel": "m.X"}, "architectures": ["X"]}),
            "m.py": b"",
        }
    )
    with pytest.raises(PolicyError) as caught:
        inspected(files)
    assert caught.value.exit_code == 8
    assert [(one.file, one.gate, one.allowed_by) for one in caught.value.findings if isinstance(one, Refused)] == [
        ("chat_template.jinja", Gate.TEMPLATE, '[allow] templates = ["chat_template.jinja"]'),
        ("m.py", Gate.REMOTE_CODE, '[allow] remote_code = ["m.py"]'),
        ("vocab.json", Gate.DUPLICATE_KEY, '[allow] duplicate_keys = ["vocab.json"]'),
        ("vocab.txt", Gate.PICKLE, "[source] allow_pickle = true"),
    ]


class TestSideFiles:
    def checksums(self, files: Mapping[str, bytes], **sizes: int) -> bytes:
        return as_json(
            {
                "files": [
                    {
                        "relative_path": path,
                        "size_bytes": sizes.get(path.partition(".")[0], len(data)),
                        "sha256": hashlib.sha256(data).hexdigest(),
                    }
                    for path, data in files.items()
                ]
            }
        )

    def test_claims_and_provenance(self) -> None:
        files = tiny_model()
        meta = {"model_id": "acme/base", "scheme": "fp8", "started": "2026-01-01T00:00:00", "source": "/mnt/x"}
        found = inspected(
            {**files, "CHECKSUMS.sha256.json": self.checksums(files), "FINGERPRINT.json": as_json({"bits": 8, **meta})}
        )
        assert {path: claim.sha256 for path, claim in found.claimed.items()} == {
            path: Hash.sha256_of(data) for path, data in files.items() if path != ".gitattributes"
        }
        assert {claim.stated_by for claim in found.claimed.values()} == {"CHECKSUMS.sha256.json"}
        assert found.provenance == (
            ("FINGERPRINT.bits", "8"),
            ("FINGERPRINT.model_id", "acme/base"),
            ("FINGERPRINT.scheme", "fp8"),
        )
        assert not any("CHECKSUMS" in file.path or "FINGERPRINT" in file.path for file in found.files)

    def test_sizes_are_checked_now(self) -> None:
        files = tiny_model()
        size = len(files["model.safetensors"])
        lines, hint = refusal({**files, "CHECKSUMS.sha256.json": self.checksums(files, model=7)})
        assert lines == [f"  model.safetensors: expected 7 bytes (CHECKSUMS.sha256.json), found {size}"]
        assert "quantize or download the model again" in hint

    def test_listed_weights_must_be_there_and_logs_need_not(self) -> None:
        sums = "".join(f"{'0' * 64}  {path}\n" for path in ("gone.safetensors", "gone.log")).encode()
        lines, _ = refusal(tiny_model(extra={"SHA256SUMS": sums}))
        assert lines == ["  gone.safetensors: expected a file (SHA256SUMS lists it), found none"]

    def test_two_lists_that_differ(self) -> None:
        extra = {
            "SHA256SUMS": f"{'0' * 64}  config.json\n".encode(),
            "FILES_SHA256.json": as_json({"config.json": "1" * 64}),
        }
        lines, _ = refusal(tiny_model(extra=extra))
        assert lines == ["  config.json: expected one sha256, found two (FILES_SHA256.json and SHA256SUMS differ)"]

    def test_a_broken_list(self) -> None:
        lines, _ = refusal(tiny_model(extra={"SHA256SUMS": b"nope\n"}))
        assert lines == ["  SHA256SUMS: line 1: expected '<sha256>  <file>', found 'nope'"]

    def test_the_cache_names_large_blobs_by_sha256(self, tmp_path: Path) -> None:
        files = tiny_model()
        for layout in ("links", "shared"):
            repo = write_hf_cache(tmp_path / layout, REPO_ID, COMMIT, files, layout=layout)
            claimed = inspect(open_source(repo), Selection()).claimed
            assert {path: claim.sha256 for path, claim in claimed.items()} == {
                "model.safetensors": Hash.sha256_of(files["model.safetensors"])
            }


def test_quantized_parameters_are_counted_only_where_that_means_something() -> None:
    fp8 = safetensors({"a.weight": ("F8_E4M3", (8, 8)), "a.weight_scale": ("F32", (8, 1))})
    fp8_config = {"quantization_config": {"quant_method": "fp8"}}
    assert inspected(tiny_model(config=fp8_config, extra={"model.safetensors": fp8})).model.parameters == 64
    awq = safetensors({"a.qweight": ("I32", (8, 1)), "a.qzeros": ("I32", (1, 1)), "a.scales": ("F16", (1, 8))})
    config: dict[str, object] = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 8}}
    model = inspected(tiny_model(config=config, extra={"model.safetensors": awq})).model
    assert (model.parameters, model.quantization_method, model.quantization_bits) == (None, "awq", 4)


def test_dtype_comes_from_the_tensors_where_the_configuration_is_silent() -> None:
    files = tiny_model(dtype="F16", config={"torch_dtype": None})
    assert inspected(files).model.dtype == "float16"


def test_everything_at_once() -> None:
    files = without(tiny_model(shards=2), SECOND, "config.json")
    lines, _ = refusal({**files, "tokenizer.json": lfs_pointer(b"x" * 2000), "generation_config.json": b"{"})
    assert [line.strip().split(":")[0] for line in lines] == [
        "config.json",
        "generation_config.json",
        SECOND,
        "tokenizer.json",
    ]


def test_the_command_that_completes_a_download() -> None:
    source = MemorySource(
        without(tiny_model(shards=2), SECOND), kind="flat", repo_id=RepoId.parse(REPO_ID), snapshot_id=COMMIT
    )
    with pytest.raises(Error) as caught:
        inspect(source, Selection())
    assert caught.value.hint == f"hf download {REPO_ID} --revision {COMMIT} --local-dir /model"


# --- traps in what would not be packaged --------------------------------------------------------------------------


def trap_lines(model: Path, selection: Selection | None = None) -> list[str]:
    """The paths that are refused; none where the model can be packaged."""
    try:
        inspect(open_source(model), selection or Selection())
    except SourceError as error:
        return [line.strip().partition(":")[0] for line in error.message.splitlines()[1:]]
    return []


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_flat(tmp_path / "model", tiny_model(shards=2))


def test_a_trap_in_what_nobody_packages_is_no_trap(model: Path) -> None:
    (model / "preview.png").symlink_to("gone.png")
    (model / "photo.jpg").symlink_to("/etc/hostname")
    (model / "runs").symlink_to("gone")
    (model / "pic\nture.png").write_bytes(b"")
    (model / "training.log").symlink_to("training.log")
    (model / "optimizer.pt.part").write_bytes(b"half")
    os.mkfifo(model / "events.tfevents")
    assert trap_lines(model) == []
    assert "preview.png" not in {file.path for file in inspect(open_source(model), Selection()).files}


def test_a_trap_in_what_is_packaged_is_refused(model: Path) -> None:
    (model / SECOND).unlink()
    (model / SECOND).symlink_to("gone")
    (model / "preview.png").symlink_to("gone.png")
    assert trap_lines(model) == [SECOND]
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("gone")
    assert trap_lines(model) == ["config.json", SECOND]


def test_half_of_a_weight_is_refused_though_its_own_name_is_no_weights(model: Path) -> None:
    (model / SECOND).rename(model / f"{SECOND}.incomplete")
    (model / INDEX).unlink()
    assert trap_lines(model) == [f"{SECOND}.incomplete"]


def test_exclude_helps_where_nobody_knows_what_is_behind(model: Path) -> None:
    (model / "more").symlink_to("gone")
    (model / "loop").symlink_to(".")
    assert trap_lines(model) == ["loop", "more"]
    assert trap_lines(model, Selection(exclude=("more*", "loop/*"))) == []
    assert trap_lines(model, Selection(include=("*.json", "model-*", "README.md"))) == ["loop", "more"]
    assert trap_lines(model, Selection(include=("config.json", "model*"))) == []


def test_names_that_differ_only_in_case_are_refused_whatever_is_packaged(model: Path) -> None:
    write_flat(model, {"A.png": b"", "a.png": b""})
    assert trap_lines(model) == ["A.png"]


def test_who_must_choose_is_asked_though_there_are_traps(tmp_path: Path) -> None:
    model = write_flat(tmp_path / "model", {"a-Q4_0.gguf": gguf(), "a-Q8_0.gguf": gguf()})
    (model / "preview.png").symlink_to("gone.png")
    with pytest.raises(SourceError, match="expected one GGUF quantization"):
        inspect(open_source(model), Selection())
