"""What is served: a package at a place, as a runtime's renderer needs to know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_pack.model.hub_ids import RepoId
from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import ViewFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A package of a store.

    ``place`` is the absolute path of its tree as the runtime will see it, ``files`` where in it the model's files lie,
    ``paths`` those files.
    ``repo_id`` is also the name that clients use. ``weights_file`` is set for a model that is one file (GGUF): its path
    below ``files``. ``engine_parameters`` are the manifest's tables by runtime.
    """

    label: str  #: for messages: store name, pname and version
    store_path: str
    place: str
    files: str
    paths: tuple[str, ...]
    repo_id: RepoId
    snapshot_id: str
    triton_model_name: str | None
    has_hub: bool
    weights_file: str | None
    engine_parameters: Mapping[str, JsonObject]

    @property
    def directory(self) -> str:
        """The model's files, absolute."""
        return f"{self.place}/{self.files}"

    @property
    def model(self) -> str:
        """What a runtime is told to load: the exact snapshot, or the one file."""
        return f"{self.directory}/{self.weights_file}" if self.weights_file else self.directory

    @property
    def has_tokenizer(self) -> bool:
        """Whether a tokenizer lies beside the weights."""
        return any(name in self.paths for name in ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json"))

    @property
    def hub(self) -> str:
        """Its cache of the Hub, absolute."""
        return f"{self.place}/share/models/hub"

    @property
    def triton_repository(self) -> str | None:
        """The model repository that stock Triton starts, absolute; None for packages that have none."""
        return f"{self.place}/share/triton" if self.has_hub and self.triton_model_name else None

    def parameters(self, runtime: str) -> JsonObject:
        """The manifest's table for a runtime; empty when it has none."""
        return self.engine_parameters.get(runtime, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is served. ``port`` None means the runtime's own; ``arguments`` come last and win."""

    command: tuple[str, ...]  #: the program, and what stands before the model's path
    host: str
    port: int | None
    arguments: tuple[str, ...]
    state: str  #: a directory of these packages alone that the runtime may write, absolute
    view: str  #: where the view's files will be, absolute


def merged_hub(packages: Sequence[Served]) -> tuple[ViewFile, ...]:
    """One cache of the Hub made of links, so that the repo ids of all packages resolve; none is needed for one.

    Directories are real and files are links: the Hub's own tool joins paths by their text when it lists a cache, and
    finds nothing behind a directory that is a link.
    """
    if len(packages) < 2:
        return ()
    return tuple(
        ViewFile(path=f"hub/{package.repo_id.folder}/{path}", contents=f"{package.hub}/{package.repo_id.folder}/{path}")
        for package in packages
        if package.has_hub
        for path in ("refs/main", *(f"snapshots/{package.snapshot_id}/{file}" for file in package.paths))
    )


def hub_of(packages: Sequence[Served], options: Options) -> str:
    """``HF_HUB_CACHE``: the package's own, the merged one, or an empty one in the state directory."""
    if len(packages) == 1 and packages[0].has_hub:
        return packages[0].hub
    return f"{options.view}/hub" if any(package.has_hub for package in packages) else f"{options.state}/hub"


def collision(packages: Sequence[Served], *, triton: bool) -> str | None:
    """What two of the packages share and only one can have, in words; None when they go together."""
    for index, package in enumerate(packages):
        for other in packages[:index]:
            if package.has_hub and other.has_hub and package.repo_id == other.repo_id:
                return f"{other.label} and {package.label} have one repo id, {package.repo_id}"
            if triton and package.triton_model_name == other.triton_model_name:
                return f"{other.label} and {package.label} have one Triton model name, {package.triton_model_name}"
    return None
