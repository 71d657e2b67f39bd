"""One place for three cards: record, judge the episode, or begin a session."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QStackedWidget, QWidget

from teleop_app.core.config import RecordingSection
from teleop_app.core.types import RecorderState
from ui import theme
from ui.actions import ActionRegistry
from ui.viewmodels.collect_view import CollectView
from ui.viewmodels.device_buttons import button_hint
from ui.widgets.record_panel import RecordPanel
from ui.widgets.start_card import StartCard
from ui.widgets.verdict_card import VerdictCard

_CARD_PX = theme.grid(27)
_COMPACT_CARD_PX = theme.grid(20)
_TIGHT_PX = theme.grid(24)


class EpisodeCards(QStackedWidget):
    """Keeps its height, so that its lower edge stays; only the verdict may need more.

    Args:
        actions: For the keys on the buttons.
        recording: Pre-roll and automatic save.
        buttons: Buttons of devices by action.
        tight: The verdict scrolls on a low screen instead of growing.
        parent: Owner.
    """

    recordPressed = pyqtSignal()
    sessionWanted = pyqtSignal()

    def __init__(
        self,
        actions: ActionRegistry,
        recording: RecordingSection,
        buttons: Mapping[str, tuple[str, ...]],
        *,
        tight: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._tight = tight
        self._actions = actions
        self._buttons = buttons
        self._compact = False
        self.record = RecordPanel(actions.key_label("record"), recording.preroll_s)
        self.verdict = VerdictCard(actions, recording.autosave_s)
        self.start = StartCard()
        self.record.pressed.connect(self.recordPressed)
        self.start.sessionWanted.connect(self.sessionWanted)
        for button, action in (
            (self.record.button, "record"),
            (self.verdict.save, "save"),
            (self.verdict.redo, "redo"),
            (self.verdict.discard, "discard"),
        ):
            button.setToolTip(button_hint(buttons, action))
        for card in (self.record, self.verdict, self.start):
            self.addWidget(card)
        self.setFixedHeight(_CARD_PX)
        actions.changed.connect(self._on_key_changed)

    def _on_key_changed(self, action_id: str) -> None:
        if action_id == "record":
            self.record.set_key(self._actions.key_label("record"))

    def show_view(self, view: CollectView) -> None:
        """Shows the card that the recorder's state asks for."""
        self.record.set_state(view.recorder, view.elapsed_s, view.countdown_s)
        self.record.set_figures(view.figures)
        self.record.set_note(self._note(view))
        self.record.set_preroll(view.preroll_s, view.recorder)
        self.record.trust.set_view(view.trust)
        self.verdict.show_view(view)
        if view.recorder is RecorderState.REVIEW:
            self.setCurrentWidget(self.verdict)
        elif view.session or view.recording:
            self.setCurrentWidget(self.record)
        else:
            self.setCurrentWidget(self.start)
        self._fit()

    def set_compact(self, compact: bool) -> None:
        """Takes less height on a low screen."""
        self._compact = compact
        self.record.set_compact(compact)
        self._fit()

    def _fit(self) -> None:
        height = _COMPACT_CARD_PX if self._compact else _CARD_PX
        if self.currentWidget() is self.verdict:
            wanted = self.verdict.wanted_height(self.width())
            height = max(height, min(wanted, _TIGHT_PX) if self._tight and self._compact else wanted)
        if height != self.height():
            self.setFixedHeight(height)

    def _note(self, view: CollectView) -> str:
        key = self._actions.key_label
        if view.recorder is RecorderState.RECORDING:
            hint = button_hint(self._buttons, "record").removesuffix(".").replace("Also", "also")
            stops = f"{key('record')} stops" + (f" ({hint})" if hint else "")
            return f"{stops}, {key('redo')} starts over, {key('discard')} throws away."
        if view.recorder is RecorderState.COUNTDOWN:
            return "Starting."
        if view.recorder is RecorderState.FINALISING:
            return "Writing to disk."
        undo = f"  {key('undo')} takes the last verdict back." if view.can_undo else ""
        return f"{key('next')} sets up the next scene.{undo}"

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self.record.retheme()
