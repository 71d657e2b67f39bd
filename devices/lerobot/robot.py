"""A LeRobot robot as a follower arm."""

from __future__ import annotations

import contextlib
from typing import Final

import numpy as np
from pydantic import Field

from devices.lerobot.client import START_S, LerobotWorker
from devices.lerobot.joint_map import JointMap, JointOptions
from devices.models.robot import GRIPPER, RobotModel
from devices.protocols import Array, FollowerState
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError

_CONNECT_S: Final = START_S


class RobotOptions(JointOptions):
    """Settings of a LeRobot robot.

    Attributes:
        watchdog_s: Its worker holds it where it is when it is not commanded for so long [s].
    """

    watchdog_s: float = Field(default=0.5, ge=0.05, le=5.0)


class LerobotRobot:
    """See `devices.protocols.FollowerDriver`.

    LeRobot gives positions only: speeds are their differences, and efforts are zero.

    Args:
        arm: Name of the arm.
        model: Its robot model.
        options: Its settings.
    """

    def __init__(self, arm: str, model: RobotModel, options: RobotOptions) -> None:
        self._arm = arm
        self._model = model
        self._options = options
        self._worker = LerobotWorker(
            arm, options.python, "robot", options.type, options.config, options.watchdog_s
        )
        self._map: JointMap | None = None
        self._last: tuple[Array, int] | None = None

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Those of the robot model, gripper last."""
        return tuple(f"{self._arm}/{name}" for name in (*self._model.joint_names, GRIPPER))

    @property
    def rate_hz(self) -> float:
        """How often it is commanded and read."""
        return self._options.rate_hz

    def connect(self) -> None:
        """Start LeRobot, connect the robot there and hold it where it is.

        Raises:
            DeviceError: LeRobot refuses, or its features do not fit the model.
        """
        if self._map is not None:
            return
        self._worker.start()
        features = self._worker.ask("features")
        mapped = JointMap(self._arm, self._options, self._model, features["actions"])
        self._worker.ask("connect", _CONNECT_S)
        self._worker.ask("hold")
        self._map, self._last = mapped, None

    def read(self) -> FollowerState:
        """The state now.

        Raises:
            DeviceError: The robot does not answer.
        """
        mapped = self._connected()
        seen = self._worker.ask("observe")
        position, capture_ns = mapped.to_ours(seen["values"]), int(seen["capture_ns"])
        velocity = np.zeros_like(position)
        if self._last is not None and capture_ns > self._last[1]:
            velocity = (position - self._last[0]) * NS_PER_S / (capture_ns - self._last[1])
        self._last = position, capture_ns
        return FollowerState(position, velocity, np.zeros_like(position), capture_ns)

    def send(self, target: Array) -> None:
        """Joint targets, shape (n,): joints [rad], gripper 0..1 last.

        Raises:
            DeviceError: They are not finite or too few or many, or LeRobot refuses them.
        """
        mapped = self._connected()
        if target.shape != (len(self.joint_names),) or not np.all(np.isfinite(target)):
            raise DeviceError(
                f"The LeRobot device {self._arm!r} refuses a target",
                why=f"it must be {len(self.joint_names)} finite numbers",
            )
        self._worker.ask("act", values=mapped.to_theirs(target))

    def hold(self) -> None:
        """Send it where it is.

        Raises:
            DeviceError: The robot does not answer.
        """
        self._connected()
        self._worker.ask("hold")

    def disconnect(self) -> None:
        """Hold it, disconnect it with its torque on where LeRobot knows how, and end the worker.

        Where it was not connected, LeRobot stays loaded for the next try; it ends with this process.
        """
        if self._map is not None:
            with contextlib.suppress(DeviceError):
                self.hold()
            self._worker.stop()
        self._map = None

    def _connected(self) -> JointMap:
        if self._map is None:
            raise DeviceError(f"The LeRobot device {self._arm!r} is not connected")
        return self._map
