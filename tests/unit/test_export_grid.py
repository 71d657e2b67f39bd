"""The common frame grid: rows, gaps, late starts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.exporters.grid import common_grid
from recorders.schema import CameraHeader, VideoTrack
from teleop_app.core.errors import ExportError

FPS = 30
PERIOD_NS = 1_000_000_000 // FPS


def track(name, seq, keyframes, offset_ns=0):
    """A camera whose frames are taken exactly on the grid, plus an offset."""
    seq = np.array(sorted(seq), np.int64)
    header = CameraHeader(name, 64, 48, FPS, "h264", "")
    capture = 10**15 + seq * PERIOD_NS + offset_ns
    return VideoTrack(header, capture, capture + 1, seq, np.isin(seq, list(keyframes)))


def test_whole_cameras_are_remuxable():
    grid = common_grid("e", [track("a", range(20), {0, 10}), track("b", range(20), {0, 10}, 4_000)])
    assert grid.rows == 20
    assert [camera.remuxable for camera in grid.cameras] == [True, True]
    assert (grid.instant_ns == 10**15 + np.arange(20) * PERIOD_NS + 2_000).all()
    assert np.abs(grid.grid_error_ns).max() < 20


def test_a_gap_shows_the_frame_before_and_keeps_its_row():
    lossy = track("b", [s for s in range(20) if s not in (7, 8)], {0, 10})
    grid = common_grid("e", [track("a", range(20), {0, 10}), lossy])
    assert grid.rows == 20
    assert np.flatnonzero(grid.cameras[1].repeated).tolist() == [7, 8]
    assert not grid.cameras[1].remuxable
    assert grid.cameras[1].packet[6:9].tolist() == [6, 6, 6]
    assert grid.cameras[1].capture_ns[8] == 10**15 + 6 * PERIOD_NS
    assert grid.instant_ns[8] == 10**15 + 8 * PERIOD_NS  # the other camera's frame, not the stale one


def test_a_row_that_every_camera_lost_is_interpolated():
    seq = [s for s in range(10) if s != 4]
    grid = common_grid("e", [track("a", seq, {0}), track("b", seq, {0})])
    assert grid.instant_ns[4] == pytest.approx(10**15 + 4 * PERIOD_NS, abs=1)


def test_a_late_camera_moves_the_start_and_costs_the_other_its_keyframe():
    grid = common_grid("e", [track("a", range(30), {0, 10, 20}), track("b", range(5, 30), {5, 20})])
    assert grid.first_seq == 5
    assert [camera.trimmed for camera in grid.cameras] == [5, 0]
    assert [camera.first_is_keyframe for camera in grid.cameras] == [False, True]


def at(seq):
    return 10**15 + seq * PERIOD_NS


def test_rows_begin_with_the_common_keyframe_after_the_record_key():
    tracks = [track("a", range(40), {0, 10, 14, 20}), track("b", range(40), {0, 10, 20})]
    grid = common_grid("e", tracks, at(13) - 1)
    assert (grid.first_seq, grid.rows) == (20, 20)
    assert [camera.remuxable for camera in grid.cameras] == [True, True]
    assert [camera.trimmed for camera in grid.cameras] == [7, 7]
    assert common_grid("e", tracks).first_seq == 0


def test_rows_begin_with_the_record_key_where_no_keyframe_is_near():
    tracks = [track("a", range(90), {0, 80}), track("b", range(90), {0, 80})]
    grid = common_grid("e", tracks, at(13))
    assert (grid.first_seq, grid.cameras[0].remuxable) == (13, False)


def test_a_camera_that_ends_before_the_record_key_is_an_error():
    with pytest.raises(ExportError, match="never recorded at the same time"):
        common_grid("e", [track("a", range(40), {0}), track("b", range(5), {0})], at(10))


def test_frames_before_the_first_keyframe_do_not_count():
    grid = common_grid("e", [track("a", range(30), {12})])
    assert (grid.first_seq, grid.rows, grid.cameras[0].remuxable) == (12, 18, True)


def test_the_shortest_camera_ends_the_episode():
    grid = common_grid("e", [track("a", range(30), {0}), track("b", range(25), {0})])
    assert grid.rows == 25
    assert grid.cameras[0].trimmed == 5


def test_a_camera_without_a_keyframe_is_named():
    with pytest.raises(ExportError, match=r"Camera 'b' of episode e has no decodable frame: 9 packets"):
        common_grid("e", [track("a", range(9), {0}), track("b", range(9), set())])


def test_cameras_that_never_met_are_refused():
    with pytest.raises(ExportError, match="never recorded at the same time"):
        common_grid("e", [track("a", range(9), {0}), track("b", range(50, 60), {50})])


def test_numbers_that_go_back_are_refused():
    wild = track("a", range(9), {0})
    wild.seq[4] = 2
    with pytest.raises(ExportError, match="frame numbers that do not increase"):
        common_grid("e", [wild])


@given(st.lists(st.sets(st.integers(0, 60), min_size=1), min_size=1, max_size=3))
def test_every_row_shows_a_frame_of_its_own_or_the_one_before(losses):
    tracks = [
        track(str(n), set(range(80)) - {s + 5 for s in lost}, {0, 15, 30, 45, 60, 75})
        for n, lost in enumerate(losses)
    ]
    tracks = [t for t in tracks if t.keyframe.any()]
    grid = common_grid("e", tracks)
    for camera, source in zip(grid.cameras, tracks, strict=True):
        wanted = grid.first_seq + np.arange(grid.rows)
        shown = source.seq[camera.packet]
        assert (shown <= wanted).all()
        assert ((shown == wanted) == ~camera.repeated).all()
        assert (camera.repeated == ~np.isin(wanted, source.seq)).all()
