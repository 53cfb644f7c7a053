"""Kubernetes manifests that serve a published package with a runtime: Deployment and Service, or a KServe service.

API: ``apps/v1`` Deployment, ``v1`` Service and ConfigMap, image volumes (``volumes[].image``, on by default from
Kubernetes 1.33), ``serving.kserve.io/v1beta1`` InferenceService. Values are plain JSON; :func:`yaml` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.launch import Launch

_USER = 65532  # nobody in particular: neither the model nor the runtime's image is his
_CACHE, _PACKAGE, _VIEW = "state", "package", "view"
_SHARED_MEMORY = "shm"  # processes of one runtime share tensors there
_STARTUP_SECONDS = 1800  # large weights take minutes to load


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One server. ``launch`` holds paths inside the container; its state directory is ``state``.

    ``memory`` is what the container asks for, in bytes; ``gpus`` 0 asks for none. ``health`` is the path that answers
    200 when it serves.
    """

    name: str  #: DNS label
    runtime_image: str
    launch: Launch
    health: str
    state: str
    memory: int
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVolume:
    """The package as an OCI image that the kubelet mounts read-only at ``mount``."""

    reference: str
    mount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledVolume:
    """The package pulled and verified by an init container into a volume, mounted at ``mount``.

    ``claim`` is a PersistentVolumeClaim, None an emptyDir of ``size`` bytes. ``commands`` run one after the other.
    """

    image: str
    commands: tuple[tuple[str, ...], ...]
    mount: str
    size: int
    claim: str | None = None


def deployment(workload: Workload, package: ImageVolume | PulledVolume) -> tuple[JsonObject, ...]:
    """A ConfigMap where the runtime needs files of its own, a Deployment and a Service."""
    labels: JsonObject = {"app.kubernetes.io/name": workload.name}
    metadata: JsonObject = {"name": workload.name, "labels": labels}
    pod: JsonObject = {"metadata": {"labels": labels}, "spec": _pod(workload, package)}
    return (
        *_view(workload),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "strategy": _RECREATE,
                "selector": {"matchLabels": labels},
                "template": pod,
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "selector": labels,
                "ports": [{"name": "http", "port": workload.launch.port, "targetPort": "http"}],
            },
        },
    )


def inference_service(workload: Workload, package: ImageVolume | PulledVolume) -> tuple[JsonObject, ...]:
    """KServe's InferenceService with a container of ours as predictor.

    Knative's pods have no image volumes, and init containers and pod security contexts behind switches alone, so KServe
    is told to make a Deployment. That mode is called Standard from KServe 0.16 on, which takes the older word too.
    """
    spec = _pod(workload, package)
    # KServe's name for the container that serves.
    containers = [{**container, "name": "kserve-container"} for container in _objects(spec["containers"])]
    predictor: JsonObject = {
        **spec,
        "containers": containers,
        "deploymentStrategy": _RECREATE,
        "minReplicas": 1,
        "maxReplicas": 1,
    }
    return (
        *_view(workload),
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {
                "name": workload.name,
                "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"},
            },
            "spec": {"predictor": predictor},
        },
    )


def _pod(workload: Workload, package: ImageVolume | PulledVolume) -> dict[str, JsonValue]:
    launch = workload.launch
    mounts: list[JsonValue] = [
        {"name": _PACKAGE, "mountPath": package.mount, "readOnly": True},
        {"name": _CACHE, "mountPath": workload.state},
        {"name": _SHARED_MEMORY, "mountPath": "/dev/shm"},
    ]
    volumes: list[JsonValue] = [
        _volume(package),
        {"name": _CACHE, "emptyDir": {}},
        {"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory"}},
    ]
    if launch.view_files:
        mounts.append({"name": _VIEW, "mountPath": launch.view, "readOnly": True})
        items: list[JsonValue] = [{"key": key, "path": path} for key, path, _ in _view_keys(launch)]
        volumes.append({"name": _VIEW, "configMap": {"name": f"{workload.name}-view", "items": items}})
    limits: dict[str, JsonValue] = {"memory": str(workload.memory)}
    if workload.gpus:
        limits["nvidia.com/gpu"] = str(workload.gpus)
    probe: dict[str, JsonValue] = {"httpGet": {"path": workload.health, "port": "http"}}
    container: dict[str, JsonValue] = {
        "name": launch.runtime,
        "image": workload.runtime_image,
        "command": list(launch.argv),
        "env": [{"name": name, "value": _literal(value)} for name, value in launch.environment],
        "ports": [{"name": "http", "containerPort": launch.port}],
        "startupProbe": {**probe, "periodSeconds": 10, "failureThreshold": _STARTUP_SECONDS // 10},
        "readinessProbe": {**probe, "periodSeconds": 10},
        "livenessProbe": {**probe, "periodSeconds": 30, "timeoutSeconds": 10},
        "resources": {"requests": {"memory": str(workload.memory)}, "limits": limits},
        "securityContext": _CONFINED,
        "volumeMounts": mounts,
    }
    spec: dict[str, JsonValue] = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
        "containers": [container],
        "volumes": volumes,
    }
    if isinstance(package, PulledVolume):
        spec["initContainers"] = [
            {
                "name": f"package-{number}",
                "image": package.image,
                "command": list(command),
                "env": [{"name": "HOME", "value": workload.state}],
                "securityContext": _CONFINED,
                "volumeMounts": [
                    {"name": _PACKAGE, "mountPath": package.mount},
                    {"name": _CACHE, "mountPath": workload.state},
                ],
            }
            for number, command in enumerate(package.commands, 1)
        ]
    return spec


_RECREATE: JsonObject = {"type": "Recreate"}  # a second server beside the first would need its GPUs
_CONFINED: JsonObject = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _volume(package: ImageVolume | PulledVolume) -> JsonObject:
    if isinstance(package, ImageVolume):
        return {"name": _PACKAGE, "image": {"reference": package.reference, "pullPolicy": "IfNotPresent"}}
    if package.claim is not None:
        return {"name": _PACKAGE, "persistentVolumeClaim": {"claimName": package.claim}}
    return {"name": _PACKAGE, "emptyDir": {"sizeLimit": str(package.size)}}


def _view_keys(launch: Launch) -> Iterator[tuple[str, str, str]]:
    """ConfigMap key, path and text of each file of the view. Raises ValueError for a link: a ConfigMap has none."""
    for file in launch.view_files:
        if isinstance(file.contents, str):
            raise ValueError(f"{file.path} is a link, which a ConfigMap cannot hold: export one package at a time")
        yield file.path.replace("/", "."), file.path, file.contents.decode()


def _view(workload: Workload) -> Iterator[JsonObject]:
    if workload.launch.view_files:
        yield {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{workload.name}-view"},
            "data": {key: text for key, _, text in _view_keys(workload.launch)},
        }


def _literal(text: str) -> str:
    return text.replace("$(", "$$(")  # Kubernetes would put a variable's value there


def _objects(value: JsonValue) -> list[JsonObject]:
    assert isinstance(value, list | tuple)
    return [item for item in value if isinstance(item, Mapping)]


def yaml(documents: Iterable[JsonObject]) -> str:
    """The documents as YAML 1.2: keys in their order, every text in JSON's double quotes, which YAML reads alike."""
    return "".join(f"{line}\n" for document in documents for line in ("---", *_block(document, "")))


def _block(value: JsonValue, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _entry(f"{indent}{_key(key)}:", inner, f"{indent}  ")
    elif isinstance(value, list | tuple):
        for inner in value:
            lines = list(_block(inner, f"{indent}  ")) if inner and isinstance(inner, Mapping | list | tuple) else []
            yield f"{indent}- {lines[0].lstrip()}" if lines else f"{indent}- {_word(inner)}"
            yield from lines[1:]


def _entry(head: str, value: JsonValue, indent: str) -> Iterator[str]:
    if value and isinstance(value, Mapping | list | tuple):
        yield head
        yield from _block(value, indent)
    else:
        yield f"{head} {_word(value)}"


def _key(key: str) -> str:
    plain = (
        key.isascii() and key[:1].isalpha() and key.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
    )
    return (
        key
        if plain and key.replace("/", "").replace(".", "").replace("-", "").isalnum() and len(key) > 1
        else _word(key)
    )


def _word(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
