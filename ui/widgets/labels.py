"""Labels that keep their place: elided text, and a small caption over a value."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QFontMetrics, QResizeEvent
from PyQt6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis where it does not fit; the tooltip has it whole."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(theme.grid(3))
        self.setText(text)

    def setText(self, a0: str | None) -> None:
        """Shows a text, elided to the width there is."""
        text = a0 or ""
        if text != self._whole:
            self._whole = text
            self.updateGeometry()
        self._elide()

    def text(self) -> str:
        """Returns the whole text."""
        return self._whole

    def sizeHint(self) -> QSize:
        """Returns the size of the whole text."""
        metrics = QFontMetrics(self.font())
        return QSize(metrics.horizontalAdvance(self._whole) + 2, metrics.height() + 2)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Elides anew."""
        super().resizeEvent(a0)
        self._elide()

    def _elide(self) -> None:
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(self._whole, Qt.TextElideMode.ElideRight, max(self.width(), 1))
        super().setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class Captioned(QWidget):
    """A value of 13 px under its caption of 11 px."""

    def __init__(self, caption: str, value: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._caption = QLabel(caption)
        self._caption.setProperty("kind", "label")
        self._caption.setFont(theme.font(FontSize.LABEL))
        self._value = ElidedLabel(value)
        self._value.setFont(theme.font(FontSize.BASE, tabular=True))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addStretch(1)
        box.addWidget(self._caption)
        box.addWidget(self._value)
        box.addStretch(1)
        self.setAccessibleName(caption)

    @property
    def value(self) -> str:
        """The value shown."""
        return self._value.text()

    def set_value(self, value: str) -> None:
        """Shows another value."""
        if value != self._value.text():
            self._value.setText(value)


def clock_text(seconds: float, *, tenths: bool = False) -> str:
    """Returns a duration as m:ss, h:mm:ss from an hour on, with tenths on request."""
    whole = int(max(seconds, 0.0))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    tail = f".{int(max(seconds, 0.0) * 10) % 10}" if tenths else ""
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}{tail}"
    return f"{minutes}:{rest:02d}{tail}"
