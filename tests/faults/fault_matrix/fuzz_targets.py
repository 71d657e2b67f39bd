"""Everything that reads episode files, for hostile ones: each part gives a result or raises a TeleopError."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from fault_matrix.forked import Channel
from fault_matrix.store import AUTHOR
from recorders.aligned import AlignedFrames
from recorders.dataset import EpisodeDataset
from recorders.exporters.lerobot import export_lerobot
from recorders.importers.episode import import_episode
from recorders.reader import EpisodeReader
from recorders.recovery import recover_open
from recorders.schema import JOINT_KINDS
from recorders.verify import verify_file
from sessions import open_catalog
from teleop_app.core.errors import EpisodeError, TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import recover_store

MOST_PICTURES = 60


def read_everything(path: Path) -> None:
    """All that a reader offers.

    Raises:
        TeleopError: The file is refused.
    """
    refusals: list[EpisodeError] = []
    with EpisodeReader(path, open_truncated=True) as reader:
        for part in _reading(reader):
            try:
                part()
            except EpisodeError as error:  # one part is refused, the others are asked all the same
                refusals.append(error)
    if refusals:
        raise refusals[0]


def _reading(reader: EpisodeReader) -> list[Callable[[], object]]:
    header = reader.header
    parts: list[Callable[[], object]] = [
        reader.ticks,
        reader.world,
        reader.autonomy,
        reader.chunks,
        reader.events,
        reader.input_times,
        lambda: (reader.instruction, reader.attachments, reader.preview),
    ]
    parts += [lambda k=kind: reader.joints(k) for kind in JOINT_KINDS]
    parts += [lambda a=arm: reader.operator(a) for arm in header.arms]
    parts += [lambda n=name: reader.force(n) for name in header.force_sensors]
    parts += [lambda n=stream.name: (reader.stream(n), reader.clock_fits(n)) for stream in header.streams]
    parts += [lambda n=source.name: reader.audio(n) for source in header.audio]
    parts += [lambda n=camera.name: _pictures(reader, n) for camera in header.cameras]
    return parts


def _pictures(reader: EpisodeReader, camera: str) -> None:
    reader.frame_stamps(camera)
    for _ in reader.frames(camera, stop=MOST_PICTURES):
        pass
    track = reader.depth_track(camera)
    for index in range(min(MOST_PICTURES, len(track.capture_ns))):
        reader.depth(camera, index)


def train(path: Path) -> None:
    """Rows of the episode, one by one and as a training loader reads them.

    Raises:
        TeleopError: The file is refused.
    """
    with EpisodeReader(path) as reader:
        rows = AlignedFrames(reader)
        for number in range(min(MOST_PICTURES, len(rows))):
            rows[number]
    with contextlib.closing(EpisodeDataset([path])) as dataset:
        for number, _ in enumerate(dataset.sequential()):
            if number > MOST_PICTURES:
                break


def recover(path: Path, folder: Path) -> None:
    """Recovery of the file, as if a crash had left it.

    Raises:
        TeleopError: The disk refuses.
    """
    for name in ("open", "episodes", "damaged"):
        (folder / name).mkdir()
    shutil.copy(path, folder / "open" / path.name)
    recover_open(folder / "open", folder / "episodes", folder / "damaged")
    left = list((folder / "open").glob("[!.]*"))
    stored = list((folder / "episodes").iterdir())
    kept = list((folder / "damaged").iterdir())
    if left or not (stored or kept):
        raise AssertionError(f"recovery left {left}, stored {stored}, kept {kept}")
    if kept and kept[0].read_bytes() != path.read_bytes():
        raise AssertionError("recovery changed a file that it could not read")
    for episode in stored:
        verify_file(episode)


def take_in(path: Path, folder: Path) -> None:
    """Import, and the row that a store makes of a file that lies in it.

    Raises:
        TeleopError: The file is refused.
    """
    data = DataDir(folder / "store").create()
    try:
        import_episode(path, data.root, data.episodes)
    except EpisodeError:
        shutil.copy(path, data.episodes / path.name)
    with open_catalog(data.root, AUTHOR) as catalog:
        recover_store(data, catalog)


def try_all(path: Path, folder: Path, channel: Channel, *, costly: bool) -> None:
    """Each part on the file: a result or a sentence; anything else leaves as an exception."""
    parts: dict[str, Callable[[], object]] = {
        "read": lambda: read_everything(path),
        "verify": lambda: verify_file(path, full=True),
        "recover": lambda: recover(path, folder),
    }
    if costly:
        parts["train"] = lambda: train(path)
        parts["import"] = lambda: take_in(path, folder)
        parts["export"] = lambda: export_lerobot([path], folder / "dataset")
    for name, part in parts.items():
        channel.say(at=name)
        try:
            part()
        except TeleopError as error:
            if not error.sentence.endswith("."):
                raise AssertionError(f"no sentence: {error.sentence!r}") from error
            channel.say(**{name: error.sentence[:200]})
