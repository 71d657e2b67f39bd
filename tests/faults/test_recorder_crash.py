"""SIGKILL, full disks and failing calls while an episode is written."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from blake3 import blake3

from recorders.durability import AppendFile, FileDigest, Reserve, SystemCalls
from recorders.reader import EpisodeReader
from recorders.recovery import Recovery, recover_open
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.errors import StorageError

WRITE_FOR_EVER = """
import sys, time
from pathlib import Path
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.writer import EpisodeWriter
folder = Path(sys.argv[1])
header = synthetic_header(("overhead",), 64, 48)
writer = EpisodeWriter(folder / "open" / f"{header.uuid}.mcap", header,
                       destination=folder / "episodes" / f"{header.uuid}.mcap", flush_s=0.1, sync_s=0.2)
start = time.monotonic_ns()
for sample in synthetic_samples(header, 4.0, header.anchor_monotonic_ns):
    at = getattr(sample, "tick_ns", None) or getattr(sample, "capture_ns")
    at = int(at[0]) if hasattr(at, "shape") else at
    while time.monotonic_ns() - start < at - header.anchor_monotonic_ns:
        time.sleep(0.001)
    feed(writer, sample)
    print(at - header.anchor_monotonic_ns, flush=True)
writer.finish()
"""


def store(base: Path) -> Path:
    for folder in ("open", "episodes", "damaged"):
        (base / folder).mkdir(parents=True)
    return base


def recover(base: Path) -> list[Recovery]:
    return recover_open(base / "open", base / "episodes", base / "damaged")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("after_s", [0.15, 0.6, random.Random(3).uniform(0.3, 1.5)])
def test_a_killed_recorder_loses_less_than_a_second_and_says_so(tmp_path: Path, after_s: float) -> None:
    base = store(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(base)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first sample is written
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    written_ns = int(process.stdout.read().split("\n")[-2])
    process.wait()
    process.stdout.close()
    (result,) = recover(base)
    assert result.header is not None
    assert result.footer is not None
    assert "cut off by a crash" in result.loss
    assert verify_file(result.path, blake3=result.blake3, full=True).findings == ()
    with EpisodeReader(result.path) as reader:
        last_ns = int(reader.ticks().capture_ns[-1]) - result.header.anchor_monotonic_ns
        assert reader.footer == result.footer
    assert written_ns - last_ns < 1e9
    assert recover(base) == []


def written(
    base: Path, calls: SystemCalls, reserve: Reserve | None = None, *, settled: bool = False
) -> FinishedEpisode:
    """An episode; `settled`: the disk has answered to all of it before the operator stops."""
    header = synthetic_header((), 64, 48)
    writer = EpisodeWriter(
        base / "open" / f"{header.uuid}.mcap",
        header,
        destination=base / "episodes" / f"{header.uuid}.mcap",
        flush_s=0.0,
        sync_s=100.0,
        reserve=reserve,
        calls=calls,
    )
    try:
        for sample in synthetic_samples(header, 0.05, header.anchor_monotonic_ns):
            feed(writer, sample)
        while settled and writer.backlog:
            writer.poll()
        return writer.finish("success")
    except StorageError as error:
        try:
            return writer.finish("success", truncated=error.sentence)
        finally:
            writer.abandon()
    finally:
        writer.abandon()


class Failing(SystemCalls):
    """Makes the k-th call fail, once or from then on."""

    def __init__(self, k: int, code: int, sticky: bool) -> None:
        self.count = 0
        self._k, self._code, self._sticky = k, code, sticky

    def _step(self) -> None:
        self.count += 1
        if self.count == self._k or (self._sticky and self.count > self._k):
            raise OSError(self._code, os.strerror(self._code))

    def open(self, path: Path) -> int:
        self._step()
        return super().open(path)

    def write(self, descriptor: int, payload: memoryview) -> int:
        self.count += 1
        if self.count == self._k or (self._sticky and self.count > self._k):
            super().write(descriptor, payload[: len(payload) // 2])  # a torn write
            raise OSError(self._code, os.strerror(self._code))
        return super().write(descriptor, payload)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def rename(self, source: Path, destination: Path) -> None:
        self._step()
        super().rename(source, destination)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        super().sync_folder(folder)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("sticky", [False, True])
def test_whatever_call_fails_nothing_is_lost_in_silence(tmp_path: Path, code: int, sticky: bool) -> None:
    counting = Failing(0, code, False)
    written(store(tmp_path / "count"), counting)
    assert counting.count > 20
    for k in range(1, counting.count + 1):
        base = store(tmp_path / str(k))
        acknowledged = told = False
        try:
            finished = written(base, Failing(k, code, sticky))
            acknowledged = True
            report = verify_file(finished.path, blake3=finished.blake3)
            assert report.findings == ()
        except StorageError as error:
            told = True
            assert error.sentence.endswith(".")
        assert acknowledged != told
        recovered = recover(base)
        episodes = list((base / "episodes").glob("*.mcap"))
        assert list((base / "open").glob("*.mcap")) == []
        if k > 2:  # the first two make the file
            assert len(episodes) + sum(item.header is None for item in recovered) == 1
        for path in episodes:
            assert verify_file(path).findings == ()


def test_a_sync_that_failed_is_not_repeated(tmp_path: Path) -> None:
    class Counting(SystemCalls):
        syncs = 0

        def sync(self, descriptor: int) -> None:
            self.syncs += 1
            raise OSError(errno.EIO, "Input/output error")

    calls = Counting()
    file = AppendFile(tmp_path / "a", calls=calls)
    file.write(b"x")
    with pytest.raises(StorageError, match="Check the disk before recording again"):
        file.finish()
    with pytest.raises(StorageError):
        file.finish()
    assert calls.syncs == 1


def test_a_disk_that_stands_still_holds_up_nobody_until_the_queue_is_full(tmp_path: Path) -> None:
    moves = threading.Event()

    class Standing(SystemCalls):
        def write(self, descriptor: int, payload: memoryview) -> int:
            assert moves.wait(30.0)
            return super().write(descriptor, payload)

    file = AppendFile(tmp_path / "a", calls=Standing(), queue_bytes=3000)
    try:
        for number in range(3):
            assert not file.would_wait
            file.write(bytes([number]) * 1000)
            file.flush()
            assert file.backlog == pytest.approx((number + 1) / 3)
        assert file.would_wait
        deadline = time.monotonic() + 10.0
        while not file.stalled_s:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        moves.set()
        file.write(b"x")
        digest = file.finish()
    finally:
        moves.set()
        file.close()
    content = (tmp_path / "a").read_bytes()
    assert content == b"".join(bytes([number]) * 1000 for number in range(3)) + b"x"
    assert digest == FileDigest(3001, blake3(content).hexdigest())
    assert not file.backlog
    assert not file.stalled_s


class SmallDisk(SystemCalls):
    """A disk of fixed size that the reserve file shares."""

    def __init__(self, room: int, reserve: Path) -> None:
        self._room, self._reserve, self._used = room, reserve, 0

    def write(self, descriptor: int, payload: memoryview) -> int:
        reserved = self._reserve.stat().st_size if self._reserve.exists() else 0
        free = self._room - self._used - reserved
        if free < len(payload):
            raise OSError(errno.ENOSPC, "No space left on device")
        self._used += len(payload)
        return super().write(descriptor, payload)


def test_the_reserve_closes_the_episode_on_a_full_disk(tmp_path: Path) -> None:
    base = store(tmp_path)
    reserve = Reserve(base / "open", 1 << 18)
    reserve.fill()
    disk = SmallDisk((1 << 18) + 10_000, base / "open" / ".reserve")
    finished = written(base, disk, reserve, settled=True)
    assert finished.footer.truncated
    assert "No space left on device" in " ".join(finished.footer.lost_reasons)
    assert verify_file(finished.path, blake3=finished.blake3, full=True).findings == ()
    assert not (base / "open" / ".reserve").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE")
def test_a_file_size_limit_of_the_system_is_a_full_disk(tmp_path: Path) -> None:
    base = store(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageError, match="File too large"):
            written(base, SystemCalls())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    (result,) = recover(base)
    assert result.header is not None
    assert verify_file(result.path).findings == ()


def test_a_crash_between_closing_and_moving_publishes_the_file_as_it_is(tmp_path: Path) -> None:
    base = store(tmp_path)
    finished = written(base, SystemCalls())
    left = base / "open" / finished.path.name
    finished.path.rename(left)
    (result,) = recover(base)
    assert (result.blake3, result.loss) == (finished.blake3, "")
    assert result.footer == finished.footer


def test_an_unreadable_file_moves_aside_untouched(tmp_path: Path) -> None:
    base = store(tmp_path)
    left = base / "open" / "11111111-1111-1111-1111-111111111111.mcap"
    for _ in range(2):
        left.write_bytes(b"garbage")
        (result,) = recover(base)
        assert result.header is None
        assert result.path.read_bytes() == b"garbage"
        assert "untouched" in result.loss
    assert len(list((base / "damaged").iterdir())) == 2


def test_a_disk_that_refuses_even_the_beginning_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the fault campaign: the file can neither be begun nor removed."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="Input/output error"):
        written(store(tmp_path), Failing(2, errno.EIO, sticky=True))
