"""Keys by which the robot is driven from a page, wherever on it the focus is, and the samples they make."""

from __future__ import annotations

# ruff: noqa: N802
import time

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer
from PyQt6.QtGui import QKeyEvent, QKeySequence
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QTextEdit,
    QWidget,
)

from ui.actions import ActionRegistry
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.driving import HELD_ACTIONS, NUDGES, SAMPLE_INTERVAL_MS

_KEY_TAKERS = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox, QSlider)
"""Widgets that need letters or arrows for themselves while they have the focus."""

_DECIDING = ("save", "redo", "discard", "record", "next")
"""Keys that end the countdown to the automatic save by themselves."""


class DriveKeys(QObject):
    """Reads held keys, sends samples 60 times a second, and lets go when the window loses the focus.

    Args:
        model: What is driven.
        actions: The declared actions.
        page: Owner; call `start` and `stop` as it is shown and hidden.
    """

    def __init__(self, model: CollectModel, actions: ActionRegistry, page: QWidget) -> None:
        super().__init__(page)
        self._page = page
        self._model = model
        self._actions = actions
        self._held_keys = actions.held_keys()
        self._autosave_stopped = False
        self._timer = QTimer(self)
        self._timer.setInterval(SAMPLE_INTERVAL_MS)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.send)
        actions.changed.connect(self._on_key_changed)
        for action in NUDGES:
            actions.bind(action, lambda a=action: model.nudge(a), page)
        actions.bind("gripper.toggle", model.driving.toggle_gripper, page)

    def start(self) -> None:
        """Begins to listen."""
        app = QApplication.instance()
        if app is not None:
            app.installEventFilter(self)
        self._timer.start()

    def stop(self) -> None:
        """Lets go of the robot and stops listening."""
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self)
        self._timer.stop()
        self.let_go()

    def send(self) -> None:
        """Sends what the keys and the mouse ask now."""
        self._model.send_sample(time.monotonic_ns())

    def let_go(self) -> None:
        """Releases every clutch now, not at the next timer."""
        self._model.driving.release_all()
        while self._model.send_sample(time.monotonic_ns()):
            pass

    def allow_autosave(self) -> None:
        """Another episode is reviewed, or none: the next key stops its countdown again."""
        self._autosave_stopped = False

    def _on_key_changed(self, _action_id: str) -> None:
        self._held_keys = self._actions.held_keys()

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Reads held keys, and notices a lost window."""
        if a1 is None:
            return False
        kind = a1.type()
        if kind == QEvent.Type.ApplicationDeactivate or (
            kind == QEvent.Type.WindowDeactivate and a0 is self._page.window()
        ):
            self.let_go()
        elif kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease, QEvent.Type.ShortcutOverride):
            if isinstance(a1, QKeyEvent) and not self._typing():
                return self._on_key(a1)
        return False

    @staticmethod
    def _typing() -> bool:
        return isinstance(QApplication.focusWidget(), _KEY_TAKERS)

    def _on_key(self, event: QKeyEvent) -> bool:
        """Returns whether the key was a held one and goes no further."""
        if event.type() == QEvent.Type.ShortcutOverride:
            self._stop_autosave(event)
            return False
        action = self._held_keys.get(event.key())
        if action not in HELD_ACTIONS or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        if not event.isAutoRepeat():
            driving = self._model.driving
            if event.type() == QEvent.Type.KeyRelease:
                driving.release(action)
            elif not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:  # with Shift it nudges
                driving.press(action)
        return True

    def _stop_autosave(self, event: QKeyEvent) -> None:
        if self._autosave_stopped or event.isAutoRepeat():
            return
        deciding = {self._actions.key(action) for action in _DECIDING}
        pressed = event.keyCombination().key()
        if any(key and Qt.Key(pressed) == _key_of(key) for key in deciding):
            return
        self._autosave_stopped = self._model.stop_autosave()


def _key_of(portable: str) -> Qt.Key:
    return QKeySequence(portable)[0].key()
