"""Setup, Mapping: sliders that apply at once, the hand raw and filtered, and which way is ahead."""

from __future__ import annotations

# ruff: noqa: N802
import math
from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.bridge import StationBridge
from ui.theme import FontSize
from ui.viewmodels.mapping_live import MappingLive
from ui.viewmodels.setup import SetupModel
from ui.widgets.form_fields import SwitchBox
from ui.widgets.hand_plot import HandPlot

_PAINT_MS = 66
_FIGURES_EVERY = 8
_STEPS = 200
_EMPTY = (
    "Take an arm with a headset or another device that sends the pose of a hand, or drag the ball in the 3-D "
    "view on Collect: the hand as it came and as it was filtered are drawn here."
)
_NO_STATION = "The station does not run: start it on Home to see the hand and to apply values at once."
_YAW_HELP = (
    "Stand where you drive from. Press Start, hold the controller still with the clutch open, move it "
    "straight ahead by a forearm's length, press Done."
)


@dataclass(frozen=True, slots=True)
class _Knob:
    place: str
    label: str
    low: float
    high: float
    logarithmic: bool
    unit: str = ""

    def value_at(self, share: float) -> float:
        """The value at a share of the way, with two significant digits."""
        if self.logarithmic:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        return float(f"{value:.2g}")

    def share_of(self, value: float) -> float:
        """How far along a value is, 0..1."""
        bounded = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(bounded / self.low) / math.log(self.high / self.low)
        return (bounded - self.low) / (self.high - self.low)


_KNOBS = (
    _Knob("mapping.scale", "Scale", 0.1, 5.0, True),
    _Knob("mapping.precision_scale", "Precision scale", 0.05, 1.0, True),
    _Knob("mapping.filter_min_cutoff_hz", "Filter cutoff at rest", 0.2, 20.0, True, "Hz"),
    _Knob("mapping.filter_beta", "Filter gain with speed", 0.5, 200.0, True, "Hz per m/s"),
    _Knob("mapping.yaw_deg", "Yaw", -180.0, 180.0, False, "\N{DEGREE SIGN}"),
)


class MappingEditor(QWidget):
    """Stands over the form of the mapping.

    Args:
        model: Applies and watches.
        setup: The station file.
        bridge: Numeric streams of the station, None without one.
        parent: Owner.
    """

    valueSet = pyqtSignal()
    """A slider changed the draft: the form must take its values anew."""

    def __init__(
        self,
        model: MappingLive,
        setup: SetupModel,
        bridge: StationBridge | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._setup = setup
        self._bridge = bridge
        self._paints = 0
        self.sliders: dict[str, QSlider] = {}
        self._figures: dict[str, QLabel] = {}
        title = QLabel("Live tuning")
        title.setProperty("kind", "title")
        self.live = SwitchBox("Apply to the running station at once")
        self.live.setChecked(model.live)
        self.live.clicked.connect(model.set_live)
        self.state = QLabel()
        self.state.setProperty("kind", "muted")
        self.state.setWordWrap(True)
        head = QHBoxLayout()
        head.addWidget(self.live)
        head.addStretch(1)
        head.addWidget(self.state)
        card = QFrame()
        card.setProperty("surface", "panel")
        inner = QVBoxLayout(card)
        inner.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        inner.setSpacing(theme.grid(1.5))
        inner.addLayout(head)
        inner.addLayout(self._build_knobs())
        self.plot = HandPlot()
        inner.addWidget(self.plot)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        box.addWidget(title)
        box.addWidget(card)
        box.addWidget(self._build_yaw())
        self._timer = QTimer(self)
        self._timer.setInterval(_PAINT_MS)
        self._timer.timeout.connect(self._paint)
        model.changed.connect(self.refresh)
        setup.reloaded.connect(self.refresh)
        if bridge is not None:
            bridge.batchesArrived.connect(model.on_batches)
        self.refresh()

    def _build_knobs(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.grid(2))
        grid.setVerticalSpacing(theme.grid(0.75))
        grid.setColumnStretch(1, 1)
        for row, knob in enumerate(_KNOBS):
            slider = QSlider(Qt.Orientation.Horizontal)
            slider.setRange(0, _STEPS)
            slider.setPageStep(_STEPS // 10)
            slider.setAccessibleName(knob.label)
            slider.valueChanged.connect(self._setter(knob))
            figure = QLabel()
            figure.setFont(theme.font(tabular=True))
            figure.setMinimumWidth(theme.grid(14))
            label = QLabel(knob.label)
            label.setBuddy(slider)
            grid.addWidget(label, row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(figure, row, 2)
            self.sliders[knob.place] = slider
            self._figures[knob.place] = figure
        return grid

    def _setter(self, knob: _Knob) -> Callable[[int], None]:
        def set_value(step: int) -> None:
            self._setup.set_value(knob.place, knob.value_at(step / _STEPS))
            self.valueSet.emit()

        return set_value

    def _build_yaw(self) -> QFrame:
        card = QFrame()
        card.setProperty("surface", "panel")
        title = QLabel("Which way is ahead")
        title.setFont(theme.font(bold=True))
        text = QLabel(_YAW_HELP)
        text.setWordWrap(True)
        text.setProperty("kind", "muted")
        self.source = QComboBox()
        self.source.setAccessibleName("Device that is moved")
        self.arm = QComboBox()
        self.arm.setAccessibleName("Arm whose hand is moved")
        self.yaw_button = QPushButton("Start")
        self.yaw_button.clicked.connect(self._on_yaw)
        self.yaw = QLabel()
        self.yaw.setWordWrap(True)
        self.yaw.setFont(theme.font(FontSize.BASE, bold=True, tabular=True))
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1))
        for widget in (self.source, self.arm, self.yaw_button):
            row.addWidget(widget)
        row.addWidget(self.yaw, 1)
        box = QVBoxLayout(card)
        box.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        box.setSpacing(theme.grid(1))
        for widget in (title, text):
            box.addWidget(widget)
        box.addLayout(row)
        return card

    def _on_yaw(self) -> None:
        if self._model.yaw_source:
            self._model.finish_yaw()
        else:
            self._model.start_yaw(self.source.currentText(), self.arm.currentText())

    def refresh(self) -> None:
        """Takes values, hands and states as they are now."""
        setup, model = self._setup, self._model
        if setup.broken:
            return
        for knob in _KNOBS:
            value = setup.value(knob.place)
            if not isinstance(value, int | float):
                continue
            slider = self.sliders[knob.place]
            step = round(knob.share_of(float(value)) * _STEPS)
            if knob.value_at(slider.value() / _STEPS) != value and slider.value() != step:
                slider.blockSignals(True)
                slider.setValue(step)
                slider.blockSignals(False)
            self._figures[knob.place].setText(f"{value:g} {knob.unit}".strip())
        self.live.setEnabled(model.running)
        text = "" if model.running else "The station does not run."
        if model.unsaved:
            text = "The station runs with values that are not saved."
        self.state.setText(text)
        self._refresh_yaw()

    def _refresh_yaw(self) -> None:
        model, config = self._model, self._setup.saved
        sources = [device.name for device in config.inputs.devices if device.driver != "pedal"]
        _fill(self.source, sources)
        _fill(self.arm, [arm.name for arm in config.arms])
        under_way = bool(model.yaw_source)
        self.yaw_button.setText("Done" if under_way else "Start")
        self.yaw_button.setEnabled(model.running and bool(sources))
        for widget in (self.source, self.arm):
            widget.setEnabled(not under_way)
            widget.setVisible(bool(sources))
        if under_way:
            text = "Move the controller straight ahead now, then press Done."
        elif not sources:
            text = "The station has no hand-held device: add one under Devices."
        else:
            text = model.yaw_text
        self.yaw.setText(text)

    def _paint(self) -> None:
        model = self._model
        self.plot.set_hands(tuple(sorted(model.traces)), model.newest)
        trace = model.traces.get(self.plot.hands.currentText())
        self.plot.show_trace(trace, _EMPTY if model.running else _NO_STATION)
        self._paints += 1
        if self._paints % _FIGURES_EVERY == 0:
            self.plot.show_figures(trace)

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Lets control tell about the hand while somebody looks."""
        super().showEvent(a0)
        if self._bridge is not None:
            self._bridge.watch_batches(("control",))
        self._model.watch(True)
        self._timer.start()
        self._paint()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Rests."""
        super().hideEvent(a0)
        self._timer.stop()
        self._model.watch(False)
        if self._bridge is not None:
            self._bridge.watch_batches(())

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self.plot.retheme()


def _fill(combo: QComboBox, names: list[str]) -> None:
    if [combo.itemText(i) for i in range(combo.count())] != names:
        combo.clear()
        combo.addItems(names)
