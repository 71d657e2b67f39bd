"""Which episodes the table shows, and verdicts on them, without widgets."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from sessions import (
    Author,
    Catalog,
    EpisodeFilter,
    EpisodeRow,
    EpisodeState,
    EventRow,
    Outcome,
    PageCursor,
    PersonRow,
    StateCounts,
    StreamRow,
    SubjectType,
    TaskRow,
)
from teleop_app.core.errors import StationError, TeleopError
from ui.viewmodels.background import Background

log = logging.getLogger(__name__)

PAGE_ROWS = 100
POLL_MS = 1000
_REFRESH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters offer."""

    tasks: tuple[TaskRow, ...] = ()
    people: tuple[PersonRow, ...] = ()


@dataclass(frozen=True, slots=True)
class EpisodeDetails:
    """What the inspector shows beside the row itself."""

    row: EpisodeRow
    streams: tuple[StreamRow, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """How to get from the rows shown to the rows there are: `removed` and then `inserted` by place.

    Attributes:
        removed: Places in the old list, increasing.
        inserted: Places in the new list, increasing.
        changed: Places in the new list whose row differs.
    """

    removed: tuple[int, ...]
    inserted: tuple[int, ...]
    changed: tuple[int, ...]


class EpisodesModel(QObject):
    """Pages through the catalog off the GUI thread and keeps what it shows up to date.

    Args:
        catalog: Open catalog; not closed here.
        data_root: Data directory, which the rows' paths start from.
        author: Who signs verdicts given here; asked for at each, as the operator may change.
        parent: Owner.
    """

    rowsReset = pyqtSignal()
    """The rows are others altogether: the filter changed."""
    rowsUpdated = pyqtSignal(object, object)
    """New rows and the `Change` that leads there."""
    countsChanged = pyqtSignal()
    choicesChanged = pyqtSignal()
    loadingChanged = pyqtSignal()
    detailsChanged = pyqtSignal()
    found = pyqtSignal(str)
    """UUID of an episode sought with `seek`, now among the rows."""
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""

    def __init__(
        self,
        catalog: Catalog,
        data_root: Path,
        author: Callable[[], Author],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._catalog = catalog
        self.data_root = data_root
        self._author = author
        self._work = Background("episodes", self)
        self._work.failed.connect(self._on_failed)
        self._filter = EpisodeFilter()
        self._rows: list[EpisodeRow] = []
        self._next: PageCursor | None = None
        self._epoch = 0
        self._loading = False
        self._loaded_once = False
        self._latest_event = -1
        self._polling = False
        self._failed_before = False
        self._reviewed = ""
        self.counts = StateCounts()
        self.total = StateCounts()
        self.choices = Choices()
        self.details: EpisodeDetails | None = None
        self._wanted_details = ""
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.poll)

    # What is shown

    @property
    def rows(self) -> Sequence[EpisodeRow]:
        """The episodes loaded so far, newest first."""
        return self._rows

    @property
    def wanted(self) -> EpisodeFilter:
        """The filter in force."""
        return self._filter

    @property
    def filtered(self) -> bool:
        """Whether something is left out."""
        return self._filter != EpisodeFilter()

    @property
    def has_more(self) -> bool:
        """Whether more episodes can be loaded."""
        return self._next is not None

    @property
    def loading(self) -> bool:
        """The first page of a filter is on its way."""
        return self._loading

    @property
    def known(self) -> bool:
        """Whether the catalog has answered yet."""
        return self._loaded_once

    def path_of(self, row: EpisodeRow) -> Path:
        """Returns where an episode's file should be."""
        return self.data_root / row.path

    def place_of(self, uuid: str) -> int:
        """Returns the place of an episode in `rows`, -1 when it is not there."""
        return next((i for i, row in enumerate(self._rows) if row.uuid == uuid), -1)

    # Loading

    def start(self) -> None:
        """Loads the first page and watches for new episodes."""
        if not self._loaded_once and not self._loading:
            self._load_first()
            self._load_choices()
        else:
            self.poll()
        self._timer.start()

    def pause(self) -> None:
        """Stops watching, while nobody looks."""
        self._timer.stop()

    def set_filter(self, wanted: EpisodeFilter) -> None:
        """Shows other episodes."""
        if wanted != self._filter:
            self._filter = wanted
            self._load_first()

    def set_text(self, text: str) -> None:
        """Shows the episodes in whose instruction, task or operator every word occurs."""
        self.set_filter(dataclasses.replace(self._filter, text=" ".join(text.split())))

    def load_more(self) -> None:
        """Loads the next page; does nothing while one is on its way."""
        cursor = self._next
        if cursor is None:
            return
        self._next = None
        epoch, wanted = self._epoch, self._filter

        def done(page: Any) -> None:
            if epoch == self._epoch:
                start = len(self._rows)
                rows = [*self._rows, *page.rows]
                self._next = page.next_cursor
                self._take(rows, Change((), tuple(range(start, len(rows))), ()))

        self._work.run(lambda: self._catalog.episodes(wanted, after=cursor, limit=PAGE_ROWS), done)

    def seek(self, uuid: str) -> None:
        """Loads as many pages as it takes to have an episode among the rows; `found` follows."""
        epoch, wanted = self._epoch, self._filter

        def read() -> Any:
            rows: list[EpisodeRow] = []
            cursor: PageCursor | None = None
            while True:
                page = self._catalog.episodes(wanted, after=cursor, limit=_REFRESH_ROWS)
                rows.extend(page.rows)
                cursor = page.next_cursor
                if cursor is None or any(row.uuid == uuid for row in page.rows):
                    return rows, cursor

        def done(read_rows: Any) -> None:
            if epoch == self._epoch:
                rows, self._next = read_rows
                self._take(rows, difference(self._rows, rows))
                self.found.emit(uuid)

        self._work.run(read, done)

    def _load_first(self) -> None:
        self._epoch += 1
        epoch, wanted = self._epoch, self._filter
        self._next = None
        self._loading = True
        self.loadingChanged.emit()

        def read() -> Any:
            latest = self._catalog.latest_event_id()
            return latest, self._catalog.episodes(wanted, limit=PAGE_ROWS), *self._read_counts(wanted)

        def done(found: Any) -> None:
            if epoch != self._epoch:
                return
            self._latest_event, page, self.counts, self.total = found
            self._rows, self._next = list(page.rows), page.next_cursor
            self._loading, self._loaded_once = False, True
            self.rowsReset.emit()
            self.countsChanged.emit()
            self.loadingChanged.emit()

        def failed(error: TeleopError) -> None:
            self._loading = False
            self.loadingChanged.emit()
            self._on_failed(error)

        self._work.run(read, done, failed)

    def _read_counts(self, wanted: EpisodeFilter) -> tuple[StateCounts, StateCounts]:
        total = self._catalog.counts()
        return (total if wanted == EpisodeFilter() else self._catalog.counts(wanted)), total

    def poll(self) -> None:
        """Asks the catalog whether anything happened, and if so what the rows are now."""
        if self._polling:
            return
        self._polling = True

        def done(latest: int) -> None:
            self._polling = False
            self._failed_before = False
            if latest != self._latest_event:
                self._latest_event = latest
                self.refresh()
                self._load_choices()

        def failed(error: TeleopError) -> None:
            self._polling = False
            if not self._failed_before:  # said once, not once a second
                self._failed_before = True
                self._on_failed(error)

        self._work.run(self._catalog.latest_event_id, done, failed)

    def refresh(self) -> None:
        """Reads again what is shown; rows keep their place."""
        if not self._loaded_once or self._loading:
            return
        epoch, wanted, shown, known = self._epoch, self._filter, len(self._rows), self.counts.total
        more_was_coming = self._next is None and shown >= PAGE_ROWS

        def read() -> Any:
            counts, total = self._read_counts(wanted)
            count = max(shown + max(counts.total - known, 0), PAGE_ROWS)
            rows: list[EpisodeRow] = []
            cursor: PageCursor | None = None
            while len(rows) < count:
                page = self._catalog.episodes(
                    wanted, after=cursor, limit=min(count - len(rows), _REFRESH_ROWS)
                )
                rows.extend(page.rows)
                cursor = page.next_cursor
                if cursor is None:
                    break
            return rows, cursor, counts, total

        def done(found: Any) -> None:
            if epoch != self._epoch:
                return
            rows, cursor, self.counts, self.total = found
            if len(rows) >= len(self._rows) or not more_was_coming:
                self._next = cursor
                self._take(rows, difference(self._rows, rows))
            else:  # a page came in between; what was read covers less than is shown now
                self.refresh()
            self.countsChanged.emit()
            if self._wanted_details:
                self.show_details(self._wanted_details)

        self._work.run(read, done)

    def _take(self, rows: list[EpisodeRow], change: Change) -> None:
        if change != Change((), (), ()):
            self._rows = rows
            self.rowsUpdated.emit(rows, change)

    def _load_choices(self) -> None:
        def done(found: Choices) -> None:
            if found != self.choices:
                self.choices = found
                self.choicesChanged.emit()

        self._work.run(
            lambda: Choices(self._catalog.list_tasks(archived=None), self._catalog.list_people()), done
        )

    def _on_failed(self, error: TeleopError) -> None:
        self.refused.emit(error)

    # One episode

    def show_details(self, uuid: str) -> None:
        """Reads streams and log of an episode; `detailsChanged` follows. Empty shows none."""
        self._wanted_details = uuid
        if not uuid:
            self.details = None
            self.detailsChanged.emit()
            return

        def read() -> EpisodeDetails | None:
            row = self._catalog.episode(uuid)
            if row is None:
                return None
            return EpisodeDetails(
                row, self._catalog.streams(uuid), self._catalog.events(SubjectType.EPISODE, uuid)
            )

        def done(details: EpisodeDetails | None) -> None:
            if uuid == self._wanted_details and details != self.details:
                self.details = details
                self.detailsChanged.emit()

        self._work.run(read, done)

    # Verdicts

    def set_reviewed(self, uuid: str) -> None:
        """Tells which episode waits for its verdict on Collect, empty for none."""
        self._reviewed = uuid

    def discard(self, rows: Sequence[EpisodeRow], reason: str = "") -> None:
        """Moves episodes to the trash."""
        chosen = [row for row in rows if row.state is not EpisodeState.DISCARDED]
        self._judge(chosen, EpisodeState.DISCARDED, reason, "Discarded")

    def accept(self, rows: Sequence[EpisodeRow]) -> None:
        """Saves episodes, those in the trash too."""
        chosen = [row for row in rows if row.state is not EpisodeState.SAVED]
        restored = all(row.state is EpisodeState.DISCARDED for row in chosen)
        self._judge(chosen, EpisodeState.SAVED, "", "Restored" if restored else "Saved")

    def set_outcome(self, rows: Sequence[EpisodeRow], outcome: Outcome) -> None:
        """Says whether the task was achieved; an episode without a verdict counts as saved from then on."""
        chosen = [row for row in rows if row.outcome is not outcome]
        self._judge(chosen, None, "", f"Marked as {outcome.value}:", outcome)

    def _judge(
        self,
        rows: Sequence[EpisodeRow],
        state: EpisodeState | None,
        reason: str,
        done_word: str,
        outcome: Outcome | None = None,
    ) -> None:
        if not rows:
            return
        if any(row.uuid == self._reviewed for row in rows):
            self.refused.emit(
                StationError(
                    "This episode is being judged on Collect",
                    why="its verdict is still open there",
                    next_step="Save or discard it there, or wait for the automatic save",
                )
            )
            return
        author = self._author()

        def write() -> None:
            for row in rows:
                wanted = state or _kept(row.state)
                why = reason if state is not None else row.verdict_reason
                self._catalog.set_verdict(row.uuid, wanted, author, why, outcome=outcome)

        def done(_: object) -> None:
            self.told.emit(f"{done_word} {_how_many(rows)}", lambda: self._take_back(rows))
            self.poll()

        self._work.run(write, done)

    def _take_back(self, rows: Sequence[EpisodeRow]) -> None:
        """Gives episodes the verdict they had; one that had none counts as kept, so it becomes saved."""
        author = self._author()

        def write() -> None:
            for row in rows:
                self._catalog.set_verdict(
                    row.uuid, _kept(row.state), author, row.verdict_reason, outcome=row.outcome
                )

        def done(_: object) -> None:
            self.told.emit(f"Took back: {_how_many(rows)} as before", None)
            self.poll()

        self._work.run(write, done)

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._timer.stop()
        self._work.close()


def _kept(state: EpisodeState) -> EpisodeState:
    return EpisodeState.SAVED if state is EpisodeState.PENDING else state


def _how_many(rows: Sequence[EpisodeRow]) -> str:
    return f"episode {rows[0].uuid[:8]}" if len(rows) == 1 else f"{len(rows)} episodes"


def difference(old: Sequence[EpisodeRow], new: Sequence[EpisodeRow]) -> Change:
    """Returns how the rows changed; both lists are newest first, as the catalog lists them."""
    removed, inserted, changed = [], [], []
    i = j = 0
    while i < len(old) or j < len(new):
        if j == len(new):
            removed.append(i)
            i += 1
        elif i == len(old):
            inserted.append(j)
            j += 1
        elif old[i].uuid == new[j].uuid:
            if old[i] != new[j]:
                changed.append(j)
            i, j = i + 1, j + 1
        elif _key(old[i]) > _key(new[j]):
            removed.append(i)
            i += 1
        else:
            inserted.append(j)
            j += 1
    return Change(tuple(removed), tuple(inserted), tuple(changed))


def _key(row: EpisodeRow) -> tuple[int, str]:
    return row.started_utc_ns, row.uuid
