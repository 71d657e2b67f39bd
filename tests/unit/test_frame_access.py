"""A frame is the same picture whatever was asked before it, in whatever order and by whatever thread."""

import dataclasses

import numpy as np
import pytest

from recorders.aligned import AlignedFrames
from recorders.packet_times import packet_times
from recorders.reader import EpisodeReader
from recorders.resample import NEVER_NS
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples, write_synthetic
from recorders.writer import EpisodeWriter
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import VideoPacket

CAMERAS = ("overhead", "left_wrist", "right_wrist")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("episode"), 1.6).path


@pytest.fixture
def reader(path):
    with EpisodeReader(path) as reader:
        yield reader


def test_random_access_is_bit_identical_to_reading_on(reader):
    truth = list(reader.frames("overhead"))
    order = np.random.default_rng(0).permutation(len(truth)).tolist() * 2
    access = reader.frame_access("overhead", cached=3)
    for index in order:
        np.testing.assert_array_equal(access.frame(index), truth[index])
    for index, image in zip(order, access.frames(order), strict=True):
        np.testing.assert_array_equal(image, truth[index])


def test_requests_are_carried_out_in_order_while_others_wait(reader):
    truth = list(reader.frames("overhead"))
    access = reader.frame_access("overhead", cached=2)
    wanted = [(0, 1), (2, 5), (4,), (40, 3), (41, 42), (42, 7), (7, 8)]
    jobs = [access.request(indices) for indices in wanted]
    for indices, job in zip(wanted, jobs, strict=True):
        images = job.result(timeout=60)
        assert sorted(images) == sorted(indices)
        for index in indices:
            np.testing.assert_array_equal(images[index], truth[index])


def test_a_frame_that_is_not_there(reader):
    access = reader.frame_access("overhead")
    for index in (-1, 48):
        with pytest.raises(EpisodeError, match=f"There is no frame {index} of camera overhead"):
            access.frame(index)
    assert access.frame(47).shape == (48, 64, 3)


def test_frames_by_grid_number_and_by_time(reader):
    track = reader.video("overhead")
    assert reader.frame_number("overhead", seq=int(track.seq[9])) == 9
    assert reader.frame_number("overhead", seq=int(track.seq[-1]) + 1) is None
    assert reader.frame_number("overhead", at_ns=int(track.capture_ns[9]) + 16_000_000) == 9
    assert reader.frame_number("overhead", at_ns=0) == 0


def test_scaled_pictures_average_over_areas(reader):
    whole = reader.frame("overhead", 5)
    small = reader.frame_access("overhead", size=(32, 24)).frame(5)
    halves = whole.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - halves).mean() < 2.5


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """Left wrist loses frame 20, which starts a keyframe's group anew; pre-roll of half a second."""
    header = full_header(synthetic_header(width=64, height=48))
    begin = header.anchor_monotonic_ns
    header = dataclasses.replace(header, start_ns=begin + 500_000_000)
    folder = tmp_path_factory.mktemp("gappy")
    writer = EpisodeWriter(
        folder / "open.mcap", header, destination=folder / f"{header.uuid}.mcap", flush_s=0
    )
    for sample in synthetic_samples(header, 1.5, begin):
        if not (isinstance(sample, VideoPacket) and sample.camera == "left_wrist" and sample.seq == 29):
            feed(writer, sample)
    return writer.finish("success").path


def test_rows_begin_at_the_record_key(gappy):
    with EpisodeReader(gappy) as reader:
        rows = AlignedFrames(reader)
        assert rows.time_ns[0] == reader.header.start_ns
        assert len(rows) == 30
        assert len(AlignedFrames(reader, include_preroll=True)) == 45


def test_a_lost_frame_is_missing_and_never_replaced(gappy):
    with EpisodeReader(gappy) as reader:
        rows = AlignedFrames(reader, streams=("measured", "sent", "left/wrench"))
        lost = [row for row in rows if row.missing]
        assert [(row.index, row.missing) for row in lost] == [(14, ("left_wrist",))]
        assert lost[0].error_ns["left_wrist"] == NEVER_NS
        for row in rows:
            for camera, image in row.images.items():
                if image is not None:
                    number = reader.frame_number(camera, at_ns=row.time_ns)
                    np.testing.assert_array_equal(image, reader.frame(camera, number))
                    capture = reader.video(camera).capture_ns[number]
                    assert row.error_ns[camera] == capture - row.time_ns


def test_rows_by_number_are_the_rows_in_order(gappy):
    with EpisodeReader(gappy) as reader:
        rows = AlignedFrames(reader)
        in_order = list(rows)
        for row in (rows[7], rows[-1], *rows[3:20:4]):
            other = in_order[row.index]
            assert row.time_ns == other.time_ns
            np.testing.assert_array_equal(row.state, other.state)
            np.testing.assert_array_equal(row.action, other.action)
            assert all(np.array_equal(row.images[camera], other.images[camera]) for camera in CAMERAS)
        with pytest.raises(IndexError):
            rows[len(rows)]


def test_rows_at_a_rate_of_their_own(gappy):
    with EpisodeReader(gappy) as reader:
        rows = AlignedFrames(reader, cameras=["overhead"], rate_hz=10)
        assert np.diff(rows.time_ns).tolist() == [100_000_000] * (len(rows) - 1)
        assert len(rows) == 10
        assert not rows.cameras["overhead"].missing.any()
        with pytest.raises(EpisodeError, match="0 Hz"):
            AlignedFrames(reader, rate_hz=0)


def test_a_hole_in_a_stream_is_a_gap_in_its_rows(tmp_path):
    header = synthetic_header(width=64, height=48)
    begin = header.anchor_monotonic_ns
    writer = EpisodeWriter(tmp_path / "o.mcap", header, destination=tmp_path / f"{header.uuid}.mcap")
    for sample in synthetic_samples(header, 1.0, begin):
        at_ns = getattr(sample, "tick_ns", 0)
        if not 400_000_000 <= at_ns - begin < 600_000_000:
            feed(writer, sample)
    with EpisodeReader(writer.finish().path) as reader:
        rows = AlignedFrames(reader, cameras=["overhead"])
        gaps = [row.index for row in rows if "measured" in row.gaps]
        assert gaps == [12, 13, 14, 15, 16, 17]
        assert rows[15].error_ns["measured"] > 90_000_000


def test_times_from_the_message_indexes_are_those_of_the_packets(gappy):
    with EpisodeReader(gappy) as reader:
        tracks = packet_times(reader.container, reader.header.cameras, reader.to_monotonic)
        assert tracks is not None
        for name, track in tracks.items():
            np.testing.assert_array_equal(track.capture_ns, reader.video(name).capture_ns)
            assert track.keyframe[0]
            assert not track.keyframe[1:].any()


def test_a_reader_that_rested_reads_on(path, reader):
    truth = list(reader.frames("overhead"))
    access = reader.frame_access("overhead")
    reader.rest()
    np.testing.assert_array_equal(access.frame(20), truth[20])
    reader.rest()
    np.testing.assert_array_equal(reader.frame("overhead", 9), truth[9])
