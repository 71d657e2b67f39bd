"""Setup, Mapping while the station runs: values apply at once, the hand is watched, the yaw is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from teleop_app.core.config import MappingSection
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import StreamBatch
from ui.viewmodels.hand_trace import HandTrace
from ui.viewmodels.setup import SetupModel, StationCommands

WATCH_S = 5.0
_WATCH_INTERVAL_MS = 2000
_TUNE_DELAY_MS = 80
_SUFFIX = "/mapping"
AHEAD_DEG = 90.0
"""Ahead is away from the person, along the world's y axis, as the movement keys have it."""


class MappingLive(QObject):
    """Gives the draft's mapping to the running station and follows what comes of it.

    Args:
        setup: The station file.
        port: Commands of the running station, None without one.
        parent: Owner.
    """

    changed = pyqtSignal()
    """Live or not, or the yaw's calibration changed."""
    traced = pyqtSignal()
    """New samples of a hand."""
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""

    def __init__(
        self, setup: SetupModel, port: StationCommands | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._setup = setup
        self._port = port
        self._live = True
        self._in_force: MappingSection | None = None
        self.traces: dict[str, HandTrace] = {}
        self.yaw_source = ""
        self.yaw_text = ""
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(_TUNE_DELAY_MS)
        self._delay.timeout.connect(self._apply)
        self._watch = QTimer(self)
        self._watch.setInterval(_WATCH_INTERVAL_MS)
        self._watch.timeout.connect(self._ask)
        setup.changed.connect(self._on_setup)

    @property
    def running(self) -> bool:
        """Whether there is a station to tune."""
        return self._port is not None and self._setup.linked

    @property
    def live(self) -> bool:
        """Whether values apply at once."""
        return self._live

    def set_live(self, live: bool) -> None:
        """Applies values at once from now on, or goes back to those of the file."""
        self._live = live
        self._delay.start()
        self.changed.emit()

    def _on_setup(self) -> None:
        if not self.running:
            self._in_force = None
        wanted = self._wanted()
        if self.running and self._in_force is None:
            self._in_force = self._setup.saved.mapping  # a station starts with the file's values
        if wanted is not None and wanted != self._in_force:
            self._delay.start()
        self.changed.emit()

    def _wanted(self) -> MappingSection | None:
        config = self._setup.config
        if not self.running or config is None:
            return None
        return config.mapping if self._live else self._setup.saved.mapping

    def _apply(self) -> None:
        wanted = self._wanted()
        if wanted is not None and wanted != self._in_force:
            self._in_force = wanted.model_copy()
            self._setup.tune(wanted)
            self.changed.emit()

    @property
    def unsaved(self) -> bool:
        """Whether the station runs with a mapping that the file does not have."""
        return self._in_force is not None and self._in_force != self._setup.saved.mapping

    # Watching the hand

    def watch(self, on: bool) -> None:
        """Lets control tell what the filter does, as long as somebody looks."""
        if on:
            self._watch.start()
            self._ask()
        else:
            self._watch.stop()

    def _ask(self) -> None:
        if self.running and self._port is not None:
            self._port.call("control", "watch_mapping", failed=lambda _: None, seconds=WATCH_S)

    def on_batches(self, batches: Sequence[StreamBatch]) -> None:
        """Samples of numeric streams."""
        mine = [batch for batch in batches if batch.stream.endswith(_SUFFIX)]
        for batch in mine:
            self.traces.setdefault(batch.stream.removesuffix(_SUFFIX), HandTrace()).add(batch)
        if mine:
            self.traced.emit()

    @property
    def newest(self) -> str:
        """The hand that was heard last, `<source>/<arm>`; empty before the first."""
        return max(self.traces, key=lambda name: self.traces[name].newest_ns, default="")

    # Yaw

    def start_yaw(self, source: str, arm: str) -> None:
        """Watches a hand that is moved straight ahead from now on."""
        if self._port is None:
            return

        def done(_: dict[str, Any]) -> None:
            self.yaw_source = source
            self.yaw_text = ""
            self.changed.emit()

        self._port.call(
            "control",
            "calibrate_yaw_start",
            done=done,
            failed=self._yaw_failed,
            source=source,
            arm=arm,
            ahead_deg=AHEAD_DEG,
        )

    def finish_yaw(self) -> None:
        """Puts the yaw that the motion tells into the draft and into force; a note takes it back."""
        if self._port is not None:
            self._port.call("control", "calibrate_yaw_finish", done=self._take_yaw, failed=self._yaw_failed)

    def _take_yaw(self, answer: dict[str, Any]) -> None:
        before = float(self._setup.value("mapping.yaw_deg"))
        yaw_deg = round(float(answer["yaw_deg"]), 1)
        self.yaw_source = ""
        self.yaw_text = f"{before:g}\N{DEGREE SIGN} \N{RIGHTWARDS ARROW} {yaw_deg:g}\N{DEGREE SIGN}"
        self._set_yaw(yaw_deg)
        self.told.emit(
            f"The yaw is {yaw_deg:g}\N{DEGREE SIGN}. Save to keep it", lambda: self._undo_yaw(before)
        )

    def _undo_yaw(self, before: float) -> None:
        self.yaw_text = ""
        self._set_yaw(before)

    def _set_yaw(self, yaw_deg: float) -> None:
        self._setup.set_value("mapping.yaw_deg", yaw_deg)
        self._setup.reloaded.emit()
        self.changed.emit()

    def _yaw_failed(self, error: TeleopError) -> None:
        self.yaw_source = ""
        self.yaw_text = error.sentence
        self.changed.emit()
