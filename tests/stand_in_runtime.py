"""A program in a runtime's place: says how it was started, listens, and answers one way or another.

Run as ``vllm``, ``tritonserver`` or ``sglang.launch_server``. ``STAND_IN_RECORD`` names the file that gets its
arguments and environment as JSON; ``STAND_IN`` says how it behaves: ok, exits, deaf, never-ready, silent, refuses,
breaks-off, complains, slow, stubborn (with a child that leaves its group and hears no signal).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BEHAVIOUR = os.environ.get("STAND_IN", "ok")
TEXT = (" a", " red", " fox")
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"


class Handler(BaseHTTPRequestHandler):
    """Health and streams, of OpenAI's API and of Triton's."""

    def do_GET(self) -> None:
        self.send_response(503 if BEHAVIOUR == "never-ready" else 200)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(404 if BEHAVIOUR == "refuses" else 200)
        self.end_headers()
        if BEHAVIOUR == "refuses":
            self.wfile.write(b'{"message": "no such model"}')
            return
        words = () if BEHAVIOUR == "silent" else (str(body.get("prompt", body.get("text_input"))), *TEXT)
        for word in words:
            openai = {"choices": [{"text": word, "index": 0}]}
            event = openai if "prompt" in body else {"model_name": "x", "text_output": word}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            if BEHAVIOUR == "complains":
                self.wfile.write(b'data: {"error": "out of memory"}\n\n')
            if BEHAVIOUR == "slow":
                signal.pause()
            if BEHAVIOUR == "breaks-off":
                self.wfile.write(b"data: {\n\n")
                return
        if "prompt" in body:
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *arguments: object) -> None:
        print(*arguments, flush=True)


def value(*names: str) -> str:
    for name in names:
        for index, text in enumerate(sys.argv):
            if text == name:
                return sys.argv[index + 1]
            if text.startswith(name + "="):
                return text.partition("=")[2]
    raise SystemExit(f"none of {names} is given")


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print("0.32.0")
        return
    record = Path(os.environ["STAND_IN_RECORD"])
    aside = record.with_suffix(".aside")
    aside.write_text(json.dumps({"argv": sys.argv[1:], "environ": dict(os.environ), "pid": os.getpid()}))
    aside.rename(record)
    if BEHAVIOUR == "exits":
        sys.exit("a key is unknown")
    if BEHAVIOUR == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=True)
        record.with_name("child").write_text(str(child.pid))
    if BEHAVIOUR == "deaf":
        signal.pause()
    address = value("--host", "--http-address"), int(value("--port", "--http-port"))
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
