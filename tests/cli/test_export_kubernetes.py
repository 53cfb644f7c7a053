"""``hf-pack export --to k8s``: manifests that the API's schemas take, for the paths that the package will have."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.cli.conftest import Place

IMAGE = ("--image", "registry.example/tiny:1")
PULL = ("--from", "https://cache.example", "--pull-image", "hf-pack:1")


def documents(place: Place, *arguments: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(place.done("export", "tiny-llm", "--to", "k8s", *arguments).out))


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


def test_kserve_and_what_is_missing(place: Place) -> None:
    place.build()
    (document,) = documents(place, *IMAGE, "--kserve")
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    failed = place.run("export", "tiny-llm", "--to", "k8s")
    assert failed.code == 2 and "--image REF" in failed.err
