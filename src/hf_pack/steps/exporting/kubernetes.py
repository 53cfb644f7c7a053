"""Manifests for a cluster that serves a published package: where it lies in the container, and what it takes there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_pack.errors import UsageError
from hf_pack.expressions.kubernetes import ImageVolume, PulledVolume, Workload, deployment, inference_service, yaml
from hf_pack.gpu.check import Check
from hf_pack.gpu.settings import engine_parameters
from hf_pack.model.json_value import JsonObject
from hf_pack.ports import Store
from hf_pack.runtimes.known import KNOWN
from hf_pack.runtimes.served import Options
from hf_pack.steps.serving.serve import require_together, with_view
from hf_pack.steps.serving.served_package import ServedPackage

_STATE, _VIEW, _MOUNT = "/var/lib/hf-pack", "/usr/share/hf-pack", "/package"
_MARGIN = 4 << 30  # bytes beside the weights, which pass through memory: the runtime's own code and buffers
_A_GPU = 1 << 30  # bytes of each process that drives a GPU: CUDA's own, pinned buffers


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for. ``image`` is the package's; else ``pull_from`` (a cache's URL) with ``pull_image``."""

    runtime: str
    image: str | None = None
    pull_from: str | None = None
    pull_image: str | None = None
    claim: str | None = None
    runtime_image: str | None = None
    gpus: int | None = None  #: None: those of ``fit``, else as many as the engine parameters take
    fit: Check | None = None  #: on the cluster's GPUs
    kserve: bool = False


def to_kubernetes(package: ServedPackage, name: str, store: Store, wanted: Wanted) -> str:
    """The manifests as YAML. Raises UsageError for a package that the runtime does not serve, or no place for it."""
    runtime = KNOWN[wanted.runtime]
    infos = [store.path_info(path) for path in package.closure]
    size = sum(info.nar_size for info in infos if info is not None)
    volume: ImageVolume | PulledVolume
    if wanted.image is not None:
        volume, place = ImageVolume(reference=wanted.image, mount=_MOUNT), _MOUNT
    elif wanted.pull_from is not None and wanted.pull_image is not None:
        path, at = str(package.store_path), ("--store", _MOUNT)
        commands = (
            ("hf-pack", "pull", path, "--from", wanted.pull_from, "--root", f"{_MOUNT}/served", *at),
            ("hf-pack", "verify", path, *at),
        )
        room = size + size // 10 + (1 << 30)  # the store's database, and what lies aside while it arrives
        volume = PulledVolume(image=wanted.pull_image, commands=commands, mount=_MOUNT, size=room, claim=wanted.claim)
        place = f"{_MOUNT}{path}"
    else:
        raise UsageError(
            "where the cluster finds the package is not said", hint="--image REF, or --from URL --pull-image REF"
        )
    served = package.at(place)
    require_together([served], runtime)
    parameters = engine_parameters(package.served.engine_parameters, wanted.runtime)
    stated = _stated_gpus(parameters)
    gpus = wanted.gpus if wanted.gpus is not None else stated if wanted.fit is None else len(wanted.fit.gpus)
    options = Options(
        command=runtime.command,
        host="0.0.0.0",
        port=None,
        arguments=_spread(wanted.runtime, gpus) if gpus not in (0, stated) else (),
        state=_STATE,
        view="",
    )
    workload = Workload(
        name=name,
        runtime_image=wanted.runtime_image or runtime.image,
        launch=with_view(runtime, [served], options, Path(_VIEW)),
        health=runtime.health,
        state=_STATE,
        memory=_memory(parameters, size, gpus, wanted.fit),
        gpus=gpus,
    )
    return yaml((inference_service if wanted.kserve else deployment)(workload, volume))


def _stated_gpus(parameters: JsonObject) -> int:
    count = 1
    for key in ("tensor_parallel_size", "pipeline_parallel_size"):
        stated = parameters.get(key)
        count *= stated if isinstance(stated, int) and stated > 0 else 1
    return count


def _spread(runtime: str, gpus: int) -> tuple[str, ...]:
    """The flag without which the runtime would leave all GPUs but those that the package states unused."""
    if runtime == "triton":
        raise UsageError(
            f"Triton takes the number of GPUs from the package alone\n  asked for: {gpus}",
            hint=f"tensor_parallel_size = {gpus} in its manifest, or --runtime vllm",
        )
    return ("--tp-size" if runtime == "sglang" else "--tensor-parallel-size", str(gpus))


def _memory(parameters: JsonObject, closure_size: int, gpus: int, fit: Check | None) -> int:
    """Bytes of the node's memory. The weights pass through it: of a package whose fit is known those that are loaded,
    of any other all that it holds. ``cpu_offload_gb``, which the engine keeps there, is said for each GPU."""
    weights = closure_size if fit is None else fit.weight_bytes * len(fit.gpus)
    offloaded = parameters.get("cpu_offload_gb")
    kept = int(offloaded * (1 << 30)) * gpus if isinstance(offloaded, int | float) else 0
    return weights + kept + _MARGIN + _A_GPU * gpus
