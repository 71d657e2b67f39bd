"""Rates, ages, clocks and latencies of the station's streams, and how a latency is measured and applied."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PyQt6.QtCore import QObject, pyqtSignal

from teleop_app.core.config import LatencySection
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import CameraSetup, ClockFit, ControlTick, StreamSetup
from teleop_app.station.latency_calibration import CalibrationProgress
from teleop_app.station.latency_codes import LatencyResult
from ui.bridge import CameraMeter
from ui.viewmodels.background import Background
from ui.viewmodels.setup import SetupModel

SELF_TIMED = ("synthetic",)
"""Drivers whose pictures carry the time by themselves."""
EXACT = ("sim",)
"""Drivers whose stamps are exact by construction: there is nothing to measure."""
_SPAN_NS = 2_000_000_000
_SAME_MS = 0.05
_UNKNOWN = "\N{EN DASH}"


class Calibrator(Protocol):
    """What measures: `teleop_app.station.latency_calibration.LatencyCalibration`."""

    def camera(self, name: str, seconds: float = ..., display_period_ms: float = ...) -> LatencyResult | None:
        """Blocks while a camera is measured."""
        ...

    def arm(self, name: str, camera: str, seconds: float = ...) -> LatencyResult | None:
        """Blocks while an arm is measured."""
        ...


MakeCalibrator = Callable[[Callable[[CalibrationProgress], None], Callable[[], bool]], Calibrator]
"""Given what hears of progress and what tells whether it was cancelled."""


@dataclass(frozen=True, slots=True)
class StreamLine:
    """One line of the table.

    Attributes:
        name: Of the stream.
        kind: `camera`, `arm` or `stream`.
        rate: As measured, or as announced.
        age: How long after its capture a sample is available.
        clock: Drift of the device's clock and the spread about its fit.
        latency: In force.
        measured: When and how it was calibrated.
        measurable: Whether its latency can be measured.
    """

    name: str
    kind: str
    rate: str
    age: str
    clock: str
    latency: str
    measured: str
    measurable: bool


class LatencyModel(QObject):
    """Collects what is known of each stream, and runs one measurement at a time off the GUI thread.

    Args:
        setup: Writes the station file.
        meters: Of the cameras, by name; kept up to date by the bridge.
        make: Makes the calibrator, None where there is no station to measure.
        parent: Owner.
    """

    changed = pyqtSignal()
    """A measurement began, ended or was applied."""
    progressed = pyqtSignal(object)
    """`CalibrationProgress` of the measurement."""
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""

    def __init__(
        self,
        setup: SetupModel,
        meters: Callable[[], dict[str, CameraMeter]],
        make: MakeCalibrator | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._setup = setup
        self._meters = meters
        self._make = make
        self._setups: dict[str, CameraSetup] = {}
        self._streams: dict[str, StreamSetup] = {}
        self._clocks: dict[str, ClockFit] = {}
        self._measured_ns: deque[int] = deque(maxlen=1024)
        self._arm_age_ns: int | None = None
        self._cancelled = threading.Event()
        self._work = Background("latency", self)
        self.measuring = ""
        self.result: LatencyResult | None = None
        self.problem: TeleopError | None = None
        setup.changed.connect(self.changed)

    # What is known

    @property
    def encoders(self) -> str:
        """Which encoder is in force, by camera."""
        return encoders_text(self._setups.values())

    def on_camera(self, setup: CameraSetup) -> None:
        """A camera said what it delivers."""
        self._setups[setup.name] = setup

    def on_stream(self, setup: StreamSetup) -> None:
        """A numeric stream said what it delivers."""
        self._streams[setup.name] = setup

    def on_clock(self, fit: ClockFit) -> None:
        """A device's clock was fitted anew."""
        self._clocks[fit.stream] = fit

    def on_ticks(self, ticks: Sequence[ControlTick]) -> None:
        """New control ticks, oldest first."""
        for tick in ticks:
            if not self._measured_ns or tick.measured_ns > self._measured_ns[-1]:
                self._measured_ns.append(tick.measured_ns)
        while self._measured_ns and self._measured_ns[-1] - self._measured_ns[0] > _SPAN_NS:
            self._measured_ns.popleft()
        last = ticks[-1]
        self._arm_age_ns = (last.measured_receive_ns or last.tick_ns) - last.measured_ns

    def latency_of(self, stream: str) -> LatencySection | None:
        """Returns the calibration of a stream in the station file."""
        return next((each for each in self._setup.saved.latencies if each.stream == stream), None)

    def lines(self) -> tuple[StreamLine, ...]:
        """Returns the table: cameras, arms, numeric streams."""
        config = self._setup.saved
        cameras = dict.fromkeys([*(camera.name for camera in config.cameras), *self._setups])
        lines = [self._line(name, "camera", *self._camera_figures(name)) for name in cameras]
        span_ns = self._measured_ns[-1] - self._measured_ns[0] if len(self._measured_ns) > 1 else 0
        rate = _rate((len(self._measured_ns) - 1) * 1e9 / span_ns) if span_ns else _UNKNOWN
        age = _UNKNOWN if self._arm_age_ns is None else _ms(self._arm_age_ns / 1e6)
        lines += [self._line(arm.name, "arm", rate, age) for arm in config.arms]
        lines += [self._line(name, "stream", _rate(s.rate_hz), _UNKNOWN) for name, s in self._streams.items()]
        return tuple(lines)

    def _camera_figures(self, name: str) -> tuple[str, str]:
        meter = self._meters().get(name)
        if meter is None or meter.fps <= 0:
            return _UNKNOWN, _UNKNOWN
        return _rate(meter.fps), _UNKNOWN if meter.age_ms is None else _ms(meter.age_ms)

    def _line(self, name: str, kind: str, rate: str, age: str) -> StreamLine:
        fit, latency = self._clocks.get(name), self.latency_of(name)
        return StreamLine(
            name=name,
            kind=kind,
            rate=rate,
            age=age,
            clock=_UNKNOWN if fit is None else f"{fit.drift_ppm:+.1f} ppm, {_ms(fit.spread_ns / 1e6)}",
            latency=self._in_force(name, kind, latency),
            measured="" if latency is None else " ".join((latency.method, latency.measured_utc[:10])).strip(),
            measurable=kind == "arm" or (kind == "camera" and self._driver(name) not in EXACT),
        )

    def _in_force(self, name: str, kind: str, latency: LatencySection | None) -> str:
        """What stands in the station file, with a word when the station does not run with it yet."""
        none = "none needed" if kind == "camera" and self._driver(name) in EXACT else "none"
        text = none if latency is None else latency_text(latency.latency_ms, latency.spread_ms)
        wanted_ms = 0.0 if latency is None else latency.latency_ms
        if kind == "camera" and name in self._setups:
            waits = abs(self._setups[name].latency_ns / 1e6 - wanted_ms) > _SAME_MS
        else:
            waits = latency is not None and "control" in self._setup.to_restart
        return f"{text}, after restart" if waits else text

    def needs_code(self, camera: str) -> bool:
        """Whether the camera must look at a display that shows the time."""
        return self._driver(camera) not in SELF_TIMED

    def _driver(self, camera: str) -> str:
        return next((each.driver for each in self._setup.saved.cameras if each.name == camera), "")

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(camera.name for camera in self._setup.saved.cameras)

    # Measuring

    @property
    def can_measure(self) -> bool:
        """Whether there is a running station and nothing is being measured."""
        return self._make is not None and self._setup.linked and not self.measuring

    def measure_camera(self, name: str, display_period_ms: float = 0.0) -> None:
        """Measures a camera; `changed` follows when it is done."""
        self._start(name, lambda calibrator: calibrator.camera(name, display_period_ms=display_period_ms))

    def measure_arm(self, name: str, camera: str) -> None:
        """Measures an arm by its motion in a camera's picture; `changed` follows when it is done."""
        self._start(name, lambda calibrator: calibrator.arm(name, camera))

    def _start(self, name: str, work: Callable[[Calibrator], LatencyResult | None]) -> None:
        make = self._make
        if make is None or not self.can_measure:
            return
        self.measuring, self.result, self.problem = name, None, None
        self._cancelled.clear()
        self._work.run(
            lambda: work(make(self.progressed.emit, self._cancelled.is_set)), self._on_done, self._on_failed
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Ends the measurement without a result."""
        self._cancelled.set()

    def forget(self) -> None:
        """Drops a result that is not wanted."""
        self.cancel()
        self.result = self.problem = None
        self.changed.emit()

    def _on_done(self, result: LatencyResult | None) -> None:
        self.measuring, self.result = "", result
        self.changed.emit()

    def _on_failed(self, error: TeleopError) -> None:
        self.measuring, self.problem = "", error
        self.changed.emit()

    # Applying

    def apply(self) -> None:
        """Writes the result into the station file; the note that follows takes it back."""
        result = self.result
        if result is None:
            return
        before = list(self._setup.saved.latencies)
        kept = [each for each in before if each.stream != result.stream]
        if self._setup.save_latencies([*kept, result.section]):
            self.result = None
            text = f"Latency of {result.stream}: {result.latency_ms:.1f} ms"
            self.told.emit(text, lambda: self._take_back(result.stream, before))
            self.changed.emit()

    def _take_back(self, stream: str, before: Sequence[LatencySection]) -> None:
        if self._setup.save_latencies(before):
            self.told.emit(f"Latency of {stream} as before", None)

    def close(self) -> None:
        """Ends the measurement and its thread. Idempotent."""
        self.cancel()
        self._work.close()


def latency_text(latency_ms: float, spread_ms: float) -> str:
    """Returns a latency with its spread."""
    return f"{latency_ms:.1f} \N{PLUS-MINUS SIGN} {spread_ms:.1f} ms"


def change_text(result: LatencyResult, before: LatencySection | None) -> str:
    """Returns the latency in force and the one that was measured."""
    was = "none" if before is None else f"{before.latency_ms:.1f} ms"
    return f"{was} \N{RIGHTWARDS ARROW} {result.latency_ms:.1f} ms"


def evidence_text(result: LatencyResult) -> str:
    """Returns what a measured latency rests on."""
    return f"Spread {result.spread_ms:.1f} ms (p95); {result.used} samples used, {result.rejected} refused."


def encoders_text(setups: Iterable[CameraSetup]) -> str:
    """Returns which encoder each camera uses, and what the probe said; empty when none is known."""
    names: dict[str, list[str]] = {}
    why = ""
    for setup in setups:
        names.setdefault(setup.encoder, []).append(setup.name)
        why = setup.reason.partition("Encoder: ")[2] or why
    used = "; ".join(f"{encoder} ({', '.join(cameras)})" for encoder, cameras in names.items() if encoder)
    return f"{used}. {why}".strip() if used else ""


def _rate(hertz: float) -> str:
    return f"{hertz:.1f} Hz" if hertz < 100 else f"{hertz:.0f} Hz"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms"
