"""The disk fills up while an episode is recorded; the reserve lets it close as truncated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fault_matrix.forked import Channel, Forked
from fault_matrix.recording import Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.store import Watch
from recorders.durability import Reserve
from recorders.reader import EpisodeReader
from teleop_app.core.paths import DataDir

DISK_KB = 16_000
RESERVE_BYTES = 2_000_000


def run(budget: Budget, report: RowReport) -> None:
    take = Take.of(1.0)
    for number in budget.tries(report):
        try:
            with _small_disk(budget.folder / f"disk-{number}") as root:
                _fill(DataDir(root / "store").create(), take, budget, report, number)
        except OSError as error:
            report.skipped = f"a small disk needs the right to mount one: {error}"
            return


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    if sys.platform != "linux":
        raise OSError("tmpfs is Linux")
    options = f"size={DISK_KB}k"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        raise OSError(made.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(data: DataDir, take: Take, budget: Budget, report: RowReport, number: int) -> None:
    watch = Watch(data)
    watch.after_fault()
    Reserve(data.open, RESERVE_BYTES).fill()
    ballast = data.root.parent / "ballast"
    room = budget.random.randint(0, 400_000)
    recorder = Recorder(data, take, speed=0.0, flush_s=0.0, reserve_bytes=RESERVE_BYTES)

    def work(channel: Channel) -> None:
        recorder.one(channel, 1.0, lambda: _grow(ballast, leave=room))

    said = watch.hear(Forked(work).end())
    heard = {key: value for item in said for key, value in item.items()}
    report.add(filled=int("told" in heard), acknowledged=int("ack" in heard))
    problems = []
    if "crashed" in heard and "StorageError" not in heard["crashed"]:
        problems.append(heard["crashed"])
    if "told" in heard and "No space left" not in heard["told"]:
        problems.append(f"told something else: {heard['told']}")
    if "stored" in heard:
        watch.acknowledged[heard["stored"]] = heard["blake3"]
        problems += _truncated_problems(data, heard)
    elif "told" in heard:
        problems.append(f"the open episode could not be closed: {heard.get('crashed')}")
    ballast.unlink()
    _, found = watch.after_fault()
    report.problems += [f"fill {number} with {room} bytes left: {p}" for p in [*problems, *found]]


def _grow(ballast: Path, leave: int) -> None:
    with ballast.open("wb", buffering=0) as file:
        room = os.fstatvfs(file.fileno())
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - leave)))


def _truncated_problems(data: DataDir, heard: dict[str, str]) -> list[str]:
    with EpisodeReader(data.episodes / f"{heard['stored']}.mcap") as reader:
        truncated = reader.footer is not None and reader.footer.truncated
        reader.ticks()
    if "told" in heard and not truncated:
        return ["the episode does not say that it was cut short"]
    return []


ROW = Row(
    "disk-full",
    "the disk (tmpfs) fills up at a random byte of the open episode",
    "told, the open episode closes as truncated and is readable, nothing acknowledged is lost",
    count=100,
    sample=4,
    run=run,
)
