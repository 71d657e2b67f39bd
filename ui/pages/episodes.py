"""The Episodes page: the table, the player, the inspector."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from PyQt6.QtCore import QEvent, QSettings, Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QAction, QDesktopServices, QHideEvent, QKeySequence, QShowEvent
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from sessions import Author, Catalog, EpisodeFilter, EpisodeRow, EpisodeState, Outcome
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import RecorderState, RecorderStatus
from ui import theme
from ui.actions import ActionRegistry, ActionSpec, Scope
from ui.theme import Role
from ui.viewmodels.episode_report import report_of
from ui.viewmodels.episodes import EpisodesModel
from ui.viewmodels.episodes_art import EpisodeArt
from ui.viewmodels.player import PlayerModel
from ui.widgets.episode_inspector import EpisodeInspector
from ui.widgets.episode_table import EpisodeTable
from ui.widgets.filter_chips import FilterChip, FlowLayout, Option
from ui.widgets.labels import ElidedLabel
from ui.widgets.player import Message, PlayerView

EPISODE_ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("play", "Play or pause", "Space", Scope.EPISODES, icon="play"),
    ActionSpec("play.back", "Play backwards, again for faster", "J", Scope.EPISODES, icon="rewind"),
    ActionSpec("play.pause", "Pause", "K", Scope.EPISODES, icon="pause"),
    ActionSpec("play.on", "Play, again for faster", "L", Scope.EPISODES, icon="fast-forward"),
    ActionSpec("frame.back", "One frame back", "Left", Scope.EPISODES),
    ActionSpec("frame.on", "One frame on", "Right", Scope.EPISODES),
    ActionSpec("second.back", "One second back", "Shift+Left", Scope.EPISODES),
    ActionSpec("second.on", "One second on", "Shift+Right", Scope.EPISODES),
    ActionSpec("time.start", "To the start", "Home", Scope.EPISODES),
    ActionSpec("time.end", "To the end", "End", Scope.EPISODES),
    ActionSpec("mark.in", "Go round from here", "I", Scope.EPISODES),
    ActionSpec("mark.out", "Go round up to here", "O", Scope.EPISODES),
    ActionSpec("episode.next", "Next episode", "Down", Scope.EPISODES),
    ActionSpec("episode.previous", "Episode before", "Up", Scope.EPISODES),
    ActionSpec("episode.accept", "Accept or restore", "A", Scope.EPISODES, icon="check"),
    ActionSpec("episode.discard", "Discard", "D", Scope.EPISODES, icon="trash-can-outline"),
    ActionSpec("episode.undo", "Undo", "Z", Scope.EPISODES, icon="undo"),
    ActionSpec("episode.search", "Search", "/", Scope.EPISODES, icon="magnify"),
    ActionSpec("episode.folder", "Open the folder", "Ctrl+O", Scope.EPISODES, icon="folder-open-outline"),
    *(ActionSpec(f"episode.camera.{n}", f"View {n} large", str(n), Scope.EPISODES) for n in range(1, 10)),
)
"""What this page can do; the registry is made with `(*ACTIONS, *EPISODE_ACTIONS)`."""

_SEARCH_DELAY_MS = 200
_SPLIT_KEY = "episodes/split"
_FILTER_KEY = "episodes/filter"
_DATES = (
    Option("today", "Today"),
    Option("yesterday", "Yesterday"),
    Option("week", "Last 7 days"),
    Option("month", "Last 30 days"),
)
_STATES = (
    Option("pending", "Open"),
    Option("saved", "Saved"),
    Option("discarded", "Discarded"),
    Option("missing", "No file"),
)
_OUTCOMES = (Option("success", "Success"), Option("failure", "Failure"), Option("unknown", "Not judged"))


class EpisodesPage(QWidget):
    """Lists, plays and judges episodes; needs no running station.

    Args:
        catalog: Open catalog; not closed here.
        data_root: The data directory.
        actions: The declared actions; those of `EPISODE_ACTIONS` that it has are bound by it, so that
            they can be remapped, the others with their default keys.
        author: Who signs verdicts given here.
        settings: Where splitters, columns and filters are kept.
        parent: Owner.
    """

    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""
    collectWanted = pyqtSignal()
    """There is no episode yet; the window shows where one is recorded."""

    def __init__(
        self,
        catalog: Catalog,
        data_root: Path,
        actions: ActionRegistry,
        author: Callable[[], Author],
        settings: QSettings | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._actions = actions
        self._undo: Callable[[], object] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.model = EpisodesModel(catalog, data_root, author, self)
        self.art = EpisodeArt(catalog, data_root / "cache" / "sparklines", self)
        self.player = PlayerModel(parent=self)
        self._build(settings)
        self._search_timer = QTimer(self)
        self._search_timer.setSingleShot(True)
        self._search_timer.setInterval(_SEARCH_DELAY_MS)
        self._search_timer.timeout.connect(self._apply_filter)
        self._preload_timer = QTimer(self)
        self._preload_timer.setSingleShot(True)
        self._preload_timer.setInterval(300)
        self._preload_timer.timeout.connect(self._preload_next)
        self._connect()
        self._bind()
        self._restore()
        self._refresh_counts()
        self._refresh_emptiness()

    # Building

    def _build(self, settings: QSettings | None) -> None:
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search instruction, task, operator")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search episodes")
        self._glass = self.search.addAction(
            theme.icon("magnify", Role.MUTED), QLineEdit.ActionPosition.LeadingPosition
        )
        self.task_chip = FilterChip("Task")
        self.operator_chip = FilterChip("Operator")
        self.state_chip = FilterChip("Verdict")
        self.outcome_chip = FilterChip("Outcome")
        self.date_chip = FilterChip("Date", single=True)
        self.state_chip.set_options(_STATES)
        self.outcome_chip.set_options(_OUTCOMES)
        self.date_chip.set_options(_DATES)
        self._clear = QPushButton("Clear")
        self._clear.setProperty("kind", "plain")
        self._clear.setFixedHeight(theme.grid(3.5))
        chips = QWidget()
        flow = FlowLayout(chips)
        for chip in (*self.chips, self._clear):
            flow.addWidget(chip)
        self._counts = ElidedLabel()
        self._counts.setProperty("kind", "label")
        self.table = EpisodeTable(self.model, self.art, settings)
        self._empty = Message()
        self._list_stack = QStackedWidget()
        self._list_stack.addWidget(self.table)
        self._list_stack.addWidget(self._empty)
        left = QWidget()
        box = QVBoxLayout(left)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1))
        box.addWidget(self.search)
        box.addWidget(chips)
        box.addWidget(self._list_stack, 1)
        box.addWidget(self._counts)
        self.view = PlayerView(self.player, settings)
        keys = tuple(self._key_of(name) for name in ("episode.accept", "episode.discard"))
        self.inspector = EpisodeInspector((keys[0], keys[1]))
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.setHandleWidth(theme.grid(1))
        self._split.setChildrenCollapsible(False)
        for widget, minimum in ((left, 35), (self.view, 40), (self.inspector, 28)):
            widget.setMinimumWidth(theme.grid(minimum))
            self._split.addWidget(widget)
        for place, stretch in enumerate((2, 4, 0)):
            self._split.setStretchFactor(place, stretch)
        page = QHBoxLayout()
        page.setContentsMargins(theme.grid(1), theme.grid(1), theme.grid(1), theme.grid(1))
        page.addWidget(self._split)
        content = QWidget()
        content.setLayout(page)
        self._nothing = Message()
        self._nothing.say(
            "movie-open-outline",
            "No episodes yet",
            "What you record appears here, to watch, judge and export.",
            "Record the first one",
        )
        self._stack = QStackedWidget()
        self._stack.addWidget(content)
        self._stack.addWidget(self._nothing)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._stack)

    @property
    def chips(self) -> tuple[FilterChip, ...]:
        """The filters in the order shown."""
        return self.task_chip, self.operator_chip, self.state_chip, self.outcome_chip, self.date_chip

    def _key_of(self, action_id: str) -> str:
        known = {spec.id for spec in self._actions.specs}
        if action_id in known:
            return self._actions.key_label(action_id)
        return next(spec.key for spec in EPISODE_ACTIONS if spec.id == action_id)

    def _connect(self) -> None:
        model = self.model
        model.countsChanged.connect(self._refresh_counts)
        model.choicesChanged.connect(self._refresh_choices)
        model.rowsReset.connect(self._refresh_emptiness)
        model.rowsUpdated.connect(self._refresh_emptiness)
        model.loadingChanged.connect(self._refresh_emptiness)
        model.loadingChanged.connect(self._seek_sought)
        model.found.connect(self.table.choose_uuid)
        model.detailsChanged.connect(self._show_details)
        self.player.mediaChanged.connect(self._show_report)
        model.told.connect(self._tell)
        model.refused.connect(self.refused)
        self.table.currentChosen.connect(self._choose)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.table.doubleClicked.connect(lambda _index: self.player.toggle())
        self.search.textChanged.connect(lambda _text: self._search_timer.start())
        self.search.returnPressed.connect(self.table.setFocus)
        for chip in self.chips:
            chip.changed.connect(self._apply_filter)
        self._clear.clicked.connect(self.clear_filters)
        self._empty.pressed.connect(self.clear_filters)
        self._nothing.pressed.connect(self.collectWanted)
        self.inspector.acceptWanted.connect(self.accept)
        self.inspector.discardWanted.connect(self.discard)
        self.inspector.folderWanted.connect(self.open_folder)
        self._split.splitterMoved.connect(self._remember_split)

    def _bind(self) -> None:
        player = self.player
        slots: dict[str, Callable[[], object]] = {
            "play": player.toggle,
            "play.back": lambda: player.shuttle(-1),
            "play.pause": player.pause,
            "play.on": lambda: player.shuttle(1),
            "frame.back": lambda: player.step(-1),
            "frame.on": lambda: player.step(1),
            "second.back": lambda: player.skip(-1.0),
            "second.on": lambda: player.skip(1.0),
            "time.start": player.to_start,
            "time.end": player.to_end,
            "mark.in": player.mark_in,
            "mark.out": player.mark_out,
            "episode.next": lambda: self.table.go(1),
            "episode.previous": lambda: self.table.go(-1),
            "episode.accept": self.accept,
            "episode.discard": self.discard,
            "episode.undo": self.undo,
            "episode.search": self._focus_search,
            "episode.folder": self.open_folder,
        }
        for n in range(1, 10):
            slots[f"episode.camera.{n}"] = lambda number=n: self.view.choose_number(number)
        known = {spec.id for spec in self._actions.specs}
        for spec in EPISODE_ACTIONS:
            repeats = spec.id.startswith(("frame.", "second.", "episode.next", "episode.previous"))
            if spec.id in known:
                action = self._actions.bind(spec.id, slots[spec.id], self)
            else:
                action = QAction(spec.text, self)
                action.setShortcut(QKeySequence(spec.key))
                action.triggered.connect(lambda _checked=False, slot=slots[spec.id]: slot())
                self.addAction(action)
            action.setAutoRepeat(repeats)
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def _restore(self) -> None:
        stored = self._settings.value(_SPLIT_KEY) if self._settings is not None else None
        if not (stored is not None and self._split.restoreState(stored)):
            self._split.setSizes([480, 620, 264])
        if self._settings is None:
            return
        kept = self._settings.value(_FILTER_KEY)
        if isinstance(kept, dict):
            self.state_chip.set_values(kept.get("states") or ())
            self.outcome_chip.set_values(kept.get("outcomes") or ())
            self.date_chip.set_values(kept.get("date") or ())
            self.search.setText(str(kept.get("text", "")))
            self._search_timer.stop()
            self._kept_names = tuple(kept.get("tasks") or ()), tuple(kept.get("people") or ())
            self.model.set_filter(self._wanted())
        self._show_clear()

    _kept_names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def _remember_split(self) -> None:
        if self._settings is not None:
            self._settings.setValue(_SPLIT_KEY, self._split.saveState())

    def _remember_filter(self) -> None:
        if self._settings is not None:
            kept = {
                "tasks": list(self.task_chip.values),
                "people": list(self.operator_chip.values),
                "states": list(self.state_chip.values),
                "outcomes": list(self.outcome_chip.values),
                "date": list(self.date_chip.values),
                "text": self.search.text(),
            }
            self._settings.setValue(_FILTER_KEY, kept)

    # Filters

    def _wanted(self) -> EpisodeFilter:
        states = [value for value in self.state_chip.values if value != "missing"]
        start, end = _date_span(self.date_chip.values)
        return EpisodeFilter(
            text=" ".join(self.search.text().split()),
            task_ids=self.task_chip.values,
            operator_ids=self.operator_chip.values,
            states=tuple(EpisodeState(value) for value in states),
            outcomes=tuple(Outcome(value) for value in self.outcome_chip.values),
            started_from_ns=start,
            started_before_ns=end,
            missing=True if "missing" in self.state_chip.values else None,
        )

    def _apply_filter(self) -> None:
        self._search_timer.stop()
        self._remember_filter()
        self._show_clear()
        self.model.set_filter(self._wanted())

    def _show_clear(self) -> None:
        self._clear.setVisible(any(chip.values for chip in self.chips) or bool(self.search.text().strip()))

    def clear_filters(self) -> None:
        """Shows all episodes."""
        self.search.clear()
        for chip in self.chips:
            chip.set_values(())
        self._apply_filter()

    def _refresh_choices(self) -> None:
        choices = self.model.choices
        self.task_chip.set_options(
            [
                Option(task.id, f"{task.name} (archived)" if task.archived else task.name)
                for task in choices.tasks
            ]
        )
        self.operator_chip.set_options([Option(person.id, person.name) for person in choices.people])
        kept, self._kept_names = self._kept_names, ((), ())
        if any(kept):
            self.task_chip.set_values(kept[0])
            self.operator_chip.set_values(kept[1])
        self._apply_filter()

    def _focus_search(self) -> None:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    # What is shown

    def _refresh_counts(self) -> None:
        counts, total = self.model.counts, self.model.total
        parts = [f"{counts.total} of {total.total}" if self.model.filtered else _many(total.total, "episode")]
        if self.model.filtered:
            parts[0] += " episodes"
        parts += [f"{counts.saved} saved", f"{counts.pending} open", f"{counts.discarded} discarded"]
        if counts.missing:
            parts.append(f"{counts.missing} without file")
        self._counts.setText("   ".join(parts))

    def _refresh_emptiness(self) -> None:
        model = self.model
        if not model.known:
            self._empty.say("timer-sand", "", "Reading the catalog.")
            self._list_stack.setCurrentWidget(self._empty)
            self._stack.setCurrentIndex(0)
            return
        self._stack.setCurrentIndex(1 if not model.rows and not model.filtered else 0)
        if model.rows:
            self._list_stack.setCurrentWidget(self.table)
        elif not model.loading:
            self._empty.say(
                "filter-off-outline", "", "No episode matches these filters.", "Show all episodes"
            )
            self._list_stack.setCurrentWidget(self._empty)

    def _choose(self, row: EpisodeRow | None) -> None:
        if row is None:
            self.player.open(None)
            self.model.show_details("")
            return
        self.player.open(self.model.path_of(row))
        self.model.show_details(row.uuid)
        self._preload_timer.start()

    def _preload_next(self) -> None:
        row = self.table.chosen
        after = self.table.next_after(row.uuid) if row is not None else None
        if after is not None and not after.missing:
            self.player.preload(self.model.path_of(after))

    def _show_details(self) -> None:
        self.inspector.show_details(self.model.details)

    def _show_report(self) -> None:
        media = self.player.media
        self.inspector.set_report(None if media is None else report_of(media.header, media.footer))

    def show_episode(self, uuid: str) -> None:
        """Shows one episode, such as the one just recorded; filters that hide it are cleared."""
        self._sought = uuid
        self._seek_sought()

    _sought = ""

    def _seek_sought(self) -> None:
        """Chooses the episode asked for as soon as the list is there."""
        if not self._sought or not self.model.known or self.model.loading:
            return
        if self.table.choose_uuid(self._sought):
            self._sought = ""
        elif self.model.filtered:
            self.clear_filters()
        else:  # older than what is loaded, or just recorded
            self.model.seek(self._sought)
            self._sought = ""

    def on_recorder(self, status: RecorderStatus) -> None:
        """New word of the recorder: the episode it reviews is judged on Collect, not here."""
        self.model.set_reviewed(status.episode if status.state is RecorderState.REVIEW else "")

    # Acts

    def accept(self) -> None:
        """Saves the selected episodes, out of the trash too."""
        self.model.accept(self.table.selected)

    def discard(self) -> None:
        """Moves the selected episodes to the trash."""
        self.model.discard(self.table.selected)

    def undo(self) -> None:
        """Takes back the last verdict given here."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def _tell(self, text: str, undo: Callable[[], object] | None) -> None:
        self._undo = undo
        self.told.emit(text, None if undo is None else self.undo)

    def open_folder(self) -> None:
        """Opens the folder of the current episode in the system's file manager."""
        row = self.table.chosen
        if row is None:
            return
        folder = self.model.path_of(row).parent
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self.refused.emit(
                EpisodeError(
                    f"The folder {folder} could not be opened",
                    why="no file manager is registered on this system",
                    next_step="Copy the path from the inspector",
                )
            )

    def _show_menu(self) -> None:
        rows = self.table.selected
        if not rows:
            return
        menu = QMenu(self)
        entries: list[tuple[str, str, Callable[[], object], bool]] = [
            ("Accept or restore", "check", self.accept, any(r.state is not EpisodeState.SAVED for r in rows)),
            (
                "Discard",
                "trash-can-outline",
                self.discard,
                any(r.state is not EpisodeState.DISCARDED for r in rows),
            ),
            (
                "Mark as success",
                "flag-checkered",
                lambda: self.model.set_outcome(rows, Outcome.SUCCESS),
                True,
            ),
            (
                "Mark as failure",
                "flag-remove-outline",
                lambda: self.model.set_outcome(rows, Outcome.FAILURE),
                True,
            ),
            ("Open the folder", "folder-open-outline", self.open_folder, len(rows) == 1),
        ]
        for text, icon, slot, enabled in entries:
            action = menu.addAction(theme.icon(icon), text)
            if action is not None:
                action.setEnabled(enabled)
                action.triggered.connect(lambda _checked=False, act=slot: act())
        menu.exec(self.cursor().pos())
        menu.deleteLater()

    # Life

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Watches the catalog while it is seen."""
        super().showEvent(a0)
        self.model.start()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Stops playing and watching while nobody looks."""
        super().hideEvent(a0)
        self.player.pause()
        self.model.pause()

    def changeEvent(self, a0: QEvent | None) -> None:
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and self._glass is not None:
            self._glass.setIcon(theme.icon("magnify", Role.MUTED))

    _glass: QAction | None = None

    def close_page(self) -> None:
        """Ends all threads of the page, before the catalog is closed. Idempotent."""
        self.model.close()
        self.art.close()
        self.player.close()


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _date_span(values: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Returns UTC [ns] from and before of a date filter; days begin at local midnight."""
    if not values:
        return None, None
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    days_back, length = {"today": (0, 1), "yesterday": (1, 1), "week": (6, 7), "month": (29, 30)}[values[0]]
    start = midnight - timedelta(days=days_back)
    return round(start.timestamp() * 1e9), round((start + timedelta(days=length)).timestamp() * 1e9)
