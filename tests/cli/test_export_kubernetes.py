"""``hf-pack export --to k8s``: manifests that the API's schemas take, for the paths that the package will have."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.cli.conftest import Place

IMAGE = ("--image", "registry.example/tiny:1")
PULL = ("--from", "https://cache.example", "--pull-image", "hf-pack:1")


def documents(place: Place, *arguments: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(place.done("export", "tiny-llm", "--to", "k8s", *arguments).out))


def container(place: Place, *arguments: str) -> dict[str, Any]:
    """The container that serves."""
    found = documents(place, *arguments)
    deployment = next(document for document in found if document["kind"] == "Deployment")
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(only)


def state(place: Place, **parameters: object) -> None:
    """Build the package with these engine parameters."""
    place.add()
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in parameters.items())
    place.manifest.write_text(f"{place.manifest.read_text().partition('[vllm]')[0]}[vllm]\n{lines}\n")
    place.done("lock", "tiny-llm")
    place.done("build", "tiny-llm")


@pytest.mark.parametrize("runtime", ["vllm", "sglang", "triton"])
@pytest.mark.parametrize("volume", [IMAGE, PULL])
def test_the_manifests_are_valid_and_read_the_package_where_it_is_mounted(
    place: Place, runtime: str, volume: tuple[str, ...]
) -> None:
    store_path = place.build()
    found = documents(place, "--runtime", runtime, *volume)
    for document in found:
        kubernetes_validate.validate(document, "1.33", strict=True)
    pod = found[0]["spec"]["template"]["spec"]
    root = "/package" if volume == IMAGE else f"/package{store_path}"
    (container,) = pod["containers"]
    assert any(word.startswith(root) or f"={root}" in word for word in container["command"])
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
    assert container["volumeMounts"][0]["readOnly"] is True
    verbs = [init["command"][1] for init in pod.get("initContainers", [])]
    assert verbs == ([] if volume == IMAGE else ["pull", "verify"])


@pytest.mark.parametrize(("volume", "root"), [(IMAGE, "/package"), (PULL, "/package{}")])
def test_a_single_package_has_its_model_json_for_its_mount_path(
    place: Place, volume: tuple[str, ...], root: str
) -> None:
    place.done("add", place.cache, "--layout", "single")
    store_path = place.done("build", "tiny-llm").out.strip()
    config_map, deployment, _ = documents(place, "--runtime", "triton", *volume)
    for document in (config_map, deployment):
        kubernetes_validate.validate(document, "1.33", strict=True)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "view"]
    (volume_of_it,) = [volume for volume in pod["volumes"] if volume["name"] == "view"]
    assert volume_of_it["configMap"]["name"] == config_map["metadata"]["name"]
    # What the kubelet puts below the mount is the repository that the server is told.
    files = {
        f"{mount['mountPath']}/{item['path']}": config_map["data"][item["key"]]
        for item in volume_of_it["configMap"]["items"]
    }
    (repository,) = [word for word in container["command"] if word.startswith("--model-repository=")]
    model = f"{repository.partition('=')[2]}/tiny_llm"
    assert files.keys() == {f"{model}/config.pbtxt", f"{model}/1/model.json"}
    written = json.loads(files[f"{model}/1/model.json"])
    assert written["model"] == f"{root.format(store_path)}/share/models/tiny_llm/weights"
    assert place.real(f"{store_path}/share/models/tiny_llm/weights/config.json").is_file()


def test_a_dual_package_needs_no_files_beside_it(place: Place) -> None:
    place.build()
    assert [document["kind"] for document in documents(place, "--runtime", "triton", *IMAGE)] == [
        "Deployment",
        "Service",
    ]


def test_memory_and_gpus_follow_from_the_fit(place: Place) -> None:
    place.build()
    fit = place.done("check", "tiny-llm", "--gpu", "2x H100", "--json").document
    told = container(place, *IMAGE, "--gpu", "2x H100")
    limits = told["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "2"
    assert int(limits["memory"]) - 2 * fit["weight_bytes"] == (4 + 2) << 30
    assert told["resources"]["requests"]["memory"] == limits["memory"]
    # The package says nothing of two: without the flag, one of them would idle.
    assert told["command"][-2:] == ["--tensor-parallel-size", "2"]
    assert container(place, *IMAGE, "--runtime", "sglang", "--gpu", "2x H100")["command"][-2:] == ["--tp-size", "2"]
    assert "--tensor-parallel-size" not in container(place, *IMAGE, "--gpu", "L4")["command"]


def test_a_model_that_does_not_fit_gets_no_manifests(place: Place) -> None:
    place.build()
    ran = place.run("export", "tiny-llm", "--to", "k8s", *IMAGE, "--runtime", "sglang", "--gpu", "T4")
    assert (ran.code, ran.out, "tiny-llm-1.0.0+0000000 on Tesla T4: unsupported\n" in ran.err) == (7, "", True)


def test_what_the_package_states_counts_where_no_gpu_is_named(place: Place) -> None:
    state(place, tensor_parallel_size=2, cpu_offload_gb=3.0)
    told = container(place, *IMAGE)
    assert told["resources"]["limits"]["nvidia.com/gpu"] == "2"
    weights = int(told["resources"]["limits"]["memory"]) - ((4 + 2 + 2 * 3) << 30)
    assert 0 < weights < 1 << 20
    assert told["command"].count("--tensor-parallel-size") == 1
    assert "nvidia.com/gpu" not in container(place, *IMAGE, "--gpus", "0")["resources"]["limits"]
    one = container(place, *IMAGE, "--gpus", "1")
    assert one["command"][-2:] == ["--tensor-parallel-size", "1"]
    assert one["command"].count("--tensor-parallel-size") == 1
    ran = place.run("export", "tiny-llm", "--to", "k8s", *IMAGE, "--runtime", "triton", "--gpus", "4")
    assert (ran.code, "tensor_parallel_size = 4 in its manifest" in ran.err) == (2, True)
    for none in ("-1", "1.5", "all"):
        ran = place.run("export", "tiny-llm", "--to", "k8s", *IMAGE, f"--gpus={none}")
        assert (ran.code, f"expected a number of GPUs, found {none!r}" in ran.err) == (2, True)


def test_kserve_and_what_is_missing(place: Place) -> None:
    place.build()
    (document,) = documents(place, *IMAGE, "--kserve")
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    failed = place.run("export", "tiny-llm", "--to", "k8s")
    assert failed.code == 2 and "--image REF" in failed.err
