"""The bytes of a file, or a range of them, out of an answer that may be short, whole, compressed or wrong."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from hf_pack.adapters.hub.hub_errors import Place, hub_error
from hf_pack.adapters.hub.origin import origin_of
from hf_pack.adapters.hub.retrying import Transient
from hf_pack.adapters.hub.web import Web
from hf_pack.errors import HubError
from hf_pack.web_pool import Answer

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_PIECE = 1 << 16


class LinkExpired(Transient):
    """The place that a redirect named gives nothing (any more): ask the Hub for a new one."""


def open_range(web: Web, url: str, start: int, stop: int, size: int, place: Place) -> tuple[Answer, int]:
    """Ask for the bytes ``start`` up to ``stop`` of a file of ``size`` bytes; the offset at which the body begins.

    That is ``start``, or 0 from a server that does not know ranges. The body may end early. Raises HubError,
    Transient, LinkExpired.
    """
    answer = web.ask("GET", url, {"Range": f"bytes={start}-{stop - 1}"}, place)
    if answer.status == 206:
        stated = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        first, last = (int(stated[1]), int(stated[2])) if stated else (-1, -1)
        total = str(size) if not stated or stated[3] == "*" else stated[3]
        if first == start and start <= last < stop and total == str(size) and answer.length in (None, last + 1 - first):
            return answer, start
        answer.close()
        raise Transient(_wrong(place, f"bytes {start} to {stop - 1} of {size}", answer.headers.get("Content-Range")))
    if answer.status == 200:
        if answer.length in (None, size):
            return answer, 0
        answer.close()
        raise Transient(_wrong(place, f"{size} bytes", f"{answer.length} bytes"))
    refusal = web.refused(answer, place)
    if not isinstance(refusal, Transient) and origin_of(answer.url) != origin_of(web.settings.endpoint):
        raise LinkExpired(refusal)
    raise refusal


def read_range(
    web: Web, url: str, start: int, stop: int, size: int, place: Place, keep: Callable[[bytes], None]
) -> str:
    """Give ``keep`` the bytes ``start`` up to ``stop`` in pieces, as they come; the URL that answered.

    Raises HubError, Transient, LinkExpired; what was kept by then is right as far as it goes.
    """
    answer, position = open_range(web, url, start, stop, size, place)
    try:
        while position < stop:
            piece = answer.read1(min(_PIECE, stop - position))
            if not piece:
                raise Transient(_wrong(place, f"{stop - start} bytes", f"{max(0, position - start)} bytes"))
            keep(piece[max(0, start - position) :])
            position += len(piece)
    except OSError as error:
        raise web.lost(error, answer.url, place) from None
    finally:
        answer.close()
    return answer.url


def read_whole(web: Web, url: str, size: int, place: Place) -> bytes:
    """A small file as the Hub itself serves it, compressed where it likes. Raises HubError, Transient."""
    answer = web.ask("GET", url, {"Accept-Encoding": "gzip"}, place)
    if answer.status != 200:
        raise web.refused(answer, place)
    try:
        if answer.headers.get("Content-Encoding", "identity").lower() == "gzip":
            # One byte more than there may be, so that a longer file shows and no bomb goes off.
            data = zlib.decompressobj(wbits=31).decompress(answer.read(size + size // 8 + 1024), size + 1)
        else:
            data = answer.read(size + 1)
        answer.read(1)  # the end of a compressed or chunked body, so that the connection can be used again
    except zlib.error:
        raise Transient(_wrong(place, "gzip", "something else")) from None
    except OSError as error:
        raise web.lost(error, answer.url, place) from None
    finally:
        answer.close()
    if len(data) != size:
        found = f"{len(data)} bytes" if len(data) < size else "more"
        raise Transient(_wrong(place, f"{size} bytes", found))
    return data


def _wrong(place: Place, expected: str, found: str | None) -> HubError:
    return hub_error("the Hub sent another length than it states", place, detail=f"expected {expected}, found {found}")
