"""From a URL to the storage that it names: a directory, a web server, a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from hf_pack.errors import UsageError
from hf_pack.model.file_names import shown

if TYPE_CHECKING:
    from hf_pack.ports import ObjectStorage

KINDS = ("file", "http", "https", "s3", "gs", "az")
_PARAMETERS = {"s3": ("region", "endpoint", "scheme", "profile"), "gs": (), "az": ("account", "endpoint")}


class UnknownKindError(UsageError):
    """A URL of a kind that no storage has. ``name`` is the URL without what may be secret in it."""

    def __init__(self, name: str, where: str) -> None:
        kinds = ", ".join(f"{kind}://" for kind in KINDS)
        super().__init__(f"no such kind of cache\n  {where}: expected {kinds}, found {name}")
        self.name = name


def open_storage(url: str, *, where: str, to_read: bool = False) -> ObjectStorage:
    """Nothing is asked yet. ``where`` the URL stands is said in errors (``--to``, ``hf-pack.toml: caches``).

    A file is an archive of ``hf-pack export --to tar``, by its path too; a directory must be there ``to_read``.

    Raises UsageError for what is no URL or has a parameter that is not known, UnknownKindError.
    """
    if (archive := archive_at(url)) is not None:
        from hf_pack.adapters.object_storage.tar import TarStorage

        return TarStorage(archive)
    parts = _parts_of(url, where)
    name = _name_of(parts)
    if parts.scheme not in KINDS:
        raise UnknownKindError(name, where)
    if parts.scheme == "file":
        from hf_pack.adapters.object_storage.disk import DiskStorage

        directory = Path(unquote(parts.path))
        if to_read and not directory.is_dir():
            raise UsageError(f"{name} is no directory\n  {where}", hint="name a cache, or an archive, that is there")
        return DiskStorage(directory)
    if parts.scheme in ("http", "https"):
        from hf_pack.adapters.object_storage.web import WebStorage

        return WebStorage(url, name)
    known = _PARAMETERS[parts.scheme]
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.username or parts.password or not found.keys() <= set(known):
        wrong = "credentials" if parts.username or parts.password else next(iter(found.keys() - set(known)))
        raise UsageError(
            f"{name} takes no {shown(wrong)} in its URL\n"
            f"  {where}: expected {parts.scheme}://BUCKET/PREFIX with {', '.join(known)} behind a ? or nothing",
            hint="credentials are found as by the cloud's own tools: the environment, profiles, roles",
        )
    bucket, prefix = parts.hostname or "", unquote(parts.path.strip("/"))
    if parts.scheme == "s3":
        from hf_pack.adapters.object_storage.s3 import S3Storage

        endpoint = found.get("endpoint")
        if endpoint and "://" not in endpoint:
            endpoint = f"{found.get('scheme') or 'https'}://{endpoint}"
        region, profile = found.get("region"), found.get("profile")
        return S3Storage(bucket, prefix, name, region=region, endpoint=endpoint, profile=profile)
    from hf_pack.adapters.object_storage.cloud import open_cloud

    return open_cloud(parts.scheme, bucket, prefix, name, found)


def archive_at(url: str) -> Path | None:
    """The file that a path or a ``file://`` URL names; None for anything else."""
    path = Path(unquote(url.removeprefix("file://")) if url.startswith("file://") else url)
    try:
        return path.absolute() if path.is_file() else None
    except OSError:  # of a text that is no name
        return None


def _name_of(parts: SplitResult) -> str:
    """The URL without user, password and query, which may be secret."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parts_of(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_whole = parts.port is None or bool(parts.hostname)
    except ValueError:
        is_whole = False
    if is_whole and (parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc):
        return parts
    if is_whole and parts.scheme not in ("", "file") and parts.hostname:
        return parts
    said = url.rpartition("@")[2].partition("?")[0]  # a password may stand in what is no URL, too
    is_directory = bool(said) and Path(url).is_dir()
    raise UsageError(
        f"this is not the URL of a cache\n  {where}: expected file:///DIRECTORY, http(s)://HOST/PATH, "
        f"s3:// gs:// az://BUCKET/PREFIX or an archive that is there, found {shown(said)}",
        hint=f"a directory is file://{Path(url).absolute() if is_directory else ' with its absolute path'}",
    )
