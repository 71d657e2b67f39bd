"""What the rows of an export say, against arithmetic done apart from the exporter."""

import dataclasses
import json
from contextlib import contextmanager

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from recorders.exporters.lerobot import export_lerobot, open_episode
from recorders.exporters.lerobot_options import EXTRAS, LeRobotOptions
from recorders.reader import EpisodeReader
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.writer import EpisodeWriter
from teleop_app.core.types import Actor, ControlTick, VideoPacket

EVERYTHING = LeRobotOptions(extras=tuple(EXTRAS))


def record(folder, seconds=1.0, change=lambda sample: sample, header=None):
    """A synthetic episode whose samples pass through `change`, which may drop them by None."""
    header = header or synthetic_header(width=64, height=48)
    writer = EpisodeWriter(
        folder / f".{header.uuid}.mcap", header, destination=folder / f"{header.uuid}.mcap", flush_s=0.05
    )
    for sample in synthetic_samples(header, seconds, header.anchor_monotonic_ns):
        if (kept := change(sample)) is not None:
            feed(writer, kept)
    return writer.finish("success").path


def losing(camera, seqs):
    """Drops these frames of a camera on their way to the recorder."""

    def change(sample):
        lost = isinstance(sample, VideoPacket) and sample.camera == camera and sample.seq in seqs
        return None if lost else sample

    return change


def pictures(path, first=0, stop=None):
    """RGB frames of an mp4, by plain PyAV."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return frames[first:stop]


def mp4(root, camera, file=0):
    return root / f"videos/observation.images.{camera}/chunk-000/file-{file:03d}.mp4"


def table(root):
    return pq.read_table(root / "data/chunk-000/file-000.parquet").to_pydict()


def test_state_is_interpolated_and_the_action_is_the_command_in_force(tmp_path):
    path = record(tmp_path)
    export_lerobot([path], tmp_path / "out", EVERYTHING)
    rows = table(tmp_path / "out")
    with EpisodeReader(path) as reader:
        measured, sent, video = reader.joints("measured"), reader.joints("sent"), reader.video("overhead")
        commanded = reader.joints("commanded")
        force = reader.force("right/left_finger")
    for row, at in enumerate(video.capture_ns):
        before = np.flatnonzero(sent.capture_ns <= at)
        held = before[-1] if len(before) else 0
        np.testing.assert_array_equal(rows["action"][row], sent.position[held].astype(np.float32))
        since = np.flatnonzero(commanded.capture_ns <= at)
        expected = commanded.position[since[-1] if len(since) else 0].astype(np.float32)
        np.testing.assert_array_equal(rows["action.commanded"][row], expected)
        for name, values in (("state", measured.position), ("velocity", measured.velocity)):
            expected = [
                np.interp(float(at - video.capture_ns[0]), measured.capture_ns - video.capture_ns[0], column)
                for column in values.T
            ]
            np.testing.assert_allclose(rows[f"observation.{name}"][row], expected, atol=1e-6)
        near = np.interp(
            float(at - video.capture_ns[0]), force.capture_ns - video.capture_ns[0], force.force[:, 2]
        )
        assert rows["observation.force"][row][8] == pytest.approx(near, abs=1e-6)
    assert rows["frame_index"] == list(range(30))
    assert rows["timestamp"] == np.float32(np.arange(30) / 30).tolist()
    assert rows["observation.effort"][3] == pytest.approx([0.25] * 14)
    assert rows["next.done"] == rows["next.success"] == [False] * 29 + [True]
    assert rows["actor"] == ["script"] * 30
    assert rows["intervention"] == [False] * 30
    assert max(map(abs, rows["grid_error_s"])) < 1e-7


def test_a_person_who_takes_over_from_a_script_intervenes(tmp_path):
    def change(sample):
        if isinstance(sample, ControlTick) and sample.seq >= 1100:  # 0.5 s
            return dataclasses.replace(sample, actor=Actor.HUMAN)
        return sample

    export_lerobot([record(tmp_path, change=change)], tmp_path / "out")
    rows = table(tmp_path / "out")
    assert rows["actor"] == ["script"] * 16 + ["human"] * 14
    assert rows["intervention"] == [False] * 16 + [True] * 14


def test_a_person_alone_does_not_intervene(tmp_path):
    def change(sample):
        return dataclasses.replace(sample, actor=Actor.HUMAN) if isinstance(sample, ControlTick) else sample

    export_lerobot([record(tmp_path, change=change)], tmp_path / "out")
    assert table(tmp_path / "out")["intervention"] == [False] * 30


def test_whole_episodes_are_remuxed_bit_by_bit(tmp_path):
    paths = [record(tmp_path), record(tmp_path, 0.5)]
    report = export_lerobot(paths, tmp_path / "out")
    assert all(camera.remuxed for episode in report.episodes for camera in episode.cameras)
    with EpisodeReader(paths[0]) as one, EpisodeReader(paths[1]) as two:
        expected = [*one.frames("left_wrist"), *two.frames("left_wrist")]
    found = pictures(mp4(tmp_path / "out", "left_wrist"))
    assert len(found) == 45
    assert all((a == b).all() for a, b in zip(expected, found, strict=True))


def dropping(camera, seqs):
    """An opener of episodes whose files lack these packets; what follows still refers to them."""

    @contextmanager
    def opener(path):
        with open_episode(path) as source:
            track, packets = source.video(camera), source.packets
            kept = np.flatnonzero(~np.isin(track.seq, list(seqs)))
            lossy = dataclasses.replace(
                track,
                capture_ns=track.capture_ns[kept],
                receive_ns=track.receive_ns[kept],
                seq=track.seq[kept],
                keyframe=track.keyframe[kept],
            )
            video = source.video

            def some(name, start=0, stop=None):
                if name != camera:
                    yield from packets(name, start, stop)
                    return
                for number in range(*slice(start, stop).indices(len(kept))):
                    for _, at, keyframe, payload in packets(name, int(kept[number]), int(kept[number]) + 1):
                        yield number, at, keyframe, payload

            source.video = lambda name: lossy if name == camera else video(name)
            source.packets = some
            yield source

    return opener


def test_lost_frames_are_repeated_and_counted(tmp_path):
    """A packet lost after the encoder spoils all pictures until a keyframe, and no decoder says so."""
    paths = [record(tmp_path), record(tmp_path)]
    opener = dropping("left_wrist", {7, 20, 21})
    report = export_lerobot(paths[1:], tmp_path / "out", opener=opener)
    overhead, wrist, _ = report.episodes[0].cameras
    assert overhead.remuxed
    assert not wrist.remuxed
    assert wrist.reason == "3 frames are lost within the episode"
    assert wrist.repeated_rows == (*range(7, 15), *range(20, 30))
    assert wrist.repeated == 18
    shown = pictures(mp4(tmp_path / "out", "left_wrist"))
    assert len(shown) == 30
    with EpisodeReader(paths[0]) as reader:
        truth = list(reader.frames("left_wrist"))
    for row, picture in enumerate(shown):
        held = max(r for r in range(row + 1) if r not in wrist.repeated_rows)
        error = np.abs(picture.astype(int) - truth[held]).mean()
        assert error < 4, f"row {row} should show frame {held}"
    skew = table(tmp_path / "out")["capture_skew_s"]
    assert [skew[row][1] for row in (6, 7, 14, 15)] == pytest.approx([0, -1 / 30, -8 / 30, 0], abs=1e-3)
    assert wrist.skew_max_s == pytest.approx(10 / 30, abs=1e-3)
    assert "3 frames are lost within the episode" in report.notes[0]
    provenance = json.loads((tmp_path / "out/meta/teleop.json").read_text())["episodes"][0]
    assert provenance["cameras"]["left_wrist"]["repeated_rows"] == list(wrist.repeated_rows)
    with EpisodeReader(paths[0]) as reader:
        assert reader.footer is not None and reader.footer.sync == report.episodes[0].sync
    assert provenance["sync"] == [dataclasses.asdict(pair) for pair in report.episodes[0].sync] != []
    assert provenance["latencies"] == []


def test_frames_the_camera_never_took_cost_only_themselves(tmp_path):
    """The stream is whole, its numbers have a gap: only the missing rows show the frame before."""
    header = synthetic_header(("overhead",), width=64, height=48)

    def skipping(sample):
        if isinstance(sample, VideoPacket) and sample.seq >= 7:
            period = round(1e9 / 30)
            return dataclasses.replace(sample, seq=sample.seq + 3, capture_ns=sample.capture_ns + 3 * period)
        return sample

    path = record(tmp_path, 1.2, change=skipping, header=header)
    report = export_lerobot([path], tmp_path / "out")
    assert report.episodes[0].cameras[0].repeated_rows == (7, 8, 9)
    assert report.rows == 39
    shown = pictures(mp4(tmp_path / "out", "overhead"))
    with EpisodeReader(path) as reader:
        truth = list(reader.frames("overhead"))
    for row, picture in enumerate(shown):
        frame = row if row < 7 else max(6, row - 3)
        assert np.abs(picture.astype(int) - truth[frame]).mean() < 4


def test_a_gap_that_the_numbers_hide_is_found_in_the_stream(tmp_path):
    path = record(tmp_path)

    @contextmanager
    def hiding(path):
        with dropping("overhead", {7})(path) as source:
            video = source.video
            whole = video("overhead")
            closed = dataclasses.replace(whole, seq=np.arange(len(whole.seq)))
            source.video = lambda name: closed if name == "overhead" else video(name)
            yield source

    report = export_lerobot([path], tmp_path / "out", opener=hiding)
    overhead = report.episodes[0].cameras[0]
    assert overhead.reason == "packet 7 refers to a picture that is not there"
    assert overhead.repeated_rows == tuple(range(7, 14))


def test_reencoded_video_shares_the_file_of_remuxed_video(tmp_path):
    """The recording encoder's settings give the same parameter sets, so no second file is needed."""
    paths = [record(tmp_path), record(tmp_path, change=losing("overhead", {7})), record(tmp_path)]
    report = export_lerobot(paths, tmp_path / "out")
    assert [episode.cameras[0].remuxed for episode in report.episodes] == [True, False, True]
    assert len(pictures(mp4(tmp_path / "out", "overhead"))) == 90
    assert not mp4(tmp_path / "out", "overhead", 1).exists()


def test_another_encoder_gets_a_file_of_its_own(tmp_path):
    other = synthetic_header(width=64, height=48)
    cameras = tuple(dataclasses.replace(c, encoder="libx264 veryfast crf 30 gop 10") for c in other.cameras)
    change = losing("overhead", {7})
    paths = [
        record(tmp_path),
        record(tmp_path, change=change, header=dataclasses.replace(other, cameras=cameras)),
    ]
    report = export_lerobot(paths, tmp_path / "out")
    assert len(pictures(mp4(tmp_path / "out", "overhead"))) == 30
    assert len(pictures(mp4(tmp_path / "out", "overhead", 1))) == 30
    assert report.notes[-1].startswith("Camera 'overhead': 1 more video files")


def test_a_late_camera_trims_the_others_to_a_keyframe_by_encoding_them(tmp_path):
    path = record(tmp_path, change=losing("overhead", set(range(15))))
    report = export_lerobot([path], tmp_path / "out")
    assert report.rows == 15
    assert report.episodes[0].trimmed == 30
    assert all(camera.remuxed for camera in report.episodes[0].cameras)  # a keyframe every 15 frames

    later = record(tmp_path, 1.5, change=losing("overhead", set(range(15))))

    def shifted(source):
        track = source.video("overhead")
        # The overhead camera's first keyframe comes 4 frames after everybody else's.
        return dataclasses.replace(track, seq=track.seq + 4)

    report = export_lerobot([later], tmp_path / "late", opener=video_altered("overhead", shifted))
    assert [camera.remuxed for camera in report.episodes[0].cameras] == [True, False, False]
    assert report.episodes[0].cameras[1].reason.endswith("does not start at a keyframe")
    assert report.rows == 26
    with EpisodeReader(later) as reader:
        truth = reader.frame("left_wrist", 19)
    assert np.abs(pictures(mp4(tmp_path / "late", "left_wrist"))[0].astype(int) - truth).mean() < 4


def video_altered(camera, change):
    """An opener whose episodes tell another index of one camera."""

    @contextmanager
    def opener(path):
        with open_episode(path) as source:
            video, altered = source.video, change(source)
            source.video = lambda name: altered if name == camera else video(name)
            yield source

    return opener


def damaged(camera, number, replacement):
    """An opener whose episodes have one broken packet."""

    @contextmanager
    def opener(path):
        with open_episode(path) as source:
            packets = source.packets

            def broken(name, start=0, stop=None):
                for index, at, keyframe, payload in packets(name, start, stop):
                    hit = name == camera and index == number
                    yield index, at, keyframe, replacement(payload) if hit else payload

            source.packets = broken
            yield source

    return opener


def test_a_damaged_keyframe_is_bridged(tmp_path):
    path = record(tmp_path)
    opener = damaged("overhead", 15, lambda payload: payload[:40])
    report = export_lerobot([path], tmp_path / "out", opener=opener)
    overhead = report.episodes[0].cameras[0]
    assert overhead.reason.startswith("a recorded picture is damaged")
    assert overhead.repeated_rows == tuple(range(15, 30))
    assert len(pictures(mp4(tmp_path / "out", "overhead"))) == 30


def test_state_gaps_are_reported(tmp_path):
    def change(sample):
        return None if isinstance(sample, ControlTick) and 1060 <= sample.seq < 1100 else sample

    report = export_lerobot([record(tmp_path, change=change)], tmp_path / "out")
    assert 0.05 < report.episodes[0].state_error_max_s < 0.11
    assert 0.15 < report.episodes[0].action_age_max_s < 0.21


def test_one_camera_alone_keeps_a_scalar_skew(tmp_path):
    path = record(tmp_path)
    export_lerobot([path], tmp_path / "out", LeRobotOptions(cameras=("right_wrist",)))
    column = pq.read_schema(tmp_path / "out/data/chunk-000/file-000.parquet").field("capture_skew_s")
    assert str(column.type) == "float"


def test_the_task_text_can_be_the_tasks_name(tmp_path):
    path = write_synthetic(tmp_path, 0.2).path
    export_lerobot([path], tmp_path / "out", LeRobotOptions(task_text="task"))
    tasks = pq.read_table(tmp_path / "out/meta/tasks.parquet").to_pydict()
    assert tasks == {"task_index": [0], "__index_level_0__": ["wave"]}
