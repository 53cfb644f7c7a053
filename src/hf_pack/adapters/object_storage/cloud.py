"""Google's and Azure's object storage: ``gs://BUCKET/PREFIX`` and ``az://CONTAINER/PREFIX?account=…``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from hf_pack.adapters.object_storage.keys import require_inside
from hf_pack.adapters.object_storage.parts import MIB, part_size_of
from hf_pack.errors import Error, HubError
from hf_pack.ports import SMALL, Progress, Readable

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, ObjectStore, RetryConfig

_PARTS_AT_ONCE = 2  #: of one object; several objects go at once


def open_cloud(kind: str, bucket: str, prefix: str, name: str, parameters: Mapping[str, str]) -> CloudStorage:
    """``gs`` or ``az``. Raises HubError for credentials that cannot be read."""
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore

    retries: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
    try:
        if kind == "gs":
            return CloudStorage(GCSStore(bucket, prefix=prefix or None, retry_config=retries), name)
        config: AzureConfig = {}
        if account := parameters.get("account"):
            config["account_name"] = account
        if endpoint := parameters.get("endpoint"):
            config["endpoint"] = endpoint
        options: ClientConfig = {"allow_http": (endpoint or "").startswith("http://")}
        store = AzureStore(bucket, prefix=prefix or None, config=config, client_options=options, retry_config=retries)
        return CloudStorage(store, name)
    except BaseError as error:
        raise _failed(name, "", error) from None


class CloudStorage:
    """Implements :class:`hf_pack.ports.ObjectStorage` by obstore, which finds credentials as the cloud's own tools do.

    A large object goes up in parts and becomes visible when the last one is there; one that is interrupted begins anew.
    """

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store = store
        self._name = name

    @property
    def name(self) -> str:
        """``gs://BUCKET/PREFIX``."""
        return self._name

    def size_of(self, key: str) -> int | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        import obstore

        with self._asking(key):
            try:
                return obstore.head(self._store, key)["size"]
            except FileNotFoundError:
                return None

    def small(self, key: str, limit: int = SMALL) -> bytes | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        import obstore

        with self._asking(key):
            try:
                answer = obstore.get(self._store, key)
            except FileNotFoundError:
                return None
            if answer.meta["size"] > limit:
                raise HubError(f"{self._name}: {key}: is larger than {limit} bytes")
            return bytes(answer.bytes())

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[bytes]:
        """See :class:`hf_pack.ports.ObjectStorage`. obstore itself goes on after a broken connection."""
        import obstore

        require_inside(self._name, key)
        end = self.size_of(key) if size is None else offset + size
        if end is None:
            raise HubError(f"{self._name}: {key}: is not there")
        while offset < end:
            with self._asking(key):
                piece = bytes(obstore.get_range(self._store, key, start=offset, end=min(end, offset + 8 * MIB)))
            if not piece:
                raise HubError(f"{self._name}: {key} ends early")
            offset += len(piece)
            yield piece

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._asking(key):
            try:
                obstore.put(self._store, key, contents, mode="overwrite" if replace else "create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        import obstore

        failed: list[Error] = []

        def chunks() -> Iterator[bytes]:
            try:
                for chunk in contents.chunks(0, contents.size):
                    yield bytes(chunk)
                    progress.advance(len(chunk))
            except Error as error:  # obstore would put another one in its place
                failed.append(error)
                raise

        try:
            with self._asking(key):
                obstore.put(
                    self._store,
                    key,
                    chunks(),
                    chunk_size=part_size_of(contents.size),
                    max_concurrency=_PARTS_AT_ONCE,
                )
        except HubError:
            if failed:
                raise failed[0] from None
            raise
        return contents.size

    def keys(self, prefix: str) -> tuple[str, ...]:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        import obstore

        directory = prefix.rpartition("/")[0]  # obstore lists whole directories
        with self._asking(prefix):
            found = [one["path"] for batch in obstore.list(self._store, prefix=directory or None) for one in batch]
        return tuple(sorted(key for key in found if key.startswith(prefix)))

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:  # obstore turns some answers into Python's own errors
            raise _failed(self._name, key, error) from None


def _failed(name: str, key: str, error: Exception) -> HubError:
    # obstore's text goes over many lines and may quote addresses that are signed.
    return HubError(
        f"{name}: {key + ': ' if key else ''}{type(error).__name__}",
        hint="credentials are found as by the cloud's own tools: the environment, application defaults, roles",
    )
