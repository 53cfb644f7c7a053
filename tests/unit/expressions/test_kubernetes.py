"""The manifests pass the API's own schemas; the YAML is what a YAML reader reads."""

from __future__ import annotations

from dataclasses import replace

import kubernetes_validate
import pytest
import yaml as reader

from hf_pack.expressions.kubernetes import ImageVolume, PulledVolume, Workload, deployment, inference_service, yaml
from hf_pack.model.launch import Launch, ViewFile

LAUNCH = Launch(
    runtime="vllm",
    argv=("vllm", "serve", "/nix/store/x/snapshot", "--dtype", "auto"),
    environment=(("HF_HUB_OFFLINE", "1"), ("ODD", "$(HOME) 'x' \"y\": #z")),
    unset=(),
    directories=(),
    view="/usr/share/hf-pack",
    view_files=(),
    host="0.0.0.0",
    port=8000,
    more_ports=(),
    loads="/nix/store/x/snapshot",
    model_names=("acme/tiny",),
    notes=(),
)
VIEW = replace(LAUNCH, view_files=(ViewFile(path="triton/tiny/1/model.json", contents=b'{\n  "model": "/x"\n}\n'),))
WORKLOAD = Workload(
    name="tiny",
    runtime_image="vllm/vllm-openai:v0.33.0",
    launch=LAUNCH,
    health="/health",
    state="/var/lib/hf-pack",
    memory=1 << 30,
    gpus=1,
)
IMAGE = ImageVolume(reference="registry.example/tiny:1", mount="/nix/store")
PULLED = PulledVolume(
    image="hf-pack:1", commands=(("hf-pack", "pull", "x"), ("hf-pack", "verify", "x")), mount="/nix/store", size=1 << 30
)


@pytest.mark.parametrize("package", [IMAGE, PULLED, replace(PULLED, claim="models")])
@pytest.mark.parametrize("launch", [LAUNCH, VIEW])
def test_manifests_pass_the_schemas_of_the_api(package: ImageVolume | PulledVolume, launch: Launch) -> None:
    documents = deployment(replace(WORKLOAD, launch=launch), package)
    text = yaml(documents)
    assert list(reader.safe_load_all(text)) == list(documents)
    for document in reader.safe_load_all(text):
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_package_is_read_only_and_the_server_confined() -> None:
    (_, service, _) = (None, *deployment(WORKLOAD, IMAGE))
    pod = reader.safe_load(yaml([service]))["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["volumeMounts"][0] == {"name": "package", "mountPath": "/nix/store", "readOnly": True}
    assert {"name": "ODD", "value": "$$(HOME) 'x' \"y\": #z"} in container["env"]
    assert container["resources"]["limits"] == {"memory": str(1 << 30), "nvidia.com/gpu": "1"}


@pytest.mark.parametrize("package", [IMAGE, PULLED])
def test_a_kserve_service_holds_the_same_pod(package: ImageVolume | PulledVolume) -> None:
    (document,) = inference_service(WORKLOAD, package)
    read = reader.safe_load(yaml([document]))
    # Knative, the other mode, has no image volumes.
    assert read["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "RawDeployment"}
    predictor = read["spec"]["predictor"]
    assert [container["name"] for container in predictor["containers"]] == ["kserve-container"]
    assert predictor.pop("deploymentStrategy") == {"type": "Recreate"}
    assert (predictor.pop("minReplicas"), predictor.pop("maxReplicas")) == (1, 1)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": predictor}
    kubernetes_validate.validate(pod, "1.33", strict=True)


def test_links_do_not_go_into_a_config_map() -> None:
    linked = replace(LAUNCH, view_files=(ViewFile(path="hub/x", contents="/somewhere"),))
    with pytest.raises(ValueError, match="one package at a time"):
        deployment(replace(WORKLOAD, launch=linked), IMAGE)
