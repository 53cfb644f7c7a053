"""The manifest: what a person wants packaged, and as what (``models/<name>.toml``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hf_pack.model.hub_ids import RepoId
from hf_pack.model.json_value import JsonObject

CONTENT_SNAPSHOT = "content"  #: ``snapshot_id = "content"``: derive the id from the files themselves


class Layout(StrEnum):
    """Which runtimes' directories a package has (DESIGN.md, section 5)."""

    DUAL = "dual"
    SINGLE = "single"
    HF = "hf"

    @property
    def has_hub(self) -> bool:
        """Whether the package has a Hub cache."""
        return self is not Layout.SINGLE

    @property
    def has_triton(self) -> bool:
        """Whether the package has a Triton model directory."""
        return self is not Layout.HF


class Storage(StrEnum):
    """Whether a tree links to its blobs or holds the bytes itself (DESIGN.md, section 1)."""

    LINKED = "linked"
    SELF_CONTAINED = "self-contained"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A model on the Hub; ``revision`` is a branch, tag or commit, as asked for."""

    repo_id: RepoId
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSource:
    """A model on disk.

    ``path`` is as written: absolute, with a leading ``~``, or relative to the workspace. Without ``slug`` and
    ``snapshot_id`` (both or neither) the source must say itself what it is, as an HF cache directory does.
    ``snapshot_id`` may be :data:`CONTENT_SNAPSHOT`.
    """

    path: str
    slug: RepoId | None = None
    snapshot_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files of the source are packaged: glob patterns over whole paths, ``*`` crosses ``/``.

    ``include`` None means the default choice (:mod:`hf_pack.model.selection`). A pickle-format weight file is
    taken only with ``allow_pickle``.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    allow_pickle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """What of a model's content the package accepts (``[allow]``); by default nothing that may do harm.

    Of each kind: True for all of it, or the files. ``pickle_globals`` are names (``module.name``) that pickles may
    use beside those that loading tensors takes.
    """

    remote_code: tuple[str, ...] | bool = False
    templates: tuple[str, ...] | bool = False
    duplicate_keys: tuple[str, ...] | bool = False
    unscanned_pickles: tuple[str, ...] | bool = False
    pickle_globals: tuple[str, ...] = ()
    redistribution: bool = False  #: publish although the licence, or the Hub's gate, does not allow it to anybody


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One recorded change of one small text file, made while locking.

    All conditions of ``when`` must hold, or locking fails: a patch that does not match any more is an error.
    ``set`` and ``delete`` speak of top-level keys, or of nested ones by a dotted path; ``merge`` is a JSON merge
    patch (RFC 7396). ``replace`` names a file beside the manifest that takes the place of the whole file.
    """

    file: str
    reason: str
    when: JsonObject = field(default_factory=dict)
    set: JsonObject = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    merge: JsonObject = field(default_factory=dict)
    replace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One package as wanted. ``name`` is the file's stem; engine parameters are by runtime (vllm, sglang, triton)."""

    name: str
    pname: str
    base_version: str
    layout: Layout
    storage: Storage
    source: HubSource | PathSource
    selection: Selection
    allow: Allow = field(default_factory=Allow)
    triton_model_name: str | None = None
    vllm: JsonObject = field(default_factory=dict)
    sglang: JsonObject = field(default_factory=dict)
    triton: JsonObject = field(default_factory=dict)
    runtimes: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()  #: GPUs that it is to run on, as `check --gpu` takes them; each one by itself
    patches: tuple[Patch, ...] = ()

    @property
    def engine_parameters(self) -> dict[str, JsonObject]:
        """The tables by runtime, those that are empty too."""
        return {"sglang": self.sglang, "triton": self.triton, "vllm": self.vllm}
