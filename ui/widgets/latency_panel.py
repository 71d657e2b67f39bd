"""One latency measurement: what to do, the live picture, progress, the result, apply."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from teleop_app.station.latency_calibration import CalibrationProgress
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.latency import LatencyModel, change_text, evidence_text
from ui.widgets.camera_tile import CameraTile
from ui.widgets.time_code_window import TimeCodeWindow

_PICTURE_PX = (theme.grid(36), theme.grid(28))
_SELF_TIMED = "Its pictures carry the time by themselves: nothing has to be set up."
_CODE = (
    "The screen will show the time as a code. Point {name} at it so that the code fills a third of the "
    "picture, sharp and without glare. Any key or a click ends it."
)
_ARM = (
    "Move {name} to and fro at changing speeds for 20 s, in full view of the camera and with nothing else "
    "moving. The camera's own latency must have been measured before."
)


class LatencyPanel(QFrame):
    """Hidden until a stream is chosen. `refresh` follows the model.

    Args:
        model: Measures.
        parent: Owner.
    """

    watched = pyqtSignal(str)
    """The pictures of this camera are wanted, empty for none."""

    def __init__(self, model: LatencyModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._model = model
        self._name = self._kind = ""
        self._code: TimeCodeWindow | None = None
        self.picture = CameraTile("")
        self.picture.setFixedSize(*_PICTURE_PX)
        self._title = QLabel()
        self._title.setFont(theme.font(FontSize.BASE + 3, bold=True))
        self._steps = _wrapped("muted")
        self.against = QComboBox()
        self.against.setAccessibleName("Camera that sees the arm")
        self.against.currentTextChanged.connect(self._choose_camera)
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self.status = _wrapped("")
        self.status.setFont(theme.font(tabular=True))
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.change = _wrapped("state")
        self.change.setFont(theme.font(FontSize.STATE, tabular=True))
        self.note = _wrapped("label")
        self.start = QPushButton("Start")
        self.cancel = QPushButton("Cancel")
        self.apply = QPushButton("Apply")
        self.apply.setProperty("kind", "primary")
        self.close_button = QPushButton("Close")
        self.start.clicked.connect(self._start)
        self.cancel.clicked.connect(model.cancel)
        self.apply.clicked.connect(model.apply)
        self.close_button.clicked.connect(self._leave)
        self._lay_out()
        model.progressed.connect(self._on_progress)
        self.hide()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.grid(1))
        for button in (self.start, self.cancel, self.apply, self.close_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        right = QVBoxLayout()
        right.setSpacing(theme.grid(1))
        for widget in (
            self._title,
            self._steps,
            self.against,
            self._bar,
            self.change,
            self.status,
            self.note,
        ):
            right.addWidget(widget)
        right.addStretch(1)
        right.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.grid(1.5), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        row.setSpacing(theme.grid(2))
        row.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(right, 1)

    @property
    def camera(self) -> str:
        """Whose picture is shown, empty while the panel is closed."""
        if not self._name:
            return ""
        return self._name if self._kind == "camera" else self.against.currentText()

    def open(self, name: str, kind: str) -> None:
        """Shows what to do to measure a camera or an arm."""
        self._model.forget()
        self._name, self._kind = name, kind
        self._title.setText(f"Latency of {name}")
        if kind == "arm":
            self._steps.setText(_ARM.format(name=name))
        else:
            self._steps.setText(_CODE.format(name=name) if self._model.needs_code(name) else _SELF_TIMED)
        self.against.blockSignals(True)
        self.against.clear()
        self.against.addItems(self._model.cameras)
        self.against.blockSignals(False)
        self.against.setVisible(kind == "arm")
        self._choose_camera()
        self._bar.setValue(0)
        self.status.setText("")
        self.show()
        self.refresh()
        self.start.setFocus(Qt.FocusReason.OtherFocusReason)

    def _choose_camera(self) -> None:
        self.picture.set_name(self.camera)
        self.watched.emit(self.camera)

    def _start(self) -> None:
        if self._kind == "arm":
            self._model.measure_arm(self._name, self.against.currentText())
        elif self._model.needs_code(self._name):
            self._code = TimeCodeWindow()
            self._code.closed.connect(self._on_code_closed)
            self._code.showFullScreen()
            self._model.measure_camera(self._name, self._code.period_ms)
        else:
            self._model.measure_camera(self._name)

    def _on_code_closed(self) -> None:
        self._code = None
        self._model.cancel()

    def _on_progress(self, progress: CalibrationProgress) -> None:
        self._bar.setValue(round(1000 * progress.done))
        self.status.setText(progress.text)

    def refresh(self) -> None:
        """Shows how far the measurement is, what it found, or why it failed."""
        model = self._model
        busy = bool(model.measuring)
        if not busy and self._code is not None:
            code, self._code = self._code, None
            code.close()
        self.start.setVisible(not busy)
        self.start.setText("Measure again" if model.result or model.problem else "Start")
        self.start.setEnabled(model.can_measure)
        self.cancel.setVisible(busy)
        self.close_button.setVisible(not busy)
        self.apply.setVisible(model.result is not None)
        self.against.setEnabled(not busy)
        self._bar.setVisible(busy)
        self._show_outcome()

    def _show_outcome(self) -> None:
        model = self._model
        self.status.setStyleSheet("")
        self.change.setVisible(model.result is not None)
        if model.problem is not None:
            self.status.setText(model.problem.sentence)
            self.status.setStyleSheet(f"color: {theme.accent_text(Role.FAULT)};")
            self.note.setText("")
        elif model.result is not None:
            self.change.setText(change_text(model.result, model.latency_of(model.result.stream)))
            self.status.setText(evidence_text(model.result))
            self.note.setText(model.result.note)
        elif not model.measuring:
            self.status.setText("")
            self.note.setText("" if model.can_measure else "It needs the running station: start it on Home.")

    def _leave(self) -> None:
        self._model.forget()
        self._name = ""
        self.watched.emit("")
        self.hide()


def _wrapped(kind: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    if kind:
        label.setProperty("kind", kind)
    return label
