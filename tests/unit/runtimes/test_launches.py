"""What each runtime is started with, word for word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hf_pack.model.hub_ids import RepoId
from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import Launch, ViewFile, local_host
from hf_pack.runtimes import sglang, triton, vllm
from hf_pack.runtimes.requirement import satisfies
from hf_pack.runtimes.served import Options, Served, collision
from hf_pack.runtimes.sglang_parameters import translate

COMMIT = "15852e8c16360a2fea060d615a32b45270f8a8fc"
PLACE = "/s/nix/store/a-tiny-1"
SNAPSHOT = f"{PLACE}/share/models/hub/models--acme--Tiny/snapshots/{COMMIT}"


def dual(
    name: str = "tiny", parameters: dict[str, JsonObject] | None = None, *, repo_id: str = "acme/Tiny", at: str = PLACE
) -> Served:
    repo = RepoId.parse(repo_id)
    return Served(
        label=f"{name}-1",
        store_path=at.removeprefix("/s"),
        place=at,
        files=f"share/models/hub/{repo.folder}/snapshots/{COMMIT}",
        paths=("config.json", "tokenizer.json"),
        repo_id=repo,
        snapshot_id=COMMIT,
        triton_model_name=name,
        has_hub=True,
        weights_file=None,
        engine_parameters=parameters or {},
    )


def single(name: str = "tiny", parameters: dict[str, JsonObject] | None = None, *, at: str = PLACE) -> Served:
    return replace(dual(name, parameters, at=at), files=f"share/models/{name}/weights", has_hub=False)


def options(*arguments: str, command: tuple[str, ...] = ("R",), port: int | None = None) -> Options:
    return Options(command=command, host="127.0.0.1", port=port, arguments=arguments, state="/state", view="/view")


PROFILE: JsonObject = {
    "max_model_len": 4096,
    "gpu_memory_utilization": 0.85,
    "dtype": "auto",
    "enforce_eager": True,
    "trust_remote_code": False,
    "kv_cache_dtype": "fp8",
    "tensor_parallel_size": 2,
    "quantization": "awq",
    "max_num_seqs": 8,
    "hf_overrides": {"b": 1, "a": [True]},
}


def test_vllm() -> None:
    launch = vllm.launch([dual(parameters={"vllm": PROFILE})], options(command=("vllm", "serve")))
    assert launch.argv == (
        *("vllm", "serve", SNAPSHOT),
        *("--served-model-name", "acme/Tiny"),
        *("--max-model-len", "4096", "--gpu-memory-utilization", "0.85", "--dtype", "auto", "--enforce-eager"),
        *("--no-trust-remote-code", "--kv-cache-dtype", "fp8", "--tensor-parallel-size", "2"),
        *("--quantization", "awq", "--max-num-seqs", "8", "--hf-overrides", '{"a":[true],"b":1}'),
        *("--host", "127.0.0.1", "--port", "8000"),
    )
    assert launch.environment == (
        ("DO_NOT_TRACK", "1"),
        ("FLASHINFER_WORKSPACE_BASE", "/state/cache"),
        ("HF_HOME", "/state/hf"),
        ("HF_HUB_CACHE", f"{PLACE}/share/models/hub"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_OFFLINE", "1"),
        ("HF_PACK_SERVED", "/nix/store/a-tiny-1"),
        ("TORCHINDUCTOR_CACHE_DIR", "/state/cache/torchinductor"),
        ("TRANSFORMERS_OFFLINE", "1"),
        ("TRITON_CACHE_DIR", "/state/cache/triton"),
        ("VLLM_CACHE_ROOT", "/state/cache/vllm"),
        ("VLLM_CONFIG_ROOT", "/state/config/vllm"),
        ("VLLM_NO_USAGE_STATS", "1"),
        ("XDG_CACHE_HOME", "/state/cache"),
        ("XDG_CONFIG_HOME", "/state/config"),
    )
    assert {"HF_TOKEN", "TRANSFORMERS_CACHE", "VLLM_USE_MODELSCOPE"} <= set(launch.unset)
    assert (launch.view_files, launch.model_names, launch.notes) == ((), ("acme/Tiny",), ())
    assert (launch.url, launch.loads) == ("http://127.0.0.1:8000", SNAPSHOT)


def test_sglang_gets_the_same_profile_in_its_own_words() -> None:
    launch = sglang.launch([dual(parameters={"vllm": PROFILE})], options(command=("py", "--model-path")))
    assert launch.argv == (
        *("py", "--model-path", SNAPSHOT),
        *("--context-length", "4096", "--dtype", "auto", "--disable-cuda-graph"),
        *("--kv-cache-dtype", "fp8_e4m3", "--tp-size", "2", "--quantization", "awq", "--max-running-requests", "8"),
        *("--json-model-override-args", '{"a":[true],"b":1}', "--served-model-name", "acme/Tiny"),
        *("--host", "127.0.0.1", "--port", "30000"),
    )
    environment = dict(launch.environment)
    assert environment["SGLANG_CACHE_DIR"] == "/state/cache/sglang"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert not any(name.startswith("VLLM") for name in environment)
    assert launch.notes == (
        "vLLM's gpu_memory_utilization is no number for SGLang, which takes its own default: "
        "mem_fraction_static in [sglang] says another",
    )


def test_triton_starts_the_repository_of_a_dual_package_as_it_is() -> None:
    launch = triton.launch([dual()], options(command=("tritonserver",)))
    assert launch.argv == (
        "tritonserver",
        f"--model-repository={PLACE}/share/triton",
        *("--http-address=127.0.0.1", "--http-port=8000", "--grpc-address=127.0.0.1", "--grpc-port=8001"),
        *("--metrics-address=127.0.0.1", "--metrics-port=8002"),
    )
    assert (launch.view_files, launch.more_ports, launch.model_names) == ((), (8001, 8002), ("tiny",))
    assert dict(launch.environment)["HF_HUB_CACHE"] == f"{PLACE}/share/models/hub"


def test_triton_names_a_single_package_by_its_absolute_path() -> None:
    package = single(parameters={"vllm": {"max_model_len": 64, "dtype": "auto"}, "triton": {"max_model_len": 32}})
    launch = triton.launch([package], options())
    assert launch.argv[1] == "--model-repository=/view/triton"
    config, model = launch.view_files
    assert (config.path, config.contents) == ("triton/tiny/config.pbtxt", triton.CONFIG_PBTXT.encode())
    assert model == ViewFile(
        path="triton/tiny/1/model.json",
        contents=(
            b'{\n  "dtype": "auto",\n  "max_model_len": 32,\n'
            b'  "model": "/s/nix/store/a-tiny-1/share/models/tiny/weights"\n}\n'
        ),
    )
    assert dict(launch.environment)["HF_HUB_CACHE"] == "/state/hub"  # an empty one: there is nothing to find


def test_triton_serves_several_from_one_repository_and_one_cache() -> None:
    other = dual("other", repo_id="acme/Other", at="/s/nix/store/b-other-1")
    third = single("third", at="/s/nix/store/c-third-1")
    launch = triton.launch([dual(), other, third], options())
    tiny, others = "share/models/hub/models--acme--Tiny", "share/models/hub/models--acme--Other"
    assert [(file.path, file.contents) for file in launch.view_files if isinstance(file.contents, str)] == [
        *(
            (f"{folder}/{path}".removeprefix("share/models/"), f"{place}/{folder}/{path}")
            for place, folder in ((PLACE, tiny), ("/s/nix/store/b-other-1", others))
            for path in (
                "refs/main",
                f"snapshots/{COMMIT}/config.json",
                f"snapshots/{COMMIT}/tokenizer.json",
            )
        ),
        ("triton/tiny", f"{PLACE}/share/triton/tiny"),
        ("triton/other", "/s/nix/store/b-other-1/share/triton/other"),
    ]
    assert [file.path for file in launch.view_files if isinstance(file.contents, bytes)] == [
        "triton/third/config.pbtxt",
        "triton/third/1/model.json",
    ]
    assert dict(launch.environment)["HF_HUB_CACHE"] == "/view/hub"
    assert launch.model_names == ("tiny", "other", "third")


@pytest.mark.parametrize("runtime", [vllm, sglang])
def test_one_model_is_served_and_the_repo_ids_of_others_resolve(runtime: object) -> None:
    other = dual("other", repo_id="acme/Other", at="/s/nix/store/b-other-1")
    assert runtime in (vllm, sglang)
    launch = (vllm if runtime is vllm else sglang).launch([dual(), other], options())
    assert launch.loads == SNAPSHOT
    folders = {file.path.split("/")[1] for file in launch.view_files}
    assert folders == {"models--acme--Tiny", "models--acme--Other"}
    assert dict(launch.environment)["HF_HUB_CACHE"] == "/view/hub"
    assert dict(launch.environment)["HF_PACK_SERVED"] == "/nix/store/a-tiny-1 /nix/store/b-other-1"


def test_a_single_package_is_served_by_path() -> None:
    launch = vllm.launch([single()], options())
    assert launch.argv[1] == f"{PLACE}/share/models/tiny/weights"
    assert launch.model_names == ("acme/Tiny",)
    assert dict(launch.environment)["HF_HUB_CACHE"] == "/state/hub"


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (("--max-model-len", "9"), "--max-model-len"),
        (("--max_model_len=9",), "--max-model-len"),
        (("--no-enforce-eager",), "--enforce-eager"),
        (("--trust-remote-code",), "--no-trust-remote-code"),
    ],
)
def test_arguments_of_a_person_come_last_and_take_the_place_of_the_profiles(
    arguments: tuple[str, ...], gone: str
) -> None:
    launch = vllm.launch([dual(parameters={"vllm": PROFILE})], options(*arguments))
    assert launch.argv[-len(arguments) :] == arguments
    assert gone not in launch.argv[: -len(arguments)]


@pytest.mark.parametrize("arguments", [("--port", "9", "--host", "::"), ("--port=9", "--host=::")])
def test_a_port_behind_the_dashes_is_the_one_that_is_looked_at(arguments: tuple[str, ...]) -> None:
    for launch in (vllm.launch([dual()], options(*arguments)), sglang.launch([dual()], options(*arguments, port=7))):
        assert (launch.host, launch.port, launch.url) == ("::", 9, "http://[::1]:9")
        assert launch.argv.count("--port") == arguments.count("--port")


def test_triton_ports() -> None:
    def ports(*arguments: str, port: int | None = None) -> tuple[int, ...]:
        launch = triton.launch([dual()], options(*arguments, port=port))
        return launch.port, *launch.more_ports

    assert ports(port=70) == (70, 71, 72)
    assert ports("--http-port=5", "--grpc-port", "6") == (5, 6, 7)
    assert ports("--allow-metrics=false", port=70) == (70, 71)
    assert ports("--allow-metrics", "false", "--allow-grpc=0") == (8000,)


def served_names(launch: Launch) -> tuple[str, ...]:
    words = launch.argv
    start = words.index("--served-model-name") + 1
    end = next((at for at in range(start, len(words)) if words[at].startswith("--")), len(words))
    assert launch.model_names == words[start:end]
    return launch.model_names


def test_served_model_names() -> None:
    assert served_names(vllm.launch([dual(parameters={"vllm": {"served_model_name": "a"}})], options())) == ("a",)
    several: JsonObject = {"served_model_name": ["a", "b"]}
    assert served_names(vllm.launch([dual(parameters={"vllm": several})], options())) == ("a", "b")
    asked = ("--served-model-name", "mine")
    for runtime in (vllm, sglang):
        assert served_names(runtime.launch([dual(parameters={"vllm": several})], options(*asked))) == ("mine",)
    assert vllm.launch([dual()], options("--served_model_name=mine")).model_names == ("mine",)  # vLLM takes both
    assert served_names(sglang.launch([dual(parameters={"sglang": {"served_model_name": "s"}})], options())) == ("s",)


def test_flags_of_every_kind_of_value() -> None:
    profile: JsonObject = {
        "stop": ["a", "b c"],
        "chat_template": "--x",
        "seed": -1,
        "device_ids": [0, 1],
        "aggregate_engine_logging": True,
        "disable_log_stats": False,
        "watermark": 1.5,
        "mamba_config": {"backend": "triton"},
    }
    launch = vllm.launch([dual(parameters={"vllm": profile})], options())
    assert launch.argv[4:-4] == (
        *("--stop", "a", "b c", "--chat-template=--x", "--seed=-1", "--device-ids", "0,1"),
        *("--aggregate-engine-logging", "--watermark", "1.5"),
    )
    assert launch.notes == ("vLLM has no flag for mamba_config: it is not passed on",)


def test_a_model_in_one_file_is_named_by_its_file_and_its_tokenizer_by_its_directory() -> None:
    package = replace(dual(), weights_file="q4.gguf")
    words = vllm.launch([package], options()).argv
    assert words[1] == f"{SNAPSHOT}/q4.gguf"
    assert words[words.index("--tokenizer") + 1] == SNAPSHOT
    words = sglang.launch([package], options()).argv
    assert words[words.index("--tokenizer-path") + 1] == SNAPSHOT
    assert "--tokenizer" not in vllm.launch([replace(package, paths=("q4.gguf",))], options()).argv


def test_what_sglang_has_no_word_for_is_named() -> None:
    translated = translate(
        {
            "enable_prefix_caching": False,
            "enable_chunked_prefill": False,
            "generation_config": "vllm",
            "kv_cache_dtype": "turboquant_k8v4",
            "quantization": "torchao",
            "speculative_config": {"method": "ngram"},
            "enable_sleep_mode": False,
            "enable_expert_parallel": True,
        },
        {"tp_size": 4},
    )
    assert translated.parameters == {
        "disable_radix_cache": True,
        "chunked_prefill_size": -1,
        "sampling_defaults": "openai",
        "tp_size": 4,
    }
    assert [note.removesuffix(": [sglang] says what it should do") for note in translated.notes] == [
        "SGLang has nothing for vLLM's kv_cache_dtype = turboquant_k8v4",
        "SGLang has nothing for vLLM's quantization = torchao",
        'SGLang has nothing for vLLM\'s speculative_config = {"method":"ngram"}',
        "SGLang has nothing for vLLM's enable_sleep_mode = false",
        "SGLang has nothing for vLLM's enable_expert_parallel = true",
    ]


def test_values_that_sglang_takes_in_part() -> None:
    assert translate({"cpu_offload_gb": 4.0, "limit_mm_per_prompt": {"image": 2}}, {}).parameters == {
        "cpu_offload_gb": 4,
        "limit_mm_data_per_request": {"image": 2},
    }
    odd = translate({"cpu_offload_gb": 0.5, "limit_mm_per_prompt": {"video": {"count": 1}}}, {})
    assert (odd.parameters, len(odd.notes)) == ({}, 2)


def test_sglangs_own_table_wins_and_its_switches_can_only_be_set() -> None:
    tables: dict[str, JsonObject] = {
        "vllm": {"gpu_memory_utilization": 0.9, "enable_prefix_caching": False},
        "sglang": {"mem_fraction_static": 0.5, "disable_radix_cache": False, "cuda_graph_bs": [1, 2]},
    }
    launch = sglang.launch([dual(parameters=tables)], options())
    assert launch.argv[2:-6] == ("--mem-fraction-static", "0.5", "--cuda-graph-bs", "1", "2")
    assert launch.notes == ()


def test_collisions() -> None:
    variant = dual("variant", at="/s/nix/store/b-variant-1")
    assert collision([dual(), variant], triton=True) == "tiny-1 and variant-1 have one repo id, acme/Tiny"
    named = dual(repo_id="acme/Other", at="/s/nix/store/b-other-1")
    assert collision([dual(), named], triton=True) == "tiny-1 and tiny-1 have one Triton model name, tiny"
    assert collision([dual(), named], triton=False) is None
    assert collision([dual(), single("other")], triton=True) is None  # the other one has no cache of the Hub


@pytest.mark.parametrize(
    ("version", "requirement", "meets"),
    [
        ("0.32.0", ">=0.30", True),
        ("0.32.0+cpu", "==0.32.0", True),
        ("0.9.2", ">=0.30", False),
        ("0.30.0rc1", ">=0.30", False),
        ("0.31.0rc1", ">=0.30,<0.40", True),
        ("24.10", ">=2", True),
        ("nightly", ">=0.30", False),
    ],
)
def test_requirements(version: str, requirement: str, meets: bool) -> None:
    assert satisfies(version, requirement) is meets


@pytest.mark.parametrize(
    ("host", "local"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("::1", "[::1]"), ("box", "box")],
)
def test_where_this_machine_reaches_a_server(host: str, local: str) -> None:
    assert local_host(host) == local
