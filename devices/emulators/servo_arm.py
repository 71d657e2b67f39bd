"""A whole emulated arm on a servo bus: its chain on a pseudo-terminal, and the calibration that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from devices.emulators.dynamixel import DynamixelChain
from devices.emulators.feetech import FeetechChain
from devices.emulators.pty_port import PtyPort
from devices.servos.arm_layouts import GRIPPER, LAYOUTS
from devices.servos.bus import Array
from teleop_app.core.calibration import ArmCalibration, JointCalibration

_MIDDLE = np.pi
_SECONDARY_ID = 12
_RANGE_RAD = 2.8
_STROKE_RAD = 1.0


class EmulatedArm:
    """Joints count in either direction and have offsets of their own, as on a real arm.

    Args:
        layout: Name of an `ArmLayout`.
        models: Model number by ID, as in `devices.emulators.arms`.
        link: A symbolic link to keep on the port.
        wire_time: Whether bytes take their time.

    Attributes:
        chain: Its servos.
        port: Its serial port; a context.
    """

    def __init__(
        self, layout: str, models: Mapping[int, int], link: Path | None = None, *, wire_time: bool = False
    ) -> None:
        self.layout = LAYOUTS[layout]
        chain = DynamixelChain if self.layout.family == "dynamixel" else FeetechChain
        self.chain = chain(models)
        self.port = PtyPort(self.chain, link=link, wire_time=wire_time)
        for servo, shadow in self.layout.shadows.items():
            self.chain.servos[shadow].write(_SECONDARY_ID, bytes((servo,)))
        count = len(self.layout.joints)
        self._sign = np.array([-1.0 if i % 2 else 1.0 for i in range(count)])
        self._sign[-1] = 1.0
        # The middle of each joint's range stands a little beside the middle of its encoder.
        beside = 0.05 * np.arange(count) - 0.1
        self._offset = self._centre() - self._sign * (_MIDDLE + beside)
        self.pose([*(joint.rest_rad for joint in self.layout.joints[:-1]), 0.5])

    def calibration(self, serial: str, driver: str) -> ArmCalibration:
        """The calibration that a person would have found."""
        joints: list[JointCalibration] = []
        for i, joint in enumerate(self.layout.joints):
            centre = self._centre()[i]
            half = _STROKE_RAD / 2 if joint.name == GRIPPER else _RANGE_RAD
            joints.append(
                JointCalibration(
                    name=joint.name,
                    servo=joint.servo,
                    sign=int(self._sign[i]),
                    offset_rad=float(self._offset[i]),
                    lower_rad=float(centre - half),
                    upper_rad=float(centre + half),
                )
            )
        rest = [joint.rest_rad for joint in self.layout.joints if joint.name != GRIPPER]
        return ArmCalibration(
            serial=serial, driver=driver, model=self.layout.model, joints=joints, rest_rad=rest
        )

    def pose(self, q: Sequence[float] | Array) -> None:
        """Put the arm there by hand: joints [rad], gripper 0..1 last; torque must be off to keep it."""
        raw = self._sign * (self._angles(np.asarray(q, dtype=np.float64)) - self._offset)
        with self.port.lock:
            for joint, angle in zip(self.layout.joints, raw.tolist(), strict=True):
                for servo in filter(None, (joint.servo, joint.shadow)):
                    self.chain.servos[servo].turn_by_hand(angle)

    @property
    def q(self) -> Array:
        """Where it stood when it was last spoken to, as `pose` takes it."""
        with self.port.lock:
            raw = np.array([self.chain.servos[joint.servo].motion.angle for joint in self.layout.joints])
        angles = self._sign * raw + self._offset
        angles[-1] = (angles[-1] + _STROKE_RAD / 2) / _STROKE_RAD
        return angles

    @property
    def torque_on(self) -> bool:
        """Whether any of its servos holds."""
        with self.port.lock:
            return any(servo.torque_on for servo in self.chain.servos.values())

    def _angles(self, q: Array) -> Array:
        angles = q.copy()
        angles[-1] = angles[-1] * _STROKE_RAD - _STROKE_RAD / 2
        return angles

    def _centre(self) -> Array:
        """Middle of each joint's range [rad], model convention."""
        return np.array([0.0 if abs(j.rest_rad) < 2.5 else j.rest_rad for j in self.layout.joints])
