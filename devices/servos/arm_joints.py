"""Between the raw angles of an arm's servos and its calibrated joint vector, in both directions alike."""

from __future__ import annotations

import numpy as np

from devices.servos.arm_layouts import GRIPPER
from devices.servos.bus import Array
from teleop_app.core.calibration import ArmCalibration

_TURN = 2.0 * np.pi


class ArmJoints:
    """Joint vector of one arm: joints [rad], gripper 0..1 last, shape (n,).

    An encoder knows its angle within one turn, and counts on when it is turned farther: after a restart a
    joint may read a full turn more or less than when it was calibrated. The turn is chosen so that the joint
    lies nearest to the middle of its range, then followed from reading to reading; `to_raw` uses the same
    turns, so that writing what was read moves nothing.

    Args:
        calibration: Of this arm; its last joint is the gripper.
    """

    def __init__(self, calibration: ArmCalibration) -> None:
        joints = calibration.joints
        self.names = tuple(joint.name for joint in joints)
        self.servos = tuple(joint.servo for joint in joints)
        self.sign = np.array([float(joint.sign) for joint in joints])
        self.lower = np.array([joint.lower_rad for joint in joints])
        self.upper = np.array([joint.upper_rad for joint in joints])
        self._offset = np.array([joint.offset_rad for joint in joints])
        self._gripper = self.names[-1] == GRIPPER
        self._last: Array | None = None
        self._turns = np.zeros(len(joints))

    @property
    def size(self) -> int:
        """Length of the joint vector."""
        return len(self.names)

    def angles(self, raw: Array) -> Array:
        """Joint angles [rad], gripper too, shape (n,); follows the turns. Not finite where `raw` is not."""
        angles = self.sign * raw + self._offset
        about = (self.lower + self.upper) / 2.0 if self._last is None else self._last
        known = np.isfinite(angles)
        turns = np.where(known, np.round((about - angles) / _TURN), self._turns)
        angles = angles + _TURN * turns
        if known.all() or self._last is not None:
            self._turns = turns
            self._last = np.where(known, angles, about)
        return angles

    def to_joints(self, raw: Array) -> Array:
        """Joint vector of raw angles, shape (n,)."""
        return self._with_share(self.angles(raw))

    def to_raw(self, q: Array) -> Array:
        """Raw angles of a joint vector, shape (n,); inverse of `to_joints` after at least one reading."""
        angles = np.array(q, dtype=np.float64)
        if self._gripper:
            angles[-1] = self.lower[-1] + angles[-1] * (self.upper[-1] - self.lower[-1])
        return self.sign * (angles - self._offset - _TURN * self._turns)

    def to_velocity(self, raw_velocity: Array) -> Array:
        """Joint velocity [rad/s], gripper [1/s], of raw velocity [rad/s]."""
        velocity = self.sign * raw_velocity
        if self._gripper:
            velocity[-1] /= self.upper[-1] - self.lower[-1]
        return velocity

    def limited(self, q: Array) -> Array:
        """The joint vector within the ranges that were seen when it was calibrated."""
        if not self._gripper:
            return np.clip(q, self.lower, self.upper)
        joints = np.clip(q[:-1], self.lower[:-1], self.upper[:-1])
        return np.append(joints, np.clip(q[-1], 0.0, 1.0))

    def outside_rad(self, q: Array) -> Array:
        """How far each joint lies outside its range [rad], the gripper left out, shape (n or n - 1,)."""
        arm = slice(0, -1) if self._gripper else slice(None)
        below, above = self.lower[arm] - q[arm], q[arm] - self.upper[arm]
        return np.maximum(0.0, np.maximum(below, above))

    def forget_turns(self) -> None:
        """The next reading finds the turns anew; after a servo may have restarted."""
        self._last = None

    def _with_share(self, angles: Array) -> Array:
        if self._gripper:
            stroke = self.upper[-1] - self.lower[-1]
            angles[-1] = np.clip((angles[-1] - self.lower[-1]) / stroke, 0.0, 1.0)
        return angles
