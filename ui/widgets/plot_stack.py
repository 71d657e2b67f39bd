"""The plots under the lanes: joints, grippers and one sensor, on the common time axis."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence

import numpy as np
from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize
from ui.viewmodels.player import TimeAxis
from ui.viewmodels.player_media import EpisodeTracks
from ui.widgets.plots import Curve, TimePlot, line_colors
from ui.widgets.time_ruler import RIGHT_PX

FINGERS = "Force on fingers"
_READING = "Reading\N{HORIZONTAL ELLIPSIS}"


class PlotStack(QWidget):
    """Joints, grippers, and forces or another sensor of an episode under each other."""

    scrubbed = pyqtSignal(float)
    _theme = ""

    def __init__(self, axis: TimeAxis, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tracks: EpisodeTracks | None = None
        self.choice = _quiet_choice("Joints shown", 78)
        self._chosen = self._chosen_sensor = ""
        self.choice.currentIndexChanged.connect(self._show_joints)
        self.choice.textActivated.connect(self._choose)
        self._legend = QLabel()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.joints, self.grippers, self.forces = TimePlot(axis), TimePlot(axis), TimePlot(axis)
        self._gripper_legend, self._force_legend = QLabel(), QLabel()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        head = self._head("Joints [rad]", self._legend)
        head.insertWidget(1, self.choice)
        self.joints.setToolTip("Solid: measured. Dashed: sent.")
        self.grippers.setToolTip("Solid: measured. Dashed: sent.")
        box.addLayout(head)
        box.addWidget(self.joints, 5)
        box.addLayout(self._head("Grippers [0 closed .. 1 open]", self._gripper_legend))
        box.addWidget(self.grippers, 3)
        box.addLayout(self._sensor_head())
        box.addWidget(self.forces, 3)
        self.grippers.set_ticks((0.0, 0.5, 1.0))
        for plot in self.plots:
            plot.scrubbed.connect(self.scrubbed)
        self._theme = theme.tokens().name
        self.set_tracks(None)

    @property
    def plots(self) -> tuple[TimePlot, TimePlot, TimePlot]:
        """The three plots from the top."""
        return self.joints, self.grippers, self.forces

    def _sensor_head(self) -> QHBoxLayout:
        head = self._head("", self._force_legend)
        title = head.itemAt(0)
        widget = title.widget() if title is not None else None
        self._sensor_title = widget if isinstance(widget, QLabel) else QLabel()
        self.sensor = _quiet_choice("Sensor shown", 150)
        self.sensor.currentIndexChanged.connect(self._show_sensor)
        self.sensor.textActivated.connect(self._choose_sensor)
        head.insertWidget(1, self.sensor)
        return head

    @staticmethod
    def _head(text: str, legend: QLabel) -> QHBoxLayout:
        title = QLabel(text)
        title.setProperty("kind", "label")
        legend.setProperty("kind", "label")
        legend.setTextFormat(Qt.TextFormat.RichText)
        legend.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout()
        row.setContentsMargins(theme.grid(1), 2, RIGHT_PX, 0)
        row.setSpacing(theme.grid(1))
        row.addWidget(title)
        row.addWidget(legend, 1)
        return row

    def set_tracks(self, tracks: EpisodeTracks | None, *, opening: bool = False) -> None:
        """Shows another episode's curves; at first those of the arm that moves most.

        Args:
            tracks: What is read so far, None for nothing.
            opening: More is on its way.
        """
        self._tracks = tracks
        chosen = self._chosen or (f"Arm {busiest_arm(tracks)}" if tracks is not None else "")
        self.choice.blockSignals(True)
        self.choice.clear()
        for text in choices(tracks.joint_names if tracks is not None else ()):
            self.choice.addItem(text)
        self.choice.setCurrentIndex(max(self.choice.findText(chosen), 0))
        self.choice.blockSignals(False)
        self.choice.setVisible(self.choice.count() > 1)
        self._show_joints()
        self._show_grippers()
        self._offer_sensors()
        self._show_sensor()
        if opening and tracks is None:
            self._legend.setText(_READING)
        if opening and (tracks is None or not tracks.whole):
            self._force_legend.setText(_READING)

    def _choose(self, text: str) -> None:
        self._chosen = text

    def _choose_sensor(self, text: str) -> None:
        self._chosen_sensor = text

    def _offer_sensors(self) -> None:
        tracks = self._tracks
        offered = [FINGERS] if tracks is None or tracks.forces or not tracks.streams else []
        offered += list(tracks.streams) if tracks is not None else []
        self.sensor.blockSignals(True)
        self.sensor.clear()
        self.sensor.addItems(offered)
        self.sensor.setCurrentIndex(max(self.sensor.findText(self._chosen_sensor), 0))
        self.sensor.blockSignals(False)
        self.sensor.setVisible(len(offered) > 1)

    def _show_sensor(self) -> None:
        """Shows the forces on the fingers, or the numeric stream that was chosen."""
        name = self.sensor.currentText()
        stream = self._tracks.streams.get(name) if self._tracks is not None else None
        if stream is None:
            self._sensor_title.setText(f"{FINGERS} [N]" if self.sensor.isHidden() else "[N]")
            self._show_forces()
            return
        unit = f"[{stream.unit}]" if stream.unit else ""
        self._sensor_title.setText(f"{name} {unit}".strip() if self.sensor.isHidden() else unit)
        curves = [Curve(each, stream.at_s, stream.values[:, i], i) for i, each in enumerate(stream.names)]
        self.forces.set_curves(curves)
        self._force_legend.setText(_legend(stream.names))

    def set_cursor(self, at_s: float) -> None:
        """Moves the cursor lines."""
        for plot in self.plots:
            plot.set_cursor(at_s)

    def _pairs(self, columns: Sequence[int]) -> list[Curve]:
        tracks = self._tracks
        if tracks is None:
            return []
        curves = []
        for color, column in enumerate(columns):
            name = tracks.joint_names[column]
            if len(tracks.measured_s):
                curves.append(Curve(name, tracks.measured_s, tracks.measured[:, column], color))
            if len(tracks.sent_s):
                curves.append(Curve(name, tracks.sent_s, tracks.sent[:, column], color, dashed=True))
        return curves

    def _show_joints(self) -> None:
        names = self._tracks.joint_names if self._tracks is not None else ()
        chosen = self.choice.currentText()
        columns = [i for i, name in enumerate(names) if _matches(name, chosen)]
        self.joints.set_curves(self._pairs(columns))
        words = [names[i].rpartition("/")[2] if chosen.startswith("Arm ") else names[i] for i in columns]
        self._legend.setText(_legend([word.replace("_", " ") for word in words]))

    def _show_grippers(self) -> None:
        names = self._tracks.joint_names if self._tracks is not None else ()
        columns = [i for i, name in enumerate(names) if name.endswith("gripper")]
        self.grippers.set_curves(self._pairs(columns), -0.08, 1.08)  # room for the numbers 0 and 1
        self._gripper_legend.setText(_legend([names[i].partition("/")[0] for i in columns]))

    def _show_forces(self) -> None:
        forces = self._tracks.forces if self._tracks is not None else {}
        curves = [Curve(name, at_s, values, i) for i, (name, (at_s, values)) in enumerate(forces.items())]
        highest = max((float(curve.values.max(initial=0.0)) for curve in curves), default=0.0)
        self.forces.set_curves(curves, 0.0, max(highest, 1.0))
        self._force_legend.setText(_legend([name.replace("_finger", "") for name in forces]))

    def changeEvent(self, a0: QEvent | None) -> None:
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        if a0 is None or a0.type() != QEvent.Type.PaletteChange or not self._theme:
            return
        if self._theme != theme.tokens().name:
            self._theme = theme.tokens().name
            for plot in self.plots:
                plot.retheme()
            self._show_joints()
            self._show_grippers()
            self._show_sensor()


def _quiet_choice(name: str, width_px: int) -> QComboBox:
    """A small list that takes the keyboard only when clicked."""
    choice = QComboBox()
    choice.setAccessibleName(name)
    choice.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    choice.setMinimumContentsLength(8)
    choice.setFont(theme.font(FontSize.LABEL))
    choice.setStyleSheet(f"QComboBox {{ min-height: 20px; max-width: {width_px}px; padding: 0 0 0 4px; }}")
    view = choice.view()
    if view is not None:
        view.setMinimumWidth(theme.grid(18))
    return choice


def busiest_arm(tracks: EpisodeTracks) -> str:
    """Returns the arm whose joints move most, empty when there is none."""
    travel: dict[str, float] = {}
    for column, name in enumerate(tracks.joint_names):
        arm = name.partition("/")[0]
        values = tracks.measured[:, column] if len(tracks.measured) else np.zeros(1)
        if not name.endswith("gripper"):
            travel[arm] = travel.get(arm, 0.0) + float(np.ptp(values))
    return max(travel, key=lambda arm: travel[arm], default="")


def choices(joint_names: Sequence[str]) -> list[str]:
    """Returns what may be chosen: each arm, then each joint over all arms."""
    arms = list(dict.fromkeys(name.partition("/")[0] for name in joint_names if "/" in name))
    joints = list(
        dict.fromkeys(name.rpartition("/")[2] for name in joint_names if not name.endswith("gripper"))
    )
    return [f"Arm {arm}" for arm in arms] + [f"Joint {joint}" for joint in joints]


def _matches(name: str, chosen: str) -> bool:
    if name.endswith("gripper"):
        return False
    arm, _, joint = name.partition("/")
    return chosen in (f"Arm {arm}", f"Joint {joint or arm}") or not chosen


def _legend(words: Sequence[str]) -> str:
    colors = line_colors()
    ground = theme.tokens().window
    parts = [
        f'<span style="color:{theme.readable(colors[i % len(colors)], ground)}">{word}</span>'
        for i, word in enumerate(words)
    ]
    return "&nbsp; ".join(parts)
