"""Calibrations of devices: what was measured once and holds until the device changes.

One TOML file a device under `calibrations/`, named by its serial number; each episode carries those that were
in force. A calibration belongs to one device: loading it for another is an error.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from teleop_app.core.config import field_problems
from teleop_app.core.errors import ConfigError, StorageError

_SERIAL = re.compile(r"[A-Za-z0-9_.:-]{1,120}")
Pose = Annotated[list[float], Field(min_length=7, max_length=7)]


class _Calibration(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class JointCalibration(_Calibration):
    """One joint: radians = sign * (raw radians) + offset_rad, where raw is the servo's own angle.

    Attributes:
        name: Joint name without the arm, e.g. `elbow`; `gripper` for the gripper.
        servo: ID on the bus.
        sign: 1 or -1.
        offset_rad: Continuous, not a multiple of a right angle.
        lower_rad: Smallest angle that the joint was seen to reach; for a gripper, closed.
        upper_rad: Largest; for a gripper, open.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    servo: int = Field(ge=0, le=252)
    sign: int = Field(default=1)
    offset_rad: float = Field(default=0.0, ge=-100.0, le=100.0)
    lower_rad: float = Field(default=-3.1416, ge=-100.0, le=100.0)
    upper_rad: float = Field(default=3.1416, ge=-100.0, le=100.0)

    @model_validator(mode="after")
    def _makes_sense(self) -> JointCalibration:
        if self.sign not in (-1, 1):
            msg = f"sign must be 1 or -1, not {self.sign}"
            raise ValueError(msg)
        if self.name != "gripper" and self.lower_rad >= self.upper_rad:
            msg = f"lower_rad {self.lower_rad:g} must lie below upper_rad {self.upper_rad:g}"
            raise ValueError(msg)
        return self


class ArmCalibration(_Calibration):
    """A leader or follower arm on a servo bus.

    Attributes:
        serial: Of the arm (its adapter's, or one given by hand).
        driver: That it was made with.
        model: Robot model whose joints it names.
        joints: Base to gripper.
        rest_rad: Joint angles in the posture in which drift is checked, as read when it was made.
        measured_utc: ISO date and time.
    """

    serial: str
    driver: str
    model: str
    joints: list[JointCalibration] = Field(min_length=1, max_length=16)
    rest_rad: list[float] = Field(default_factory=list, max_length=16)
    measured_utc: str = ""


class CameraCalibration(_Calibration):
    """Intrinsics and mount of a camera.

    Attributes:
        serial: Of the camera (its own, or its name in the station file).
        width: Of the images it was measured on [px].
        height: Likewise.
        matrix: Row-major K [px], 9 numbers.
        distortion: OpenCV's coefficients (k1, k2, p1, p2, k3, ...).
        reprojection_px: RMS reprojection error.
        views: Pictures it rests on.
        parent: Frame that carries the camera: `world`, or a link of the robot model; empty when not measured.
        parent_T_camera: Its pose there, OpenCV axes.
        mount_error_m: RMS of the positions of the board over the views of the hand-eye calibration.
        measured_utc: ISO date and time.
    """

    serial: str
    width: int = Field(ge=2, le=8192)
    height: int = Field(ge=2, le=8192)
    matrix: list[float] = Field(min_length=9, max_length=9)
    distortion: list[float] = Field(default_factory=list, max_length=14)
    reprojection_px: float = Field(ge=0.0)
    views: int = Field(ge=0)
    parent: str = ""
    parent_T_camera: Pose | None = None
    mount_error_m: float = Field(default=0.0, ge=0.0)
    measured_utc: str = ""


class HandCalibration(_Calibration):
    """How far a person's hand moves.

    Attributes:
        serial: The hand of the station that it drives, and the person: `<hand>.<person>`, or `<hand>` alone.
        angles: What was measured.
        low_rad: Smallest of each.
        high_rad: Largest of each.
        remark: What was off, e.g. that no pinch was seen.
        measured_utc: ISO date and time.
    """

    serial: str
    angles: list[str] = Field(min_length=1, max_length=32)
    low_rad: list[float] = Field(max_length=32)
    high_rad: list[float] = Field(max_length=32)
    remark: str = ""
    measured_utc: str = ""

    @model_validator(mode="after")
    def _every_angle_has_a_range(self) -> HandCalibration:
        if not len(self.angles) == len(self.low_rad) == len(self.high_rad):
            msg = f"{len(self.angles)} angles have {len(self.low_rad)} and {len(self.high_rad)} ends"
            raise ValueError(msg)
        for name, low, high in zip(self.angles, self.low_rad, self.high_rad, strict=True):
            if low >= high:
                msg = f"{name}: {low:g} must lie below {high:g}"
                raise ValueError(msg)
        return self


AnyCalibration = TypeVar("AnyCalibration", ArmCalibration, CameraCalibration, HandCalibration)
_FOLDERS: dict[type[_Calibration], str] = {
    ArmCalibration: "arms",
    CameraCalibration: "cameras",
    HandCalibration: "hands",
}


class CalibrationStore:
    """Reads and writes the calibrations of a store.

    Args:
        folder: `DataDir.calibrations`; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they lie; its parent is the store."""
        return self._folder

    def path(self, kind: type[_Calibration], serial: str) -> Path:
        """Where the calibration of a device lies.

        Raises:
            ConfigError: The serial number cannot name a file.
        """
        if not _SERIAL.fullmatch(serial) or serial.startswith("."):
            raise ConfigError(
                f"The serial number {serial!r} cannot name a calibration",
                next_step="Use letters, digits, `_`, `.`, `:` and `-`",
            )
        return self._folder / _FOLDERS[kind] / f"{serial.replace(':', '_')}.toml"

    def load(self, kind: type[AnyCalibration], serial: str) -> AnyCalibration | None:
        """The calibration of a device, None when it has none.

        Raises:
            ConfigError: The file is malformed, or belongs to another device.
        """
        path = self.path(kind, serial)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
            found = kind.model_validate(values)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"The calibration {path} cannot be read", why=str(error)) from error
        except ValidationError as error:
            listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
            raise ConfigError(
                f"The calibration {path} is malformed", why=listed, next_step="Calibrate the device anew"
            ) from error
        if found.serial != serial:
            raise ConfigError(
                f"The calibration {path} belongs to another device",
                why=f"it was made for {found.serial!r}, this one is {serial!r}",
                next_step="Calibrate this device",
            )
        return found

    def save(self, calibration: ArmCalibration | CameraCalibration | HandCalibration) -> Path:
        """Write a calibration, whole or not at all.

        Raises:
            StorageError: It cannot be written.
        """
        path = self.path(type(calibration), calibration.serial)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(tomlkit.dumps(calibration.model_dump(exclude_none=True)), encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StorageError(
                f"The calibration {path} cannot be written", why=error.strerror or str(error)
            ) from error
        return path

    def files(self) -> tuple[Path, ...]:
        """Every calibration file, sorted."""
        return tuple(sorted(self._folder.glob("*/*.toml")))
