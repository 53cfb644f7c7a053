"""Connections that are kept, broken, aborted; proxies and certificates of the environment; nothing done unasked."""

from __future__ import annotations

import gzip
import logging
import shutil
import subprocess
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.unit.adapters.hub.servers import BUNDLES, answer, certificate, forget_settings, listening, tunnel

from hf_pack.errors import HubError
from hf_pack.web_pool import BrokenAnswerError, WebPool

TOKEN = {"Authorization": "Bearer hf_SecretToken"}

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)


def pool(**options: Any) -> WebPool:
    return WebPool(**{"connections": 4, "connect_seconds": 5.0, "read_seconds": 5.0, **options})


def get(sender: WebPool, url: str) -> bytes:
    with closing(sender.send("GET", url, TOKEN)) as found:
        return found.read(1 << 20)


def ok(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, b"ok")


def test_a_connection_is_used_again_and_a_stale_one_is_no_failure() -> None:
    ports = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        if handler.path == "/last":
            handler.close_connection = True  # without saying so
        answer(handler, b"ok")

    with listening(respond) as server:
        sender = pool()
        for path in ("/1", "/2", "/last", "/3"):
            assert get(sender, f"http://{server}{path}") == b"ok"
    assert ports[0] == ports[1] == ports[2] != ports[3]


def test_answers_without_a_body_keep_their_connection() -> None:
    ports = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        answer(handler, b"ok" if handler.command == "HEAD" else b"", status=404)

    with listening(respond) as server:
        sender = pool()
        for method in ("HEAD", "GET", "HEAD"):
            with closing(sender.send(method, f"http://{server}/", {})) as found:
                assert (found.status, found.length) == (404, 0)
    assert len(set(ports)) == 1


def test_an_answer_closed_early_does_not_spoil_the_next() -> None:
    with listening(lambda handler: answer(handler, handler.path.encode() * 1000)) as server:
        sender = pool()
        with closing(sender.send("GET", f"http://{server}/a", {})) as first:
            first.read(3)
        assert get(sender, f"http://{server}/b") == b"/b" * 1000


def test_a_body_that_ends_early_is_no_body() -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"12345")
        handler.close_connection = True

    with listening(short) as server, closing(pool().send("GET", f"http://{server}/", {})) as found:
        assert found.length == 10
        assert found.read(5) == b"12345"
        with pytest.raises(BrokenAnswerError):
            found.read1(5)
    with listening(short) as server, closing(pool().send("GET", f"http://{server}/", {})) as found:
        assert found.read_into(memoryview(bytearray(5))) == 5
        with pytest.raises(BrokenAnswerError):
            found.read_into(memoryview(bytearray(5)))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_into_a_buffer_or_not_as_one_likes(chunked: bool) -> None:
    body = bytes(range(256)) * 100
    ports = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        if not chunked:
            answer(handler, body)
            return
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    with listening(respond) as server:
        sender = pool()
        for turn in (0, 1):
            with closing(sender.send("GET", f"http://{server}/", {})) as found:
                data, buffer = b"", memoryview(bytearray(1000))
                while piece := found.read1(1000) if turn % 2 else bytes(buffer[: found.read_into(buffer)]):
                    data += piece
                    turn += 1
                assert (data, found.length) == (body, None if chunked else len(body))
    assert len(set(ports)) == 1


@needs_openssl
@pytest.mark.parametrize("tls", [False, True])
def test_a_silence_ends_by_its_time_limit_or_by_another_thread(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"1")
        over.wait()

    pem, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with listening(silent, context if tls else None) as server:
        url = f"{'https' if tls else 'http'}://{server}/"
        with closing(pool(read_seconds=0.1).send("GET", url, {})) as found:
            assert found.read1(5) == b"1"
            with pytest.raises(TimeoutError):
                found.read1(5)
        with closing(pool(read_seconds=None).send("GET", url, {})) as found:
            assert found.read1(5) == b"1"
            woken = threading.Thread(target=found.abort)
            woken.start()
            with pytest.raises(OSError):
                found.read1(5)
            woken.join()
        found.abort()
        over.set()


def test_what_is_no_http_is_an_error() -> None:
    def greet(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"SSH-2.0\r\n\r\n")

    with listening(greet) as server, pytest.raises(BrokenAnswerError):
        get(pool(), f"http://{server}/")
    with pytest.raises(BrokenAnswerError):
        get(pool(), "http://h:word/")


def test_bodies_come_as_they_are_sent() -> None:
    packed = gzip.compress(b"text")
    with listening(lambda handler: answer(handler, packed, Content_Encoding="gzip")) as server:
        assert get(pool(), f"http://{server}/") == packed


def test_redirects_and_retries_are_for_who_asks_for_them() -> None:
    asked = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if handler.path == "/moved":
            answer(handler, status=302, Location="/there")
        else:
            answer(handler, b"ok", status=200 if asked.count("/there") > 1 else 503)

    with listening(respond) as server:
        for path, status in (("/moved", 302), ("/busy", 503)):
            with closing(pool().send("GET", f"http://{server}{path}", {})) as found:
                assert found.status == status
        assert asked == ["/moved", "/busy"]
        patient = pool(retries=urllib3.Retry(3, status_forcelist=[503]))
        assert get(patient, f"http://{server}/moved") == b"ok"
    assert asked[2:] == ["/moved", "/there", "/there"]


def test_addresses_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def away(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, status=302, Location="/?X-Amz-Signature=c0ffee")

    with listening(away) as server, pytest.raises(OSError):
        get(pool(retries=urllib3.Retry(2)), f"http://{server}/")
    assert "c0ffee" not in caplog.text


def test_whoever_else_uses_urllib3_has_its_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with listening(ok) as server:
        assert get(pool(), f"http://{server}/ours") == b"ok"
        assert urllib3.request("GET", f"http://{server}/theirs").data == b"ok"
    assert "/theirs" in caplog.text and "/ours" not in caplog.text


def test_a_proxy_is_asked_for_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def proxy(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["Proxy-Authorization"], handler.headers["Host"]))
        answer(handler, b"proxied")

    with listening(proxy) as place:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{place}")
        monkeypatch.setenv("no_proxy", "inside.example")
        assert get(pool(), "http://hub.example/x?y") == b"proxied"
    assert seen == [("http://hub.example/x?y", "Basic dXNlcjpwQHNz", "hub.example")]


def test_no_proxy_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(ok) as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert get(pool(), f"http://{server}/x") == b"ok"


@pytest.mark.parametrize("url", ["socks5://user:word@h:1", "http://", "http://h:word"])
def test_a_proxy_of_another_kind_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", url)
    with pytest.raises(HubError) as caught:
        get(pool(), "https://hub.example/x")
    assert caught.value.message == "expected an http:// or https:// proxy, found another kind\n  https_proxy"
    assert caught.value.hint == "set https_proxy to http://HOST:PORT, or add hub.example to no_proxy"


@needs_openssl
@pytest.mark.parametrize("proxied_by", ["http", "https"])
def test_a_tunnel_hides_the_token_from_the_proxy(
    proxied_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    seen = []

    def proxy(handler: BaseHTTPRequestHandler) -> None:
        names = ("Authorization", "Proxy-Authorization")
        seen.append((handler.command, handler.path, *map(handler.headers.get, names)))
        tunnel(handler)

    with (
        listening(lambda handler: answer(handler, handler.headers["Authorization"].encode()), context) as server,
        listening(proxy, context if proxied_by == "https" else None) as place,
    ):
        monkeypatch.setenv("https_proxy", f"{proxied_by}://user:word@{place}")
        sender = pool()
        assert get(sender, f"https://{server}/x") == TOKEN["Authorization"].encode()
        sender.close()
    assert seen == [("CONNECT", server, None, "Basic dXNlcjp3b3Jk")]


@needs_openssl
@pytest.mark.parametrize("variable", BUNDLES)
@pytest.mark.parametrize("directory", [False, True])
def test_ones_own_certificates_are_trusted(
    variable: str, directory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, context = certificate(tmp_path)
    place = pem
    if directory:
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(pem)]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        place = tmp_path / "trusted"
        place.mkdir()
        shutil.copy(pem, place / f"{name}.0")
    monkeypatch.setenv(variable, str(place))
    with listening(ok, context) as server:
        assert get(pool(), f"https://{server}/x") == b"ok"


def test_a_bundle_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    with pytest.raises(HubError) as caught:
        get(pool(), "https://127.0.0.1:9/x")
    assert caught.value.message == (
        "the certificates cannot be read: No such file or directory\n  REQUESTS_CA_BUNDLE=/no/such.pem"
    )
