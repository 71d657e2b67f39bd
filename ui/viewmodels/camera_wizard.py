"""Calibrating a camera with a board: pictures of the running station, looked at on a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, Qt, pyqtSignal

from devices.cameras.calibration_views import GRID
from devices.cameras.charuco import Board
from teleop_app.core.calibration import CalibrationStore, CameraCalibration
from teleop_app.core.errors import TeleopError
from teleop_app.station.camera_calibration import CameraCalibrationSession

log = logging.getLogger(__name__)
_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class CameraTask:
    """What is to be calibrated.

    Attributes:
        camera: Name.
        board: Which board.
        on_link: Link that carries the camera, empty for none; the board lies still.
        board_on: Link that holds the board, empty for none; the camera is fixed.
        keep_lens: Find the place alone.
    """

    camera: str
    board: Board = field(default_factory=Board)
    on_link: str = ""
    board_on: str = ""
    keep_lens: bool = False


MakeCameraSession = Callable[[CameraTask], CameraCalibrationSession]


@dataclass(frozen=True, slots=True)
class CameraView:
    """What the wizard shows.

    Attributes:
        image: RGB, uint8 (height, width, 3); None before the first picture.
        corners: Of the board in it [px], shape (n, 2).
        coverage: Cells of the picture seen so far, bool (rows, columns).
        sentence: What to do now.
        views: Pictures kept.
        progress: 0..1.
        problem: Why it cannot go on, or why the views do not tell.
        verdicts: How good the stored calibration is; empty before.
    """

    image: NDArray[np.uint8] | None = None
    corners: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    coverage: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((GRID[1], GRID[0]), bool))
    sentence: str = ""
    views: int = 0
    progress: float = 0.0
    problem: str = ""
    verdicts: tuple[str, ...] = ()


class CameraWizard(QObject):
    """Runs one calibration at a time.

    Args:
        store: Calibrations.
        make: Makes a session with the running station; None where there is none.
        parent: Owner.
    """

    changed = pyqtSignal()
    stored = pyqtSignal(str)
    """Path of a calibration that was stored: the cameras must start anew to use it."""
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    _came = pyqtSignal(object, object)

    def __init__(
        self, store: CalibrationStore, make: MakeCameraSession | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._make = make
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._before: CameraCalibration | None = None
        self.camera = ""
        self.view = CameraView()
        self._came.connect(self._on_came, Qt.ConnectionType.QueuedConnection)  # pyright: ignore[reportCallIssue]

    @property
    def running(self) -> bool:
        """Whether a camera is being calibrated."""
        return self._thread is not None

    @property
    def possible(self) -> bool:
        """Whether there is a station whose cameras can be looked at."""
        return self._make is not None

    def open(self, camera: str) -> None:
        """Chooses a camera; `start` begins. Empty for none."""
        if not self.running:
            self.camera, self.view = camera, CameraView()
            self.changed.emit()

    def start(self, task: CameraTask) -> None:
        """Begins to look at the camera's pictures."""
        make = self._make
        if make is None or self.running:
            return
        self.view = CameraView(sentence="Waiting for the first picture.")
        self._orders = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(make, task), name="camera-calibration", daemon=True
        )
        self._thread.start()
        self.changed.emit()

    def finish(self) -> None:
        """Solves with the views so far and stores; goes on looking when they do not tell yet."""
        self._orders.put("finish")

    def cancel(self) -> None:
        """Gives up; nothing is stored."""
        self._orders.put("cancel")

    def close(self) -> None:
        """Gives up and waits for the thread. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self.cancel()
            thread.join(5.0)

    # On the thread

    def _run(self, make: MakeCameraSession, task: CameraTask) -> None:
        view = CameraView()
        try:
            session = make(task)
        except TeleopError as error:
            self._emit(CameraView(problem=error.sentence), True)
            return
        try:
            self._before = self._known(session.calibrator.serial)
            while True:
                order = self._order()
                if order == "cancel":
                    view = CameraView()
                    break
                if order == "finish":
                    try:
                        result, path = session.finish()
                    except TeleopError as error:
                        view = replace(view, problem=error.sentence)
                        self._emit(view, False)
                        continue
                    view = replace(view, problem="", sentence=str(path), verdicts=tuple(result.sentences))
                    break
                view = self._look(session, view)
                self._emit(view, False)
        except TeleopError as error:
            view = replace(view, problem=error.sentence)
        except Exception as error:
            log.exception("the calibration of %s failed", task.camera)
            view = replace(view, problem=f"The calibration failed: {type(error).__name__}: {error}.")
        finally:
            session.close()
        self._emit(view, True)

    @staticmethod
    def _look(session: CameraCalibrationSession, view: CameraView) -> CameraView:
        looked = session.turn(_PATIENCE_S)
        if looked is None:
            return replace(view, sentence="The camera delivers no pictures.")
        seen, calibrator = looked.feedback, session.calibrator
        return CameraView(
            image=looked.image.copy(),
            corners=seen.corners,
            coverage=seen.coverage,
            sentence=seen.sentence,
            views=len(calibrator.views),
            progress=calibrator.progress,
            problem="" if seen.kept else view.problem,
        )

    def _known(self, serial: str) -> CameraCalibration | None:
        try:
            return self._store.load(CameraCalibration, serial)
        except TeleopError:
            return None  # a malformed one is replaced

    def _order(self) -> str:
        try:
            return self._orders.get_nowait()
        except queue.Empty:
            return ""

    def _emit(self, view: CameraView, over: bool) -> None:
        try:
            self._came.emit(view, over)
        except RuntimeError:  # the window closed while a picture was looked at
            log.debug("the window of the calibration has closed")

    # Back on the GUI thread

    def _on_came(self, view: CameraView, over: bool) -> None:
        if self._thread is None:
            return
        self.view = view
        if over:
            self._thread.join(5.0)
            self._thread = None
            if view.verdicts:
                before = self._before
                undo = None if before is None else lambda: self._store.save(before)
                self.told.emit(f"Stored the calibration of {self.camera}", undo)
                self.stored.emit(view.sentence)
                self.view = replace(view, sentence="Stored. It is in force when the cameras start again.")
        self.changed.emit()
