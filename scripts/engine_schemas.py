"""Makes ``src/hf_pack/data/engine-<runtime>.json`` from the runtimes' own wheels on a package index.

Of a wheel only the few source files that declare engine parameters are read, by HTTP ranges; nothing is installed or
imported. Every final release from ``FIRST`` on is taken, post releases too. Run it again when a runtime has a new
version::

    python scripts/engine_schemas.py [vllm|sglang …]

What became of keys that are gone is looked up by people: ``engine_renames.toml``, each with where it is said.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

from packaging.version import Version

from hf_pack.runtimes.engine_source import FILES, engine_keys

INDEX = "https://pypi.org/simple"
FIRST = {"vllm": Version("0.10.0"), "sglang": Version("0.5.0")}
DATA = Path(__file__).parent.parent / "src" / "hf_pack" / "data"
RENAMED = Path(__file__).with_name("engine_renames.toml")
_TAIL = 1 << 16  # bytes; the list of a wheel's files is at its end


class RemoteFile(io.RawIOBase):
    """A file on a server that gives ranges, as :mod:`zipfile` reads it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.position = 0
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": f"bytes=-{_TAIL}"})) as answer:
            self.size = int(answer.headers["Content-Range"].rpartition("/")[2])
            self.tail = answer.read()

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = (0, self.position, self.size)[whence] + offset
        return self.position

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self.size, self.position + size)
        start, self.position = self.position, end
        if start >= end:
            return b""
        kept = self.size - len(self.tail)
        if start >= kept:
            return self.tail[start - kept : end - kept]
        request = urllib.request.Request(self.url, headers={"Range": f"bytes={start}-{end - 1}"})
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())


def wheels(project: str) -> dict[Version, str]:
    """One wheel's URL for every final release."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"{INDEX}/{project}/", headers=accept)) as answer:
        files = json.load(answer)["files"]
    found = {}
    for file in files:
        if file["filename"].endswith(".whl") and not file["yanked"]:
            version = Version(file["filename"].split("-")[1])
            if not version.is_prerelease and version >= FIRST[project]:
                found[version] = file["url"]
    return dict(sorted(found.items()))


def keys_of(runtime: str, url: str) -> dict[str, str]:
    with zipfile.ZipFile(RemoteFile(url)) as wheel:  # type: ignore[type-var]
        names = [name for name in wheel.namelist() if re.fullmatch(FILES[runtime], name)]
        return engine_keys(runtime, {name: wheel.read(name).decode() for name in names})


def document(runtime: str, tables: dict[str, dict[str, str]]) -> str:
    """``keys``: for each key the spans ``[first, last, type]``, positions in ``versions``; one key a line.

    ``renamed``: for a key that is gone ``[what to write now, where that is said]``.
    """
    versions = list(tables)
    lines = []
    for key in sorted(set().union(*tables.values())):
        spans: list[list[int | str]] = []
        for index, version in enumerate(versions):
            words = tables[version].get(key)
            if words is None:
                continue
            if spans and spans[-1][1] == index - 1 and spans[-1][2] == words:
                spans[-1][1] = index
            else:
                spans.append([index, index, words])
        lines.append(f"  {json.dumps(key)}: {json.dumps(spans, separators=(',', ':'))}")
    renamed = tomllib.loads(RENAMED.read_text())[runtime]
    changes = [f"  {json.dumps(key)}: {json.dumps(words, ensure_ascii=False)}" for key, words in renamed.items()]
    head = f'{{"runtime": "{runtime}",\n "versions": {json.dumps(versions)},\n "keys": {{\n'
    return head + ",\n".join(lines) + '\n },\n "renamed": {\n' + ",\n".join(changes) + "\n }}\n"


def main() -> None:
    for runtime in sys.argv[1:] or FILES:
        tables = {}
        for version, url in wheels(runtime).items():
            tables[str(version)] = found = keys_of(runtime, url)
            print(runtime, version, len(found), file=sys.stderr)
            if not found:
                raise SystemExit(f"{runtime} {version}: no engine parameters found, see engine_source.py")
        (DATA / f"engine-{runtime}.json").write_text(document(runtime, tables))


if __name__ == "__main__":
    main()
