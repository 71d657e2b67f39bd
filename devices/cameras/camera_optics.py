"""What is known of a real camera's lens and place: its calibration, else what the camera itself says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from devices.cameras.source import CameraFormat
from teleop_app.core.calibration import CalibrationStore, CameraCalibration
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import Array

_SAME_ASPECT: Final = 0.005


@dataclass(frozen=True, slots=True)
class CameraOptics:
    """Lens and place of a camera.

    Attributes:
        matrix: K [px], shape (3, 3); zeros when it is not known.
        distortion: OpenCV's coefficients, shape (k,); empty when none is known.
        parent: Frame that carries the camera, empty when its place was not measured.
        parent_T_camera: Pose there, shape (7,), OpenCV axes; shape (0,) when not measured.
        source: Where this comes from, as a sentence.
        remark: A sentence when something is odd, else empty.
    """

    matrix: Array
    distortion: Array
    parent: str
    parent_T_camera: Array
    source: str
    remark: str = ""


def find_optics(
    name: str, serial: str, size: CameraFormat, own: Array | None, calibrations: CalibrationStore | None
) -> CameraOptics:
    """The optics of a camera by its calibration; where that does not fit, by what the camera says.

    Args:
        name: In the station file; names the calibration of a camera without a serial number.
        serial: The camera's, empty when it has none.
        size: What it delivers.
        own: K that the camera knows, None when it knows none.
        calibrations: Of the store.
    """
    calibration, remark = None, ""
    if calibrations is not None:
        try:
            calibration = calibrations.load(CameraCalibration, serial or name)
        except ConfigError as error:
            remark = error.sentence
    if calibration is not None:
        scaled = _scaled(name, calibration, size)
        if isinstance(scaled, CameraOptics):
            return scaled
        remark = scaled
    if own is not None:
        text = "Its intrinsics are the camera's own; its place was not measured."
        return CameraOptics(np.array(own, np.float64), np.zeros(0), "", np.zeros(0), text, remark)
    text = "It is not calibrated."
    return CameraOptics(np.zeros((3, 3)), np.zeros(0), "", np.zeros(0), text, remark)


def _scaled(name: str, calibration: CameraCalibration, size: CameraFormat) -> CameraOptics | str:
    """The calibration for another size of the same aspect; a sentence when the aspect differs."""
    of = f"{calibration.width}x{calibration.height}"
    across, down = size.width / calibration.width, size.height / calibration.height
    if abs(across / down - 1.0) > _SAME_ASPECT:
        return (
            f"The calibration of camera '{name}' was made at {of} and says nothing about {size.text}, "
            "which shows another part of the view. Calibrate it anew at this size."
        )
    # Pixel centres lie at whole numbers: the corner of the picture, not its first pixel, stays in place.
    matrix = np.array(calibration.matrix).reshape(3, 3)
    matrix = np.diag([across, down, 1.0]) @ matrix
    matrix[0, 2] += 0.5 * (across - 1.0)
    matrix[1, 2] += 0.5 * (down - 1.0)
    text = f"Calibrated with {calibration.views} views, {calibration.reprojection_px:.2f} px."
    if (across, down) != (1.0, 1.0):
        text += f" Scaled from {of} to {size.text}, the same view."
    pose = calibration.parent_T_camera
    mounted = bool(calibration.parent) and pose is not None
    return CameraOptics(
        matrix,
        np.array(calibration.distortion, np.float64),
        calibration.parent if mounted else "",
        np.array(pose, np.float64) if mounted else np.zeros(0),
        text,
    )
