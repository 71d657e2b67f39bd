"""Rate inputs (keys, sticks): a target that moves with the asked velocity."""

from __future__ import annotations

from teleop_app.core.geometry import (
    Array,
    make_pose,
    quat_from_rotvec,
    quat_multiply,
    quat_normalise,
    quat_rotate,
)
from teleop_app.mapping.frames import yaw_quat


class VirtualTarget:
    """Integrates a twist in the operator's frame into an end-effector pose in the world frame.

    Linear velocity moves along the operator's axes and angular velocity turns about them, through the end
    effector. The speed is the device's own: the translation scale of the clutch is not applied.

    Args:
        yaw_deg: Calibrated yaw of the operator's frame against the world.
    """

    def __init__(self, yaw_deg: float = 0.0) -> None:
        self._world_from_operator = yaw_quat(yaw_deg)
        self._pose: Array | None = None

    @property
    def engaged(self) -> bool:
        """Whether `advance` may be called."""
        return self._pose is not None

    def engage(self, world_T_home: Array) -> None:
        """Start from the end effector's present pose."""
        self._pose = world_T_home.copy()

    def release(self) -> None:
        """Forget the target."""
        self._pose = None

    def pull_back(self, world_T_reached: Array) -> None:
        """Put the target where it was limited to, so that a wall is left as soon as the stick turns."""
        if self._pose is not None:
            self._pose = world_T_reached.copy()

    def shift(self, step_m: Array, turn: Array) -> None:
        """Move the target by a step and turn it [world frame]; nothing while released."""
        if self._pose is not None:
            self._pose = make_pose(
                self._pose[:3] + step_m, quat_normalise(quat_multiply(turn, self._pose[3:]))
            )

    def advance(self, twist: Array, dt_s: float) -> Array:
        """Move by `twist`, shape (6,) [m/s, rad/s], for `dt_s`; returns the new target pose (7,).

        Raises:
            ValueError: Not engaged.
        """
        if self._pose is None:
            msg = "the virtual target is not engaged"
            raise ValueError(msg)
        step = quat_rotate(self._world_from_operator, twist[:3]) * dt_s
        turn = quat_from_rotvec(quat_rotate(self._world_from_operator, twist[3:]) * dt_s)
        self._pose = make_pose(self._pose[:3] + step, quat_normalise(quat_multiply(turn, self._pose[3:])))
        return self._pose.copy()
