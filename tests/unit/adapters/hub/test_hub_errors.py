"""What is said about each failure, and what is never said."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import formatdate

import pytest

from hf_pack.adapters.hub.hub_errors import (
    Place,
    is_transient,
    may_pass,
    retry_after,
    stalled_error,
    status_error,
    transport_error,
)

HUB = "https://huggingface.co"
NOBODY = Place(endpoint=HUB, repo_id="org/name", revision="main", path="a/model.safetensors")
SOMEBODY = Place(endpoint=HUB, repo_id="org/name", revision="main", logged_in=True)


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "Your request to access model org/name is awaiting a review from the repo authors.",
            "your request for access still awaits the authors' approval",
            f"see {HUB}/org/name; run the command again when they have approved it",
        ),
        (
            "Your request to access model org/name has been rejected by the repo's authors.",
            "the authors have rejected your request for access",
            f"see {HUB}/org/name",
        ),
        (
            "Access to model org/name is restricted and you are not in the authorized list.",
            "the model is gated: the Hub gives it to those who have accepted its terms",
            f"open {HUB}/org/name, accept the terms there, then ask again with the same account: hf auth whoami",
        ),
    ],
)
def test_a_gate_says_whose_turn_it_is(said: str, message: str, hint: str) -> None:
    error = status_error(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": said}, SOMEBODY)
    assert error.message == f"{message}\n  org/name, revision main: HTTP 403"
    assert error.hint == hint


@pytest.mark.parametrize(
    ("status", "headers", "what"),
    [
        (401, {"x-error-message": "Invalid credentials in Authorization header"}, "the Hub does not accept the token"),
        (401, {}, "the Hub has no such model, or it is private"),
        (404, {"X-Error-Code": "EntryNotFound"}, "the Hub has no such file"),
        (403, {}, "the Hub forbids this"),
        (407, {}, "the proxy wants a login"),
        (503, {}, "the Hub has trouble"),
        (418, {}, "the Hub gave an answer that makes no sense here"),
    ],
)
def test_every_status_has_words(status: int, headers: dict[str, str], what: str) -> None:
    error = status_error(status, headers, NOBODY)
    assert error.message == f"{what}\n  org/name, revision main, file a/model.safetensors: HTTP {status}"
    assert error.exit_code == 4


def test_a_rate_limit_says_when_it_ends() -> None:
    error = status_error(429, {"RateLimit": '"api";r=0;t=55'}, NOBODY)
    assert error.message.startswith("the Hub's rate limit is reached; it ends in 55 s\n")
    assert error.hint == "run it again later; with a login the limit is higher: hf auth login"
    assert status_error(429, {}, SOMEBODY).hint == "run it again later"


def test_what_the_server_says_is_cleaned() -> None:
    said = "no: https://cdn/x?X-Amz-Signature=c0ffee Bearer abc hf_SecretToken\nsecond"
    assert status_error(500, {"X-Error-Message": said}, NOBODY).message.endswith("HTTP 500, no: https://cdn/x?… … …")
    assert status_error(500, {"X-Error-Message": "\x1b[2J"}, NOBODY).message.endswith("HTTP 500")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"RateLimit": '"resolvers";r=0;t=12'}, 12.0),
        ({"RateLimit": '"resolvers";r=9;t=12'}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_in_the_future_is_waited_for() -> None:
    wait = retry_after({"Retry-After": formatdate(time.time() + 100, usegmt=True)})
    assert wait is not None
    assert 50 < wait <= 101


def test_which_statuses_may_pass() -> None:
    assert [status for status in range(400, 600) if is_transient(status)] == [408, 425, 429, *range(500, 600)]


def verification_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: https://h/?X-Amz-Signature=c0ffee")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name of https://h cannot be resolved"),
        (ConnectionRefusedError(111, "x"), "https://h refuses connections"),
        (TimeoutError("x"), "https://h does not answer"),
        (ConnectionResetError(104, "x?X-Amz-Signature=1"), "the connection to https://h failed (ECONNRESET)"),
        (
            OSError("Tunnel connection failed: 403 Forbidden"),
            "the proxy does not connect to https://h (403 Forbidden)",
        ),
        (verification_error(), "the certificate of https://h cannot be verified (self-signed certificate)"),
        (ssl.SSLError(1, "[SSL] x"), "TLS with https://h failed (no reason given)"),
    ],
)
def test_every_failed_connection_has_words(error: OSError, what: str) -> None:
    assert transport_error(error, SOMEBODY, "https://h").message == f"{what}\n  org/name, revision main"


def test_the_cause_behind_a_librarys_error_is_found() -> None:
    outer = RuntimeError("wrapped https://h/?X-Amz-Signature=1")
    outer.__cause__ = socket.gaierror(-3, "Temporary failure")
    report = transport_error(outer, SOMEBODY, "https://h")
    assert report.message.startswith("the name of https://h cannot be resolved")


def test_only_a_certificate_is_beyond_another_try() -> None:
    assert not may_pass(verification_error())
    assert may_pass(ssl.SSLEOFError(8, "EOF"))
    assert may_pass(ConnectionResetError())
    assert not may_pass(ValueError())


def test_a_stall_names_its_length() -> None:
    assert stalled_error(SOMEBODY, 12.0).message == (
        "the Hub stopped sending: nothing came for 12 s, again and again\n  org/name, revision main"
    )
