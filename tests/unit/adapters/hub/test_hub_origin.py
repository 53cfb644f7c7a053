"""Which server a URL names, and where a redirect may lead."""

from __future__ import annotations

import pytest

from hf_pack.adapters.hub.origin import Origin, origin_of, redirected
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.errors import HubError

SECRET = "X-Amz-Signature=c0ffee"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://huggingface.co/a", Origin("https", "huggingface.co", 443)),
        ("https://HuggingFace.co:443/b?c", Origin("https", "huggingface.co", 443)),
        ("http://[::1]:80/", Origin("http", "::1", 80)),
    ],
)
def test_equal_servers_have_equal_origins(url: str, origin: Origin) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x",
        "//h/x",
        "/x",
        "https:///x",
        "https://user:word@h/x",
        "https://h:99999/x",
        "javascript:x",
        "http://[",
    ],
)
def test_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(HubError, match="expected an http or https address") as caught:
        origin_of(url)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/x?y#z", "https://h/x?y"),
        ("other", "https://h/a/other"),
        ("https://cdn/x?y", "https://cdn/x?y"),
        ("//cdn/x", "https://cdn/x"),
    ],
)
def test_redirects_are_resolved(location: str, target: str) -> None:
    assert redirected("https://h/a/b?c", location) == target


def test_a_redirect_never_leaves_https() -> None:
    with pytest.raises(HubError) as caught:
        redirected("https://h/a", f"http://cdn/x?{SECRET}")
    assert caught.value.message == "a redirect leaves https: https://h answered with an address at http://cdn"


def test_a_redirect_may_enter_https() -> None:
    assert redirected("http://h/a", "https://h/a") == "https://h/a"


@pytest.mark.parametrize(
    "url", ["http://hub/x", "https://hub:444/x", "https://hub.evil/x", "https://cdn.hub/x", "https://hu/b"]
)
def test_the_token_goes_to_the_endpoints_origin_alone(url: str) -> None:
    settings = HubSettings(endpoint="https://hub/prefix", token="hf_secret")
    assert settings.token_for("https://hub/other") == "hf_secret"
    assert settings.token_for(url) is None
    assert "hf_secret" not in repr(settings)


@pytest.mark.parametrize("token", ["hf_a\nb", "hf a", "hf_ä"])
def test_a_token_that_fits_no_header_is_refused_unseen(token: str) -> None:
    with pytest.raises(HubError) as caught:
        HubSettings(token=token)
    assert token not in str(caught.value)
