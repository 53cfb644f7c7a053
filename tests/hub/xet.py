"""A Xet storage service (CAS) that makes up its answers from the files themselves.

``/v1/reconstructions/{hash}`` says of which pieces of which xorbs a file, or the range asked for, consists; a xorb here
is one run of ``RUN`` bytes of one file. A xorb is a list of chunks, each a header of 8 bytes (version 0, stored length
as 24 bits little-endian, compression 0 for none, raw length as 24 bits) and at most 128 KiB of data. The Xet client
checks none of the hashes.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from dataclasses import dataclass, replace

from tests.hub.content import Content, Count
from tests.hub.messages import Answer, Ask, error_answer, json_answer, part, whole
from tests.hub.repo import File
from tests.hub.site import XET_TOKEN, Site, xet_hash

CHUNK = 128 << 10
RUN = 256 * CHUNK
_HEAD = 8
_FRAME = _HEAD + CHUNK
_BATCH = 16 * _FRAME


@dataclass(frozen=True, slots=True)
class Xorb:
    """The bytes ``base`` to ``base + length`` of a file in chunks with their headers."""

    file: Content
    base: int
    length: int

    @property
    def size(self) -> int:
        return self.length + _HEAD * -(-self.length // CHUNK)

    def place(self, offset: int) -> int:
        inside = offset - self.base
        return inside // CHUNK * _FRAME + _HEAD + inside % CHUNK if 0 <= inside < self.length else -1

    def read(self, start: int, stop: int) -> bytes:
        first = start // _FRAME
        frames = b"".join(self._frame(number) for number in range(first, -(-stop // _FRAME)))
        return frames[start - first * _FRAME : stop - first * _FRAME]

    def send(self, connection: socket.socket, start: int, stop: int, count: Count) -> None:
        for position in range(start, stop, _BATCH):
            piece = self.read(position, min(position + _BATCH, stop))
            connection.sendall(piece)
            count(len(piece))

    def _frame(self, number: int) -> bytes:
        start = number * CHUNK
        data = self.file.read(self.base + start, self.base + min(start + CHUNK, self.length))
        length = len(data).to_bytes(3, "little")
        return b"\0" + length + b"\0" + length + data


def read_token(site: Site) -> Answer:
    """``/api/models/{repo}/xet-read-token/{commit}``: where the CAS is and what it wants to be shown."""
    expires = int(time.time()) + site.link_seconds
    return json_answer(
        {"casUrl": site.cdn, "accessToken": XET_TOKEN, "exp": expires},
        ("X-Xet-Cas-Url", site.cdn),
        ("X-Xet-Access-Token", XET_TOKEN),
        ("X-Xet-Token-Expiration", str(expires)),
    )


def cas(site: Site, ask: Ask) -> Answer:
    """``/v1/…``: reconstructions, and an ear for telemetry. 404 for the rest, ``/v2`` among it."""
    return replace(_cas(site, ask), target=ask.path)


def _cas(site: Site, ask: Ask) -> Answer:
    if ask.path == "/v1/telemetry":
        return json_answer({})
    if not site.xet or ask.segments[:2] != ("v1", "reconstructions"):
        return error_answer(404, "Not found")
    if ask.token != XET_TOKEN:
        return error_answer(401, "Unauthorized")
    for repo in site.repos.values():
        for commit in repo.commits.values():
            for file in commit.files.values():
                if file.lfs and xet_hash(file) == ask.segments[2]:
                    return _reconstruction(site, repo.repo_id, file, ask.headers.get("range", "bytes=0-"))
    return error_answer(404, "Not found")


def xorb(site: Site, ask: Ask) -> Answer:
    """``/xorbs/{xet hash}/{number}``: the chunks of one run of a file, for whoever has a signed link."""
    file = site.linked_file(ask) if site.opens(ask) else None
    if file is None:
        return replace(error_answer(403, "Access denied: the link is not valid"), stages=("body",))
    answer = whole(
        _xorb_of(file, int(ask.segments[2])),
        stages=("body",),
        target=file.path,
        repo_id=ask.text("repo"),
        file_size=file.size,
    )
    return part(answer, ask.headers.get("range"))


def _xorb_of(file: File, number: int) -> Xorb:
    return Xorb(file.content, number * RUN, min(RUN, file.size - number * RUN))


def _reconstruction(site: Site, repo_id: str, file: File, asked: str) -> Answer:
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    start = int(match[1]) if match else 0
    stop = min(file.size, int(match[2]) + 1) if match and match[2] else file.size
    if start >= stop:
        return error_answer(416, "Range not satisfiable")
    terms, fetch = [], {}
    for number in range(start // RUN, -(-stop // RUN)):
        run = _xorb_of(file, number)
        first = max(0, start - run.base) // CHUNK
        last = -(-min(stop - run.base, run.length) // CHUNK)
        name = hashlib.sha256(f"{xet_hash(file)}/{number}".encode()).hexdigest()
        chunks = {"start": first, "end": last}
        length = min(last * CHUNK, run.length) - first * CHUNK
        terms.append({"hash": name, "unpacked_length": length, "range": chunks})
        link = site.signed(f"/xorbs/{xet_hash(file)}/{number}", repo_id, file.path)
        span = {"start": first * _FRAME, "end": min(last * _FRAME, run.size) - 1}
        fetch[name] = [{"range": chunks, "url": link, "url_range": span}]
    return json_answer({"offset_into_first_range": start % CHUNK, "terms": terms, "fetch_info": fetch})
