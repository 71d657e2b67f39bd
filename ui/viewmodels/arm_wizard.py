"""Calibrating an arm of servos step by step, on a thread of its own that alone uses the bus."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, pyqtSignal

from devices.leaders.calibrating import calibratable
from devices.leaders.calibration import ArmCalibrator, CalibrationStep
from teleop_app.core.calibration import ArmCalibration, CalibrationStore
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import ProcessState
from ui.viewmodels.devices import DevicesModel, StationDevice
from ui.viewmodels.setup import SetupModel, StationCommands

log = logging.getLogger(__name__)
_PERIOD_S = 1 / 30


MakeArmCalibrator = Callable[[StationConfig, str], ArmCalibrator]
"""Given the station file and the name of the input or arm; opens the bus."""


@dataclass(frozen=True, slots=True)
class ArmView:
    """What the wizard shows.

    Attributes:
        step: Name of the present step, empty before the first.
        instruction: What to do.
        joint: Joint that is asked for, else empty.
        progress: 0..1.
        live: Angle, smallest and largest of each joint [rad].
        complaint: Why the step cannot end yet, or what is wrong with the arm.
        done: The calibration is stored.
    """

    step: str = ""
    instruction: str = ""
    joint: str = ""
    progress: float = 0.0
    live: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    complaint: str = ""
    done: bool = False


class ArmWizard(QObject):
    """Frees the arm's port, walks through its calibration, stores it and gives the port back.

    Args:
        setup: The station file.
        devices: Tell which process has the port.
        store: Calibrations.
        make: Makes a calibrator.
        port: Commands of the running station, None without one.
        parent: Owner.
    """

    changed = pyqtSignal()
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    _came = pyqtSignal(object, object)

    def __init__(
        self,
        setup: SetupModel,
        devices: DevicesModel,
        store: CalibrationStore,
        make: MakeArmCalibrator,
        port: StationCommands | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._setup = setup
        self._devices = devices
        self._store = store
        self._make = make
        self._port = port
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._suspended = ""
        self.device: StationDevice | None = None
        self.view = ArmView()
        self.path: Path | None = None
        self._came.connect(self._on_came, Qt.ConnectionType.QueuedConnection)  # pyright: ignore[reportCallIssue]

    @property
    def running(self) -> bool:
        """Whether an arm is being calibrated."""
        return self._thread is not None

    def open(self, device: StationDevice) -> None:
        """Chooses an arm; `start` begins."""
        if not self.running:
            self.device, self.view, self.path = device, ArmView(), None
            self.changed.emit()

    def leave(self) -> None:
        """Chooses no arm."""
        if not self.running:
            self.device, self.view = None, ArmView()
            self.changed.emit()

    @property
    def targets(self) -> tuple[str, ...]:
        """What can be calibrated of the device chosen: one name, or one an arm that it leads."""
        device = self.device
        if device is None:
            return ()
        known = calibratable(self._setup.saved)
        mine = tuple(n for n in known if n == device.name or n.startswith(f"{device.name}/"))
        return mine or (device.name,)

    @property
    def before(self) -> str:
        """When the arm was calibrated last, or what is wrong with that, as a sentence."""
        device = self.device
        if device is None:
            return ""
        live = self._devices.live(device)
        if live.state is ProcessState.RUNNING and "drift" in live.text:
            return live.text
        return ""

    def start(self, target: str = "") -> None:
        """Stops the process that has the port, then begins with one of `targets`, the first by default."""
        device = self.device
        if device is None or self.running:
            return
        if not device.saved:
            self._complain("The arm is not in the station file yet. Save it first, then calibrate.")
            return
        name = target or self.targets[0]
        state = self._devices.live(device).state
        if self._port is not None and state not in (None, ProcessState.STOPPED):
            self.view = ArmView(instruction="The station lets go of the arm.")
            self.changed.emit()
            self._port.call(
                "station",
                "suspend",
                done=lambda _: self._begin(name, device.process),
                failed=lambda error: self._complain(error.sentence),
                process=device.process,
            )
        else:
            self._begin(name, "")

    def _begin(self, name: str, suspended: str) -> None:
        self._suspended = suspended
        self._orders = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(name, self._setup.saved), name="arm-calibration", daemon=True
        )
        self._thread.start()
        self.changed.emit()

    def advance(self) -> None:
        """Ends the present step, or learns why it cannot end yet."""
        self._orders.put("advance")

    def cancel(self) -> None:
        """Gives up; nothing is stored."""
        self._orders.put("cancel")

    def close(self) -> None:
        """Gives up and waits until the port is free. Idempotent."""
        thread = self._thread
        if thread is not None:
            self.cancel()
            thread.join(5.0)
            self._give_back()
            self._thread = None

    # On the thread of the bus

    def _run(self, name: str, config: StationConfig) -> None:
        try:
            calibrator = self._make(config, name)
        except TeleopError as error:
            self._emit(ArmView(complaint=error.sentence), None)
            return
        result: ArmCalibration | None = None
        try:
            result = self._walk(calibrator)
        except Exception as error:
            log.exception("the calibration of %s failed", name)
            self._emit(ArmView(complaint=f"The calibration failed: {type(error).__name__}: {error}."), None)
            return
        finally:
            calibrator.close()
        self._emit(None, result)

    def _walk(self, calibrator: ArmCalibrator) -> ArmCalibration | None:
        complaint, order = "", ""
        while True:
            try:
                if calibrator.step is not CalibrationStep.START:
                    calibrator.update()
                if order == "advance":
                    complaint = ""
                    calibrator.advance()
                if calibrator.step is CalibrationStep.DONE:
                    return calibrator.result()
            except TeleopError as error:
                complaint = error.sentence
            self._emit(_view_of(calibrator, complaint), None)
            order = self._next_order()
            if order == "cancel":
                return None

    def _next_order(self) -> str:
        try:
            return self._orders.get(timeout=_PERIOD_S)
        except queue.Empty:
            return ""

    def _emit(self, view: ArmView | None, result: ArmCalibration | None) -> None:
        try:
            self._came.emit(view, result)
        except RuntimeError:  # the window closed while the arm was read
            log.debug("the window of the calibration has closed")

    # Back on the GUI thread

    def _on_came(self, view: ArmView | None, result: ArmCalibration | None) -> None:
        if self._thread is None:
            return
        over = view is None or not view.step
        if view is not None:
            self.view = view
        if over:
            self._thread.join(5.0)
            self._thread = None
            self._give_back()
            if result is not None:
                self._store_result(result)
            elif view is None:
                self.view = ArmView()
                self.told.emit("The calibration was given up; nothing was stored", None)
        self.changed.emit()

    def _store_result(self, result: ArmCalibration) -> None:
        try:
            before = self._store.load(ArmCalibration, result.serial)
        except TeleopError:
            before = None  # a malformed one is replaced
        try:
            self.path = self._store.save(result)
        except TeleopError as error:
            self._complain(error.sentence)
            return
        self.view = ArmView(
            "done", f"The arm is calibrated: {len(result.joints)} joints.", "", 1.0, done=True
        )
        undo = None if before is None else lambda: self._store.save(before)
        self.told.emit(f"Stored the calibration of {result.serial}", undo)

    def _give_back(self) -> None:
        process, self._suspended = self._suspended, ""
        if process and self._port is not None:
            self._port.call(
                "station",
                "restart",
                failed=lambda error: self.told.emit(error.sentence, None),
                process=process,
            )

    def _complain(self, sentence: str) -> None:
        self.view = ArmView(complaint=sentence)
        self.changed.emit()


def _view_of(calibrator: ArmCalibrator, complaint: str) -> ArmView:
    return ArmView(
        step=str(calibrator.step),
        instruction=calibrator.instruction,
        joint=calibrator.joint,
        progress=calibrator.progress,
        live={name: (each.rad, each.lower, each.upper) for name, each in calibrator.live.items()},
        complaint=complaint,
    )
