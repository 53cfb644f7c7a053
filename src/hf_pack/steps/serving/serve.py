"""Serve: from packages in a store to a runtime that is started right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hf_pack.errors import CompatibilityError, Error, UsageError
from hf_pack.formats.hashes import Hash
from hf_pack.model.launch import InstalledRuntime, Launch, ViewFile
from hf_pack.ports import Machine, Progress, Store, Workspace
from hf_pack.runtimes.known import KNOWN, Runtime
from hf_pack.runtimes.requirement import satisfies
from hf_pack.runtimes.served import Options, Served, collision
from hf_pack.steps.serving.served_package import ServedPackage, served_package
from hf_pack.steps.workspace.locate import locate
from hf_pack.steps.workspace.targets import known_store_path, resolve

LOCAL = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person asks for. ``port`` None is the runtime's own; ``arguments`` go to the runtime and win."""

    names: Sequence[str]
    runtime: str | None = None
    host: str = LOCAL
    port: int | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Packages with the command that serves them; ``installed`` None when this machine has no such runtime."""

    packages: tuple[ServedPackage, ...]
    runtime: Runtime
    installed: InstalledRuntime | None
    launch: Launch
    notes: tuple[str, ...]


def find_packages(names: Sequence[str], workspace: Workspace | None, store: Store) -> tuple[ServedPackage, ...]:
    """The packages of these names, each once. Raises UsageError, LockError, StoreError."""
    store_paths = dict.fromkeys(locate(name, workspace, store) for name in names)
    return tuple(served_package(store_path, store) for store_path in store_paths)


def prepare(
    asked: Asked,
    packages: tuple[ServedPackage, ...],
    workspace: Workspace | None,
    store: Store,
    machine: Machine,
    *,
    any_runtime: bool = False,
) -> Prepared:
    """The command line and environment, and on disk what they name beside the store. Nothing is started.

    With ``any_runtime`` the first one that is installed is taken where none is asked for and several are. Raises
    UsageError: no or several runtimes to choose from, packages that do not go together or that it cannot serve.
    """
    runtime, installed = choose(asked.runtime, packages, machine, any_runtime=any_runtime)
    served = [package.served for package in packages]
    require_together(served, runtime)
    state = state_directory(machine.state, packages)
    options = Options(
        command=runtime.command if installed is None else installed.command,
        host=asked.host,
        port=asked.port,
        arguments=asked.arguments,
        state=str(state),
        view="",
    )
    launch = with_view(runtime, served, options, state)
    machine.prepare(launch)
    absent = [] if installed else [f"{runtime.title} is not installed here: the command is for a machine that has it"]
    notes = [*absent, *_left_behind(asked.names, packages, workspace, store), *_aside(served, runtime), *launch.notes]
    return Prepared(
        packages=packages, runtime=runtime, installed=installed, launch=launch, notes=tuple(dict.fromkeys(notes))
    )


def require_ready(prepared: Prepared, machine: Machine) -> tuple[str, ...]:
    """What must hold before the runtime starts; returns warnings.

    Raises UsageError (no such runtime, a port that is taken), CompatibilityError (a version that a package is not for).
    """
    runtime, installed, launch = prepared.runtime, prepared.installed, prepared.launch
    if installed is None:
        raise UsageError(
            f"{runtime.title} is not installed here\n  PATH and this Python's environment: no {runtime.command[0]}",
            hint=runtime.installed_by,
        )
    warnings = []
    for package in prepared.packages:
        wanted = package.runtimes.get(runtime.name)
        if wanted is None:
            continue
        if installed.version is None:
            warnings.append(f"{package.served.label} is for {runtime.title} {wanted}; this one's version is unknown")
        elif not satisfies(installed.version, wanted):
            raise CompatibilityError(
                f"{package.served.label} is for {runtime.title} {wanted}\n"
                f"  {installed.command[0]}: found {installed.version}",
                hint="install a version that it is for, or change runtimes in its manifest and build it again",
            )
    for port in (launch.port, *launch.more_ports):
        if not machine.is_free(launch.host, port):
            raise UsageError(f"port {port} of {launch.host} is taken", hint="--port NUMBER for another one")
    for package in prepared.packages:
        if machine.may_write_as_root(Path(package.served.place)):
            warnings.append(
                f"root can change {package.served.place}, and a runtime that asks the Hub would: "
                "serve as another user, or mount the store read-only"
            )
            break
    return tuple(warnings)


def verify_first(packages: Sequence[ServedPackage], store: Store, workers: int, progress: Progress) -> None:
    """Re-hash every byte that is to be served. Raises IntegrityError."""
    from hf_pack.steps.building.sound import require_sound
    from hf_pack.steps.building.verify import Recent

    paths = [item.store_path for item in packages]
    hint = f"hf-pack verify {' '.join(map(str, paths))}"
    problem = "what is to be served is damaged"
    require_sound(paths, store, workers, progress, Recent(now=0), problem=problem, hint=hint)


def choose(
    asked: str | None, packages: Sequence[ServedPackage], machine: Machine, *, any_runtime: bool
) -> tuple[Runtime, InstalledRuntime | None]:
    """The runtime asked for, else the one that is installed and can serve the packages. Raises UsageError."""
    if asked is not None:
        return KNOWN[asked], machine.runtime(asked)
    able = [runtime for runtime in KNOWN.values() if _unable(packages, runtime) is None]
    found = [(runtime, installed) for runtime in able if (installed := machine.runtime(runtime.name)) is not None]
    if not found:
        raise UsageError(
            "no runtime is installed here\n  PATH and this Python's environment: no vllm, sglang or tritonserver",
            hint="pip install vllm; or name one with --runtime, and --print shows the command",
        )
    if len(found) > 1 and not any_runtime:
        names = " or ".join(runtime.name for runtime, _ in found)
        raise UsageError("several runtimes are installed here", hint=f"--runtime {names}")
    return found[0]


def require_together(served: Sequence[Served], runtime: Runtime) -> None:
    """Raises UsageError for packages that the runtime cannot serve, or not together."""
    for package in served:
        if runtime.name == "triton" and package.triton_model_name is None:
            raise UsageError(
                f"{package.label} has no Triton model directory: its layout is hf",
                hint='build it with layout = "dual", or use --runtime vllm',
            )
    clash = collision(served, triton=runtime.name == "triton")
    if clash is not None:
        raise UsageError(clash, hint="serve one of them, or give one another name in its manifest")


def state_directory(state: Path, packages: Sequence[ServedPackage]) -> Path:
    """A directory that these packages have for themselves, in any order: a store digest, or a hash of several."""
    digests = sorted(package.store_path.base_name.partition("-")[0] for package in packages)
    return state / (digests[0] if len(digests) == 1 else Hash.sha256_of(" ".join(digests).encode()).hex()[:32])


def with_view(runtime: Runtime, served: Sequence[Served], options: Options, state: Path) -> Launch:
    """The launch with its view named after what is in it, so that another view has another place."""
    files = runtime.launch(served, options).view_files
    return runtime.launch(served, replace(options, view=str(state / f"view-{_digest(files)}")))


def _digest(files: Sequence[ViewFile]) -> str:
    lines = sorted(
        f"{file.path}\0{'link' if isinstance(file.contents, str) else 'file'}\0"
        f"{Hash.sha256_of(file.contents.encode() if isinstance(file.contents, str) else file.contents).hex()}"
        for file in files
    )
    return Hash.sha256_of("\n".join(lines).encode()).hex()[:16]


def _unable(packages: Sequence[ServedPackage], runtime: Runtime) -> str | None:
    try:
        require_together([package.served for package in packages], runtime)
    except UsageError as error:
        return error.message
    return None


def _aside(served: Sequence[Served], runtime: Runtime) -> Iterator[str]:
    if len(served) > 1 and runtime.name != "triton":
        others = ", ".join(str(package.repo_id) for package in served[1:])
        yield f"{runtime.title} serves one model, {served[0].repo_id}; the repo ids of the others resolve: {others}"


def _left_behind(
    names: Sequence[str], packages: Sequence[ServedPackage], workspace: Workspace | None, store: Store
) -> Iterator[str]:
    """A note for each package of the workspace that would be another one now than was built last."""
    built = {package.store_path for package in packages}
    for name in names:
        if workspace is None or "/" in name or "@" in name:
            continue
        try:
            package = resolve(name, workspace, store).package
            wanted = None if package is None else known_store_path(package)
        except Error as error:
            yield f"{name}: {error.message.splitlines()[0]}; the package built last is served"
            continue
        if wanted not in built:
            yield f"{name}: its manifest makes another package now, the last one is served; hf-pack build {name}"
