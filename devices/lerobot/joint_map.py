"""Between LeRobot's features (`elbow_flex.pos` in degrees or -100..100) and joint vectors of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from devices.driver import Options
from devices.models.robot import RobotModel
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array

_SUFFIX = ".pos"
_FULL_RANGE = 100.0


class LerobotOptions(Options):
    """Settings that every LeRobot device has.

    Attributes:
        python: Interpreter that has LeRobot, e.g. `~/lerobot/.venv/bin/python`; its packages clash with ours.
        type: LeRobot's name of the device, e.g. `so101_follower`.
        config: Its settings as LeRobot names them, e.g. `port`, `id`.
    """

    python: str = Field(min_length=1, max_length=400)
    type: str = Field(min_length=1, max_length=80)
    config: dict[str, Any] = Field(default_factory=dict)


class JointOptions(LerobotOptions):
    """Settings of a LeRobot arm, leader or follower.

    Attributes:
        features: Its joints from base to wrist as LeRobot names them; empty: all that end in `.pos`, as it
            orders them.
        gripper: Its gripper, empty for none.
        units: Of the joints: `deg`, `rad`, or `range`: -100 .. 100 from the lower to the upper limit of the
            robot model.
        gripper_closed: Value of the closed gripper.
        gripper_open: Value of the open gripper.
        signs: 1 or -1 for each joint; empty: all 1.
        offsets_deg: Added to each joint, after its sign [deg]; empty: none.
        rate_hz: How often it is read and, if it is a robot, commanded.
    """

    features: list[str] = Field(default=[], max_length=32)
    gripper: str = Field(default="gripper.pos", max_length=80)
    units: Literal["deg", "rad", "range"] = "deg"
    gripper_closed: float = 0.0
    gripper_open: float = 100.0
    signs: list[Literal[-1, 1]] = Field(default=[], max_length=32)
    offsets_deg: list[float] = Field(default=[], max_length=32)
    rate_hz: float = Field(default=50.0, ge=5.0, le=500.0)


class JointMap:
    """Maps both ways.

    Args:
        name: Of the device, for sentences.
        options: Its settings.
        model: Of the arm.
        actions: Features that the device has.

    Raises:
        DeviceError: They do not fit the model.
    """

    def __init__(self, name: str, options: JointOptions, model: RobotModel, actions: Sequence[str]) -> None:
        self._name = name
        self._gripper = options.gripper
        self._closed, self._stroke = options.gripper_closed, options.gripper_open - options.gripper_closed
        found = [each for each in actions if each.endswith(_SUFFIX) and each != options.gripper]
        self._features = options.features or found
        count = len(model.joint_names)
        wanted = [*self._features, *([self._gripper] if self._gripper else [])]
        self._check_fit(wanted, actions, count, model.name)
        self._units = options.units
        self._lower, self._upper = np.array(model.lower[:count]), np.array(model.upper[:count])
        signs = options.signs or [1] * count
        offsets = options.offsets_deg or [0.0] * count
        if len(signs) != count or len(offsets) != count or not self._stroke:
            raise DeviceError(
                f"The settings of the LeRobot device {name!r} do not fit",
                why=f"signs and offsets_deg need {count} entries, and gripper_open is not gripper_closed",
            )
        self._signs, self._offsets = np.array(signs, np.float64), np.radians(offsets)

    def to_ours(self, values: Mapping[str, float]) -> Array:
        """Joints [rad], gripper 0..1 last, shape (n + 1,).

        Raises:
            DeviceError: A feature is missing.
        """
        missing = [each for each in self._features if each not in values]
        if missing:
            raise DeviceError(f"The LeRobot device {self._name!r} leaves out {', '.join(missing)}")
        theirs = np.array([values[each] for each in self._features])
        gripper = values.get(self._gripper, self._closed) if self._gripper else self._closed
        opening = min(1.0, max(0.0, (gripper - self._closed) / self._stroke))
        return np.append(self._signs * self._radians(theirs) + self._offsets, opening)

    def to_theirs(self, q: Array) -> dict[str, float]:
        """LeRobot's values of a joint vector, shape (n + 1,)."""
        radians = self._signs * (q[:-1] - self._offsets)
        if self._units == "deg":
            values = np.degrees(radians)
        elif self._units == "rad":
            values = radians
        else:
            share = (radians - self._lower) / (self._upper - self._lower)
            values = np.clip(2.0 * share - 1.0, -1.0, 1.0) * _FULL_RANGE
        found = dict(zip(self._features, values.tolist(), strict=True))
        if self._gripper:
            found[self._gripper] = self._closed + float(q[-1]) * self._stroke
        return found

    def _radians(self, theirs: Array) -> Array:
        if self._units == "deg":
            return np.radians(theirs)
        if self._units == "rad":
            return theirs
        return self._lower + (theirs / _FULL_RANGE + 1.0) / 2.0 * (self._upper - self._lower)

    def _check_fit(self, wanted: list[str], actions: Sequence[str], count: int, model: str) -> None:
        unknown = [each for each in wanted if each not in actions]
        left = [each for each in actions if each not in wanted]
        if unknown or left or len(self._features) != count:
            has = ", ".join(actions) or "no numbers"
            raise DeviceError(
                f"The LeRobot device {self._name!r} does not fit the robot model {model!r}",
                why=f"it has {has}; the model has {count} joints and a gripper",
                next_step="Name its joints in features and its gripper in gripper, or choose another model",
            )
