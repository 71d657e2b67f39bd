"""Curves under the player on the common time axis: joints, grippers, forces."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.theme import FontSize
from ui.viewmodels.player import TimeAxis
from ui.viewmodels.player_media import min_max_thinned
from ui.widgets.time_ruler import LEFT_PX, RIGHT_PX

_LEAST_BINS = 200
_THIN_DELAY_MS = 15
_WHEEL_STEP = 1.25
_DARK_LINES = ("#6CB2FF", "#F5A524", "#4CC38A", "#FF8F8F", "#C3A6FF", "#5FD3DC", "#D7C04A")
_LIGHT_LINES = ("#0B62C4", "#9A5B00", "#18794E", "#C6303A", "#6B4BD1", "#0E7C86", "#7A6A00")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its name, times [s] and values of shape (k,), its colour number, dashed or solid."""

    name: str
    at_s: NDArray[np.float64]
    values: NDArray[np.float64]
    color: int
    dashed: bool = False


def line_colors() -> tuple[str, ...]:
    """Returns the colours of curves in the theme in force; none of them means anything elsewhere."""
    return _DARK_LINES if theme.tokens().name == "dark" else _LIGHT_LINES


class TimePlot(pg.PlotWidget):
    """One plot on the common time axis; curves are thinned to what the width can show.

    Args:
        axis: The stretch shown.
        unit: Beside the numbers.
        parent: Owner.
    """

    scrubbed = pyqtSignal(float)

    def __init__(self, axis: TimeAxis, unit: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent, enableMenu=False)
        self._axis = axis
        self._curves: list[Curve] = []
        self._items: list[pg.PlotDataItem] = []
        self._unit = unit
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setFrameShape(pg.PlotWidget.Shape.NoFrame)
        self.setMinimumHeight(theme.grid(7))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._plot: Any = self.getPlotItem()  # pyqtgraph is not typed
        item = self._plot
        # Made without a parent, it would outlive the plot.
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())
        item.setContentsMargins(0, 2, RIGHT_PX, 2)
        item.hideAxis("bottom")
        item.getAxis("left").setWidth(LEFT_PX)
        item.getAxis("left").setStyle(tickLength=-4, autoExpandTextSpace=False, maxTickLevel=0)
        item.getAxis("left").setTickDensity(0.6)
        item.getViewBox().setDefaultPadding(0.0)
        self._cursor = pg.InfiniteLine(angle=90, movable=False)
        self._plot.addItem(self._cursor, ignoreBounds=True)
        # While the wheel turns only the range follows; the curves are thinned anew once a turn of events.
        self._thinning = QTimer(self)
        self._thinning.setSingleShot(True)
        self._thinning.setInterval(_THIN_DELAY_MS)
        self._thinning.timeout.connect(self._thin)
        axis.changed.connect(self._follow_axis)
        self.retheme()

    def set_curves(
        self, curves: Sequence[Curve], low: float | None = None, high: float | None = None
    ) -> None:
        """Shows other curves; without `low` and `high` the range is that of the curves."""
        for item in self._items:
            self.removeItem(item)
        self._curves = list(curves)
        self._items = [pg.PlotDataItem(connect="finite", skipFiniteCheck=False) for _ in curves]
        for item in self._items:
            self.addItem(item)
        self._set_range(low, high)
        self._color_curves()
        self._follow_axis()
        self._thin()

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The curves shown."""
        return tuple(self._curves)

    def set_ticks(self, values: Sequence[float]) -> None:
        """Puts numbers at these values only."""
        self._plot.getAxis("left").setTicks([[(value, f"{value:g}") for value in values]])

    def set_cursor(self, at_s: float) -> None:
        """Moves the cursor line."""
        self._cursor.setValue(at_s)

    def _set_range(self, low: float | None, high: float | None) -> None:
        values = [curve.values[np.isfinite(curve.values)] for curve in self._curves]
        values = [each for each in values if len(each)]
        bottom = min((float(each.min()) for each in values), default=0.0) if low is None else low
        top = max((float(each.max()) for each in values), default=1.0) if high is None else high
        if top - bottom < 1e-6:
            bottom, top = bottom - 0.5, top + 0.5
        room = (top - bottom) * 0.06
        self._plot.setYRange(bottom - room, top + room, padding=0)

    def _follow_axis(self) -> None:
        self._plot.setXRange(self._axis.start_s, self._axis.end_s, padding=0)
        self._thinning.start()

    def _thin(self) -> None:
        """Draws of each curve what the width can show."""
        bins = max(self.width() - LEFT_PX - RIGHT_PX, _LEAST_BINS)
        margin = self._axis.span_s * 0.02
        for curve, item in zip(self._curves, self._items, strict=True):
            first = max(int(np.searchsorted(curve.at_s, self._axis.start_s - margin)) - 1, 0)
            last = int(np.searchsorted(curve.at_s, self._axis.end_s + margin)) + 1
            at_s, values = min_max_thinned(curve.at_s[first:last], curve.values[first:last], bins)
            item.setData(at_s, values)

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        self.setBackground(t.panel)
        axis = self._plot.getAxis("left")
        axis.setPen(pg.mkPen(t.border))
        axis.setTextPen(pg.mkPen(t.muted))
        axis.setTickFont(theme.font(FontSize.LABEL, tabular=True))
        self._plot.showGrid(y=True, alpha=0.12)
        self._cursor.setPen(pg.mkPen(t.text, width=1))
        self._color_curves()

    def _color_curves(self) -> None:
        colors = line_colors()
        for curve, item in zip(self._curves, self._items, strict=True):
            color = QColor(colors[curve.color % len(colors)])
            style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            pen = pg.mkPen(color, width=1, style=style)
            if curve.dashed:
                pen.setDashPattern([4, 4])
            item.setPen(pen)

    def _to_s(self, x: float) -> float:
        box = self._plot.getViewBox()
        at_s = box.mapSceneToView(QPointF(x, 0)).x()
        return min(max(at_s, self._axis.start_s), self._axis.end_s)

    def mousePressEvent(self, ev: QMouseEvent | None) -> None:
        """Moves the cursor to the pointer."""
        if ev is not None and ev.button() == Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self._to_s(ev.position().x()))
            ev.accept()

    def mouseMoveEvent(self, ev: QMouseEvent | None) -> None:
        """Drags the cursor."""
        if ev is not None and ev.buttons() & Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self._to_s(ev.position().x()))
            ev.accept()

    def mouseReleaseEvent(self, ev: QMouseEvent | None) -> None:
        """Ends the drag."""
        if ev is not None:
            ev.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Shows the whole episode again."""
        self._axis.reset(self._axis.duration_s)

    def wheelEvent(self, ev: QWheelEvent | None) -> None:
        """Zooms about the pointer."""
        if ev is not None:
            self._axis.zoom(_WHEEL_STEP ** (ev.angleDelta().y() / 120), self._to_s(ev.position().x()))
            ev.accept()

    def resizeEvent(self, ev: QResizeEvent | None) -> None:
        """Thins the curves for another width."""
        super().resizeEvent(ev)
        if hasattr(self, "_axis"):
            self._follow_axis()
