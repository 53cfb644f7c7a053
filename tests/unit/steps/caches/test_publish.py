from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench import Bench, damage, new_bench, pretend
from tests.end_to_end import large_tokenizer
from tests.models import gguf, tiny_model, write_flat
from tests.web_storage import keeping

from hf_pack import wiring
from hf_pack.adapters.nar_packer import Compression, NarFiles
from hf_pack.adapters.object_storage.disk import DiskStorage
from hf_pack.errors import HubError, IntegrityError, PolicyError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model import published
from hf_pack.model.manifest import Layout, Storage
from hf_pack.ports import ObjectStorage, Progress, Readable
from hf_pack.steps.caches.publish import Shipped, publish
from hf_pack.steps.caches.published_index import read_index, write_index
from hf_pack.steps.caches.search import search
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.stored.describe import describe
from hf_pack.steps.workspace.bump import bump

KEY, OTHER_KEY = SecretKey.generate(bytes(32), "cache-1"), SecretKey.generate(bytes(31) + b"x", "cache-2")
NAME = "tiny-llm"


class Recording(DiskStorage):
    """Keeps what was asked, in order, and holds every write against what is there already."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def size_of(self, key: str) -> int | None:
        self.asked.append(f"size {key}")
        return super().size_of(key)

    def small(self, key: str, limit: int = 1 << 20) -> bytes | None:
        self.asked.append(f"get {key}")
        return super().small(key, limit)

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        self.asked.append(f"put {key}")
        if key.endswith(".narinfo"):
            info = NarInfo.parse(contents.decode())
            assert super().size_of(info.url) == info.file_size
            assert all(super(Recording, self).size_of(f"{path.digest}.narinfo") for path in info.references)
        elif published.is_entry_key(key):
            assert super().size_of(f"{published.parse(contents).store_path.digest}.narinfo")
        elif key.endswith("index.json"):
            assert all(super(Recording, self).size_of(entry.key) for entry in published.parse_index(contents))
        return super().put(key, contents, replace=replace)

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        self.asked.append(f"upload {key}")
        return super().upload(key, contents, progress)

    def writes(self) -> list[str]:
        found = [line for line in self.asked if line.startswith(("put", "upload"))]
        self.asked.clear()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--tiny-llm", tiny_model(shards=3)))
    bench.build(NAME)
    return bench


@pytest.fixture
def storage(tmp_path: Path) -> Recording:
    return Recording(tmp_path / "cache")


def path_of(bench: Bench, name: str = NAME) -> StorePath:
    record = bench.load(name).record
    assert record is not None
    return record.store_path


def ship(
    bench: Bench, storage: ObjectStorage, *keys: SecretKey, name: str = NAME, compression: Compression = "auto"
) -> Shipped:
    return publish(path_of(bench, name), bench.store, storage, NarFiles(compression), keys, bench.notes)


def rebuild(bench: Bench) -> None:
    """With another engine parameter."""
    text = bench.manifest(NAME).read_text()
    changed = re.sub(r"^\[vllm\].*$", r"\g<0>\nseed = 99", text, flags=re.MULTILINE)
    assert changed != text
    bench.manifest(NAME).write_text(changed)
    bench.lock(NAME)
    bench.build(NAME)


def narinfos(storage: ObjectStorage) -> Iterator[NarInfo]:
    for key in storage.keys("") or ():
        if key.endswith(".narinfo"):
            yield NarInfo.parse((storage.small(key) or b"").decode())


def nar_files(storage: ObjectStorage) -> dict[str, int | None]:
    return {key: storage.size_of(key) for key in storage.keys("nar/") or ()}


def test_nothing_refers_to_what_is_not_there(bench: Bench, storage: Recording) -> None:
    shipped = ship(bench, storage)
    assert (shipped.objects, shipped.objects_sent) == (4, 4)
    assert shipped.bytes_sent == sum(size or 0 for size in nar_files(storage).values())
    assert {info.store_path for info in narinfos(storage)} == {info.store_path for info in bench.store.all_paths()}
    for info in narinfos(storage):
        recorded = bench.store.path_info(info.store_path)
        assert recorded is not None and (info.nar_hash, info.references) == (recorded.nar_hash, recorded.references)
        assert info.content_address_holds()
        data = b"".join(bytes(chunk) for chunk in storage.chunks(info.url, 0, None))
        assert Hash.sha256_of(data) == info.file_hash


def test_what_is_there_is_asked_once_an_object_and_not_sent(bench: Bench, storage: Recording) -> None:
    ship(bench, storage)
    storage.asked.clear()
    shipped = ship(bench, storage)
    assert (shipped.objects_sent, shipped.bytes_sent) == (0, 0)
    assert len([line for line in storage.asked if ".narinfo" in line]) == 4
    assert [line for line in storage.writes() if ".json" not in line] == []


def test_a_variant_sends_its_tree_alone(bench: Bench, storage: Recording) -> None:
    ship(bench, storage)
    bump(NAME, "Another seed.", bench.workspace)
    rebuild(bench)
    shipped = ship(bench, storage)
    assert (shipped.objects, shipped.objects_sent) == (4, 1)
    assert shipped.bytes_sent < 10_000
    assert [entry.version for entry in read_index(storage)] == ["1.0.1+0000000", "1.0.0+0000000"]


def test_a_version_never_names_a_second_content(bench: Bench, storage: Recording) -> None:
    ship(bench, storage)
    storage.writes()
    rebuild(bench)
    with pytest.raises(PolicyError, match=r"tiny-llm@1.0.0\+0000000 names another content") as caught:
        ship(bench, storage)
    assert str(path_of(bench)) in caught.value.message
    assert storage.writes() == []
    with keeping() as kept:  # a place that cannot list
        web = wiring.open_storage(kept.url)
        write_index(read_index(storage)[0], web)
        with pytest.raises(PolicyError):
            ship(bench, web)


@pytest.mark.parametrize("what", ["other bytes", "shorter"])
def test_a_damaged_blob_is_not_published(bench: Bench, storage: Recording, what: str) -> None:
    blob = bench.load(NAME).plan.blobs[1]
    if what == "shorter":
        bench.real(blob.store_path).chmod(0o644)
        bench.real(blob.store_path).write_bytes(b"short")
    else:
        damage(bench.real(blob.store_path))
    with pytest.raises(IntegrityError, match=f"{blob.store_path} is damaged and was not published"):
        ship(bench, storage)
    assert blob.store_path not in {info.store_path for info in narinfos(storage)}
    assert path_of(bench) not in {info.store_path for info in narinfos(storage)}
    assert read_index(storage) == ()
    assert {
        Hash.sha256_of(b"".join(map(bytes, storage.chunks(key, 0, None)))).nix32() for key in nar_files(storage)
    } == {key.removeprefix("nar/").partition(".")[0] for key in nar_files(storage)}


def test_an_object_that_nobody_would_take_needs_a_signature(bench: Bench, storage: Recording) -> None:
    pretend(bench.store, bench.load(NAME).plan.blobs[0].store_path, damaged=False)
    with pytest.raises(PolicyError, match="is taken only with a signature"):
        ship(bench, storage)
    assert storage.writes() == []
    assert ship(bench, storage, KEY).objects_sent == 4


def test_signatures_are_added_to_what_is_there(bench: Bench, storage: Recording) -> None:
    ship(bench, storage)
    ship(bench, storage, KEY)
    shipped = ship(bench, storage, OTHER_KEY)
    assert shipped.bytes_sent == 0
    for info in narinfos(storage):
        assert len(info.signatures) == 2
        for key in (KEY, OTHER_KEY):
            assert any(key.public_key().verify(info.fingerprint(), signature) for signature in info.signatures)
    (entry,) = read_index(storage)
    assert shipped.entry == entry and len(entry.signatures) == 2
    assert any(KEY.public_key().verify(entry.fingerprint(), signature) for signature in entry.signatures)
    assert published.parse(storage.small(entry.key) or b"") == entry


def test_a_narinfo_of_other_bytes_is_replaced(bench: Bench, storage: Recording) -> None:
    ship(bench, storage)
    blob = bench.load(NAME).plan.blobs[0]
    key = f"{blob.store_path.digest}.narinfo"
    right = storage.small(key) or b""
    for wrong in (b"nonsense", right.replace(b"NarHash: sha256:", b"NarHash: sha256:0")[: len(right)], b""):
        DiskStorage(storage._root).put(key, wrong)
        assert ship(bench, storage).bytes_sent == 0  # the NAR itself is there under its own hash
        assert storage.small(key) == right


@pytest.mark.parametrize(
    ("compression", "suffixes"), [("none", {".nar"}), ("zstd", {".zst"}), ("auto", {".nar", ".zst"})]
)
def test_compression(bench: Bench, storage: Recording, compression: Compression, suffixes: set[str]) -> None:
    """The weights of the tests do not shrink, the tree of texts does."""
    ship(bench, storage, compression=compression)
    assert {Path(key).suffix for key in nar_files(storage)} == suffixes
    tree = next(info for info in narinfos(storage) if info.references)
    assert (tree.compression == "zstd") is (compression != "none")


def test_a_self_contained_tree_stays_as_its_expression_looks_for_it(tmp_path: Path, storage: Recording) -> None:
    bench = new_bench(tmp_path)
    files = {**tiny_model(), "zeros.safetensors": tiny_model()["model.safetensors"] + bytes(0)}
    bench.add(write_flat(tmp_path / NAME, files), wishes=Wishes(storage=Storage.SELF_CONTAINED, repo_id=None))
    built = bench.build(NAME)
    ship(bench, storage)
    assert f"nar/{built.info.nar_hash.nix32()}.nar" in nar_files(storage)
    (entry,) = read_index(storage)
    assert entry.storage is Storage.SELF_CONTAINED and entry.closure_size == entry.nar_size


@pytest.mark.parametrize("layout", Layout)
def test_an_entry_says_what_the_object_says(tmp_path: Path, layout: Layout) -> None:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / NAME, tiny_model(shards=2)), wishes=Wishes(layout=layout))
    info = bench.build(NAME).info
    entry = describe(info, 12345, bench.store)
    assert (entry.pname, entry.version, entry.build_version) == (NAME, "1.0.0+0000000", 1)
    assert (entry.layout, entry.storage, entry.quantization) == (layout, Storage.LINKED, "none")
    assert entry.files == len(bench.load(NAME).lock.files)
    assert entry.snapshot_id == bench.load(NAME).lock.source.snapshot_id
    assert entry.licence == bench.load(NAME).lock.licence


def test_an_entry_names_one_quantization(tmp_path: Path) -> None:
    bench = new_bench(tmp_path)
    model = {path: data for path, data in tiny_model().items() if not path.endswith(".safetensors")}
    bench.add(write_flat(tmp_path / NAME, {**model, "model-Q4_K_M.gguf": gguf(size=2 << 20)}))
    entry = describe(bench.build(NAME).info, 12345, bench.store)
    assert (entry.quantization, entry.model.summary.quantization_method) == ("gguf", "gguf")


def test_publishers_at_the_same_time_lose_nobodys_entry(bench: Bench, storage: Recording) -> None:
    """Eight entries, written by eight threads that begin together; the indexes have them all."""
    ship(bench, storage)
    (first,) = read_index(storage)
    entries = [_version(first, number) for number in range(8)]
    barrier = threading.Barrier(len(entries))
    failed: list[BaseException] = []

    def write(entry: published.Published) -> None:
        place = DiskStorage(storage._root)
        barrier.wait()
        try:
            place.put(entry.key, entry.format(), replace=False)
            write_index(entry, place)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=write, args=(entry,)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert set(read_index(storage)) == {first, *entries}
    for pname in {entry.pname for entry in entries}:
        assert {entry.version for entry in read_index(storage, pname)} == {
            entry.version for entry in (first, *entries) if entry.pname == pname
        }


def _version(entry: published.Published, number: int) -> published.Published:
    document = json.loads(entry.format())
    pname, version = f"{entry.pname}{number % 2 or ''}", f"2.0.{number}"
    document |= {"pname": pname, "version": version, "build_version": number + 2}
    document["store_path"] = f"/nix/store/{entry.store_path.digest}-{pname}-{version}"
    return published.parse(json.dumps(document).encode())


def test_a_damaged_index_is_made_anew_and_a_foreign_entry_left_out(bench: Bench, storage: Recording) -> None:
    entry = ship(bench, storage).entry
    assert entry is not None
    forged = _version(entry, 1)
    unchecked = DiskStorage(storage._root)
    unchecked.put("hf-pack/tiny-llm/9.9.9/x.json", forged.format())  # not where such an entry lies
    unchecked.put("hf-pack/tiny-llm/9.9.9/y.json", b"nonsense")
    for damaged in (b"nonsense", published.format_index([forged])):
        for key in (published.index_key(), published.index_key(NAME)):
            unchecked.put(key, damaged)
        ship(bench, storage)
        assert read_index(storage) == read_index(storage, NAME) == (entry,)
    unchecked.put(published.index_key(), b"nonsense")
    with pytest.raises(HubError, match=r"hf-pack/index.json is damaged: not JSON"):
        read_index(storage)


def test_where_nothing_can_be_listed_the_index_grows(bench: Bench, storage: Recording) -> None:
    with keeping() as kept:
        web = wiring.open_storage(kept.url)
        entry = ship(bench, web, KEY).entry
        assert entry is not None and read_index(web) == (entry,)
        other = _version(entry, 3)
        write_index(other, web)
        assert set(read_index(web)) == {entry, other}
        assert not any("%2B" in key for key in kept.objects) and entry.key in kept.objects
        kept.requests.clear()
        assert ship(bench, web).bytes_sent == 0
        assert not any(line.startswith("PUT /cache/nar") for line in kept.requests)


def test_a_put_that_breaks_is_sent_again(tmp_path: Path) -> None:
    bench = new_bench(tmp_path)
    big = large_tokenizer()
    bench.add(write_flat(tmp_path / NAME, tiny_model(extra={"tokenizer.json": big})))
    bench.build(NAME)
    with keeping() as kept:
        kept.broken = 2
        ship(bench, wiring.open_storage(kept.url), compression="none")
        assert kept.broken == 0
        assert sorted(map(len, kept.objects.values()))[-1] == nar.file_size(len(big))


def test_an_object_that_is_no_package_is_published_without_a_name(bench: Bench, storage: Recording) -> None:
    blob = bench.load(NAME).plan.blobs[0]
    shipped = publish(blob.store_path, bench.store, storage, NarFiles(), (), bench.notes)
    assert shipped.entry is None and shipped.objects_sent == 1
    assert storage.keys("hf-pack/") == ()


def test_another_store_directory_is_refused(bench: Bench, storage: Recording) -> None:
    storage.put("nix-cache-info", b"StoreDir: /other/store\n")
    with pytest.raises(HubError, match="expected /nix/store, found /other/store"):
        ship(bench, storage)


def test_search(bench: Bench, storage: Recording) -> None:
    entry = ship(bench, storage).entry
    assert entry is not None
    assert search("", [storage, storage]) == (entry,)
    assert search("TINY apache", [storage]) == (entry,)
    assert search("tiny fp8", [storage]) == ()
