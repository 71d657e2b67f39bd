"""The raw hand against the filtered one over the last seconds, with jitter and lag in figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from ui import theme
from ui.viewmodels.hand_trace import SPAN_S, HandTrace
from ui.widgets.labels import Captioned

_AXES = ("largest motion", "x", "y", "z")
_HEIGHT_PX = theme.grid(24)
_UNKNOWN = "\N{EN DASH}"


class HandPlot(QWidget):
    """`show_trace` is called as often as it shall be painted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hands = QComboBox()
        self.hands.setAccessibleName("Hand that is shown")
        self.hands.setMinimumWidth(theme.grid(22))
        self.axis = QComboBox()
        self.axis.addItems(_AXES)
        self.axis.setAccessibleName("Axis that is shown")
        self.jitter = Captioned("Jitter at rest, raw \N{RIGHTWARDS ARROW} filtered", _UNKNOWN)
        self.lag = Captioned("Lag in motion", _UNKNOWN)
        self.jitter.setMinimumWidth(theme.grid(26))
        self.lag.setMinimumWidth(theme.grid(12))
        self._plot = pg.PlotWidget(enableMenu=False)
        self._plot.setFixedHeight(_HEIGHT_PX)
        self._plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.hideButtons()
        item: Any = self._plot.getPlotItem()  # pyqtgraph is not typed
        item.ctrlMenu.setParent(self._plot, item.ctrlMenu.windowFlags())
        item.setLabel("left", "mm")
        item.setLabel("bottom", "s before now")
        item.setXRange(-SPAN_S, 0.0, padding=0.0)
        self._item = item
        self._raw = pg.PlotDataItem()
        self._filtered = pg.PlotDataItem()
        self._plot.addItem(self._raw)
        self._plot.addItem(self._filtered)
        self._legend = QLabel()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setProperty("kind", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedWidget()
        self._stack.setFixedHeight(_HEIGHT_PX)
        self._stack.setProperty("surface", "raised")
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._plot)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(2))
        row.addWidget(self.hands)
        row.addWidget(self.axis)
        row.addWidget(self._legend)
        row.addStretch(1)
        row.addWidget(self.jitter)
        row.addWidget(self.lag)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1))
        box.addLayout(row)
        box.addWidget(self._stack)
        self.retheme()

    def set_hands(self, names: tuple[str, ...], newest: str) -> None:
        """Offers the hands that were heard; the first one to come is shown."""
        known = tuple(self.hands.itemText(i) for i in range(self.hands.count()))
        if names != known:
            chosen = self.hands.currentText() or newest
            self.hands.blockSignals(True)
            self.hands.clear()
            self.hands.addItems(names)
            self.hands.setCurrentText(chosen)
            self.hands.blockSignals(False)
        self.hands.setVisible(bool(names))
        self.axis.setVisible(bool(names))
        self._legend.setVisible(bool(names))

    def show_trace(self, trace: HandTrace | None, why_empty: str) -> None:
        """Shows one hand, or says why there is none."""
        if trace is None:
            self.empty.setText(why_empty)
            self._stack.setCurrentWidget(self.empty)
            return
        self._stack.setCurrentWidget(self._plot)
        at_s, raw, filtered = trace.recent()
        if not len(at_s):
            return
        choice = self.axis.currentIndex() - 1
        axis = int(np.argmax(np.ptp(raw, axis=0))) if choice < 0 else choice
        middle = float(np.median(filtered[:, axis]))
        self._raw.setData(at_s, (raw[:, axis] - middle) * 1000.0)
        self._filtered.setData(at_s, (filtered[:, axis] - middle) * 1000.0)

    def show_figures(self, trace: HandTrace | None) -> None:
        """Works out jitter and lag; a figure that cannot be told now keeps its last value."""
        if trace is None:
            return
        jitter, lag = trace.jitter_um(), trace.lag_ms()
        if jitter is not None:
            self.jitter.set_value(f"{jitter[0]:.0f} \N{RIGHTWARDS ARROW} {jitter[1]:.0f} \N{MICRO SIGN}m")
        if lag is not None:
            self.lag.set_value(f"{lag:.0f} ms")

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        self._plot.setBackground(t.panel)
        ink = theme.readable(t.human, t.panel)
        self._raw.setPen(pg.mkPen(t.muted, width=1))
        self._filtered.setPen(pg.mkPen(ink, width=2))
        for side in ("left", "bottom"):
            self._item.getAxis(side).setPen(pg.mkPen(t.border))
            self._item.getAxis(side).setTextPen(pg.mkPen(t.muted))
        muted, human = t.muted, ink
        self._legend.setText(
            f'<span style="color:{muted}">\N{HORIZONTAL BAR} raw</span>&nbsp;&nbsp;'
            f'<span style="color:{human}">\N{HORIZONTAL BAR} filtered</span>'
        )
        self.update()
