"""Threads and sockets: a listener takes connections, a handler reads requests and has them answered."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

from tests.hub import api, files, xet
from tests.hub.delivery import Delivery, resets
from tests.hub.faults import Fault, FaultScript
from tests.hub.log import Entry, Origin, Request, RequestLog
from tests.hub.messages import Answer, Ask, error_answer, parse_ask
from tests.hub.site import Site

_BODY_LIMIT = 8 << 20
_STOP_SECONDS = 5.0


def route(site: Site, ask: Ask) -> Answer:
    """The answer of the endpoint that a request is for, were nothing to go wrong."""
    first, count = ask.segments[0], len(ask.segments)
    if ask.origin == "cdn":
        places = {"cdn": (2, files.cdn), "xorbs": (3, xet.xorb), "v1": (2, xet.cas)}
        needed, endpoint = places.get(first, (0, None))
        if endpoint is not None and count >= needed:
            return endpoint(site, ask)
    elif first == "api" and count > 1:
        return files.resolve_cached(site, ask) if ask.segments[1] == "resolve-cache" else api.api(site, ask)
    elif "resolve" in ask.segments[1:3] and count > 3:
        return files.resolve(site, ask)
    return replace(error_answer(404, "Not found"), target=ask.path)


class Listener(socketserver.ThreadingTCPServer):
    """One origin, on a port of its own of 127.0.0.1."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, origin: Origin, site: Site, faults: FaultScript, log: RequestLog) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin, self.site, self.faults, self.log = origin, site, faults, log
        self.stopping = threading.Event()
        self.errors: list[BaseException] = []
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Takes connections from now on."""
        self._acceptor.start()

    def stop(self) -> None:
        """Ends every connection, whatever it waits for, and every thread."""
        self.stopping.set()
        self.shutdown()
        live = list(self._connections.items())
        for connection, _ in live:
            with contextlib.suppress(OSError):  # it may have just ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in live:
            thread.join(_STOP_SECONDS)
        self.server_close()
        self._acceptor.join(_STOP_SECONDS)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        arguments = (request, client_address)
        thread = threading.Thread(target=self.process_request_thread, args=arguments, daemon=True)
        self._connections[request] = thread
        thread.start()

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self._connections.pop(request, None)
        if resets(request):
            request.close()  # without the FIN that the usual shutdown sends first
        else:
            super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if isinstance(error, OSError) and error.filename is None:
            return  # the client went away
        if error is not None:
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        if length > _BODY_LIMIT:
            self.close_connection = True
            return
        body = self.rfile.read(length)
        origin = self.server.origin
        ask = parse_ask(origin, self.command, self.path, dict(self.headers.items()), body)
        request = Request(
            origin=origin,
            method=ask.method,
            path=ask.path,
            query=ask.target.partition("?")[2],
            range=ask.headers.get("range"),
            authorization="authorization" in ask.headers,
            bearer=self.server.site.bearer(ask),
        )
        with self.server.log.entry(request) as entry:
            self._respond(ask, entry)

    do_HEAD = do_POST = do_GET  # noqa: N815 (the names that http.server looks up)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The request log is kept elsewhere."""

    def _respond(self, ask: Ask, entry: Entry) -> None:
        try:
            answer, fault = self._answer(ask)
        except Exception as error:  # noqa: BLE001 (kept, and raised when the Hub stops)
            self.server.errors.append(error)
            answer, fault = error_answer(500, f"The test Hub failed: {error!r}"), None
        stage = "body" if "body" in answer.stages else answer.stages[0]
        hangs = fault is not None and fault.kind == "hang"
        entry.update(
            replace(
                entry.request,
                repo_id=answer.repo_id,
                target=answer.target,
                stage=stage,
                status=0 if hangs else answer.status,
                fault=fault.kind if fault else "",
            )
        )
        delivery = Delivery(connection=self.connection, stopping=self.server.stopping, count=entry.count)
        self.close_connection = not delivery.send(answer, fault, body=ask.method != "HEAD") or self.close_connection

    def _answer(self, ask: Ask) -> tuple[Answer, Fault | None]:
        site = self.server.site
        answer = route(site, ask)
        stop = answer.start if ask.method == "HEAD" else answer.stop
        fault = self.server.faults.take(
            answer.stages, ask.method, answer.target, answer.content, answer.file_size, answer.start, stop
        )
        spoiled = _SPOILED.get(fault.kind) if fault else None
        return (spoiled(site, ask, answer, fault) if fault and spoiled else answer), fault


def _moved(site: Site, ask: Ask, answer: Answer, fault: Fault) -> Answer:
    site.repos[answer.repo_id].commit(fault.files)
    return route(site, ask)


def _unranged(site: Site, ask: Ask, answer: Answer, fault: Fault) -> Answer:
    return route(site, replace(ask, headers={name: ask.headers[name] for name in ask.headers if name != "range"}))


def _expired(site: Site, ask: Ask, answer: Answer, fault: Fault) -> Answer:
    site.revoke(ask)
    return replace(route(site, ask), target=answer.target, repo_id=answer.repo_id)


def _status(site: Site, ask: Ask, answer: Answer, fault: Fault) -> Answer:
    headers = () if fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)
    page = error_answer(fault.status, "a fault of the script", "", *headers)
    return replace(page, stages=answer.stages, target=answer.target, repo_id=answer.repo_id)


_SPOILED: dict[str, Callable[[Site, Ask, Answer, Fault], Answer]] = {
    "moved": _moved,
    "ignore-range": _unranged,
    "expired": _expired,
    "status": _status,
}
