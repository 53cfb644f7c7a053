"""Engine parameters read from a real installation are those of the tool's data for that version."""

from __future__ import annotations

from importlib import resources

import pytest
from tests.e2e import environments

from hf_pack.adapters.runtimes_here import engine_files, finding
from hf_pack.runtimes.engine_schema import parse_schema
from hf_pack.runtimes.engine_source import FILES, engine_keys


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_an_installed_runtime_says_what_the_data_says(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if (why := environments.missing(runtime)) is not None:
        pytest.skip(why)
    monkeypatch.setenv("PATH", f"{environments.directory(runtime) / 'bin'}:/usr/bin:/bin")
    found = finding.find(runtime)
    assert found is not None and found.version is not None
    keys = engine_keys(runtime, engine_files.engine_files(found, FILES[runtime]))
    schema = parse_schema((resources.files("hf_pack") / "data" / f"engine-{runtime}.json").read_text("utf-8"))
    position = schema.versions.index(found.version.partition("+")[0])
    known = {key: span.words for key in schema.keys if (span := schema.at(key, position)) is not None}
    assert {key: frozenset(words.split("|")) for key, words in keys.items()} == known
    assert len(known) > 200
