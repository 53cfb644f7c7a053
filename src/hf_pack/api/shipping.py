"""Packages to and from binary caches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack import wiring
from hf_pack.errors import UsageError
from hf_pack.steps.quiet import QUIET

if TYPE_CHECKING:
    from hf_pack.adapters.nar_packer import Compression
    from hf_pack.model.published import Published
    from hf_pack.model.signature_policy import SignaturePolicy
    from hf_pack.ports import Progress
    from hf_pack.steps.caches.archive import Archived
    from hf_pack.steps.caches.publish import Shipped
    from hf_pack.steps.caches.pull_packages import Pulled
    from hf_pack.steps.caches.pull_partial import Partial


def publish(
    name: str,
    *,
    to: Sequence[str] = (),
    sign: Sequence[Path | str] = (),
    signature: Path | str | None = None,
    compression: Compression = "auto",
    redistribute: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> tuple[Shipped, ...]:
    """Send a built package (a name, a store path or ``pname@version``) and what it refers to into binary caches.

    ``to`` are their URLs (none: ``targets`` of ``hf-pack.toml``), ``sign`` secret key files. ``signature`` is a file of
    the package's model signature, which goes with it (None: the workspace's ``models/<name>.sig``, if it is there).
    Raises UsageError, StoreError, IntegrityError, HubError, PolicyError for a version that names another content there,
    for a model signature of another package, and for a licence that does not let everybody pass the model on (not with
    ``redistribute``).
    """
    from hf_pack.adapters.key_files import read_secret_key
    from hf_pack.adapters.nar_packer import NarFiles
    from hf_pack.api.proofs import bundle_of, read_bundle
    from hf_pack.steps.caches import publish as publishing
    from hf_pack.steps.trust.redistribution import require_redistributable
    from hf_pack.steps.workspace.locate import locate

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    where = "--to" if to else "hf-pack.toml: targets"
    urls = to or (wiring.read_settings(place).targets if place is not None else ())
    if not urls:
        raise UsageError("nowhere to publish to", hint=f"hf-pack publish {name} --to URL, or targets in hf-pack.toml")
    keys = [read_secret_key(Path(path)) for path in sign]
    storages = [wiring.open_storage(url, where=where) for url in urls]
    store_path = locate(name, place, chosen)
    require_redistributable(name, store_path, place, chosen, wiring.read_policy(place), told=redistribute)
    bundle = bundle_of(name, place, store_path) if signature is None else read_bundle(Path(signature), store_path)
    return tuple(
        publishing.publish(store_path, chosen, storage, NarFiles(compression), keys, progress, bundle=bundle)
        for storage in storages
    )


def export_archive(
    names: Sequence[str],
    output: Path | str,
    *,
    sign: Sequence[Path | str] = (),
    redistribute: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Archived:
    """Write packages (names, store paths, ``pname@version``) with all that they refer to as one tar (``-``: stdout).

    It is a whole binary cache, which :func:`pull` reads as it is, and stock Nix where it is unpacked. ``sign`` are
    secret key files; model signatures of the workspace go with their packages. Raises UsageError, StoreError,
    IntegrityError, PolicyError as :func:`publish` does.
    """
    from functools import partial

    from hf_pack.adapters.archive_file import write_archive, write_to_stdout
    from hf_pack.adapters.key_files import read_secret_key
    from hf_pack.api.proofs import bundle_of
    from hf_pack.steps.caches import archive as archiving
    from hf_pack.steps.trust.redistribution import require_redistributable
    from hf_pack.steps.workspace.locate import locate

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    keys = [read_secret_key(Path(path)) for path in sign]
    store_paths = [locate(name, place, chosen) for name in names]
    policy = wiring.read_policy(place)
    for name, store_path in zip(names, store_paths, strict=True):
        require_redistributable(name, store_path, place, chosen, policy, told=redistribute)
    found = {path: bundle_of(name, place, path) for name, path in zip(names, store_paths, strict=True)}
    bundles = {path: bundle for path, bundle in found.items() if bundle is not None}
    write = write_to_stdout if output == "-" else partial(write_archive, Path(output).absolute())
    return archiving.archive(store_paths, chosen, keys, write, progress, bundles=bundles)


def search(text: str = "", *, caches: Sequence[str] = (), workspace: Path | str = ".") -> tuple[Published, ...]:
    """Versions that were published to binary caches (URLs; none: ``caches`` of ``hf-pack.toml``) and hold every word
    of ``text``. Raises UsageError, HubError."""
    from hf_pack.steps.caches import search as searching

    place = wiring.optional_workspace(Path(workspace))
    where = "--from" if caches else "hf-pack.toml: caches"
    urls = caches or (wiring.read_settings(place).caches if place is not None else ())
    if not urls:
        raise UsageError("no cache to search", hint="hf-pack search --from URL, or caches in hf-pack.toml")
    return searching.search(text, [wiring.open_storage(url, where=where, to_read=True) for url in urls])


def pull(
    names: Sequence[str],
    *,
    caches: Sequence[str] = (),
    trusted_keys: Sequence[str] = (),
    signatures: SignaturePolicy | None = None,
    root: Path | str | None = None,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Pulled:
    """Bring published packages (``pname``, ``pname@version`` or a store path) with all that they refer to.

    No names mean all that the caches list. ``caches`` are URLs, or archives of :func:`export_archive` (none: ``caches``
    of ``hf-pack.toml``). A link keeps each package: at ``root``, else in the
    user's state. Raises UsageError, HubError, IntegrityError, PolicyError for a signature that is missing, StoreError.
    """
    from hf_pack.adapters.pulled_links import make_link, usual_place
    from hf_pack.steps.caches import pull_packages

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    opened, trust = wiring.open_caches(caches, place), wiring.read_trust(trusted_keys, signatures, place)
    wanted = names or pull_packages.all_names(opened)
    if root is not None and len(wanted) != 1:
        raise UsageError("--root is for one package", hint="pull the packages one by one")
    with chosen.session():
        pulled = pull_packages.pull(wanted, opened, chosen, trust, progress)
        for _, info in pulled.packages:
            usual = usual_place(wiring.pulled_links(), chosen.url, info.store_path)
            link = make_link(usual if root is None else Path(root), chosen.real_path(info.store_path))
            chosen.add_root(link, [info.store_path])
    return pulled


def pull_partial(
    name: str,
    only: str,
    output: Path | str,
    *,
    caches: Sequence[str] = (),
    trusted_keys: Sequence[str] = (),
    signatures: SignaturePolicy | None = None,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Partial:
    """Write the files of a published package without its weights into a new directory; nothing enters the store.

    ``only`` is ``config`` (``.json`` and ``.pbtxt``) or ``tree`` (all but weights). Raises as :func:`pull` does.
    """
    from hf_pack.adapters.plain_directory import write_files_alone
    from hf_pack.steps.caches import pull_partial as pulling

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    trust = wiring.read_trust(trusted_keys, signatures, place)
    found = pulling.pull_partial(name, pulling.Only(only), wiring.open_caches(caches, place), chosen, trust, progress)
    write_files_alone(Path(output).absolute(), found.files)
    return found
