"""Where the Hub is and who asks: the settings of the Hub's own client, which reads environment and logins."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.origin import origin_of, without_secrets
from hf_pack.errors import HubError


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The Hub as one user sees it. The token shows in no repr."""

    endpoint: str = "https://huggingface.co"  #: without a slash at the end
    token: str | None = field(default=None, repr=False)
    offline: bool = False  #: HF_HUB_OFFLINE
    xet: bool = True  #: False by HF_HUB_DISABLE_XET
    cache: Path | None = None  #: the user's own Hub cache, read only

    def __post_init__(self) -> None:
        origin_of(self.endpoint)
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise HubError("the Hub token holds characters that no token has", hint="hf auth login")

    def token_for(self, url: str) -> str | None:
        """The token, if ``url`` is at the endpoint's origin: nobody else ever gets it."""
        return self.token if origin_of(url) == origin_of(self.endpoint) else None


def client_settings() -> HubSettings:
    """What ``huggingface_hub`` uses: HF_ENDPOINT, HF_TOKEN or a stored login, HF_HUB_OFFLINE, HF_HUB_CACHE.

    Raises HubError for an HF_ENDPOINT that is no address, and when a login cannot be refreshed.
    """
    from huggingface_hub import constants, get_token

    endpoint = constants.ENDPOINT.rstrip("/")
    try:
        origin_of(endpoint)
    except HubError:
        raise HubError(
            "this is not the address of a Hub\n"
            f"  HF_ENDPOINT: expected http(s)://HOST, found {without_secrets(constants.ENDPOINT)!r}",
            hint="unset HF_ENDPOINT, or give it a whole address: HF_ENDPOINT=https://huggingface.co",
        ) from None
    try:
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN or constants.HF_HUB_OFFLINE else get_token()
    except Exception as error:  # noqa: BLE001 - a login provider may raise anything; its text may hold secrets
        raise HubError(f"the Hub login cannot be used ({type(error).__name__})", hint="hf auth login") from None
    return HubSettings(
        endpoint=endpoint,
        token=token,
        offline=bool(constants.HF_HUB_OFFLINE),
        xet=not constants.HF_HUB_DISABLE_XET,
        cache=Path(constants.HF_HUB_CACHE),
    )


def client_limits() -> Limits:
    """Patience as ``huggingface_hub`` is told to have it: HF_HUB_DOWNLOAD_TIMEOUT, in seconds, bounds a silence."""
    from huggingface_hub import constants

    return Limits(stall_seconds=float(constants.HF_HUB_DOWNLOAD_TIMEOUT))
