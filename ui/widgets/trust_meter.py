"""The meter of trust: silent while all is well, amber while a queue fills, red once samples are lost."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.trust import Trust, TrustView

BAR_PX = 4
_ICON_PX = 16
_ROLES = {Trust.STRAINED: Role.WARNING, Trust.LOST: Role.FAULT}
_ICONS = {Trust.STRAINED: "tray-full", Trust.LOST: "alert"}


class _Bar(QWidget):
    """How full the fullest queue is; nothing at all while all is well."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = TrustView()
        self.setFixedHeight(BAR_PX)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the fill; a loss fills the whole bar."""
        role = _ROLES.get(self.view.trust)
        if role is None:
            return
        t = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color(Role.BORDER))
        painter.drawRoundedRect(QRectF(self.rect()), BAR_PX / 2, BAR_PX / 2)
        share = 1.0 if self.view.trust is Trust.LOST else self.view.fill
        painter.setBrush(t.color(role))
        painter.drawRoundedRect(QRectF(0, 0, share * self.width(), BAR_PX), BAR_PX / 2, BAR_PX / 2)
        painter.end()


class TrustMeter(QWidget):
    """A slim bar with a sentence under it; the tooltip names the streams and the remedy.

    It keeps its height while it is silent, so that nothing moves when it speaks.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = TrustView()
        self._bar = _Bar()
        self._icon = QLabel()
        self._icon.setFixedSize(_ICON_PX, _ICON_PX)
        self.sentence = QLabel()
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setWordWrap(True)
        self.sentence.setFont(theme.font(FontSize.BASE, tabular=True))
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.remedy = QLabel()
        self.remedy.setTextFormat(Qt.TextFormat.PlainText)
        self.remedy.setWordWrap(True)
        self.remedy.setProperty("kind", "label")
        self.remedy.setFont(theme.font(FontSize.LABEL))
        line = QHBoxLayout()
        line.setSpacing(theme.grid(0.75))
        line.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.sentence, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(0.5))
        box.addWidget(self._bar)
        box.addLayout(line)
        box.addWidget(self.remedy)
        box.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_compact(False)
        self.setAccessibleName("Trust in the recording")

    @property
    def view(self) -> TrustView:
        """What is shown."""
        return self._view

    def set_compact(self, compact: bool) -> None:
        """Leaves the remedy to the tooltip on a low screen."""
        self.remedy.setVisible(not compact)
        lines = 2 * self.sentence.fontMetrics().lineSpacing()
        lines += 0 if compact else 2 * self.remedy.fontMetrics().lineSpacing() + theme.grid(0.5)
        self.setFixedHeight(BAR_PX + theme.grid(0.5) + lines)

    def set_view(self, view: TrustView) -> None:
        """Shows another state."""
        if view != self._view:
            self._view = view
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        view = self._view
        self._bar.view = view
        self._bar.update()
        role = _ROLES.get(view.trust)
        self.sentence.setText(view.sentence)
        self.remedy.setText(view.remedy)
        self._icon.setVisible(role is not None)
        if role is not None:
            color = theme.accent_text(role)
            self.sentence.setStyleSheet(f"color: {color};")
            self._icon.setPixmap(theme.icon_in(_ICONS[view.trust], color).pixmap(QSize(_ICON_PX, _ICON_PX)))
        tip = "\n".join(part for part in (view.sentence, *view.lines, view.remedy) if part)
        self.setToolTip(tip)
        self.setAccessibleDescription(tip or "All samples of the episode are there.")
