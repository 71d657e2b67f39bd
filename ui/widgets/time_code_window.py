"""The present time as a code over the whole screen, for a camera to look at."""

from __future__ import annotations

# ruff: noqa: N802
import time

from PyQt6.QtCore import QRect, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from devices.cameras.time_code import TimeCodePainter

_FALLBACK_HZ = 60.0
_SHARE = 0.9
"""Of the shorter side of the screen."""


class TimeCodeWindow(QWidget):
    """Draws a new code at each refresh of the screen; a click or any key but the e-stop's closes it."""

    closed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__(None, Qt.WindowType.Window)
        self.setWindowTitle("Time code for cameras")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setCursor(Qt.CursorShape.BlankCursor)
        self._painter = TimeCodePainter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.update)
        self._timer.start(max(round(self.period_ms), 1))

    @property
    def period_ms(self) -> float:
        """How long the screen shows each code."""
        screen = self.screen()
        hertz = screen.refreshRate() if screen is not None else 0.0
        return 1000.0 / (hertz if hertz > 1.0 else _FALLBACK_HZ)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the time as it is now, in the middle of white."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.white)
        side = round(_SHARE * min(self.width(), self.height()))
        code = self._painter.paint(time.monotonic_ns(), side)
        height, width = code.shape[:2]
        image = QImage(code.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
        place = QRect((self.width() - width) // 2, (self.height() - height) // 2, width, height)
        painter.drawImage(place, image)
        painter.end()

    def keyPressEvent(self, a0: QKeyEvent | None) -> None:
        """Any key closes it."""
        self.close()

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """A click closes it."""
        self.close()

    def closeEvent(self, a0: QCloseEvent | None) -> None:
        """Tells whoever shows it."""
        self._timer.stop()
        super().closeEvent(a0)
        self.closed.emit()
