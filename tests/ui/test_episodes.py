"""The Episodes page: paging, filters, verdicts with undo, sparklines, and the page on real files."""

import dataclasses
import uuid
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtGui import QImage

from recorders.synthetic import synthetic_header, write_synthetic
from sessions import Author, EpisodeFilter, EpisodeRow, EpisodeState, EventKind, Outcome, open_catalog
from teleop_app.core.paths import DataDir
from teleop_app.core.types import RecorderState, RecorderStatus
from teleop_app.station.store_recovery import rebuild_row
from ui import theme
from ui.actions import ACTIONS, ActionRegistry, Scope
from ui.pages.episodes import EPISODE_ACTIONS, EpisodesPage
from ui.viewmodels import episodes as episodes_module
from ui.viewmodels.episodes import Change, EpisodesModel, difference
from ui.viewmodels.episodes_art import SPARK_POINTS, EpisodeArt, spark_of, speed_spark
from ui.widgets.episode_columns import Column, cell_text, length_text, size_text
from ui.widgets.episode_inspector import event_sentence
from ui.widgets.episode_table_model import EpisodeTableModel
from ui.widgets.filter_chips import FilterChip, Option

ADA = Author.person("Ada")
SESSION = str(uuid.UUID(int=7))
PAGE_ROWS = 6


def row(number: int, **changes) -> EpisodeRow:
    values = dict(
        uuid=str(uuid.UUID(int=number)),
        session_id=SESSION,
        station="Cell",
        operator="Ada",
        task="stack",
        instruction="Stack the cubes",
        index_in_session=number,
        path=f"episodes/{uuid.UUID(int=number)}.mcap",
        started_utc_ns=number * 10**9,
        duration_ns=8_340_000_000,
        frame_count=250,
        size_bytes=3_210_000,
        blake3="ab" * 32,
        format_version="1",
        software_version="0",
    )
    return EpisodeRow(**(values | changes))


@pytest.fixture
def catalog(data_dir):
    with open_catalog(data_dir, ADA) as opened:
        yield opened


@pytest.fixture
def model(qtbot, catalog, data_dir, monkeypatch):
    monkeypatch.setattr(episodes_module, "PAGE_ROWS", PAGE_ROWS)
    made = EpisodesModel(catalog, data_dir, lambda: ADA)
    yield made
    made.close()


def started(qtbot, model):
    with qtbot.waitSignal(model.rowsReset):
        model.start()
    return model


# Rows


def test_difference_finds_what_came_went_and_changed():
    old = [row(n) for n in (9, 7, 5, 3)]
    new = [row(10), row(9), row(7, state=EpisodeState.SAVED), row(4), row(3)]
    assert difference(old, new) == Change(removed=(2,), inserted=(0, 3), changed=(2,))
    assert difference(old, old) == Change((), (), ())
    assert difference([], old).inserted == (0, 1, 2, 3)


def test_the_table_follows_a_change_row_by_row(qtbot, model):
    table = EpisodeTableModel(model)
    old = [row(n) for n in (9, 7, 5, 3)]
    new = [row(10), row(9), row(7, state=EpisodeState.SAVED), row(4), row(3)]
    model._rows = old
    model.rowsReset.emit()
    resets = []
    table.modelReset.connect(lambda: resets.append(1))
    model._take(new, difference(old, new))
    assert [table.row(i) for i in range(table.rowCount())] == new
    assert resets == []


def test_episodes_come_in_pages(qtbot, model, catalog):
    for number in range(PAGE_ROWS + 4):
        catalog.add_episode(row(number + 1))
    started(qtbot, model)
    assert len(model.rows) == PAGE_ROWS
    assert model.has_more
    with qtbot.waitSignal(model.rowsUpdated):
        model.load_more()
    assert len(model.rows) == PAGE_ROWS + 4
    assert not model.has_more
    assert [r.uuid for r in model.rows] == sorted((r.uuid for r in model.rows), reverse=True)
    assert model.total.total == PAGE_ROWS + 4


def test_a_new_episode_appears_by_itself_on_top(qtbot, model, catalog):
    catalog.add_episode(row(1))
    started(qtbot, model)
    qtbot.waitUntil(lambda: model._latest_event > 0)
    catalog.add_episode(row(2))
    with qtbot.waitSignal(model.rowsUpdated):
        model.poll()
    assert [r.uuid for r in model.rows] == [row(2).uuid, row(1).uuid]


def test_an_episode_far_down_is_sought(qtbot, model, catalog):
    for number in range(PAGE_ROWS + 4):
        catalog.add_episode(row(number + 1))
    started(qtbot, model)
    with qtbot.waitSignal(model.found):
        model.seek(row(3).uuid)
    assert model.place_of(row(3).uuid) >= PAGE_ROWS


def test_filters_and_search(qtbot, model, catalog):
    catalog.add_episode(row(1, task="stack"))
    catalog.add_episode(row(2, task="sort", instruction="Sort the screws", operator="Grace"))
    started(qtbot, model)
    with qtbot.waitSignal(model.rowsReset):
        model.set_text("screws")
    assert [r.task for r in model.rows] == ["sort"]
    assert model.counts.total == 1
    assert model.total.total == 2
    with qtbot.waitSignal(model.rowsReset):
        model.set_filter(EpisodeFilter(states=(EpisodeState.DISCARDED,)))
    assert not model.rows
    assert model.filtered


# Verdicts


def test_discard_is_told_with_undo_and_undo_brings_everything_back(qtbot, model, catalog):
    catalog.add_episode(row(1))
    catalog.set_verdict(row(1).uuid, EpisodeState.SAVED, ADA, "clean", outcome=Outcome.SUCCESS)
    started(qtbot, model)
    before = model.rows[0]
    with qtbot.waitSignal(model.told) as told:
        model.discard(model.rows, "blurred")
    assert catalog.episode(before.uuid).state is EpisodeState.DISCARDED
    with qtbot.waitSignal(model.told):
        told.args[1]()
    after = catalog.episode(before.uuid)
    assert (after.state, after.verdict_reason, after.outcome) == (
        EpisodeState.SAVED,
        "clean",
        Outcome.SUCCESS,
    )


def test_several_episodes_are_judged_at_once(qtbot, model, catalog):
    for number in (1, 2, 3):
        catalog.add_episode(row(number))
    started(qtbot, model)
    with qtbot.waitSignal(model.told) as told:
        model.discard(model.rows)
    assert "3 episodes" in told.args[0]
    assert catalog.counts().discarded == 3
    qtbot.waitUntil(lambda: all(r.state is EpisodeState.DISCARDED for r in model.rows))
    with qtbot.waitSignal(model.told) as told:
        model.accept(model.rows)
    assert told.args[0].startswith("Restored")
    assert catalog.counts().saved == 3


def test_an_episode_under_review_on_collect_is_left_alone(qtbot, model, catalog):
    catalog.add_episode(row(1))
    started(qtbot, model)
    model.set_reviewed(row(1).uuid)
    with qtbot.waitSignal(model.refused) as refused:
        model.discard(model.rows)
    assert "Collect" in refused.args[0].sentence
    assert catalog.episode(row(1).uuid).state is EpisodeState.PENDING


def test_the_inspector_gets_streams_and_the_log(qtbot, model, catalog):
    catalog.add_episode(row(1))
    catalog.set_verdict(row(1).uuid, EpisodeState.DISCARDED, ADA, "blurred")
    started(qtbot, model)
    with qtbot.waitSignal(model.detailsChanged):
        model.show_details(row(1).uuid)
    kinds = [event.kind for event in model.details.events]
    assert kinds == [EventKind.RECORDED, EventKind.VERDICT]
    assert event_sentence(model.details.events[1]) == "Discarded: blurred"


# Words and pictures


def test_cells_are_short_and_exact():
    shown = row(1, sync_p95_s=0.00213, dropped_frames=4)
    assert cell_text(shown, Column.DURATION) == "0:08.3"
    assert cell_text(shown, Column.SYNC) == "2.1 ms"
    assert cell_text(shown, Column.LOST) == "4"
    assert cell_text(row(1), Column.SYNC) == ""
    assert cell_text(row(1, missing=True), Column.VERDICT).startswith("No file")
    assert length_text(3_599_990_000_000) == "60:00.0"
    assert size_text(1_234_000_000) == "1.23 GB"


def test_a_sparkline_peaks_where_the_joints_move():
    at_ns = np.arange(480) * 5_000_000
    position = np.zeros((480, 2))
    position[240:250, 0] = np.arange(10) * 0.1
    position[250:, 0] = 0.9
    spark = speed_spark(at_ns, position)
    assert spark.shape == (SPARK_POINTS,)
    assert spark.max() == pytest.approx(1.0)
    assert spark.argmax() in (24, 25)
    assert speed_spark(at_ns[:2], position[:2]).size == 0


def test_a_sparkline_is_read_once_and_kept(tmp_path):
    header = synthetic_header(("overhead",), width=64, height=48)
    write_synthetic(tmp_path, 0.5, header)
    file, kept = tmp_path / f"{header.uuid}.mcap", tmp_path / "cache" / "a.npy"
    spark = spark_of(file, kept)
    assert spark.shape == (SPARK_POINTS,)
    file.unlink()
    assert np.array_equal(spark_of(file, kept), spark)
    kept.write_bytes(b"broken")
    assert spark_of(file, kept).size == 0


# Chips


def test_a_chip_says_what_it_holds_and_clears(qtbot):
    chip = FilterChip("Task")
    qtbot.addWidget(chip)
    chip.set_options([Option("1", "stack"), Option("2", "sort"), Option("3", "peg")])
    with qtbot.waitSignal(chip.changed):
        chip._toggle("2", True)
    assert chip.text() == "Task: sort"
    chip.set_values(("1", "2", "3"))
    assert chip.text() == "Task: 3"
    chip.set_options([Option("2", "sort")])
    assert chip.values == ("2",)
    with qtbot.waitSignal(chip.changed):
        chip.clear()
    assert chip.text() == "Task"


def test_a_single_chip_holds_one(qtbot):
    chip = FilterChip("Date", single=True)
    qtbot.addWidget(chip)
    chip.set_options([Option("today", "Today"), Option("week", "Last 7 days")])
    chip._toggle("today", True)
    chip._toggle("week", True)
    assert chip.values == ("week",)


# The page


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A data directory with three real episodes, the middle one cut off."""
    data = DataDir(tmp_path_factory.mktemp("recorded")).create()
    with open_catalog(data.root, ADA) as opened:
        for number in range(3):
            base = synthetic_header(("overhead", "left_wrist"), width=64, height=48)
            header = dataclasses.replace(base, started_utc_ns=base.started_utc_ns + number * 10**9)
            write_synthetic(data.episodes, 0.5, header)
            file = data.episodes / f"{header.uuid}.mcap"
            rebuild_row(opened, data, file)
            if number == 1:
                file.write_bytes(file.read_bytes()[:20_000])
    return data.root


def registry():
    known = {spec.id for spec in ACTIONS}
    return ActionRegistry(None, (*ACTIONS, *(spec for spec in EPISODE_ACTIONS if spec.id not in known)))


@pytest.fixture
def page(qtbot, recorded, tmp_path):
    actions = registry()
    settings = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    with open_catalog(recorded, ADA) as opened:
        made = EpisodesPage(opened, recorded, actions, lambda: ADA, settings)
        qtbot.addWidget(made)
        made.resize(1280, 700)
        actions.activate(Scope.EPISODES)
        made.show()
        qtbot.waitUntil(lambda: made.model.known and made.player.media is not None)
        yield made
        made.close_page()


def test_the_newest_episode_is_opened_with_pictures_curves_and_details(qtbot, page):
    qtbot.waitUntil(lambda: all(picture.image is not None for picture in page.player.pictures))
    qtbot.waitUntil(lambda: page.player.tracks is not None and page.player.tracks.whole)
    qtbot.waitUntil(lambda: page.inspector.details is not None)
    assert page.table.chosen.uuid == page.model.rows[0].uuid
    assert [tile.camera for tile in page.view.wall.tiles] == ["overhead", "left_wrist"]
    assert len(page.view.plots.joints.curves) == 12
    assert {curve.dashed for curve in page.view.plots.joints.curves} == {True, False}
    assert len(page.view.plots.forces.curves) == 4
    assert page.inspector.details.row.uuid == page.table.chosen.uuid


def test_a_damaged_file_is_told_in_place_and_the_next_one_opens(qtbot, page):
    page.table.choose(1)
    qtbot.waitUntil(lambda: page.player.problem is not None)
    assert page.view.message.isVisibleTo(page)
    assert "teleop recover" in page.view.message.sentence
    page.table.go(1)
    qtbot.waitUntil(lambda: page.player.media is not None)
    assert not page.view.message.isVisibleTo(page)


def test_pressing_the_ruler_moves_the_cursor_everywhere(qtbot, page):
    ruler = page.view.ruler
    middle = ruler.time_rect().center().toPoint()
    qtbot.mouseClick(ruler, Qt.MouseButton.LeftButton, pos=middle)
    half = page.player.media.duration_s / 2
    assert page.player.cursor_s == pytest.approx(half, rel=0.05)
    assert page.view.plots.forces._cursor.value() == pytest.approx(page.player.cursor_s)


def test_a_preview_shows_over_the_ruler(qtbot, page):
    page.view.ruler._hover_s = 0.2
    image = QImage(16, 12, QImage.Format.Format_RGB32)
    page.view.ruler.show_preview(0.2, image)
    assert page.view.ruler._preview.isVisible()
    page.view.ruler._leave()


def test_a_filter_that_finds_nothing_offers_to_show_all(qtbot, page):
    page.search.setText("nothing like it")
    qtbot.waitUntil(lambda: not page.model.rows)
    assert "No episode matches" in page._empty.sentence
    page._empty.button.click()
    qtbot.waitUntil(lambda: len(page.model.rows) == 3)
    assert page.search.text() == ""


def test_an_episode_hidden_by_a_filter_is_shown_when_asked_for(qtbot, page):
    wanted = page.model.rows[2].uuid
    page.search.setText("nothing like it")
    qtbot.waitUntil(lambda: not page.model.rows)
    page.show_episode(wanted)
    qtbot.waitUntil(lambda: page.table.chosen is not None and page.table.chosen.uuid == wanted)


def test_discard_key_and_undo(qtbot, page):
    chosen = page.table.chosen
    with qtbot.waitSignal(page.told) as told:
        page.discard()
    qtbot.waitUntil(lambda: page.table.chosen.state is EpisodeState.DISCARDED)
    assert told.args[1] is not None
    page.undo()
    qtbot.waitUntil(lambda: page.table.chosen.state is EpisodeState.SAVED)
    assert page.table.chosen.uuid == chosen.uuid


def test_the_episode_the_recorder_reviews_is_judged_on_collect(qtbot, page):
    page.on_recorder(RecorderStatus(RecorderState.REVIEW, 0, episode=page.table.chosen.uuid))
    with qtbot.waitSignal(page.refused):
        page.discard()
    page.on_recorder(RecorderStatus(RecorderState.IDLE, 0))
    with qtbot.waitSignal(page.told):
        page.discard()
    with qtbot.waitSignal(page.told):
        page.undo()


def test_filters_and_columns_come_back_as_left(qtbot, page, recorded):
    page.state_chip._toggle("discarded", True)
    page.table.setColumnWidth(Column.EPISODE, 333)
    with open_catalog(recorded, ADA) as opened:
        again = EpisodesPage(opened, recorded, registry(), lambda: ADA, page._settings)
        qtbot.addWidget(again)
        assert again.state_chip.values == ("discarded",)
        assert again.model.wanted.states == (EpisodeState.DISCARDED,)
        assert again.table.columnWidth(Column.EPISODE) == 333
        again.close_page()


def test_another_theme_reaches_every_part(qtbot, qapp, page):
    qtbot.waitUntil(lambda: page.inspector.details is not None)
    before = page.inspector.widget()
    name = theme.tokens().name
    try:
        theme.apply(qapp, "light" if name == "dark" else "dark")
        qtbot.waitUntil(lambda: page.inspector.widget() is not before)
        assert page.view.plots.joints.backgroundBrush().color().name().upper() == theme.tokens().panel
    finally:
        theme.apply(qapp, name)
        qapp.setStyleSheet("")


def test_an_empty_store_says_what_will_be_here(qtbot, catalog, data_dir):
    made = EpisodesPage(catalog, data_dir, registry(), lambda: ADA)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitUntil(lambda: made._nothing.isVisibleTo(made))
    with qtbot.waitSignal(made.collectWanted):
        made._nothing.button.click()
    made.close_page()


def test_thumbnails_come_later_and_only_once(qtbot, recorded):
    with open_catalog(recorded, ADA) as opened:
        art = EpisodeArt(opened, recorded / "cache")
        shown = opened.episodes().rows[0]
        assert art.image(shown) is None
        with qtbot.waitSignal(art.arrived):
            pass
        assert not art.image(shown).isNull()
        art.close()


def test_keys_do_not_clash_within_the_page():
    keys = [spec.key for spec in EPISODE_ACTIONS if spec.key]
    taken = {spec.key for spec in ACTIONS if spec.scope is Scope.GLOBAL and spec.key}
    assert len(keys) == len(set(keys))
    assert not taken & set(keys)
