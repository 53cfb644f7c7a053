"""The composition root: which adapters stand behind the ports. Only here and in `cli` is the environment read."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.errors import ManifestError, StoreError, UsageError
from hf_pack.model.workspace_template import FILE_NAME
from hf_pack.user_path import user_path

if TYPE_CHECKING:
    from hf_pack.model.findings import Rebuilt
    from hf_pack.model.manifest import HubSource, PathSource
    from hf_pack.model.signature_policy import SignaturePolicy
    from hf_pack.model.workspace_document import Policy, WorkspaceSettings
    from hf_pack.ports import (
        BlobFinder,
        BlobSource,
        Machine,
        ObjectCache,
        ObjectStorage,
        Progress,
        Source,
        Sources,
        Store,
        WantedBlob,
        Workspace,
    )
    from hf_pack.steps.building.fetch import Elsewhere, Places
    from hf_pack.steps.inspecting.gates import Guard
    from hf_pack.steps.locking.lock_checks import Knowledge
    from hf_pack.steps.trust.trust import Trust

STORE_VARIABLE = "HF_PACK_STORE"
TRUST_VARIABLE = "HF_PACK_TRUSTED_KEYS"
AUTO, DAEMON = "auto", "daemon"


def create_workspace(directory: Path) -> Workspace:
    """Make ``directory`` a workspace. Raises UsageError when it is one."""
    return WorkspaceOnDisk.create(directory)


def open_workspace(directory: Path) -> Workspace:
    """The workspace that ``directory`` lies in. Raises UsageError, ManifestError when its ``hf-pack.toml`` is wrong."""
    workspace = WorkspaceOnDisk.find(directory)
    lines = (workspace.read(FILE_NAME) or b"").splitlines()
    if any(line.strip() and not line.lstrip().startswith(b"#") for line in lines):
        read_settings(workspace)  # most say nothing, and reading takes longer than most commands
    return workspace


def optional_workspace(directory: Path) -> Workspace | None:
    """The workspace of ``directory``, None when it lies in none."""
    try:
        return open_workspace(directory)
    except ManifestError:
        raise
    except UsageError:
        return None


@dataclass(frozen=True)
class AnySources:
    """Implements :class:`hf_pack.ports.Sources`: directories, seen from the workspace, and the Hub."""

    workspace: Path
    progress: Progress  #: is told when the Hub asks to wait

    def open(self, source: PathSource | HubSource) -> Source:
        """See :class:`hf_pack.ports.Sources`."""
        from hf_pack.model.manifest import HubSource

        if isinstance(source, HubSource):
            from hf_pack.adapters.hub.settings import client_limits, client_settings
            from hf_pack.adapters.hub.source import open_hub_source

            return open_hub_source(
                source.repo_id, source.revision, client_settings(), client_limits(), self.progress.note
            )
        from hf_pack.adapters.local.sources import LocalSources

        return LocalSources(self.workspace).open(source)


def open_sources(workspace: Workspace, progress: Progress) -> Sources:
    """The places where a manifest's model may lie; ``progress`` is told when the Hub asks to wait."""
    return AnySources(workspace.root, progress)


def hub_is_offline() -> bool:
    """Whether the environment forbids to ask the Hub: ``HF_HUB_OFFLINE``."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


@dataclass(frozen=True)
class OtherStore:
    """Implements :class:`hf_pack.ports.BlobFinder`: another store of this machine."""

    store: Store

    @property
    def name(self) -> str:
        """The store's URL."""
        return f"the store {self.store.url}"

    def session(self) -> AbstractContextManager[None]:
        """See :class:`hf_pack.ports.BlobFinder`."""
        return self.store.session()

    def find(self, wanted: WantedBlob) -> Path | None:
        """See :class:`hf_pack.ports.BlobFinder`. Raises StoreError for a store that cannot be asked."""
        store_path = wanted.blob.store_path
        if self.store.path_info(store_path) is None:
            return None
        with suppress(StoreError):  # a store that this user cannot write may still be read
            self.store.keep([store_path])
        place = self.store.real_path(store_path)
        try:
            is_whole = place.is_file() and place.stat().st_size == wanted.blob.size
        except OSError:
            return None
        return place if is_whole and os.access(place, os.R_OK) else None


def open_places(
    workspace: Workspace, store: Store, progress: Progress, *, offline: bool = False, limit_rate: int | None = None
) -> Places:
    """Where a build into ``store`` may find bytes; ``limit_rate`` caps the Hub and mirrors, in bytes a second."""
    from hf_pack.steps.building.fetch import Places

    return Places(
        disk=open_sources(workspace, progress),
        elsewhere=lambda: _elsewhere(workspace, store, progress, offline=offline, limit_rate=limit_rate),
        substitutes=lambda: not (offline or hub_is_offline()),
    )


def _elsewhere(
    workspace: Workspace, store: Store, progress: Progress, *, offline: bool, limit_rate: int | None
) -> Elsewhere:
    """The user's own store, when it is another one, and the Hub's cache; then caches, mirrors, the Hub.

    What of it is broken is left out with a note; a URL that is none, in hf-pack.toml, is an error.
    """
    from dataclasses import replace

    from hf_pack.adapters.binary_cache import BinaryCache
    from hf_pack.adapters.hub.hf_cache import HubCacheFinder
    from hf_pack.adapters.hub.settings import client_limits, client_settings
    from hf_pack.adapters.hub.transports import hub_transports
    from hf_pack.adapters.object_storage.opening import UnknownKindError
    from hf_pack.steps.building.fetch import Elsewhere, passed_over

    settings = client_settings()
    notes: list[str] = []
    finders: list[BlobFinder] = []
    for url in _stores_of_this_user():
        try:
            other = open_store(url)
        except (StoreError, UsageError) as error:
            notes.append(passed_over(f"the store {url}", error))
        else:
            finders += [OtherStore(other)] if other.url != store.url else []
    if settings.cache is not None:
        finders.append(HubCacheFinder(settings.cache))
    sources: list[BlobSource] = []
    hub: tuple[BlobSource, ...] = ()
    if not offline and not settings.offline:
        wanted = read_settings(workspace)
        for cache in wanted.caches:
            try:
                sources.append(BinaryCache(open_storage(cache, where=f"{FILE_NAME}: caches")))
            except UnknownKindError as error:
                notes.append(passed_over(f"the cache {error.name}", error))
        limits = replace(client_limits(), bytes_per_second=limit_rate)
        hub = tuple(hub_transports(settings, limits, wanted.mirrors, progress.note))
    return Elsewhere(finders=tuple(finders), sources=tuple(sources), hub=hub, notes=tuple(notes))


def open_storage(url: str, *, where: str = "--to", to_read: bool = False) -> ObjectStorage:
    """The binary cache at ``file://``, ``http(s)://``, ``s3://``, ``gs://`` or ``az://``, or in an archive; nothing is
    asked yet.

    ``where`` the URL stands is said in errors; a directory must be there ``to_read``. Raises UsageError,
    UnknownKindError for a URL of another kind.
    """
    from hf_pack.adapters.object_storage import opening

    return opening.open_storage(url, where=where, to_read=to_read)


def is_archive(url: str) -> bool:
    """Whether it names a file, as :func:`open_storage` takes it for an archive of packages."""
    from hf_pack.adapters.object_storage.opening import archive_at

    return archive_at(url) is not None


def open_caches(urls: Sequence[str], workspace: Workspace | None) -> tuple[ObjectCache, ...]:
    """The caches to pull from: these, else those of ``hf-pack.toml``. Raises UsageError."""
    from hf_pack.adapters.binary_cache import BinaryCache

    where = "--from" if urls else f"{FILE_NAME}: caches"
    wanted = urls or (read_settings(workspace).caches if workspace is not None else ())
    if not wanted:
        raise UsageError("no cache to pull from", hint=f"name one with --from URL, or caches in {FILE_NAME}")
    return tuple(BinaryCache(open_storage(url, where=where, to_read=True)) for url in wanted)


def read_trust(keys: Sequence[str], policy: SignaturePolicy | None, workspace: Workspace | None) -> Trust:
    """Whose signatures count: these keys (text or file), those of ``HF_PACK_TRUSTED_KEYS`` and of ``hf-pack.toml``.

    What is asked of them is ``policy``, else the workspace's, else a warning. Raises UsageError.
    """
    from hf_pack.adapters.key_files import trusted_key
    from hf_pack.adapters.signing.trusted import bundle_verifier
    from hf_pack.model.signature_policy import SignaturePolicy
    from hf_pack.steps.trust.trust import Trust

    settings = None if workspace is None else read_settings(workspace).policy
    wanted = policy or (None if settings is None else settings.signatures) or SignaturePolicy.WARN
    stated = [(text, "--trusted-key") for text in keys]
    stated += [(text, TRUST_VARIABLE) for text in os.environ.get(TRUST_VARIABLE, "").split()]
    if settings is not None and workspace is not None:
        where = f"{FILE_NAME}: policy.trusted_keys"
        root = workspace.root
        stated += [(text if ":" in text else str(root / user_path(text)), where) for text in settings.trusted_keys]
    found, verifiers = [], []
    for text, where in dict.fromkeys(stated):
        verifier = bundle_verifier(text)
        if verifier is None:
            found.append(trusted_key(text, where))
        else:
            verifiers.append(verifier)
    trust = Trust(keys=tuple(dict.fromkeys(found)), verifiers=tuple(verifiers), policy=wanted)
    if trust.required and not (found or verifiers):
        raise UsageError(
            "a signature is demanded, and no key is trusted",
            hint="--trusted-key NAME:BASE64, its file, or a PEM file of a public key or certificates",
        )
    return trust


def pulled_links() -> Path:
    """The directory of the links that keep what was pulled, when no other place is named."""
    return _home(os.environ, "XDG_STATE_HOME", "~/.local/state") / "pulled"


def _stores_of_this_user() -> tuple[str, ...]:
    """The one that is used when none is named, and the directory that is used where there is no Nix."""
    usual = _resolved(None, os.environ)
    return (usual, str(_home(os.environ, "XDG_DATA_HOME", "~/.local/share"))) if usual == DAEMON else (usual,)


def read_settings(workspace: Workspace) -> WorkspaceSettings:
    """Read ``hf-pack.toml``. Raises ManifestError with every problem of the file."""
    from hf_pack.model import workspace_document

    text = (workspace.read(FILE_NAME) or b"").decode(errors="replace")
    try:
        return workspace_document.parse(text)
    except workspace_document.WorkspaceProblems as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise ManifestError(f"{FILE_NAME} has problems\n{lines}", hint=f"edit {FILE_NAME}") from None


def read_policy(workspace: Workspace | None) -> Policy:
    """The workspace's policy; without a workspace one that says nothing. Raises ManifestError."""
    from hf_pack.model.workspace_document import Policy

    return Policy() if workspace is None else read_settings(workspace).policy


def open_store(url: str | None = None, environ: Mapping[str, str] | None = None) -> Store:
    """The store that ``url`` names, else ``HF_PACK_STORE``, else the machine's or this user's own.

    ``auto``, ``daemon``, a path, or ``local?root=PATH``. Raises UsageError for another kind of URL, StoreError.
    """
    variables = os.environ if environ is None else environ
    wanted = _resolved(url, variables)
    if wanted == DAEMON:
        from hf_pack.adapters.nix_daemon.store import NixDaemonStore

        return NixDaemonStore(_home(variables, "XDG_STATE_HOME", "~/.local/state"), variables)
    from hf_pack.adapters.embedded.store import EmbeddedStore

    return EmbeddedStore(_root(wanted))


def open_machine(environ: Mapping[str, str] | None = None) -> Machine:
    """This machine as the place where runtimes run; what they write is in this user's state directory."""
    from hf_pack.adapters.runtimes_here.machine import ThisMachine

    variables = os.environ if environ is None else environ
    return ThisMachine((_home(variables, "XDG_STATE_HOME", "~/.local/state") / "serve").absolute())


def runtime_knowledge() -> Knowledge:
    """What is known of the runtimes, from the tool's data and the runtimes that are installed here."""
    from importlib import resources

    from hf_pack.gpu.matrix import Matrix, parse_matrix
    from hf_pack.runtimes.engine_schema import EngineSchema, parse_schema, schema_of
    from hf_pack.runtimes.engine_source import FILES, engine_keys
    from hf_pack.runtimes.known_issues import Issue, parse_issues
    from hf_pack.steps.locking.engine_parameters import Schemas
    from hf_pack.steps.locking.lock_checks import Knowledge

    data = resources.files("hf_pack") / "data"

    def released(runtime: str) -> EngineSchema:
        return parse_schema((data / f"engine-{runtime}.json").read_text("utf-8"))

    def installed(runtime: str, known: Collection[str]) -> EngineSchema | None:
        from hf_pack.adapters.runtimes_here import engine_files, finding

        found = finding.find(runtime)
        if found is None or found.version is None or found.version.partition("+")[0] in known:
            return None
        keys = engine_keys(runtime, engine_files.engine_files(found, FILES[runtime]))
        return schema_of(runtime, found.version, keys) if keys else None

    def issues() -> tuple[Issue, ...]:
        return parse_issues((data / "known-issues.toml").read_text("utf-8"))

    def matrix() -> Matrix:
        return parse_matrix((data / "quant-matrix.csv").read_text("utf-8"))

    return Knowledge(schemas=Schemas(released=released, installed=installed), issues=issues, matrix=matrix)


def open_guard(workspace: Workspace) -> Guard:
    """Who looks into pickles, and what the workspace's policy denies. Raises ManifestError."""
    from hf_pack.adapters.pickle_scanner import FicklingScanner
    from hf_pack.steps.inspecting.gates import Guard

    return Guard(scanner=FicklingScanner(), denied=read_settings(workspace).policy.deny)


def rebuild_store(url: str | None, progress: Progress) -> Rebuilt:
    """Make the database of an embedded store anew. Raises UsageError for the machine's own store, StoreError."""
    wanted = _resolved(url, os.environ)
    if wanted == DAEMON:
        raise UsageError(
            "this machine's Nix store is Nix's to repair",
            hint="nix-store --verify --check-contents --repair; or name an embedded store with --store PATH",
        )
    from hf_pack.adapters.embedded.layout import StoreLayout
    from hf_pack.adapters.embedded.rebuild import rebuild

    return rebuild(StoreLayout.at(_root(wanted)), progress)


def own_workspaces(environ: Mapping[str, str] | None = None) -> Path:
    """The directory of the workspaces that `run` keeps."""
    return _home(os.environ if environ is None else environ, "XDG_STATE_HOME", "~/.local/state") / "run"


def store_note(url: str | None = None, environ: Mapping[str, str] | None = None) -> str | None:
    """The line for somebody who named no store and gets the machine's; None in any other case."""
    variables = os.environ if environ is None else environ
    if _asked(url, variables) == AUTO and _resolved(url, variables) == DAEMON:
        return "using this machine's Nix store (--store PATH for another)"
    return None


def _asked(url: str | None, environ: Mapping[str, str]) -> str:
    return url or environ.get(STORE_VARIABLE) or AUTO


def _resolved(url: str | None, environ: Mapping[str, str]) -> str:
    wanted = _asked(url, environ)
    if wanted != AUTO:
        return wanted
    from hf_pack.adapters.nix_daemon import routes

    return DAEMON if routes.is_here(environ) else str(_home(environ, "XDG_DATA_HOME", "~/.local/share"))


def _home(environ: Mapping[str, str], variable: str, default: str) -> Path:
    return user_path(environ.get(variable) or default) / "hf-pack"


def _root(url: str) -> Path:
    path = url.removeprefix("local?root=")
    if not path or (path == url and ("://" in url or "?" in url or url == "local")):
        raise UsageError(
            f"no such kind of store: {url!r}\n"
            f"  --store: expected auto, daemon, a path, or local?root=PATH, found {url!r}",
            hint="hf-pack build NAME --store ~/models/store",
        )
    return user_path(path).absolute()
