from __future__ import annotations

import gc
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_pack.adapters.embedded import engine
from hf_pack.adapters.embedded.engine import Copied, CopyJob, copy_and_hash
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash

MIB = 1 << 20
PATTERN = bytes(range(251)) * 4177  # 1,048,427 bytes: a period that no chunk size divides


def silent(_: int) -> None:
    pass


def contents(size: int, salt: int = 0) -> bytes:
    return bytes([salt]) * min(size, 1) + (PATTERN * (size // len(PATTERN) + 1))[: max(size - 1, 0)]


def make_jobs(directory: Path, sizes: list[int]) -> list[CopyJob]:
    jobs = []
    for index, size in enumerate(sizes):
        source = directory / f"source-{index}"
        source.write_bytes(contents(size, index))
        jobs.append(CopyJob(source=source, target=directory / f"target-{index}"))
    return jobs


def check(result: Copied, target: Path) -> None:
    """The result describes exactly what lies in the target."""
    written = target.read_bytes()
    assert result.size == len(written)
    assert result.sha256 == Hash.sha256_of(written)
    assert result.nar_hash == nar.hash_and_size(nar.NarFile(written))[0]


def targets(directory: Path) -> list[Path]:
    return sorted(directory.glob("target-*"))


@pytest.mark.parametrize("workers", [None, 1, 9])
def test_copies_are_exact_and_come_in_the_order_asked(tmp_path: Path, workers: int | None) -> None:
    chunk = engine._CHUNK
    sizes = [0, 1, 4095, 4096, 4097, chunk - 1, chunk, chunk + 1, 5 * chunk, 7 * chunk + 12345, 3, MIB]
    jobs = make_jobs(tmp_path, sizes)
    done: list[int] = []
    results = copy_and_hash(jobs, progress=done.append, workers=workers)
    assert [result.size for result in results] == sizes
    assert sum(done) == sum(sizes)
    for job, result in zip(jobs, results, strict=True):
        assert job.target.read_bytes() == job.source.read_bytes()
        assert result.bytes_read == result.size
        assert result.bytes_written in (0, result.size)
        check(result, job.target)


def test_a_target_is_a_new_read_only_file_of_the_first_second(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, [5000])
    job.source.chmod(0o755)
    copy_and_hash([job], progress=silent)
    status = job.target.lstat()
    assert stat.S_IMODE(status.st_mode) == 0o444
    assert status.st_mtime_ns == 1_000_000_000
    assert status.st_nlink == 1
    assert not job.target.samefile(job.source)


def test_a_link_is_followed_to_the_bytes(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, [5000])
    link = tmp_path / "link"
    link.symlink_to(job.source)
    copy_and_hash([CopyJob(source=link, target=job.target)], progress=silent)
    assert not job.target.is_symlink()
    assert job.target.read_bytes() == job.source.read_bytes()


def test_nothing_to_do() -> None:
    assert copy_and_hash([], progress=silent) == ()


def test_a_target_that_exists_is_left_alone(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, [10, 20, 30])
    jobs[1].target.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        copy_and_hash(jobs, progress=silent)
    assert targets(tmp_path) == [jobs[1].target]
    assert jobs[1].target.read_bytes() == b"mine"


def test_a_missing_source_leaves_no_target(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, [10, 20, 30])
    jobs[2].source.unlink()
    with pytest.raises(FileNotFoundError):
        copy_and_hash(jobs, progress=silent)
    assert targets(tmp_path) == []


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, [10])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        copy_and_hash([*jobs, CopyJob(source=tmp_path / "pipe", target=tmp_path / "target-9")], progress=silent)
    assert targets(tmp_path) == []


def test_a_target_that_cannot_be_written_gives_up_the_others(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, [9 * MIB, 10 * MIB, 8 * MIB, 100])
    gc.collect()  # what earlier tests left open is not counted
    threads = set(threading.enumerate())
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing itself holds one
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * MIB, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            copy_and_hash(jobs, progress=silent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert targets(tmp_path) == []
    assert set(threading.enumerate()) <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208


def test_an_interrupt_removes_the_targets(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, [40 * MIB, 40 * MIB, 100])
    threads = set(threading.enumerate())
    done: list[int] = []

    def interrupt(size: int) -> None:
        done.append(size)
        if len(done) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        copy_and_hash(jobs, progress=interrupt)
    assert targets(tmp_path) == []
    for thread in set(threading.enumerate()) - threads:  # one that was being started ends by itself
        thread.join(10)
        assert not thread.is_alive()
    assert targets(tmp_path) == []


def test_a_copy_whose_thread_was_being_started_at_an_interrupt_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor joins the threads that it knows; of this one it does not."""
    jobs = make_jobs(tmp_path, [40 * MIB, 40 * MIB])
    copying, ended = threading.Event(), threading.Event()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "hf-pack copy_1":
            assert copying.wait(10)
            raise KeyboardInterrupt

    def progress(_: int) -> None:
        if threading.current_thread().name == "hf-pack copy_1":
            copying.set()
            time.sleep(0.3)
            ended.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy_and_hash(jobs, progress=progress, workers=2)
    assert ended.is_set() and targets(tmp_path) == []


def shrink(path: Path) -> None:
    os.truncate(path, 9 * MIB + 77)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more" * 1000)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(12 * MIB)
        file.write(bytes(5 * MIB))


@pytest.mark.parametrize("change", [shrink, grow, rewrite])
def test_the_result_describes_the_target_when_the_source_changes(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (job,) = make_jobs(tmp_path, [64 * MIB + 5])
    once = threading.Lock()

    def progress(_: int) -> None:
        if once.acquire(blocking=False):
            change(job.source)

    (result,) = copy_and_hash([job], progress=progress)
    check(result, job.target)
    assert result.bytes_written in (0, result.size)


def test_a_clone_writes_nothing(sharing_directory: Path) -> None:
    (job,) = make_jobs(sharing_directory, [3 * MIB + 5])
    (result,) = copy_and_hash([job], progress=silent)
    assert (result.bytes_written, result.bytes_read) == (0, result.size)
    check(result, job.target)
    with job.source.open("r+b") as file:
        file.write(b"changed")
    check(result, job.target)


def test_memory_stays_flat(tmp_path: Path) -> None:
    """A sparse half GiB in three files, in a process of its own, whose peak is told by the kernel."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hf_pack.adapters.embedded.engine import CopyJob, copy_and_hash\n"
        "jobs = [CopyJob(source=Path(p), target=Path(p + '.copy')) for p in sys.argv[1:]]\n"
        "copy_and_hash(jobs, progress=lambda size: None, workers=64)\n"
        "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))\n"
    )
    sources = [tmp_path / name for name in "abc"]
    for source in sources:
        with source.open("wb") as file:
            file.truncate(170 * MIB)
    command = [sys.executable, "-c", script, *map(str, sources)]
    peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(peak) * 1024 < 200 * MIB
