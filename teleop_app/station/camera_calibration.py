"""Calibrates a camera of a running station with a board, for the command line and for a page of the window.

session = CameraCalibrationSession(client, "wrist", store, place=place)
while session.calibrator.progress < 1.0:
    looked = session.turn(0.1)          # waits for the next picture; None: none came
    if looked is not None:
        show(looked.image, looked.feedback.corners, looked.feedback.sentence, looked.feedback.coverage)
result = session.finish()               # solves and stores; in force when the cameras start again
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from devices.cameras.camera_calibrator import Calibrated, CameraCalibrator, Feedback
from devices.cameras.charuco import Board
from devices.cameras.hand_eye import MountKind
from devices.cameras.source import Image
from teleop_app.core.calibration import CalibrationStore, CameraCalibration
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.ring import camera_ring
from teleop_app.core.types import CameraSetup, ControlTick
from teleop_app.station.client import StationClient
from teleop_app.station.latency_calibration import camera_setup
from teleop_app.station.link_poses import LinkPoses

_POLL_S: Final = 0.004


@dataclass(frozen=True, slots=True)
class CameraPlace:
    """That the camera's place is wanted too, and how it is mounted.

    Attributes:
        kind: On a link that moves before a fixed board, or fixed before a board in the gripper.
        link: That carries the camera, or the board.
        poses: Kinematics of that link.
    """

    kind: MountKind
    link: str
    poses: LinkPoses


@dataclass(frozen=True, slots=True)
class Looked:
    """A picture that was looked at.

    Attributes:
        image: RGB, uint8 (height, width, 3).
        feedback: What became of it.
    """

    image: Image
    feedback: Feedback


class CameraCalibrationSession:
    """Looks at one camera of a running station. Not thread-safe; close it.

    Args:
        client: Of the station.
        camera: Camera name.
        store: Takes the calibration.
        board: Which board.
        place: The camera's place is wanted too; None: only the lens.
        keep_lens: Keep the lens that is stored, and find the place alone.

    Raises:
        ConfigError: The lens is to be kept, but none is stored.
        StationError: The station has no such camera.
    """

    def __init__(
        self,
        client: StationClient,
        camera: str,
        store: CalibrationStore,
        *,
        board: Board | None = None,
        place: CameraPlace | None = None,
        keep_lens: bool = False,
    ) -> None:
        self.setup: CameraSetup = camera_setup(client, camera)
        self._store = store
        self._place = place
        serial = self.setup.serial or camera
        known = store.load(CameraCalibration, serial) if keep_lens else None
        if keep_lens and known is None:
            raise ConfigError(
                f"The lens of camera '{camera}' has not been calibrated",
                next_step="Calibrate lens and place together",
            )
        self.calibrator = CameraCalibrator(
            serial=serial,
            width=self.setup.width,
            height=self.setup.height,
            board=board or Board(),
            mount=place.kind if place else None,
            parent=place.link if place and place.kind is MountKind.ON_LINK else "world",
            known=known,
        )
        self._ticks = client.subscribe(["tick"], ["control"])
        self._ring = client.open_ring(camera_ring(camera))

    def turn(self, timeout_s: float) -> Looked | None:
        """Offer the next picture to the calibrator; None when none came in time.

        Raises:
            DeviceError: The camera has changed its size.
        """
        deadline = time.monotonic() + timeout_s
        while (record := self._ring.next_new()) is None:
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)
        setup = self.setup
        if len(record.payload) != setup.width * setup.height * 3:
            raise DeviceError(f"Camera '{setup.name}' has changed its size", next_step="Calibrate anew")
        image = np.frombuffer(record.payload, np.uint8).reshape(setup.height, setup.width, 3)
        pose = None
        if self._place is not None:
            for _, tick in self._ticks.drain(2000):
                if isinstance(tick, ControlTick):
                    self._place.poses.add(tick)
            pose = self._place.poses.at(record.stamp_ns)
        return Looked(image, self.calibrator.offer(image, pose))

    def finish(self) -> tuple[Calibrated, Path]:
        """Solve and store; in force when the cameras start the next time.

        A place that was measured before stays when only the lens is calibrated.

        Raises:
            DeviceError: The views do not tell; the sentence says what to show.
            StorageError: It cannot be stored.
        """
        result = self.calibrator.solve()
        before = self._store.load(CameraCalibration, result.calibration.serial)
        if self._place is None and before is not None and before.parent:
            kept = {name: getattr(before, name) for name in ("parent", "parent_T_camera", "mount_error_m")}
            result = replace(result, calibration=result.calibration.model_copy(update=kept))
        return result, self._store.save(result.calibration)

    def close(self) -> None:
        """Release ring and socket."""
        self._ring.close()
        self._ticks.close()
