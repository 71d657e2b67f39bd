"""The player's time line, cursor, decoding thread and curves, on real small episodes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, write_synthetic
from teleop_app.core.errors import EpisodeError
from ui.viewmodels.player import PlayerModel, TimeAxis
from ui.viewmodels.player_frames import PictureCache, image_of
from ui.viewmodels.player_media import (
    EpisodeTracks,
    StreamCurves,
    media_of,
    min_max_thinned,
    nearest_index,
    spans_of,
    tracks_of,
)
from ui.widgets.plot_stack import PlotStack

CAMERAS = ("overhead", "left_wrist")


@pytest.fixture(scope="module")
def episodes(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("player")
    paths = []
    for seconds in (1.0, 0.5):
        header = synthetic_header(CAMERAS, width=64, height=48)
        write_synthetic(folder, seconds, header)
        paths.append(folder / f"{header.uuid}.mcap")
    return paths


@pytest.fixture
def player(qtbot):
    model = PlayerModel(clock_s=lambda: 0.0)
    yield model
    model.close()


@pytest.fixture
def opened(player, episodes, qtbot):
    with qtbot.waitSignal(
        player.tracksChanged, check_params_cb=lambda: player.tracks and player.tracks.whole
    ):
        player.open(episodes[0])
    return player


def shown(player):
    return {picture.camera: picture for picture in player.pictures}


def wait_for_pictures(qtbot, player):
    qtbot.waitUntil(lambda: all(picture.image is not None for picture in player.pictures))


def test_nearest_index_takes_the_earlier_on_a_tie():
    times = np.array([0, 10, 20], np.int64)
    assert [nearest_index(times, at) for at in (-5, 4, 5, 6, 19, 99)] == [0, 0, 0, 1, 2, 2]
    assert nearest_index(times[:0], 3) == -1


def test_spans_join_runs_and_reach_the_end():
    spans = spans_of(np.array([0.0, 0.1, 0.2, 0.3]), ("idle", "engaged", "engaged", "hold"), 1.0)
    assert [(span.start_s, span.end_s, span.word) for span in spans] == [
        (0.0, 0.1, "idle"),
        (0.1, 0.3, "engaged"),
        (0.3, 1.0, "hold"),
    ]
    assert spans_of(np.zeros(0), (), 1.0) == ()


def test_thinning_keeps_every_peak():
    values = np.zeros(120_000)
    values[77_777], values[5] = 9.0, -3.0
    at_s = np.arange(len(values)) / 200
    thin_s, thin = min_max_thinned(at_s, values, 500)
    assert len(thin) <= 1000
    assert thin.max() == 9.0
    assert thin.min() == -3.0
    assert np.all(np.diff(thin_s) > 0)
    assert thin_s[thin.argmax()] == at_s[77_777]


def test_a_short_curve_is_left_as_it_is():
    at_s = np.arange(10.0)
    assert min_max_thinned(at_s, at_s, 100)[1] is at_s


def test_media_and_tracks_of_a_real_file(episodes):
    with EpisodeReader(episodes[0]) as reader:
        media = media_of(reader)
        tracks = tracks_of(reader, media)
    assert [line.name for line in media.cameras] == list(CAMERAS)
    assert 0.9 < media.duration_s < 1.1
    assert tracks.measured.shape == (200, 14)
    assert not np.allclose(tracks.sent, tracks.measured)
    assert {"recorder.started", "task.success"} <= {mark.kind for mark in tracks.marks}
    assert [span.word for span in tracks.actors] == ["script"]
    assert set(tracks.forces) == set(media.header.force_sensors)


def test_every_camera_shows_the_frame_nearest_to_the_cursor(opened, qtbot):
    opened.seek(0.5)
    wait_for_pictures(qtbot, opened)
    at_ns = opened.media.to_ns(0.5)
    for line in opened.media.cameras:
        picture = shown(opened)[line.name]
        distances = np.abs(line.capture_ns - at_ns)
        assert distances[picture.number] == distances.min()
        assert abs(picture.skew_ms) <= 1000 / 30 / 2 + 1e-6


def test_the_picture_shown_is_the_frame_of_the_file(opened, episodes, qtbot):
    opened.seek(0.7)
    number = shown(opened)["overhead"].number
    with EpisodeReader(episodes[0]) as reader:
        expected = image_of(reader.frame("overhead", number))
    qtbot.waitUntil(lambda: shown(opened)["overhead"].image == expected)


def test_arrows_step_by_one_frame_of_the_reference_camera(opened):
    opened.set_reference("left_wrist")
    opened.seek(0.5)
    before = shown(opened)["left_wrist"].number
    opened.step(1)
    assert shown(opened)["left_wrist"].number == before + 1
    opened.step(-2)
    assert shown(opened)["left_wrist"].number == before - 1
    assert shown(opened)["left_wrist"].skew_ms == pytest.approx(0.0, abs=1e-3)
    opened.to_start()
    opened.step(-1)
    assert opened.cursor_s >= 0.0


def test_playing_advances_by_time_and_stops_at_the_end(opened):
    opened.toggle()
    opened.advance(0.2)
    assert opened.cursor_s == pytest.approx(0.2)
    opened.set_speed(4.0)
    opened.advance(0.1)
    assert opened.cursor_s == pytest.approx(0.6)
    opened.advance(1.0)
    assert opened.cursor_s == opened.media.duration_s
    assert not opened.playing
    opened.toggle()
    assert opened.cursor_s == 0.0, "play at the end starts over"


def test_shuttle_keys(opened):
    opened.seek(0.8)
    opened.shuttle(1)
    assert (opened.direction, opened.speed) == (1, 1.0)
    opened.shuttle(1)
    opened.shuttle(1)
    opened.shuttle(1)
    assert opened.speed == 4.0
    opened.shuttle(-1)
    assert (opened.direction, opened.speed) == (-1, 1.0)
    opened.advance(0.3)
    assert opened.cursor_s == pytest.approx(0.5)
    opened.shuttle(0)
    assert not opened.playing


def test_backwards_every_picture_comes(opened, qtbot):
    opened.to_end()
    opened.shuttle(-1)
    opened.advance(0.1)
    wait_for_pictures(qtbot, opened)
    number = shown(opened)["overhead"].number
    qtbot.waitUntil(lambda: opened._frames.picture(opened.media.path, "overhead", number - 1) is not None)


def test_playing_goes_round_between_in_and_out(opened):
    opened.seek(0.2)
    opened.mark_in()
    opened.seek(0.6)
    opened.mark_out()
    assert opened.span == (0.2, 0.6)
    opened.shuttle(1)
    assert opened.cursor_s == pytest.approx(0.2)
    opened.advance(0.3)
    assert opened.cursor_s == pytest.approx(0.5)
    opened.advance(0.2)
    assert opened.cursor_s == pytest.approx(0.2)
    assert opened.playing


def test_a_preview_is_a_small_picture_of_the_place_pointed_at(opened, qtbot):
    with qtbot.waitSignal(opened.previewReady) as got:
        opened.preview(0.9)
    at_s, image = got.args
    assert at_s == pytest.approx(0.9)
    assert image.width() == 176


def test_the_next_episode_is_decoded_before_it_is_opened(opened, episodes, qtbot):
    with qtbot.waitSignal(opened._frames.preloaded):
        opened.preload(episodes[1])
    assert opened._frames.picture(episodes[1], "overhead", 0) is not None
    with qtbot.waitSignal(opened.mediaChanged, check_params_cb=lambda: opened.media is not None):
        opened.open(episodes[1])
    assert all(picture.image is not None for picture in opened.pictures)


def test_a_cut_off_file_shows_its_sentence(player, episodes, tmp_path, qtbot):
    cut = tmp_path / "cut.mcap"
    whole = episodes[0].read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with qtbot.waitSignal(player.problemChanged, check_params_cb=lambda: player.problem is not None):
        player.open(cut)
    assert isinstance(player.problem, EpisodeError)
    assert player.media is None
    assert not player.opening


def test_a_missing_file_shows_its_sentence_and_the_next_opens(player, episodes, tmp_path, qtbot):
    with qtbot.waitSignal(player.problemChanged, check_params_cb=lambda: player.problem is not None):
        player.open(tmp_path / "gone.mcap")
    with qtbot.waitSignal(player.mediaChanged, check_params_cb=lambda: player.media is not None):
        player.open(episodes[0])
    assert player.problem is None


def test_a_file_that_went_after_it_was_prepared_is_not_played_from_memory(opened, episodes, tmp_path, qtbot):
    lost = tmp_path / "lost.mcap"
    lost.write_bytes(episodes[1].read_bytes())
    with qtbot.waitSignal(opened._frames.preloaded):
        opened.preload(lost)
    lost.unlink()
    with qtbot.waitSignal(opened.problemChanged, check_params_cb=lambda: opened.problem is not None):
        opened.open(lost)
    assert opened.media is None


def test_the_cache_drops_the_least_used():
    image = image_of(np.zeros((10, 10, 3), np.uint8))
    cache = PictureCache(3 * image.sizeInBytes())
    for number in range(3):
        cache.put(Path("a"), "c", number, image)
    cache.get(Path("a"), "c", 0)
    cache.put(Path("a"), "c", 3, image)
    assert cache.get(Path("a"), "c", 1) is None
    assert cache.get(Path("a"), "c", 0) is not None
    assert cache.size_bytes == 3 * image.sizeInBytes()


def test_zooming_keeps_the_place_under_the_pointer():
    axis = TimeAxis()
    axis.reset(10.0)
    axis.zoom(2.0, 4.0)
    assert axis.span_s == pytest.approx(5.0)
    assert (4.0 - axis.start_s) / axis.span_s == pytest.approx(0.4)
    axis.pan(100.0)
    assert axis.end_s == pytest.approx(10.0)
    axis.reveal(1.0)
    assert axis.start_s <= 1.0 <= axis.end_s
    axis.zoom(1e-9, 5.0)
    assert (axis.start_s, axis.end_s) == (0.0, 10.0)
    assert not axis.zoomed
    axis.zoom(1e9, 5.0)
    assert axis.span_s == pytest.approx(0.1)


def test_a_numeric_stream_is_plotted_at_its_own_rate(qtbot):
    at_s = np.arange(2000) / 1000
    wrench = StreamCurves("N", ("fx", "fy"), at_s, np.stack([np.sin(at_s), np.cos(at_s)], axis=1))
    fingers = {"left": (at_s[::10], np.ones(200))}
    empty = np.zeros((0, 1))
    tracks = EpisodeTracks(
        Path("a"),
        ("left/waist",),
        at_s[:0],
        empty,
        at_s[:0],
        empty,
        forces=fingers,
        streams={"left/wrench": wrench},
    )
    stack = PlotStack(TimeAxis())
    qtbot.addWidget(stack)
    stack.set_tracks(tracks)
    assert [curve.name for curve in stack.forces.curves] == ["left"]
    stack.sensor.setCurrentText("left/wrench")
    assert [(curve.name, len(curve.at_s)) for curve in stack.forces.curves] == [("fx", 2000), ("fy", 2000)]
    stack.set_tracks(dataclasses.replace(tracks, forces={}))
    assert stack.sensor.isHidden()
    assert [curve.name for curve in stack.forces.curves] == ["fx", "fy"]
    stack.set_tracks(None)
    assert stack.forces.curves == ()
    stack.set_tracks(dataclasses.replace(tracks, whole=False), opening=True)
    assert "Reading" in stack._force_legend.text()
    stack.set_tracks(dataclasses.replace(tracks, whole=True), opening=True)
    assert "Reading" not in stack._force_legend.text()
