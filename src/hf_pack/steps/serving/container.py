"""A line that serves the packages from a container: read-only mounts, and one volume that the runtime writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hf_pack.errors import UsageError
from hf_pack.model.launch import Launch, local_host
from hf_pack.ports import Machine, Store
from hf_pack.runtimes.known import KNOWN
from hf_pack.runtimes.served import Options
from hf_pack.steps.serving.serve import Asked, require_together, state_directory, with_view
from hf_pack.steps.serving.served_package import ServedPackage

ENGINES = ("docker", "podman")
ALL_GPUS, NO_GPU = "all", "none"
_STATE, _VIEW = "/var/lib/hf-pack", "/usr/share/hf-pack"
_EVERYWHERE = "0.0.0.0"  # within the container


@dataclass(frozen=True, kw_only=True)
class ContainerLine:
    """The command, and what the runtime in the container is started with."""

    argv: tuple[str, ...]
    launch: Launch
    url: str  #: where clients on this machine find it


def container_line(
    engine: str,
    asked: Asked,
    packages: tuple[ServedPackage, ...],
    store: Store,
    machine: Machine,
    *,
    image: str | None,
    gpus: str,
) -> ContainerLine:
    """``docker run …`` or ``podman run …``.

    Every object of the packages' closures is mounted at its own store path, so the tree's relative links hold; a
    self-contained package is one mount. ``asked.host`` is the address of this machine at which the ports are published.
    Raises UsageError.
    """
    if asked.runtime is None:
        raise UsageError("which runtime the container is for is not said", hint=f"--runtime {' or '.join(KNOWN)}")
    runtime = KNOWN[asked.runtime]
    served = [package.at(str(package.store_path)) for package in packages]
    require_together(served, runtime)
    options = Options(
        command=runtime.command,
        host=_EVERYWHERE,
        port=asked.port,
        arguments=asked.arguments,
        state=_STATE,
        view="",
    )
    inside = with_view(runtime, served, options, Path(_VIEW))
    state = state_directory(machine.state, packages)
    on_host = replace(inside, view=str(state / Path(inside.view).name), directories=())
    machine.prepare(on_host)
    program, *arguments = inside.argv
    argv = (
        *(engine, "run", "--rm"),
        *_gpu_flags(engine, gpus),
        "--ipc=host",  # the runtimes' processes share tensors through shared memory
        *_published(asked.host, inside),
        *_mounts(packages, store, inside, on_host),
        *("--volume", f"hf-pack-{state.name}:{_STATE}"),
        *(word for name, value in inside.environment for word in ("--env", f"{name}={value}")),
        *("--entrypoint", program, image or runtime.image, *arguments),
    )
    return ContainerLine(argv=argv, launch=inside, url=f"http://{local_host(asked.host)}:{inside.port}")


def _gpu_flags(engine: str, gpus: str) -> tuple[str, ...]:
    if gpus == NO_GPU:
        return ()
    return ("--gpus", gpus) if engine == "docker" else ("--device", f"nvidia.com/gpu={gpus}")


def _published(host: str, launch: Launch) -> Iterator[str]:
    address = f"[{host}]" if ":" in host else host
    for port in (launch.port, *launch.more_ports):
        yield from ("--publish", f"{address}:{port}:{port}")


def _mounts(packages: tuple[ServedPackage, ...], store: Store, inside: Launch, on_host: Launch) -> Iterator[str]:
    for store_path in dict.fromkeys(path for package in packages for path in package.closure):
        yield from ("--volume", f"{_mountable(str(store.real_path(store_path)))}:{store_path}:ro")
    if inside.view_files:
        yield from ("--volume", f"{_mountable(on_host.view)}:{inside.view}:ro")


def _mountable(place: str) -> str:
    if ":" in place:
        raise UsageError(f"{place} cannot be mounted: it has a colon", hint="--store for a store in another directory")
    return place
