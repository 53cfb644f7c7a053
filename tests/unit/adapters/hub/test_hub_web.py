"""Requests: redirects, who gets the token, what is said of servers, proxies and certificates that refuse."""

from __future__ import annotations

import shutil
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.unit.adapters.hub.servers import answer, certificate, forget_settings, listening

from hf_pack.adapters.hub.hub_errors import Place
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.retrying import Transient
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.web import Web
from hf_pack.errors import HubError

TOKEN = "hf_SecretToken"
PLACE = Place(endpoint="http://hub", repo_id="org/name", revision="main")
LIMITS = Limits(stall_seconds=5.0)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)


def web(endpoint: str) -> Web:
    return Web(HubSettings(endpoint=endpoint, token=TOKEN), LIMITS)


def get(sender: Web, url: str) -> bytes:
    found = sender.ask("GET", url, {}, PLACE)
    try:
        return found.read(1 << 20)
    finally:
        found.close()


def echo_token(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, handler.headers.get("Authorization", "nobody").encode())


def test_the_token_follows_a_redirect_on_the_hub_and_none_that_leaves_it() -> None:
    with listening(echo_token) as cdn:

        def hub_answers(handler: BaseHTTPRequestHandler) -> None:
            places = {"/near": "/there", "/far": f"http://{cdn}/x", "/there": None}
            place = places[handler.path]
            if place is None:
                echo_token(handler)
            else:
                answer(handler, b"moved", status=302, Location=place)

        with listening(hub_answers) as hub:
            sender = web(f"http://{hub}")
            assert get(sender, f"http://{hub}/near") == f"Bearer {TOKEN}".encode()
            assert get(sender, f"http://{hub}/far") == b"nobody"
            assert get(sender, f"http://{cdn}/x") == b"nobody"


def test_another_endpoint_shares_connections_and_limits_but_no_token() -> None:
    seen = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.client_address[1], handler.headers.get("Authorization")))
        answer(handler, b"ok")

    with listening(respond) as hub:
        sender = web(f"http://{hub}")
        mirror = sender.beside(HubSettings(endpoint="http://mirror.example"))
        for asked in (sender, mirror):
            assert get(asked, f"http://{hub}/x") == b"ok"
        assert (mirror.bandwidth, mirror.slots) == (sender.bandwidth, sender.slots)
    port = seen[0][0]
    assert seen == [(port, f"Bearer {TOKEN}"), (port, None)]


def test_a_loop_of_redirects_ends() -> None:
    asked = []

    def loop(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        answer(handler, status=307, Location="/again")

    with listening(loop) as hub, pytest.raises(HubError, match="the Hub redirects more than 8 times"):
        get(web(f"http://{hub}"), f"http://{hub}/x")
    assert len(asked) == 9


def test_a_redirect_to_no_web_address_is_refused_without_showing_it() -> None:
    def away(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, status=302, Location="ftp://h/?X-Amz-Signature=c0ffee")

    with listening(away) as hub, pytest.raises(HubError) as caught:
        get(web(f"http://{hub}"), f"http://{hub}/x")
    assert caught.value.message == (
        "expected an http or https address without a user name, found ftp:…\n  org/name, revision main"
    )


def test_a_server_that_is_not_there_may_come_back() -> None:
    with listening(echo_token) as hub:
        pass
    with pytest.raises(Transient) as caught:
        get(web(f"http://{hub}"), f"http://{hub}/x")
    assert caught.value.error.message.startswith(f"http://{hub} refuses connections\n")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
class TestTls:
    def test_a_certificate_that_nobody_signed_is_refused_at_once(self, tmp_path: Path) -> None:
        _, context = certificate(tmp_path)
        with listening(echo_token, context) as hub, pytest.raises(HubError) as caught:
            get(web(f"https://{hub}"), f"https://{hub}/x")
        assert caught.value.message.startswith(f"the certificate of https://{hub} cannot be verified (")
        assert caught.value.hint == "behind a company's proxy: set SSL_CERT_FILE to its certificates"

    def test_a_proxy_that_refuses_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with listening(lambda handler: answer(handler, status=403)) as place:
            monkeypatch.setenv("https_proxy", f"http://{place}")
            with pytest.raises(Transient) as caught:
                get(web("https://hub.example"), "https://hub.example/x")
        assert caught.value.error.message.startswith("the proxy does not connect to https://hub.example (403 ")

    def test_a_redirect_that_leaves_tls_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pem, context = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))

        def away(handler: BaseHTTPRequestHandler) -> None:
            answer(handler, status=302, Location="http://127.0.0.1:9/?X-Amz-Signature=c0ffee")

        with listening(away, context) as hub, pytest.raises(HubError) as caught:
            get(web(f"https://{hub}"), f"https://{hub}/x")
        assert caught.value.message.startswith("a redirect leaves https: ")
        assert "c0ffee" not in caught.value.message
