"""The Hub's own Python client, set up for one command: settings, time limits, certificates, errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from hf_pack.adapters.hub.hub_errors import (
    Place,
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


def open_client(settings: HubSettings, limits: Limits) -> HfApi:
    """The client for these settings; without a token it asks as nobody, whatever the environment holds."""
    from huggingface_hub import HfApi

    _bound_waiting(limits.stall_seconds)
    return HfApi(endpoint=settings.endpoint, token=settings.token or False, library_name="hf-pack")


def ask_client(call: Callable[[], Result], limits: Limits, waits: Waits, place: Place) -> Result:
    """Make a call of the client's, which by itself does not try again. Raises HubError."""

    def attempt() -> Result:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever it raises, the text may hold what must not be shown
            raise _translated(error, place) from None

    return insist(attempt, limits, waits)


@cache
def _bound_waiting(seconds: float) -> None:
    # Its connections wait for ever by default, and know only SSL_CERT_FILE.
    from huggingface_hub import get_session, set_client_factory

    template = get_session()
    kind, hooks = type(template), template.event_hooks

    def connect() -> Any:
        verify: dict[str, Any] = {} if ca_bundle() is None else {"verify": tls_context()}
        return kind(event_hooks=hooks, follow_redirects=True, timeout=seconds, **verify)

    set_client_factory(connect)


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
        return Transient(transport_error(error, place, str(origin_of(place.endpoint))))
    report = hub_error(f"the Hub's answer cannot be understood ({type(error).__name__})", place)
    return Transient(report) if isinstance(error, ValueError) else report  # JSON that breaks off
