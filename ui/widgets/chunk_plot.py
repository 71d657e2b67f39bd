"""Live plot of one joint: what the policy proposes and has queued, what was sent, what a person asks for."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, Qt, QTimer
from PyQt6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from teleop_app.core.types import ControlTick, PolicyChunk
from ui import theme
from ui.theme import FontSize
from ui.viewmodels.chunk_trace import AHEAD_S, PAST_S, ChunkTrace, JointTrace

_REFRESH_MS = 66
_BUSIEST = "Joint that moves most"
_STAY = 15
"""Refreshes between two choices of the joint that moves most, so that it does not flicker."""

_LEAST_SPAN = 0.08
_SHRINK_BELOW = 0.45
_EMPTY = "What the policy proposes for a joint, and what is sent, is drawn here while the station runs."
_AXIS_PX = 44
_SMALL_PX = 400
"""Of width; below it, as a small tile, the curves need the room that picker and legend have."""
_EDGE_S = 0.25
"""Room for the last number of the axis."""


class ChunkPlot(QWidget):
    """Time runs to the right, now is the upright line; nothing is drawn while nobody looks.

    Args:
        joint_names: Of the joint vector, `arm/joint`.
        parent: Owner.
    """

    _theme = ""

    def __init__(self, joint_names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.trace = ChunkTrace(joint_names)
        self._column = 0
        self._until_choice = 0
        self._low, self._high = -1.0, 1.0
        self.joint = QComboBox()
        self.joint.setAccessibleName("Joint that is shown")
        self.joint.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.joint.addItem(_BUSIEST)
        self.joint.addItems(_spoken(name) for name in self.trace.joint_names)
        self.joint.setMinimumWidth(theme.grid(24))
        self.joint.currentIndexChanged.connect(self._choose)
        self._shown = QLabel()
        self._shown.setFont(theme.font(bold=True))
        self._legend = QLabel()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setFont(theme.font(FontSize.LABEL))
        self._legend.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._plot = pg.PlotWidget(enableMenu=False)
        self._item: Any = self._plot.getPlotItem()  # pyqtgraph is not typed
        self._set_up_plot()
        self._proposed, self._queue = self._line(), self._line()
        self._human, self._sent = self._line(), self._line()
        self._now = pg.InfiniteLine(0.0, angle=90, movable=False)
        self._item.addItem(self._now, ignoreBounds=True)
        self.empty = QLabel(_EMPTY)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("kind", "muted")
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._plot)
        head = QHBoxLayout()
        head.setSpacing(theme.grid(1.5))
        head.addWidget(self.joint)
        head.addWidget(self._shown)
        head.addWidget(self._legend, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(0.5))
        head.setContentsMargins(0, 0, theme.grid(1), 0)
        box.addLayout(head)
        box.addWidget(self._stack, 1)
        self.setAccessibleName("Proposal, queue and what was sent, of one joint")
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._retheme()

    def _set_up_plot(self) -> None:
        self._plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.hideButtons()
        # Made without a parent, it would outlive the plot.
        self._item.ctrlMenu.setParent(self._plot, self._item.ctrlMenu.windowFlags())
        self._item.setContentsMargins(0, 4, theme.grid(1), 0)
        self._item.getAxis("left").setWidth(_AXIS_PX)
        self._item.getAxis("bottom").setTicks(
            [[(at, f"{at:+g} s" if at else "now") for at in range(-int(PAST_S), int(AHEAD_S) + 1, 2)]]
        )
        self._item.getViewBox().setDefaultPadding(0.0)
        self._item.setXRange(-PAST_S, AHEAD_S + _EDGE_S, padding=0.0)

    def _line(self) -> pg.PlotDataItem:
        line = pg.PlotDataItem(connect="finite", skipFiniteCheck=False)
        self._item.addItem(line)
        return line

    @property
    def running(self) -> bool:
        """Whether it draws."""
        return self._timer.isActive()

    @property
    def shown_joint(self) -> str:
        """Name of the joint shown, empty without any."""
        names = self.trace.joint_names
        return names[self._column] if names else ""

    def add_tick(self, tick: ControlTick) -> None:
        """Takes every tick, seen or not."""
        self.trace.add_tick(tick)

    def add_chunk(self, chunk: PolicyChunk) -> None:
        """Takes every chunk."""
        self.trace.add_chunk(chunk)

    def clear(self) -> None:
        """Begins anew, for example with another policy."""
        self.trace.clear()
        self.refresh()

    def refresh(self) -> None:
        """Draws the present state."""
        if not self.trace.started or not self.trace.joint_names:
            self._stack.setCurrentWidget(self.empty)
            return
        self._stack.setCurrentWidget(self._plot)
        if self.joint.currentIndex() == 0:
            if self._until_choice <= 0:
                self._until_choice = _STAY
                self._column = self.trace.busiest()
            self._until_choice -= 1
        spoken = _spoken(self.shown_joint) if self.joint.currentIndex() == 0 else ""
        if spoken != self._shown.text():
            self._shown.setText(spoken)
        self._draw(self.trace.joint(self._column))

    def _draw(self, trace: JointTrace) -> None:
        self._proposed.setData(trace.at_s, trace.proposed)
        self._sent.setData(trace.at_s, trace.sent)
        self._human.setData(trace.at_s, trace.human)
        self._queue.setData(trace.ahead_s, trace.queue)
        self._fit((trace.proposed, trace.sent, trace.human, trace.queue))

    def _fit(self, curves: Sequence[np.ndarray]) -> None:
        """Widens the range at once, and narrows it only when much of it is empty."""
        if self.shown_joint.endswith("gripper"):
            low, high = -0.05, 1.05
        else:
            known = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
            if not len(known):
                return
            low, high = float(known.min()), float(known.max())
            room = max((high - low) * 0.08, (_LEAST_SPAN - (high - low)) / 2, 1e-6)
            inside = self._low <= low and high <= self._high
            if inside and high - low + 2 * room > _SHRINK_BELOW * (self._high - self._low):
                return
            low, high = low - room, high + room
        if (low, high) != (self._low, self._high):
            self._low, self._high = low, high
            self._item.setYRange(low, high, padding=0.0)

    def _choose(self, index: int) -> None:
        if index > 0:
            self._column = index - 1
        self._until_choice = 0
        self._low, self._high = 0.0, 0.0
        unit = "0 closed .. 1 open" if index > 0 and self.shown_joint.endswith("gripper") else "rad"
        self._item.setToolTip(f"{_spoken(self.shown_joint)} [{unit}]")
        self.refresh()

    def _retheme(self) -> None:
        t = theme.tokens()
        self._theme = t.name
        self._plot.setBackground(t.panel)
        for side in ("left", "bottom"):
            axis = self._item.getAxis(side)
            axis.setPen(pg.mkPen(t.border))
            axis.setTextPen(pg.mkPen(t.muted))
            axis.setTickFont(theme.font(FontSize.LABEL, tabular=True))
        self._item.showGrid(y=True, alpha=0.12)
        self._now.setPen(pg.mkPen(t.muted, width=1))
        # Sent runs thin on top of the broad proposal, so that both are seen where they agree.
        self._proposed.setPen(pg.mkPen(t.policy, width=4))
        self._queue.setPen(pg.mkPen(t.policy, width=2, style=Qt.PenStyle.DotLine))
        self._human.setPen(pg.mkPen(t.human, width=2, style=Qt.PenStyle.DashLine))
        self._sent.setPen(pg.mkPen(t.text, width=1.5))
        violet, amber = theme.readable(t.policy, t.panel), theme.readable(t.human, t.panel)
        words = (
            (violet, "\N{HORIZONTAL BAR}", "proposed"),
            (violet, "\N{MIDDLE DOT}\N{MIDDLE DOT}\N{MIDDLE DOT}", "queue"),
            (t.text, "\N{HORIZONTAL BAR}", "sent"),
            (amber, "\N{EN DASH} \N{EN DASH}", "person"),
        )
        self._legend.setText(
            "&nbsp;&nbsp;&nbsp;".join(
                f'<span style="color:{color}"><b>{mark}</b>&nbsp;{word}</span>' for color, mark, word in words
            )
        )

    def changeEvent(self, a0: QEvent | None) -> None:
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and self._theme:
            if self._theme != theme.tokens().name:
                self._retheme()

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Leaves out picker and legend where there is no room for them."""
        super().resizeEvent(a0)
        small = self.width() < _SMALL_PX
        self.joint.setVisible(not small)
        self._legend.setVisible(not small)

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Begins to draw."""
        super().showEvent(a0)
        self.refresh()
        self._timer.start()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Draws no more."""
        self._timer.stop()
        super().hideEvent(a0)


def _spoken(name: str) -> str:
    """Returns a joint's name for people: `left/wrist_angle` is `left wrist angle`."""
    return name.replace("/", " ").replace("_", " ")
