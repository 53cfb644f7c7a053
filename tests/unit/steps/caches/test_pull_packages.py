"""What a name means in a cache's index, and whose word that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet
from tests.memory_store import MemoryStore
from tests.nar_objects import described, packed

from hf_pack.adapters.binary_cache import BinaryCache
from hf_pack.errors import Error, PolicyError, UsageError
from hf_pack.formats import nar
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.published import Published, format_index, index_key
from hf_pack.model.published_model import PublishedModel
from hf_pack.model.signature_policy import SignaturePolicy
from hf_pack.steps.caches.pull_packages import Choice, choose, pull
from hf_pack.steps.trust.trust import Trust
from hf_pack.wiring import open_storage

KEY, STRANGER = SecretKey.generate(b"k" * 32, "key-1"), SecretKey.generate(b"s" * 32, "key-1")
TRUST = Trust(keys=(KEY.public_key(),))
REQUIRED = replace(TRUST, policy=SignaturePolicy.ENFORCE)


class Notes(Quiet):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)


def entry(version: str, build: int, content: str = "", *, signed: SecretKey | None = None) -> Published:
    node = nar.NarFile(f"{version}{content}".encode())
    info = described(f"m-{version}", node)
    made = Published(
        pname="m",
        version=version,
        build_version=build,
        store_path=info.store_path,
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        closure_size=info.nar_size,
        layout=Layout.DUAL,
        storage=Storage.LINKED,
        quantization="none",
        licence=None,
        repo_id="acme/m",
        snapshot_id="0" * 40,
        files=1,
        model=PublishedModel(summary=ModelSummary(), weight_size=1),
    )
    return made if signed is None else made.with_signatures([signed.sign(made.fingerprint())])


def cache(directory: Path, entries: Iterable[Published]) -> BinaryCache:
    place = directory / index_key("m")
    place.parent.mkdir(parents=True)
    place.write_bytes(format_index(entries))
    return BinaryCache(open_storage(f"file://{directory}"))


def chosen(text: str, caches: Iterable[BinaryCache], trust: Trust = TRUST) -> tuple[Choice, list[str]]:
    progress = Notes()
    return choose(text, tuple(caches), trust, progress), progress.notes


def test_the_newest_is_the_highest_build_whatever_its_text(tmp_path: Path) -> None:
    older, newer = entry("9.0.0+aaaaaaa", 9), entry("10.0.0+0000000", 10)
    place = cache(tmp_path / "cache", [older, newer])
    assert chosen("m", [place])[0].store_path == newer.store_path
    assert chosen("m@9.0.0+aaaaaaa", [place])[0].store_path == older.store_path


def test_a_version_that_is_nowhere_is_told_from_a_name_that_is_nowhere(tmp_path: Path) -> None:
    places = [cache(tmp_path / "first", [entry("1.0.0+a", 1)]), cache(tmp_path / "second", [])]
    with pytest.raises(UsageError, match=r"m has no version 2\.0\.0\+a\n  published: 1\.0\.0\+a"):
        chosen("m@2.0.0+a", places)
    with pytest.raises(UsageError, match="no package was published as n"):
        chosen("n", places)


def test_two_contents_of_one_version_are_named_both_unless_a_signature_chooses(tmp_path: Path) -> None:
    one, two = entry("1.0.0+a", 1, "x"), entry("1.0.0+a", 1, "y")
    with pytest.raises(UsageError) as caught:
        chosen("m", [cache(tmp_path / "unsigned", [one, two])])
    assert str(one.store_path) in caught.value.message
    assert str(two.store_path) in caught.value.message
    signed = entry("1.0.0+a", 1, "y", signed=KEY)
    found, notes = chosen("m@1.0.0+a", [cache(tmp_path / "signed", [one, signed])])
    assert (found.store_path, found.signed, notes) == (two.store_path, True, [])
    both = [entry("1.0.0+a", 1, "x", signed=KEY), signed]
    with pytest.raises(UsageError, match="means 2 packages"):
        chosen("m", [cache(tmp_path / "both", both)])


def test_a_forged_entry_is_refused_where_a_signature_is_demanded(tmp_path: Path) -> None:
    genuine, forged = entry("1.0.0+a", 1, signed=KEY), entry("2.0.0+b", 2, signed=STRANGER)
    taken_over = replace(entry("3.0.0+c", 3), signatures=genuine.signatures)
    place = cache(tmp_path / "cache", [genuine, forged, taken_over])
    assert chosen("m", [place], REQUIRED)[0].store_path == genuine.store_path
    for version in ("2.0.0+b", "3.0.0+c"):
        with pytest.raises(PolicyError, match="no trusted key signed"):
            chosen(f"m@{version}", [place], REQUIRED)


def test_a_flipped_byte_of_an_index_is_refused_or_changes_no_signed_meaning(tmp_path: Path) -> None:
    genuine, older = entry("2.0.0+a", 2, signed=KEY), entry("1.0.0+a", 1, signed=KEY)
    place = cache(tmp_path / "cache", [genuine, older])
    index = tmp_path / "cache" / index_key("m")
    good, refused = index.read_bytes(), 0
    for position in range(0, len(good), 7):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        index.write_bytes(damaged)
        try:
            found = chosen("m", [place], REQUIRED)[0]
        except Error:
            refused += 1
        else:
            assert found.store_path in (genuine.store_path, older.store_path) and found.signed
    assert refused > 100


def test_an_index_that_ends_early_is_refused(tmp_path: Path) -> None:
    place = cache(tmp_path / "cache", [entry("1.0.0+a", 1), entry("2.0.0+a", 2)])
    index = tmp_path / "cache" / index_key("m")
    whole = index.read_bytes()
    for left in range(0, len(whole.rstrip()), 11):
        index.write_bytes(whole[:left])
        with pytest.raises(Error):
            chosen("m", [place])


def test_an_index_of_another_name_means_nothing(tmp_path: Path) -> None:
    place = cache(tmp_path / "cache", [entry("1.0.0+a", 1)])
    (tmp_path / "cache" / "hf-pack" / "n").mkdir()
    (tmp_path / "cache" / index_key("n")).write_bytes((tmp_path / "cache" / index_key("m")).read_bytes())
    with pytest.raises(UsageError, match="no package was published as n"):
        chosen("n", [place])


def test_a_note_says_whose_word_a_name_is(tmp_path: Path) -> None:
    (note,) = chosen("m", [cache(tmp_path / "unsigned", [entry("1.0.0+a", 1)])])[1]
    assert "nobody signed it" in note
    (note,) = chosen("m", [cache(tmp_path / "strange", [entry("1.0.0+a", 1, signed=STRANGER)])])[1]
    assert "signatures: key-1, not checked" in note


def test_the_first_cache_that_lists_it_answers(tmp_path: Path) -> None:
    first, second = entry("1.0.0+a", 1), entry("2.0.0+b", 2)
    caches = [cache(tmp_path / "one", [first]), cache(tmp_path / "two", [second])]
    assert chosen("m", caches)[0].store_path == first.store_path
    assert chosen("m@2.0.0+b", caches)[0].store_path == second.store_path
    with pytest.raises(UsageError, match=r"no version 3\n  published: "):
        chosen("m@3", caches)


def test_a_narinfo_without_the_signature_is_refused_though_the_entry_has_it(tmp_path: Path) -> None:
    signed = entry("1.0.0+a", 1, signed=KEY)
    place = cache(tmp_path / "cache", [signed])
    node = nar.NarFile(b"1.0.0+a")
    info = described("m-1.0.0+a", node)
    (tmp_path / "cache" / "nar").mkdir()
    (tmp_path / "cache" / info.url).write_bytes(packed(node))
    narinfo = tmp_path / "cache" / f"{info.store_path.digest}.narinfo"
    store = MemoryStore(tmp_path / "store")
    forged = info.with_signature(STRANGER.sign(info.fingerprint()))
    for bad in (info, forged):
        narinfo.write_text(bad.format())
        with pytest.raises(PolicyError, match="no trusted key signed /nix/store/"):
            pull(["m"], [place], store, REQUIRED, Quiet())
        assert store.all_paths() == ()
    narinfo.write_text(info.with_signature(KEY.sign(info.fingerprint())).format())
    pulled = pull(["m"], [place], store, REQUIRED, Quiet())
    assert [info.store_path for _, info in pulled.packages] == [signed.store_path]
    # What is here and was signed needs no cache to say so again.
    narinfo.unlink()
    assert pull(["m"], [place], store, REQUIRED, Quiet()).brought.objects == 0


def test_a_store_path_needs_no_index(tmp_path: Path) -> None:
    path = StorePath.parse_base_name(f"{'0' * 32}-m")
    assert chosen(str(path), []) == (Choice(text=str(path), store_path=path), [])
