"""Recovery of one and of several files: interrupted at every call, with parts missing, and what it says."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorders.durability import SystemCalls
from recorders.reader import EpisodeReader
from recorders.recovery import Recovery, recover_open
from recorders.schema import TOPIC_TICK, topic_video
from recorders.segment_names import segment_name
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter
from teleop_app.core.errors import StorageError
from teleop_app.core.types import ControlTick, VideoPacket

HEADER = synthetic_header(("overhead",), 64, 48)
SAMPLES = list(synthetic_samples(HEADER, 4.0, HEADER.anchor_monotonic_ns))
NAMES = [f"{HEADER.uuid}.mcap", *(segment_name(HEADER.uuid, k) for k in (1, 2, 3))]
"""Of the files in `open/`, by number."""
FLUSH_S = 0.01
"""Much shorter than it takes to write one of the files."""


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The program was killed."""


class Failing(SystemCalls):
    """The k-th call fails with an error, once or from then on; or the program ends there."""

    def __init__(self, k: int, code: int = 0, sticky: bool = False) -> None:
        self.count = 0
        self._k, self._code, self._sticky = k, code, sticky

    def __getattribute__(self, name: str) -> object:
        if name.startswith("_") or name in ("count", "close"):
            return super().__getattribute__(name)
        call: Callable[..., object] = super().__getattribute__(name)

        def failing(*arguments: object) -> object:
            self.count += 1
            if self.count == self._k or (self._sticky and self.count > self._k):
                if name == "write":  # a torn one
                    descriptor, payload = arguments
                    assert isinstance(descriptor, int) and isinstance(payload, memoryview)
                    os.write(descriptor, payload[: len(payload) // 2])
                if self._code:
                    raise OSError(self._code, os.strerror(self._code))
                raise Interrupted
            return call(*arguments)

        return failing


def recover(base: Path, calls: SystemCalls | None = None) -> list[Recovery]:
    return recover_open(base / "open", base / "episodes", base / "damaged", calls or SystemCalls())


def crashed(base: Path, segment_s: float, calls: SystemCalls | None = None) -> None:
    """A recorder that was killed at the end of the samples; or by its calls at the end of `finish`."""
    for folder in ("open", "episodes", "damaged"):
        (base / folder).mkdir(parents=True)
    writer = EpisodeWriter(
        base / "open" / NAMES[0],
        HEADER,
        destination=base / "episodes" / NAMES[0],
        segment_s=segment_s,
        flush_s=FLUSH_S,
        sync_s=100.0,
        calls=calls or SystemCalls(),
    )
    for sample in SAMPLES:
        feed(writer, sample)
    time.sleep(FLUSH_S)
    writer.poll()
    if calls is not None:
        with pytest.raises(Interrupted):
            writer.finish("success")
    writer.abandon()


@pytest.fixture(scope="module")
def crash_sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores as crashes leave them."""
    base = tmp_path_factory.mktemp("sites")
    crashed(base / "one", 600.0)
    file = base / "one" / "open" / NAMES[0]
    file.write_bytes(file.read_bytes()[:-300])
    crashed(base / "several", 1.5)
    last = base / "several" / "open" / NAMES[2]
    last.write_bytes(last.read_bytes()[:-300])
    shutil.copytree(base / "several", base / "turning")  # the file before was not finished either
    before = base / "turning" / "open" / NAMES[1]
    before.write_bytes(before.read_bytes()[:-30_000])
    shutil.copytree(base / "several", base / "hole")
    (base / "hole" / "open" / NAMES[1]).unlink()
    shutil.copytree(base / "several", base / "last_gone")
    (base / "last_gone" / "open" / NAMES[2]).write_bytes(b"")
    return {path.name: path for path in base.iterdir()}


@pytest.fixture(params=["one", "several", "turning", "hole", "last_gone"])
def site(request: pytest.FixtureRequest, crash_sites: dict[str, Path]) -> Path:
    return crash_sites[request.param]


def episodes(base: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((base / "episodes").iterdir())}


def test_what_a_crash_left_is_one_episode_that_verifies(site: Path, tmp_path: Path) -> None:
    base = shutil.copytree(site, tmp_path / "store")
    recovered = [item for item in recover(base) if item.header is not None]
    (result,) = recovered
    assert result.footer is not None and result.footer.recovered and result.footer.truncated
    assert "cut off by a crash after" in result.loss
    assert verify_file(result.path, blake3=result.blake3, full=True).findings == ()
    assert list((base / "open").iterdir()) == []
    assert result.size_bytes == sum(map(len, episodes(base).values()))
    assert recover(base) == []


def every_call(site: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    counting = Failing(0)
    recover(shutil.copytree(site, folder / "count"), counting)
    assert counting.count > 5
    for k in range(1, counting.count + 1):
        base = shutil.copytree(site, folder / str(k))
        yield k, base
        shutil.rmtree(base)


@pytest.mark.parametrize(
    ("name", "code", "sticky"),
    [
        ("one", 0, False),
        ("one", errno.EIO, True),
        ("turning", 0, False),
        ("turning", errno.EIO, False),
        ("turning", errno.ENOSPC, True),
        ("hole", 0, False),
        ("last_gone", 0, False),
    ],
)
def test_a_recovery_that_ends_anywhere_is_repeated_with_the_same_result(
    crash_sites: dict[str, Path], tmp_path: Path, name: str, code: int, sticky: bool
) -> None:
    site = crash_sites[name]
    whole = shutil.copytree(site, tmp_path / "whole")
    recover(whole)
    expected = episodes(whole)
    for k, base in every_call(site, tmp_path):
        with pytest.raises((StorageError, Interrupted)) as caught:
            recover(base, Failing(k, code, sticky))
        if isinstance(caught.value, StorageError):
            assert caught.value.sentence.endswith(".")
        recover(base)
        assert episodes(base) == expected, k
        assert [path.name for path in (base / "open").iterdir()] == []


def test_a_publication_that_ends_anywhere_is_completed_without_loss(tmp_path: Path) -> None:
    tried = 0
    for k in range(1, 200):
        base = tmp_path / str(k)
        calls = _Publishing(k)
        try:
            crashed(base, 1.5, calls)
        except pytest.fail.Exception:
            tried = k - 1
            break
        for result in recover(base):  # none when the last file is in its place
            assert result.loss == "" and result.footer is not None and not result.footer.truncated
        assert len(episodes(base)) == 3
        path = base / "episodes" / NAMES[0]
        assert verify_file(path).findings == ()
        with EpisodeReader(path) as reader:
            assert reader.footer is not None and reader.footer.outcome == "success"
        shutil.rmtree(base)
    assert tried >= 5


class _Publishing(SystemCalls):
    """Ends the program before the k-th call of the publication."""

    def __init__(self, k: int) -> None:
        self._left = k

    def rename(self, source: Path, destination: Path) -> None:
        self._step()
        super().rename(source, destination)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        super().sync_folder(folder)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Interrupted


def test_a_missing_part_in_the_middle_is_told_with_what_it_held(
    crash_sites: dict[str, Path], tmp_path: Path
) -> None:
    base = shutil.copytree(crash_sites["hole"], tmp_path / "store")
    (result,) = recover(base)
    assert "Part 2 of the episode is missing." in result.loss
    lost = {loss.topic: loss for loss in result.losses if not loss.at_end}
    ticks, frames = lost[TOPIC_TICK], lost[topic_video("overhead")]
    assert 290 <= ticks.samples <= 310 and 44 <= frames.samples <= 46
    assert abs(ticks.from_s - 1.5) < 0.1 and abs(ticks.until_s - 3.0) < 0.1
    assert result.footer is not None
    assert result.footer.lost[TOPIC_TICK] == ticks.samples
    with EpisodeReader(result.path) as reader:
        assert len(reader.ticks().capture_ns) == 800 - ticks.samples - (800 - _last_tick(result) - 1)


def _last_tick(result: Recovery) -> int:
    with EpisodeReader(result.path) as reader:
        passed_ns = int(reader.ticks().capture_ns[-1]) - HEADER.anchor_monotonic_ns
    return passed_ns * HEADER.control_rate_hz // 1_000_000_000


def test_losses_before_and_after_a_turn_are_counted_once(tmp_path: Path) -> None:
    kept = [
        sample
        for sample in SAMPLES
        if not (isinstance(sample, ControlTick) and sample.seq - 1000 in (100, 299, 300, 301, 330, 700))
        and not (isinstance(sample, VideoPacket) and 47 <= sample.seq < 60)
    ]
    results = []
    for segment_s in (600.0, 1.5):
        base = tmp_path / str(segment_s)
        for folder in ("open", "episodes", "damaged"):
            (base / folder).mkdir(parents=True)
        writer = EpisodeWriter(
            base / "open" / NAMES[0],
            HEADER,
            destination=base / "episodes" / NAMES[0],
            segment_s=segment_s,
            flush_s=0.0,
        )
        for sample in kept:
            feed(writer, sample)
        writer.poll()
        writer.abandon()
        (result,) = recover(base)
        assert result.footer is not None
        results.append(result.footer.lost)
    assert results[0] == {TOPIC_TICK: 6, topic_video("overhead"): 13}
    assert results[1] == results[0]


def test_a_file_that_is_damaged_in_the_middle_is_kept_up_to_there_and_as_a_copy(
    crash_sites: dict[str, Path], tmp_path: Path
) -> None:
    base = shutil.copytree(crash_sites["one"], tmp_path / "store")
    path = base / "open" / NAMES[0]
    with EpisodeReader(path, open_truncated=True) as reader:
        places = reader.container.contents.chunks
        middle = places[len(places) // 2]
    content = bytearray(path.read_bytes())
    content[middle.start + middle.length // 2] ^= 0xFF
    path.write_bytes(content)
    (result,) = recover(base)
    assert f"is damaged at byte {middle.start}" in result.loss
    assert (base / "damaged" / NAMES[0]).read_bytes() == bytes(content)
    assert verify_file(result.path, blake3=result.blake3).findings == ()


def test_a_file_whose_end_alone_is_missing_loses_nothing(tmp_path: Path) -> None:
    base = tmp_path / "store"
    crashed(base, 1.5, _Publishing(1))
    last = base / "open" / NAMES[2]
    last.write_bytes(last.read_bytes()[:-200])
    (result,) = recover(base)
    assert result.loss == "" and result.footer is not None
    assert result.footer.outcome == "success" and not result.footer.truncated
    assert verify_file(result.path, blake3=result.blake3).findings == ()


def test_a_leftover_of_a_stored_episode_moves_aside(crash_sites: dict[str, Path], tmp_path: Path) -> None:
    base = shutil.copytree(crash_sites["one"], tmp_path / "store")
    left = base / "open" / NAMES[0]
    content = left.read_bytes()
    recover(base)
    left.write_bytes(content)
    (result,) = recover(base)
    assert result.header is None and "is stored already" in result.loss
    assert result.path.read_bytes() == content
    assert replace(result, source=result.path).path.parent.name == "damaged"
