"""How well each version of a policy did, side by side, and what may be concluded. No widgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from sessions.rollouts import Comparison, RolloutFilter, Trial, VersionSummary, compare, summarise
from teleop_app.core.errors import TeleopError
from ui.viewmodels.background import Background

POLL_MS = 2000
MOST_VERSIONS = 3
"""Side by side; the newest ones."""

_VERSION_LETTERS = 10
_NO_SESSION = "The summary begins with the first rollout of a session."
_NO_TRIALS = "No rollout in this session yet. Start one, let the policy drive, then judge it."
_NONE_AT_ALL = "No policy has driven on this station yet. Start a rollout, then judge it."
_NO_BLIND = "No rollout of this blind comparison yet. Each one draws A or B."


class Scope(Enum):
    """Which rollouts count."""

    SESSION = "This session"
    ALL = "All sessions"


class SummaryCatalog(Protocol):
    """What the summary needs of the catalog (`sessions.Catalog`). Called on a thread of its own."""

    def trials(self, wanted: RolloutFilter = ...) -> tuple[Trial, ...]:
        """Returns the episodes in which a policy might act, oldest first."""
        ...

    def latest_event_id(self) -> int:
        """Returns a number that grows with every change."""
        ...


@dataclass(frozen=True, slots=True)
class VersionColumn:
    """One version: what it is called, and its figures."""

    title: str
    version: str
    summary: VersionSummary


@dataclass(frozen=True, slots=True)
class SummaryView:
    """What is shown.

    Attributes:
        columns: Versions, the one that drove first at the left.
        verdict: What the two newest versions' rates allow to conclude, empty with fewer than two.
        note: On versions that are left out, else empty.
        empty: A sentence when there are no columns, else empty.
        blind: Versions go by letters.
    """

    columns: tuple[VersionColumn, ...] = ()
    verdict: str = ""
    note: str = ""
    empty: str = _NO_SESSION
    blind: bool = False


def blinded(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Returns the trials of the newest blind comparison with their policies' names taken off.

    A letter of an earlier comparison may mean another policy, so only trials of what it means now count.
    """
    labelled = [trial for trial in trials if trial.rollout.label]
    meaning = {trial.rollout.label: (trial.rollout.policy, trial.rollout.version) for trial in labelled}
    return tuple(
        replace(trial, rollout=replace(trial.rollout, policy=trial.rollout.label, version=""))
        for trial in labelled
        if meaning[trial.rollout.label] == (trial.rollout.policy, trial.rollout.version)
    )


def summary_view(trials: Sequence[Trial], *, scope: Scope, blind: bool) -> SummaryView:
    """Returns the versions of some trials side by side.

    Args:
        trials: Oldest first.
        scope: Which ones they are, for the sentence when there are none.
        blind: Only those of the blind comparison, by letter.
    """
    counted = blinded(trials) if blind else tuple(trials)
    if not counted:
        empty = _NO_BLIND if blind else _NO_TRIALS if scope is Scope.SESSION else _NONE_AT_ALL
        return SummaryView(empty=empty, blind=blind)
    newest_of = {(trial.rollout.policy, trial.rollout.version): trial.started_utc_ns for trial in counted}
    summaries = list(summarise(counted))
    shown = sorted(summaries, key=lambda each: -newest_of[each.policy, each.version])[:MOST_VERSIONS]
    columns = [_column(each, blind) for each in summaries if each in shown]
    if blind:
        columns.sort(key=lambda column: column.title)
    left_out = len(summaries) - len(columns)
    note = "" if not left_out else f"{left_out} earlier version{'s' if left_out > 1 else ''} not shown."
    verdict = verdict_of(columns[-2], columns[-1]) if len(columns) > 1 else ""
    return SummaryView(tuple(columns), verdict, note, "", blind)


def _column(summary: VersionSummary, blind: bool) -> VersionColumn:
    if blind:
        return VersionColumn(f"Policy {summary.policy}", "", summary)
    return VersionColumn(summary.policy, summary.version[:_VERSION_LETTERS], summary)


def verdict_of(first: VersionColumn, second: VersionColumn) -> str:
    """Returns what the success rates of two versions allow to conclude, in words."""
    found: Comparison = compare(first.summary, second.summary)
    one, other = _names(first, second)
    if found.difference is None:
        missing = one if not first.summary.judged else other
        return f"No rollout of {missing} is judged yet: say of each whether it succeeded."
    points = round(100 * found.difference)
    if points == 0:
        told = f"{other} succeeds as often as {one}"
    else:
        told = f"{other} succeeds {abs(points)} points {'more' if points > 0 else 'less'} often than {one}"
    low, high = round(100 * found.interval.low), round(100 * found.interval.high)
    between = f"95 % interval {low:+d} to {high:+d} points".replace("-", "\N{MINUS SIGN}")
    if found.distinguishable:
        return f"{told} ({between})."
    trials = first.summary.judged + second.summary.judged
    return f"{told} ({between}): {trials} rollouts cannot tell them apart."


def _names(first: VersionColumn, second: VersionColumn) -> tuple[str, str]:
    if first.title == second.title and (first.version or second.version):
        return first.version or "the first version", second.version or "the second version"
    return first.title, second.title


class AutonomySummaryModel(QObject):
    """Reads the catalog off the GUI thread while it is watched, and again when something happened.

    Args:
        catalog: Open; not closed here.
        parent: Owner.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(object)
    """`TeleopError` of the catalog, told once until it answers again."""

    def __init__(self, catalog: SummaryCatalog, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._catalog = catalog
        self._work = Background("summary", self)
        self._session = ""
        self._scope = Scope.SESSION
        self._blind = False
        self._view = SummaryView()
        self._latest = -1
        self._reading = False
        self._again = False
        self._failed_before = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.poll)

    @property
    def view(self) -> SummaryView:
        """What is shown."""
        return self._view

    @property
    def scope(self) -> Scope:
        """Which rollouts count; a blind comparison is always of this session."""
        return Scope.SESSION if self._blind else self._scope

    @property
    def blind(self) -> bool:
        """Whether versions go by letters."""
        return self._blind

    @property
    def watched(self) -> bool:
        """Whether the catalog is asked from time to time."""
        return self._timer.isActive()

    def watch(self, on: bool) -> None:
        """Asks the catalog from time to time, or not any more."""
        if on and not self._timer.isActive():
            self._timer.start()
            self.poll()
        elif not on:
            self._timer.stop()

    def set_session(self, session: str) -> None:
        """Takes the open session's id, empty for none."""
        if session != self._session:
            self._session = session
            self._renew()

    def set_scope(self, scope: Scope) -> None:
        """Counts other rollouts."""
        if scope is not self._scope:
            self._scope = scope
            self._renew()

    def set_blind(self, blind: bool) -> None:
        """Hides which version is which, at once: nothing of before stays to be seen."""
        if blind != self._blind:
            self._blind = blind
            self._show(SummaryView(empty=_NO_BLIND if blind else _NO_TRIALS, blind=blind))
            self._renew()

    def close(self) -> None:
        """Asks no more. Idempotent."""
        self._timer.stop()
        self._work.close()

    def _renew(self) -> None:
        self._latest = -1
        if self.watched:
            self.poll()

    def poll(self) -> None:
        """Reads anew if anything happened in the catalog since the last time."""
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        session, scope, blind, known = self._session, self.scope, self._blind, self._latest

        def read() -> tuple[int, SummaryView | None]:
            latest = self._catalog.latest_event_id()
            if latest == known:
                return latest, None
            if scope is Scope.SESSION and not session:
                return latest, SummaryView(blind=blind)
            wanted = RolloutFilter(session_ids=(session,)) if scope is Scope.SESSION else RolloutFilter()
            return latest, summary_view(self._catalog.trials(wanted), scope=scope, blind=blind)

        def done(found: tuple[int, SummaryView | None]) -> None:
            self._reading = self._failed_before = False
            latest, view = found
            stale = (session, scope, blind) != (self._session, self.scope, self._blind)
            if not stale:
                self._latest = latest
                if view is not None:
                    self._show(view)
            if stale or self._again:
                self.poll()

        def failed(error: TeleopError) -> None:
            self._reading = False
            if not self._failed_before:
                self._failed_before = True
                self.failed.emit(error)

        self._work.run(read, done, failed)

    def _show(self, view: SummaryView) -> None:
        if view != self._view:
            self._view = view
            self.changed.emit()
