"""The strip of small pictures: cut into tiles, shown over a row's picture and over the time ruler."""

import dataclasses

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent

from recorders.reader import EpisodeReader
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.writer import EpisodeWriter
from sessions import Author, open_catalog
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import rebuild_row
from ui.viewmodels.episodes import EpisodesModel
from ui.viewmodels.episodes_art import EpisodeArt
from ui.viewmodels.player import PlayerModel, TimeAxis
from ui.viewmodels.player_media import media_of
from ui.viewmodels.preview_strip import read_strip
from ui.widgets.episode_table import EpisodeTable
from ui.widgets.time_ruler import TimeRuler

ADA = Author.person("Ada")
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def strip_jpeg(tile_width=96, height=72, count=4) -> bytes:
    """Tiles of one colour each, as JPEG."""
    tiles = [np.full((height, tile_width, 3), COLORS[n % len(COLORS)], np.uint8) for n in range(count)]
    done, data = cv2.imencode(".jpg", np.hstack(tiles)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return data.tobytes()


def write_with(folder, jpeg, seconds=0.5, **header):
    head = dataclasses.replace(synthetic_header(("overhead",), width=64, height=48), **header)
    file = folder / f"{head.uuid}.mcap"
    writer = EpisodeWriter(folder / f".{head.uuid}.mcap", head, destination=file, flush_s=0.02)
    for sample in synthetic_samples(head, seconds, head.anchor_monotonic_ns):
        feed(writer, sample)
    if jpeg:
        writer.set_preview(jpeg)
    writer.finish("success")
    return file


def color_of(image):
    return image.pixelColor(image.width() // 2, image.height() // 2).getRgb()[:3]


def near(color, wanted):
    return max(abs(a - b) for a, b in zip(color, wanted, strict=True)) < 40


def test_a_strip_is_cut_into_its_tiles(tmp_path):
    strip = read_strip(write_with(tmp_path, strip_jpeg()))
    assert (strip.count, strip.camera) == (4, "overhead")
    for share, wanted in ((0.0, 0), (0.24, 0), (0.26, 1), (0.6, 2), (1.0, 3)):
        assert near(color_of(strip.tile(share)), COLORS[wanted])
    assert strip.tile(0.3).width() == 96


def test_an_episode_without_a_strip_or_with_another_shape_has_none(tmp_path):
    assert read_strip(write_with(tmp_path, b"")) is None
    assert read_strip(write_with(tmp_path, strip_jpeg(tile_width=20, count=1))) is None
    assert read_strip(write_with(tmp_path, b"\xff\xd8 no picture")) is None
    assert read_strip(tmp_path / "missing.mcap") is None


@pytest.fixture
def listed(qtbot, tmp_path):
    data = DataDir(tmp_path / "store").create()
    with open_catalog(data.root, ADA) as catalog:
        rebuild_row(catalog, data, write_with(data.episodes, strip_jpeg()))
        model = EpisodesModel(catalog, data.root, lambda: ADA)
        art = EpisodeArt(catalog, data.root / "cache")
        table = EpisodeTable(model, art)
        qtbot.addWidget(table)
        table.resize(800, 300)
        table.show()
        with qtbot.waitSignal(model.rowsReset):
            model.start()
        yield table, art
        model.close()
        art.close()


def point(table, x, y):
    where = QPointF(x, y)
    event = QMouseEvent(
        QEvent.Type.MouseMove, where, table.viewport().mapToGlobal(where), Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    table.mouseMoveEvent(event)


def test_the_pointer_on_a_picture_shows_that_moment(listed, qtbot):
    table, art = listed
    cell = table.visualRect(table.table.index(0, 0))
    middle = cell.center().y()
    qtbot.waitUntil(lambda: art.image(table.table.row(0)) is not None)

    def shown():
        return table.viewport().grab().toImage().pixelColor(QPoint(cell.left() + 40, middle)).getRgb()[:3]

    usual = shown()
    for share, wanted in ((0.1, 0), (0.4, 1), (0.9, 3)):
        point(table, cell.left() + 8 + 64 * share, middle)
        qtbot.waitUntil(lambda wanted=wanted: near(shown(), COLORS[wanted]))
    point(table, cell.left() + 120, middle)
    assert shown() == usual


def test_the_ruler_shows_the_strip_at_once(qtbot, tmp_path):
    player = PlayerModel(clock_s=lambda: 0.0)
    with qtbot.waitSignal(player.mediaChanged, check_params_cb=lambda: player.media is not None):
        player.open(write_with(tmp_path, strip_jpeg()))
    shown = []
    player.previewReady.connect(lambda at_s, image: shown.append((at_s, color_of(image))))
    player.preview(0.9 * player.media.duration_s)
    assert len(shown) == 1
    assert near(shown[0][1], COLORS[3])
    player.close()


def test_the_time_line_knows_where_the_key_was_pressed(tmp_path):
    base = synthetic_header(("overhead",), width=64, height=48)
    start = {"anchor_monotonic_ns": base.anchor_monotonic_ns}
    for key_ms in (0, 200):
        start["start_ns"] = base.anchor_monotonic_ns + key_ms * 1_000_000 if key_ms else 0
        with EpisodeReader(write_with(tmp_path, b"", **start)) as reader:
            media = media_of(reader)
        assert media.key_s == pytest.approx(key_ms / 1e3, abs=0.02)
        assert media.strip_share(media.key_s) == 0.0
        assert media.strip_share(media.duration_s) == 1.0


def test_what_lies_before_the_key_is_shaded_up_to_it(qtbot):
    axis = TimeAxis()
    ruler = TimeRuler(axis)
    qtbot.addWidget(ruler)
    ruler.resize(600, 32)
    plain = ruler.grab().toImage()
    ruler.set_key(0.2)
    shaded = ruler.grab().toImage()
    differs = [x for x in range(600) if any(plain.pixel(x, y) != shaded.pixel(x, y) for y in range(2, 30))]
    assert min(differs) >= ruler.to_x(0.0) - 1
    assert max(differs) == pytest.approx(ruler.to_x(0.2), abs=2)
