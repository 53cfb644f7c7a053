"""The certificates that are trusted, as the Hub's client, curl and requests find them."""

from __future__ import annotations

import contextlib
import importlib
import os
import ssl
from pathlib import Path

from hf_pack.errors import HubError

_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def ca_bundle() -> tuple[str, str] | None:
    """The variable that names certificates of one's own, and its value; None when none does."""
    return next(((name, os.environ[name]) for name in _BUNDLES if os.environ.get(name)), None)


def tls_context() -> ssl.SSLContext:
    """Verifies servers by that bundle (a file or directory), else by the machine's certificates, else by certifi's."""
    bundle = ca_bundle()
    if bundle is not None:
        name, place = bundle
        try:
            if Path(place).is_dir():
                return ssl.create_default_context(capath=place)
            return ssl.create_default_context(cafile=place)
        except OSError as error:
            raise HubError(
                f"the certificates cannot be read: {error.strerror or error}\n  {name}={place}",
                hint=f"give {name} a PEM file, or unset it",
            ) from None
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        with contextlib.suppress(ImportError):
            context.load_verify_locations(importlib.import_module("certifi").where())
    return context
