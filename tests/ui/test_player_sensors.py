"""The player on an episode with every kind of stream: numeric curves, loudness, depth in false colours."""

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.schema import AudioHeader, AudioTrack
from recorders.synthetic import full_header, synthetic_header, write_synthetic
from ui.viewmodels.depth_colors import depth_colors, depth_range
from ui.viewmodels.player import PlayerModel
from ui.viewmodels.player_media import media_of, tracks_of
from ui.viewmodels.sound_level import BIN_NS, peaks_of
from ui.widgets.player_lanes import LaneView


@pytest.fixture(scope="module")
def episode(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sensors")
    header = full_header(synthetic_header(("overhead",), width=64, height=48))
    write_synthetic(folder, 1.0, header)
    return folder / f"{header.uuid}.mcap"


def test_streams_keep_their_own_rates_and_sound_its_level(episode):
    with EpisodeReader(episode) as reader:
        media = media_of(reader)
        tracks = tracks_of(reader, media)
        for stream in reader.header.streams:
            curves = tracks.streams[stream.name]
            assert curves.values.shape[1] == len(stream.values)
            assert len(curves.at_s) == pytest.approx(stream.rate_hz, rel=0.05)
        [microphone] = reader.header.audio
    at_s, peaks = tracks.levels[microphone.name]
    assert len(at_s) == pytest.approx(50, abs=2)
    assert np.all(np.diff(at_s) > 0)
    assert 0.0 < peaks.max() <= 1.0


def test_the_peak_of_each_bin_is_kept_and_silence_between_is_a_gap():
    samples = np.zeros((40, 1), np.int16)
    samples[7], samples[33] = -16384, 8192
    capture_ns = np.concatenate([np.arange(20), np.arange(20) + 60]) * (BIN_NS // 20)
    bins, peaks = peaks_of(AudioTrack(AudioHeader("mic", 1000, 1), capture_ns, samples), 0)
    assert bins.tolist() == [0, 3]
    assert peaks.tolist() == [0.5, 0.25]


def test_depth_is_a_picture_of_its_own(qtbot, episode):
    player = PlayerModel(clock_s=lambda: 0.0)
    player.open(episode)
    qtbot.waitUntil(lambda: len(player.pictures) == 2 and all(p.image is not None for p in player.pictures))
    names = [picture.camera for picture in player.pictures]
    assert names == ["overhead", "overhead depth"]
    player.set_reference("overhead depth")
    with qtbot.waitSignal(player.previewReady):
        player.preview(0.5)
    player.close()


def test_near_is_warm_far_is_cool_and_no_reading_is_black():
    counts = np.array([[0, 500, 2000]], np.uint16)
    near, far = depth_range(lambda number: counts + (counts > 0) * number, 9)
    assert 500 <= near < far <= 2008
    black, warm, cool = depth_colors(counts, (500.0, 2000.0))[0].astype(int)
    assert black.tolist() == [0, 0, 0]
    assert warm[0] > warm[2]
    assert cool[2] > cool[0]
    assert depth_range(lambda _: np.zeros((2, 2), np.uint16), 1) == (1.0, 2.0)


def test_a_microphone_gets_a_lane(qtbot, episode):
    player = PlayerModel(clock_s=lambda: 0.0)
    lanes = LaneView(player.axis)
    qtbot.addWidget(lanes)
    lanes.resize(600, lanes.height())
    before = lanes.height()
    player.open(episode)
    qtbot.waitUntil(lambda: player.tracks is not None and player.tracks.whole)
    lanes.set_tracks(player.tracks)
    assert lanes.height() > before
    plain = lanes.grab().toImage()
    row = plain.copy(0, before - 2, 600, lanes.height() - before)
    assert len({row.pixel(x, y) for x in range(60, 580, 4) for y in range(row.height())}) > 1
    player.close()
