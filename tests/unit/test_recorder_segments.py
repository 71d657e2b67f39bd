"""A long episode is several files that stand alone, and reads as one."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recorders.episode_file import EpisodeFile
from recorders.reader import EpisodeReader
from recorders.schema import (
    ATTACHMENT_PREVIEW,
    TOPIC_INPUT,
    TOPIC_TICK,
    EpisodeHeader,
    StreamHeader,
    topic_video,
)
from recorders.segment_names import episode_paths, segment_paths
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.verify import verify_file
from recorders.writer import Attachment, EpisodeWriter, FinishedEpisode
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import ControlTick, Sample, StreamBatch, VideoPacket

HEADER = synthetic_header(("overhead", "left_wrist"), 64, 48)
SAMPLES = list(synthetic_samples(HEADER, 7.0, HEADER.anchor_monotonic_ns))
ATTACHED = Attachment("station.toml", "application/toml", b"[station]")


def write(
    folder: Path,
    segment_s: float,
    samples: list[Sample] = SAMPLES,
    header: EpisodeHeader = HEADER,
    asked: list[int] | None = None,
) -> FinishedEpisode:
    for name in ("open", "episodes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    writer = EpisodeWriter(
        folder / "open" / f"{header.uuid}.mcap",
        header,
        destination=folder / "episodes" / f"{header.uuid}.mcap",
        attachments=(ATTACHED,),
        segment_s=segment_s,
        want_keyframe=None if asked is None else lambda: asked.append(writer.ticks),
        flush_s=0.05,
    )
    for sample in samples:
        feed(writer, sample)
    writer.set_preview(b"\xff\xd8 a preview")
    return writer.finish("success")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FinishedEpisode:
    return write(tmp_path_factory.mktemp("whole"), 600.0)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> FinishedEpisode:
    return write(tmp_path_factory.mktemp("parted"), 2.5)


@pytest.fixture
def copied(parted: FinishedEpisode, tmp_path: Path) -> FinishedEpisode:
    folder = shutil.copytree(parted.path.parent, tmp_path / "episodes")
    return replace(parted, path=folder / parted.path.name)


def test_a_stream_that_joins_is_named_by_the_files_that_hold_it(tmp_path: Path) -> None:
    stream = StreamHeader("wrist", "wrench", ("fx",), "N", "wrist", 100.0, "linear")
    samples = list(synthetic_samples(replace(HEADER, streams=(stream,)), 7.0, HEADER.anchor_monotonic_ns))
    path = tmp_path / "open" / f"{HEADER.uuid}.mcap"
    path.parent.mkdir()
    writer = EpisodeWriter(path, HEADER, destination=tmp_path / path.name, segment_s=2.5)
    since_ns = HEADER.anchor_monotonic_ns + 4_200_000_000
    batches = 0
    for sample in samples:
        if isinstance(sample, StreamBatch):
            if sample.capture_ns[0] < since_ns:
                continue
            writer.join(streams=[stream])
            batches += len(sample.capture_ns)
        feed(writer, sample)
    finished = writer.finish("success")
    with EpisodeReader(finished.path) as reader:
        assert reader.header.streams == (stream,)
        assert len(reader.stream("wrist").capture_ns) == batches > 200
    named = []
    for file in (*segment_paths(tmp_path, HEADER.uuid), finished.path):
        with EpisodeReader(file, alone=True) as reader:
            named.append((reader.header.segment, len(reader.header.streams)))
    assert named == [(0, 0), (1, 1), (2, 1)]


def test_a_short_episode_is_one_file(whole: FinishedEpisode) -> None:
    assert [path.name for path in whole.path.parent.iterdir()] == [f"{HEADER.uuid}.mcap"]
    assert whole.footer.segments == ()
    assert whole.size_bytes == whole.path.stat().st_size


def test_a_long_episode_is_several_files_that_stand_alone(parted: FinishedEpisode) -> None:
    folder = parted.path.parent
    names = [f"{HEADER.uuid}.0000.mcap", f"{HEADER.uuid}.0001.mcap"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, parted.path.name]
    assert list((folder.parent / "open").iterdir()) == []
    assert [ref.name for ref in parted.footer.segments] == names
    assert parted.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert episode_paths(folder) == [parted.path]
    assert segment_paths(folder, HEADER.uuid) == [folder / name for name in names]
    for number, name in enumerate(names):
        with EpisodeReader(folder / name) as reader:
            assert replace(reader.header, segment=0) == HEADER
            assert reader.header.segment == number
            assert reader.footer is not None
            assert reader.attachments["station.toml"] == ATTACHED.content
            assert reader.instruction == HEADER.instruction
            for camera in HEADER.cameras:
                assert reader.video(camera.name).keyframe[0]
                assert reader.frame(camera.name, 0).shape == (48, 64, 3)


def test_several_files_read_as_one_episode(whole: FinishedEpisode, parted: FinishedEpisode) -> None:
    with EpisodeReader(whole.path) as one, EpisodeReader(parted.path) as many:
        assert len(many.container.files) == 3
        for kind in ("commanded", "sent", "measured"):
            assert (one.joints(kind).capture_ns == many.joints(kind).capture_ns).all()
            assert (one.joints(kind).position == many.joints(kind).position).all()
        assert one.ticks().actor == many.ticks().actor
        assert (one.input_times() == many.input_times()).all()
        assert one.events() == many.events()
        assert (one.force(HEADER.force_sensors[0]).force == many.force(HEADER.force_sensors[0]).force).all()
        worlds = one.world(), many.world()
        assert worlds[0] is not None and worlds[1] is not None
        assert (worlds[0].qpos == worlds[1].qpos).all()
        for camera in HEADER.cameras:
            tracks = one.video(camera.name), many.video(camera.name)
            assert (tracks[0].capture_ns == tracks[1].capture_ns).all()
            assert (tracks[0].seq == tracks[1].seq).all()
            for index in (0, 74, 75, 76, 100, 209):
                same = one.frame(camera.name, index) == many.frame(camera.name, index)
                assert same.all()
        assert many.attachments == {
            "station.toml": ATTACHED.content,
            ATTACHMENT_PREVIEW: b"\xff\xd8 a preview",
        }


def test_the_last_footer_is_that_of_the_whole_episode(
    whole: FinishedEpisode, parted: FinishedEpisode
) -> None:
    one, many = whole.footer, parted.footer
    assert many.duration_ns == one.duration_ns
    assert many.outcome == "success"
    assert many.actor_share == one.actor_share
    assert many.lost == one.lost and many.lost_reasons == one.lost_reasons
    for topic in (TOPIC_TICK, TOPIC_INPUT, topic_video("overhead")):
        assert many.counts[topic] == one.counts[topic]
    pairs = {(pair.slower, pair.faster): pair for pair in many.sync}
    for pair in one.sync:
        found = pairs.get((pair.slower, pair.faster)) or pairs[pair.faster, pair.slower]
        assert found.max_ms >= pair.max_ms - 1e-6 and found.p95_ms >= pair.p95_ms - 1e-6
    report = verify_file(parted.path, blake3=parted.blake3, full=True)
    assert report.findings == ()
    assert report.messages == sum(many.counts.values())


def test_all_cameras_turn_at_the_same_index_and_streams_at_the_boundary(parted: FinishedEpisode) -> None:
    folder = parted.path.parent
    first_ns = HEADER.anchor_monotonic_ns
    with EpisodeReader(folder / parted.footer.segments[0].name) as reader:
        assert {int(reader.video(camera.name).seq[-1]) for camera in HEADER.cameras} == {74}
        assert reader.joints("sent").capture_ns[-1] < first_ns + 2.51e9
    with EpisodeReader(folder / parted.footer.segments[1].name) as reader:
        assert {int(reader.video(camera.name).seq[0]) for camera in HEADER.cameras} == {75}
        assert reader.joints("sent").capture_ns[0] > first_ns + 2.49e9


def test_cameras_are_asked_for_a_keyframe_at_each_boundary(tmp_path: Path) -> None:
    asked: list[int] = []
    write(tmp_path, 2.5, asked=asked)
    assert len(asked) == 2
    assert abs(asked[0] - 500) <= 2


def test_a_silent_camera_does_not_hold_up_the_others(tmp_path: Path) -> None:
    start_ns = HEADER.anchor_monotonic_ns
    samples = [
        sample
        for sample in SAMPLES
        if not (
            isinstance(sample, VideoPacket)
            and sample.camera == "overhead"
            and 2.2e9 < sample.capture_ns - start_ns < 6e9
        )
    ]
    finished = write(tmp_path, 2.5, samples)
    assert finished.footer.segments[0].end_ns - start_ns < 2.6e9
    assert verify_file(finished.path, full=True).findings == ()
    with EpisodeReader(finished.path) as reader:
        seq = reader.video("overhead").seq.tolist()
    assert seq == [*range(67), *range(180, 210)]


def test_samples_that_come_late_go_where_they_belong(tmp_path: Path) -> None:
    late: list[Sample] = []
    samples: list[Sample] = []
    start_ns = HEADER.anchor_monotonic_ns
    for sample in SAMPLES:
        at_ns = sample.tick_ns if isinstance(sample, ControlTick) else start_ns
        delayed = isinstance(sample, ControlTick) and 2.3e9 < at_ns - start_ns < 2.5e9
        (late if delayed else samples).append(sample)
        if isinstance(sample, VideoPacket) and sample.seq == 80 and late:
            samples = [s for s in samples if not (isinstance(s, ControlTick) and s.tick_ns > late[0].tick_ns)]  # type: ignore[union-attr]
            samples += late
            late = []
    finished = write(tmp_path, 2.5, samples)
    with EpisodeReader(finished.path) as reader:
        assert (np.diff(reader.ticks().capture_ns) > 0).all()
    assert verify_file(finished.path).findings == ()


def test_stopping_in_the_middle_of_a_turn_loses_nothing(tmp_path: Path) -> None:
    end_ns = HEADER.anchor_monotonic_ns + 2_520_000_000
    samples = [
        sample
        for sample in SAMPLES
        if not isinstance(sample, VideoPacket | ControlTick) or at(sample) < end_ns
    ]
    finished = write(tmp_path, 2.5, samples)
    assert len(finished.footer.segments) == 1
    assert verify_file(finished.path, full=True).findings == ()


def at(sample: VideoPacket | ControlTick) -> int:
    return sample.tick_ns if isinstance(sample, ControlTick) else sample.capture_ns


def test_a_missing_part_is_named_and_the_rest_stays_readable(copied: FinishedEpisode) -> None:
    (copied.path.parent / copied.footer.segments[1].name).unlink()
    sentence = rf"Part 2 of the episode {HEADER.uuid}, {HEADER.uuid}.0001.mcap, cannot be read"
    with pytest.raises(EpisodeError, match=sentence):
        EpisodeReader(copied.path)
    with EpisodeReader(copied.path, open_truncated=True) as reader:
        assert len(reader.container.missing) == 1
        assert len(reader.ticks().capture_ns) > 500
    assert any("Part 2" in finding for finding in verify_file(copied.path).findings)


def test_an_altered_part_is_found(copied: FinishedEpisode) -> None:
    path = copied.path.parent / copied.footer.segments[0].name
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    with pytest.raises(EpisodeError, match="was altered"):
        EpisodeReader(copied.path)
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    assert verify_file(copied.path, blake3=copied.blake3).findings != ()


def test_files_that_were_left_are_finished_in_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    original = EpisodeFile.finish

    def finish(self: EpisodeFile, *arguments: object) -> object:
        threads.append(threading.current_thread().name)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(EpisodeFile, "finish", finish)
    write(tmp_path, 2.5)
    assert [name.startswith("episode-segment") for name in threads] == [True, True, False]
