from __future__ import annotations

import json

import pytest

from hf_pack.weights.side_files import SIDE_FILES, Checksum, fingerprint_facts, parse_checksums, recognise
from hf_pack.weights.weights_error import HeaderError

A, B = "a" * 64, "b" * 64


def test_recognises_by_name_at_the_top_only() -> None:
    assert recognise("config.json") is None
    assert recognise("sub/SHA256SUMS") is None
    found = recognise("FILES_SHA256.json")
    assert found is not None
    assert (found.kind, found.holds_checksums) == ("checksums", True)
    assert {name for name, side in SIDE_FILES.items() if side.holds_checksums} == {
        "FILES_SHA256.json",
        "CHECKSUMS.sha256.json",
        "artifact_manifest.json",
        "SHA256SUMS",
        "sha256sums.txt",
    }
    assert all(side.reason for side in SIDE_FILES.values())


@pytest.mark.parametrize(
    ("path", "data", "sizes"),
    [
        ("FILES_SHA256.json", json.dumps({"b": B, "a/x": A.upper()}), (None, None)),
        (
            "CHECKSUMS.sha256.json",
            json.dumps(
                {
                    "files": [
                        {"relative_path": "b", "size_bytes": 2, "sha256": B},
                        {"relative_path": "a/x", "size_bytes": 1, "sha256": A},
                    ]
                }
            ),
            (1, 2),
        ),
        (
            "artifact_manifest.json",
            json.dumps(
                {
                    "artifact_entries_sha256": "c" * 64,
                    "files": [
                        {"path": "a/x", "size_bytes": 1, "sha256": A},
                        {"path": "b", "size_bytes": 2, "sha256": B},
                    ],
                }
            ),
            (1, 2),
        ),
        ("SHA256SUMS", f"# made by hand\n{B}  b\n\n{A} *./a/x\n", (None, None)),
        ("sha256sums.txt", f"{B}  b\r\n{A}  a/x\r\n", (None, None)),
    ],
)
def test_parses_every_format(path: str, data: str, sizes: tuple[int | None, int | None]) -> None:
    assert parse_checksums(path, data.encode()) == (
        Checksum(path="a/x", sha256=A, size=sizes[0]),
        Checksum(path="b", sha256=B, size=sizes[1]),
    )


@pytest.mark.parametrize(
    ("path", "data", "message"),
    [
        ("FILES_SHA256.json", "[]", "expected an object"),
        ("FILES_SHA256.json", '{"a": "xyz"}', "path 'a': expected a sha256 of 64 hex digits, found 'xyz'"),
        ("FILES_SHA256.json", '{"a": 1}', "found a number"),
        ("FILES_SHA256.json", json.dumps({"../a": A}), "found '../a'"),
        ("artifact_manifest.json", "{}", "files: expected a list, found null"),
        ("artifact_manifest.json", '{"files": [1]}', "files[0]: expected an object"),
        ("artifact_manifest.json", '{"files": [{"path": "a"}]}', "files[0].size_bytes: expected a number"),
        ("artifact_manifest.json", '{"files": [{"size_bytes": -1}]}', "files[0].size_bytes"),
        ("artifact_manifest.json", '{"files": [{"size_bytes": 1}]}', "expected a file below"),
        ("SHA256SUMS", f"{A}  a\n{B}  a\n", "path 'a': appears twice"),
        ("SHA256SUMS", f"{A}  a\nhello\n", "line 2: expected '<sha256>  <file>', found 'hello'"),
        ("SHA256SUMS", f"\\{A}  a\\nb\n", "line 1"),
        ("SHA256SUMS", f"{A}  /etc/passwd\n", "found '/etc/passwd'"),
    ],
)
def test_parse_checksums_refuses(path: str, data: str, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_checksums(path, data.encode())
    assert message in str(caught.value)


def test_a_checksum_list_is_text() -> None:
    with pytest.raises(HeaderError, match="expected UTF-8 text"):
        parse_checksums("SHA256SUMS", b"\xff")


# The shapes of the three quantizers' files, as their scripts write them.
AWQ = {
    "model_id": "microsoft/Phi-3.5-mini-instruct",
    "source_commit": "c" * 40,
    "quant": {"scheme": "awq", "w_bit": 4, "q_group_size": 128, "zero_point": True, "version": "GEMM"},
    "calibration": {"calib_data": None, "max_calib_samples": 128},
    "execution_policy": {"device_map": "cuda0", "dtype_policy": "bf16"},
    "build": {
        "script_sha256": A,
        "versions": {"torch": "2.6.0", "awq": "0.2.9"},
        "sysinfo": {"gpu_name": "L40S"},
    },
}
INFO = {
    "model": "/home/user/models/x",
    "scheme": "fp8",
    "fp8_scheme": "FP8_DYNAMIC",
    "model_revision": "main",
    "output_dir": "/data/out",
    "versions": {"python": "3.12.1", "llmcompressor": "0.9.0", "vllm": None},
    "fingerprint": {"quant": {"scheme": "fp8"}},
    "started_utc": "2026-01-01T10:00:00Z",
    "elapsed_seconds": 3.5,
}
LLMC = {
    "model": {"id": "org/base", "source_commit": "d" * 40, "source_resolved": "/cache/x", "revision": "main"},
    "quant": {"scheme": "gptq", "dataset": "open_platypus", "num_samples": 512, "dataset_path": "/data/x"},
    "build": {"torch_version": "2.9.0", "python_version": "3.12", "script_sha256": A},
}


def test_facts_of_an_awq_fingerprint() -> None:
    assert fingerprint_facts("FINGERPRINT.json", json.dumps(AWQ).encode()) == (
        ("build.versions.awq", "0.2.9"),
        ("build.versions.torch", "2.6.0"),
        ("calibration.max_calib_samples", 128),
        ("execution_policy.dtype_policy", "bf16"),
        ("model_id", "microsoft/Phi-3.5-mini-instruct"),
        ("quant.q_group_size", 128),
        ("quant.scheme", "awq"),
        ("quant.version", "GEMM"),
        ("quant.w_bit", 4),
        ("quant.zero_point", True),
        ("source_commit", "c" * 40),
    )


def test_facts_leave_out_paths_times_and_copies() -> None:
    assert fingerprint_facts("quantize_info.json", json.dumps(INFO).encode()) == (
        ("fp8_scheme", "FP8_DYNAMIC"),
        ("model_revision", "main"),
        ("scheme", "fp8"),
        ("versions.llmcompressor", "0.9.0"),
    )


def test_facts_of_a_nested_fingerprint() -> None:
    assert fingerprint_facts("FINGERPRINT.json", json.dumps(LLMC).encode()) == (
        ("build.torch_version", "2.9.0"),
        ("model.id", "org/base"),
        ("model.revision", "main"),
        ("model.source_commit", "d" * 40),
        ("quant.dataset", "open_platypus"),
        ("quant.num_samples", 512),
        ("quant.scheme", "gptq"),
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "/mnt/x",
        "~/x",
        "./x",
        "../x",
        "C:\\x",
        "\\\\host\\x",
        "file:///x",
        "dvc://x",
        "at 2026-01-01 10:00",
        "x" * 201,
    ],
)
def test_values_of_one_machine_are_no_facts(value: str) -> None:
    assert fingerprint_facts("FINGERPRINT.json", json.dumps({"model_id": value}).encode()) == ()


def test_facts_of_files_without_any() -> None:
    assert fingerprint_facts("FINGERPRINT.json", b"[1]") == ()
    assert fingerprint_facts("FINGERPRINT.json", b'{"quant.bits": 4, "quant": {"bits": "x"}}') != ()
    assert fingerprint_facts("FINGERPRINT.sha256", A.encode()) == ()
    assert fingerprint_facts("reload_validation.json", b'{"model_id": "a/b"}') == ()
    assert fingerprint_facts("config.json", b'{"model_id": "a/b"}') == ()
    with pytest.raises(HeaderError):
        fingerprint_facts("FINGERPRINT.json", b"{")
