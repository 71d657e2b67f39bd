"""Setup, Time and latency: what each stream's clock does, and measuring a latency with a live picture."""

from __future__ import annotations

# ruff: noqa: N802
import math
from collections.abc import Callable

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.bridge import CameraFrame, StationBridge
from ui.viewmodels.latency import LatencyModel, StreamLine
from ui.widgets.latency_panel import LatencyPanel

_REFRESH_MS = 500
_PICTURE_PERIOD_S = 0.1
_HEADS = (
    ("Stream", "Camera, arm, or sensor"),
    ("Rate", "Samples a second"),
    ("Age", "From the capture of the newest sample until it was available on this computer"),
    ("Clock", "Drift of the device's clock against this computer's, and the spread about the fit (p95)"),
    ("Latency in force", "Subtracted from the time of arrival; with the spread (p95) when it was measured"),
    ("Measured", "How and when"),
)
_INTRO = (
    "A sample is stamped with the time at which it was true. What a device needs to deliver it is measured "
    "once and subtracted. Measure a camera first, then the arms it sees."
)


class LatencyEditor(QWidget):
    """The table of streams, and under it the measurement that is being made.

    Args:
        model: Measures and writes the station file.
        bridge: Live pictures; None where there is no station.
        parent: Owner.
    """

    def __init__(
        self, model: LatencyModel, bridge: StationBridge | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._bridge = bridge
        self._cells: dict[str, list[QLabel]] = {}
        self.buttons: dict[str, QPushButton] = {}
        title = QLabel("Time and latency")
        title.setProperty("kind", "title")
        intro = QLabel(_INTRO)
        intro.setProperty("kind", "muted")
        intro.setWordWrap(True)
        card = QFrame()
        card.setProperty("surface", "panel")
        self._grid = QGridLayout(card)
        self._grid.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(1.5), theme.grid(1.5))
        self._grid.setHorizontalSpacing(theme.grid(2))
        self._grid.setVerticalSpacing(theme.grid(0.5))
        self._grid.setColumnStretch(len(_HEADS) - 1, 1)
        for column, (text, tip) in enumerate(_HEADS):
            head = QLabel(text)
            head.setProperty("kind", "label")
            head.setToolTip(tip)
            self._grid.addWidget(head, 0, column)
        self.panel = LatencyPanel(model)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        for widget in (title, intro, card, self.panel):
            box.addWidget(widget)
        box.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        model.changed.connect(self._on_changed)
        self.panel.watched.connect(self._watch)
        if bridge is not None:
            bridge.frameArrived.connect(self._on_frame)
        self.refresh()

    def refresh(self) -> None:
        """Shows the figures as they are now; rows are only ever added."""
        for line in self._model.lines():
            if line.name not in self._cells:
                self._add_row(line)
            texts = (line.name, line.rate, line.age, line.clock, line.latency, line.measured)
            for label, text in zip(self._cells[line.name], texts, strict=True):
                if label.text() != text:
                    label.setText(text)
        for button in self.buttons.values():
            button.setEnabled(self._model.can_measure)

    def _add_row(self, line: StreamLine) -> None:
        row = len(self._cells) + 1
        labels = []
        for column in range(len(_HEADS)):
            label = QLabel()
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setFont(theme.font(tabular=True))
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            if column == len(_HEADS) - 1:
                label.setProperty("kind", "muted")
            self._grid.addWidget(label, row, column)
            labels.append(label)
        self._cells[line.name] = labels
        if line.measurable:
            button = QPushButton("Measure")
            button.setAccessibleName(f"Measure the latency of {line.name}")
            button.setStyleSheet("padding: 3px 10px;")
            button.clicked.connect(self._opener(line))
            self.buttons[line.name] = button
            self._grid.addWidget(button, row, len(_HEADS))

    def _opener(self, line: StreamLine) -> Callable[[], None]:
        return lambda: self.panel.open(line.name, line.kind)

    def _on_changed(self) -> None:
        self.refresh()
        self.panel.refresh()

    def _watch(self, camera: str) -> None:
        """Lets the pictures of one camera through, the others rest."""
        if self._bridge is None:
            return
        for name in self._model.cameras:
            self._bridge.set_frame_divisor(name, 1)
            self._bridge.set_frame_period(name, _PICTURE_PERIOD_S if name == camera else math.inf)

    def _on_frame(self, frame: CameraFrame) -> None:
        if self.isVisible() and frame.camera == self.panel.camera:
            self.panel.picture.set_frame(frame)

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Follows the figures while they are seen."""
        super().showEvent(a0)
        self._timer.start()
        self.refresh()
        self._watch(self.panel.camera)

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Rests; a measurement goes on."""
        super().hideEvent(a0)
        self._timer.stop()
        self._watch("")
