"""The Hub's own Python client, set up for one command: settings, time limits, certificates, errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hf_pack.adapters.hub.hub_errors import (
    Place,
    asks_an_unknown_name,
    hub_error,
    is_transient,
    offline_error,
    retry_after,
    status_error,
    transport_error,
)
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.origin import origin_of
from hf_pack.adapters.hub.retrying import Transient, Waits, insist
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.web_pool import ca_bundle, tls_context

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Result = TypeVar("Result")


@contextmanager
def open_client(settings: HubSettings, limits: Limits) -> Iterator[HfApi]:
    """The client for these settings; without a token it asks as nobody, whatever the environment holds.

    The library has one session for the whole process, which waits for ever by default. Until this ends, it is one that
    does not; then what whoever imports us has set for it holds again.
    """
    from huggingface_hub import HfApi

    with _BORROWED.by(limits.stall_seconds):
        yield HfApi(endpoint=settings.endpoint, token=settings.token or False, library_name="hf-pack")


def ask_client(call: Callable[[], Result], limits: Limits, waits: Waits, place: Place) -> Result:
    """Make a call of the client's, which by itself does not try again. Raises HubError."""

    def attempt() -> Result:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever it raises, the text may hold what must not be shown
            raise _translated(error, place) from None

    return insist(attempt, limits, waits)


class _Session:
    """The library's session while somebody of ours uses it; the first to come sets it, the last to go restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: Callable[[], Any] | None = None

    @contextmanager
    def by(self, seconds: float) -> Iterator[None]:
        """A silence of so many seconds ends a request. Raises HubError for certificates that cannot be read."""
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils import _http

        with self._lock:
            if not self._users:
                self._before = _http._GLOBAL_CLIENT_FACTORY  # there is no public way to ask
                verify = {} if ca_bundle() is None else {"verify": tls_context()}
                set_client_factory(partial(_bounded, self._before, seconds, verify))
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and self._before is not None:
                    set_client_factory(self._before)


_BORROWED = _Session()


def _bounded(connect: Callable[[], Any], seconds: float, verify: Mapping[str, Any]) -> Any:
    client = connect()
    if verify:  # by itself it knows SSL_CERT_FILE alone
        kind, hooks = type(client), client.event_hooks
        client.close()
        client = kind(event_hooks=hooks, follow_redirects=True, **verify)
    client.timeout = seconds
    return client


def _translated(error: Exception, place: Place) -> Exception:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return offline_error(place)
    if isinstance(error, HfHubHTTPError):
        status, headers = error.response.status_code, dict(error.response.headers)
        report = status_error(status, headers, place)
        return Transient(report, wait=retry_after(headers)) if is_transient(status) else report
    if isinstance(error, HFValidationError):
        return hub_error("the Hub's client refuses this name", place)
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2"):
        report = transport_error(error, place, str(origin_of(place.endpoint)))
        return report if asks_an_unknown_name(error) else Transient(report)
    report = hub_error(f"the Hub's answer cannot be understood ({type(error).__name__})", place)
    return Transient(report) if isinstance(error, ValueError) else report  # JSON that breaks off
