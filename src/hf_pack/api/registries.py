"""The Python API of container registries: packages to and from ``oci://REGISTRY/REPOSITORY[:TAG]`` and OCI layouts.

As in :mod:`hf_pack.api`, the workspace is a directory in it and the store its URL, and what a caller can mend is raised
as :class:`hf_pack.errors.Error`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hf_pack import wiring
from hf_pack.errors import PolicyError, UsageError
from hf_pack.formats.oci.reference import SCHEME
from hf_pack.steps.quiet import QUIET

if TYPE_CHECKING:
    from hf_pack.adapters.oci.memory import Memory
    from hf_pack.adapters.oci.model_directory import WrittenModel
    from hf_pack.formats.oci.reference import Reference
    from hf_pack.formats.store_path import StorePath
    from hf_pack.model.signature_policy import SignaturePolicy
    from hf_pack.ports import Progress
    from hf_pack.ports.registry import Repository
    from hf_pack.steps.caches.pull_partial import Partial
    from hf_pack.steps.registries.oci_publish import PackageToShip, Published
    from hf_pack.steps.registries.oci_pull import Found, Pulled
    from hf_pack.steps.trust.trust import Trust

LAYOUT = "oci-layout:"


def is_registry(address: str) -> bool:
    """Whether an address is one of this module's: ``oci://…``, ``oci-layout:DIR[:TAG]``, or a layout's directory."""
    return address.startswith((SCHEME, LAYOUT)) or (Path(address) / "oci-layout").is_file()


def publish(
    name: str,
    to: str,
    *,
    shape: str = "both",
    signature: Path | str | None = None,
    plain_http: bool = False,
    redistribute: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Published:
    """Send a built package (a name, a store path, ``pname@version``) to a registry: what it has is not sent.

    ``shape`` is ``modelpack`` (raw layers), ``image`` (what containers mount) or ``both``. ``signature`` is a file of
    its model signature (None: the workspace's, if there is one). Without a tag in ``to`` the version is the tag.
    Raises UsageError, StoreError, IntegrityError, HubError, PolicyError for a version that names
    another content there, or a licence that does not let everybody pass the model on (not with ``redistribute``).
    """
    from hf_pack.steps.registries import oci_publish

    reference = _reference(to, "--to")
    if reference.digest is not None:
        raise UsageError("a digest is no name to publish under", hint="--to oci://REGISTRY/REPOSITORY:TAG")
    repository = _registry(reference, plain_http, "push")
    package = _to_ship(name, workspace, store, redistribute=redistribute, signature=signature)
    return oci_publish.publish(
        package, repository, oci_publish.Shape(shape), _memory(os.environ), progress, tag=reference.tag
    )


def export(
    name: str,
    directory: Path | str,
    *,
    shape: str = "both",
    redistribute: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Published:
    """Write a built package into an OCI layout, a new one or one that is there; its store name is the tag.

    A model signature of the workspace goes with it. Raises as :func:`publish` does.
    """
    from hf_pack.adapters.oci.layout import LayoutDirectory
    from hf_pack.formats.oci.reference import tag_of_version
    from hf_pack.steps.registries import oci_publish

    package = _to_ship(name, workspace, store, redistribute=redistribute)
    repository = LayoutDirectory.create(Path(directory).absolute())
    return oci_publish.publish(
        package,
        repository,
        oci_publish.Shape(shape),
        _memory(os.environ),
        progress,
        tag=tag_of_version(package.store_path.name),
        tags_artifact=False,
    )


def pull(
    source: str,
    name: str = "",
    *,
    trusted_keys: Sequence[str] = (),
    signatures: SignaturePolicy | None = None,
    root: Path | str | None = None,
    plain_http: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Pulled:
    """Bring the package that a registry or an OCI layout holds into the store, every byte proved.

    ``name`` (``pname``, ``pname@version`` or a store path) refuses any other package; with a version ``source`` needs
    no tag. ``trusted_keys`` and ``signatures`` are as for :func:`hf_pack.api.pull`: where no store path is named, a
    model signature says that its publisher meant it. A link keeps the package: at ``root``, else in the user's state.
    Raises UsageError for what is no package of hf-pack, IntegrityError, StoreError, HubError, PolicyError for a
    signature that is missing.
    """
    from hf_pack.adapters.pulled_links import make_link, usual_place
    from hf_pack.steps.registries import oci_pull

    trust = wiring.read_trust(trusted_keys, signatures, wiring.optional_workspace(Path(workspace)))
    named = _look_up(source, name, plain_http)
    signed = named.is_vouched(trust, progress)
    chosen = wiring.open_store(store)
    with chosen.session():
        pulled = oci_pull.pull(named.found, named.repository, chosen, progress, expected=named.expected)
        usual = usual_place(wiring.pulled_links(), chosen.url, pulled.info.store_path)
        link = make_link(usual if root is None else Path(root), chosen.real_path(pulled.info.store_path))
        chosen.add_root(link, [pulled.info.store_path])
    return replace(pulled, signed=signed)


def pull_partial(
    source: str,
    name: str,
    only: str,
    output: Path | str,
    *,
    trusted_keys: Sequence[str] = (),
    signatures: SignaturePolicy | None = None,
    plain_http: bool = False,
    workspace: Path | str = ".",
    progress: Progress = QUIET,
) -> Partial:
    """Write the files of the package without its weights into a new directory; one layer is fetched, nothing enters a
    store.

    ``only`` is ``config`` (``.json`` and ``.pbtxt``) or ``tree`` (all but weights). Where signatures are demanded,
    files that the store path does not prove are refused: those of a self-contained package. Raises as :func:`pull`.
    """
    from hf_pack.adapters.plain_directory import write_files_alone
    from hf_pack.model.manifest import Storage
    from hf_pack.steps.caches import pull_partial as pulling
    from hf_pack.steps.caches.pull_packages import Choice
    from hf_pack.steps.registries import oci_pull

    trust = wiring.read_trust(trusted_keys, signatures, wiring.optional_workspace(Path(workspace)))
    named = _look_up(source, name, plain_http)
    named.is_vouched(trust, progress)
    package, files = oci_pull.small_files(named.found, named.repository, expected=named.expected)
    proved = package.storage is Storage.LINKED
    if not proved:
        line = f"only the whole of {package.store_path.name} proves these files"
        if trust.required:
            raise PolicyError(f"{line}, and proof is demanded", hint="hf-pack pull, without --only")
        progress.note(f"note: {line}: that they are its own is the word of {source} alone")
    choice = Choice(text=name or package.store_path.name, store_path=package.store_path)
    found = pulling.partial_of(choice, files, pulling.Only(only), proved=proved, where=source)
    write_files_alone(Path(output).absolute(), found.files)
    return found


def pull_model(
    source: str, directory: Path | str, *, plain_http: bool = False, progress: Progress = QUIET
) -> WrittenModel:
    """Write a ModelPack artifact, whoever made it, as a new directory of the model's files, which ``add`` takes.

    Raises UsageError, IntegrityError, HubError.
    """
    from hf_pack.adapters.oci.model_directory import write_model
    from hf_pack.steps.registries import oci_pull

    opened = _opened(source, plain_http)
    found = oci_pull.look_up(opened.repository, opened.reference)
    return write_model(found.manifest, opened.repository, Path(directory).absolute(), progress)


@dataclass(frozen=True)
class _Named:
    repository: Repository
    reference: str  #: tag or digest within it
    found: Found
    expected: StorePath | None  #: when a store path was named

    def is_vouched(self, trust: Trust, progress: Progress) -> bool:
        """Whether a trusted key signed it; nobody is asked of a store path that was named, which proves itself."""
        from hf_pack.steps.registries.oci_signature import vouched

        if self.expected is not None or self.found.package is None:
            return False
        return vouched(self.repository, self.reference, self.found.package.store_path, trust, progress)


def _look_up(source: str, name: str, plain_http: bool) -> _Named:
    """What is at the address. Raises UsageError when it is not what ``name`` says."""
    from hf_pack.formats.oci.reference import tag_of_version
    from hf_pack.steps.registries import oci_pull
    from hf_pack.steps.workspace.locate import parse_store_path

    expected = parse_store_path(name) if "/" in name else None
    pname, at, version = ("", "", "") if expected else name.partition("@")
    begins = f"{pname}-{version}{at and '-'}" if pname else ""
    opened = _opened(source, plain_http, default=tag_of_version(version) if version else "latest")
    found = oci_pull.look_up(opened.repository, opened.reference)
    is_another = pname and found.pname not in (None, pname)
    if found.package is not None and (is_another or not f"{found.package.store_path.name}-".startswith(begins)):
        raise UsageError(f"{source} holds another package\n  expected {name}, found {found.package.store_path}")
    return _Named(repository=opened.repository, reference=opened.reference, found=found, expected=expected)


@dataclass(frozen=True)
class _Opened:
    repository: Repository
    reference: str  #: tag or digest within it


def _opened(source: str, plain_http: bool, *, default: str = "latest") -> _Opened:
    if source.startswith(SCHEME):
        reference = _reference(source, "--from")
        named = reference.digest or reference.tag or default
        return _Opened(_registry(reference, plain_http, "pull"), named)
    from hf_pack.adapters.oci.layout import LayoutDirectory, is_layout

    text, named = source.removeprefix(LAYOUT), ""
    if not is_layout(Path(text)) and ":" in text:
        text, _, named = text.rpartition(":")
    return _Opened(LayoutDirectory.open(Path(text).absolute()), named)


def _reference(text: str, option: str) -> Reference:
    from hf_pack.formats.format_error import FormatError
    from hf_pack.formats.oci.reference import Reference

    try:
        return Reference.parse(text)
    except FormatError as error:
        raise UsageError(
            f"this is no address in a registry\n  {option}: {error}", hint="oci://registry.example.org/models/name:tag"
        ) from None


def _registry(reference: Reference, plain_http: bool, action: Literal["pull", "push"]) -> Repository:
    from hf_pack.adapters.oci.logins import find_login
    from hf_pack.adapters.oci.registry import RegistryRepository

    return RegistryRepository(
        reference,
        lambda: find_login(reference.registry, reference.repository, os.environ),
        _memory(os.environ),
        plain_http=plain_http,
        action=action,
    )


def _memory(environ: Mapping[str, str]) -> Memory:
    from hf_pack.adapters.oci.memory import Memory

    home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Memory(home / "hf-pack" / "registries")


def _to_ship(
    name: str, workspace: Path | str, store: str | None, *, redistribute: bool, signature: Path | str | None = None
) -> PackageToShip:
    from hf_pack.adapters.oci.package_tree import read_plan
    from hf_pack.adapters.oci.stored_file import StoredFile
    from hf_pack.api.proofs import bundle_of, read_bundle
    from hf_pack.steps.registries.oci_publish import PackageToShip
    from hf_pack.steps.trust.redistribution import require_redistributable
    from hf_pack.steps.workspace.locate import locate

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    store_path = locate(name, place, chosen)
    require_redistributable(name, store_path, place, chosen, wiring.read_policy(place), told=redistribute)
    info = chosen.path_info(store_path)
    assert info is not None  # locate has seen it
    plan, places = read_plan(chosen, info)
    return PackageToShip(
        store_path=store_path,
        plan=plan,
        open_blob=lambda blob: StoredFile(places[blob], blob.size),
        bundle=bundle_of(name, place, store_path) if signature is None else read_bundle(Path(signature), store_path),
    )
