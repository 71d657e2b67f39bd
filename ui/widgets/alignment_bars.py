"""How far each joint of a leader is from its follower: bars about a middle line, nought in the middle."""

from __future__ import annotations

# ruff: noqa: N802
import math
from dataclasses import dataclass

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.theme import FontSize, Role

_LINE_PX = theme.grid(2)
_NAME_PX = theme.grid(7)
_FIGURE_PX = theme.grid(7)


@dataclass(frozen=True, slots=True)
class JointOffset:
    """A joint of a leader against its follower.

    Attributes:
        name: Of the joint.
        offset_rad: Leader less follower.
        limit_rad: Beyond which the leader is refused.
        tolerance_rad: Within which it counts as aligned.
    """

    name: str
    offset_rad: float
    limit_rad: float
    tolerance_rad: float


class AlignmentBars(QWidget):
    """Painted; a joint that is aligned says so with a word too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offsets: tuple[JointOffset, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    @property
    def offsets(self) -> tuple[JointOffset, ...]:
        """What is shown."""
        return self._offsets

    def set_offsets(self, offsets: tuple[JointOffset, ...]) -> None:
        """Shows the joints."""
        if offsets != self._offsets:
            resized = len(offsets) != len(self._offsets)
            self._offsets = offsets
            worst = max(offsets, key=lambda each: abs(each.offset_rad), default=None)
            if worst is not None:
                degrees = math.degrees(worst.offset_rad)
                self.setAccessibleName(f"{worst.name} is {degrees:+.0f} degrees off")
            if resized:
                self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        """Returns a line a joint."""
        return QSize(theme.grid(38), max(len(self._offsets), 1) * _LINE_PX)

    def minimumSizeHint(self) -> QSize:
        """Returns a line a joint."""
        return QSize(theme.grid(20), max(len(self._offsets), 1) * theme.grid(1.5))

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws a line a joint."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        t = theme.tokens()
        height = min(self.height() / max(len(self._offsets), 1), _LINE_PX)
        track = QRectF(_NAME_PX, 0, max(self.width() - _NAME_PX - _FIGURE_PX, 1), height)
        for index, each in enumerate(self._offsets):
            top = index * height
            aligned = abs(each.offset_rad) <= each.tolerance_rad
            role = Role.GOOD if aligned else Role.WARNING
            if abs(each.offset_rad) > each.limit_rad:
                role = Role.FAULT
            painter.setPen(t.color(Role.MUTED))
            painter.drawText(QRectF(0, top, _NAME_PX, height), Qt.AlignmentFlag.AlignVCenter, each.name)
            lane = QRectF(track.left(), top + height * 0.3, track.width(), height * 0.4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color(Role.RAISED))
            painter.drawRoundedRect(lane, 2, 2)
            share = max(-1.0, min(each.offset_rad / each.limit_rad, 1.0))
            middle = lane.center().x()
            painter.setBrush(t.color(role))
            width = max(abs(share) * lane.width() / 2, 2.0)
            left = middle if share >= 0 else middle - width
            painter.drawRect(QRectF(left, lane.top(), width, lane.height()))
            painter.setBrush(t.color(Role.TEXT))
            painter.drawRect(QRectF(middle - 0.5, lane.top() - 2, 1, lane.height() + 4))
            painter.setPen(t.color(Role.TEXT if not aligned else Role.MUTED))
            text = "aligned" if aligned else f"{math.degrees(each.offset_rad):+.0f}\N{DEGREE SIGN}"
            figure = QRectF(track.right(), top, _FIGURE_PX, height)
            painter.drawText(figure, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text)
        painter.end()
