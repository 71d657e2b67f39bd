"""Franka FR3 and Panda by `franky`: a joint impedance controller of the vendor's library that tracks targets.

The 1 kHz loop runs in the library's own thread; this driver only moves its reference, which starts where the
arm is. Never run against a robot or an emulator of one: the label says so.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options, vendor_module
from devices.followers.vendor_arm import VendorArm
from devices.protocols import Array, FollowerState, Verification
from teleop_app.core.errors import DeviceError

_JOINTS: Final = 7
_STIFFNESS: Final = (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0)
_GRIPPER_OPEN_M: Final = 0.08
_GRIPPER_SPEED_M_S: Final = 0.1
_GRIPPER_STEP_M: Final = 0.002


class FrankaOptions(Options):
    """Settings of a Franka arm.

    Attributes:
        host: Address of the robot's control interface (FCI).
        rate_hz: Targets a second.
        stiffness: Of each joint [N m/rad], base to wrist.
        gripper: `franka` for the Franka hand, or `none`.
    """

    host: Annotated[str, Field(min_length=1, max_length=255)]
    rate_hz: Annotated[float, Field(ge=20.0, le=500.0)] = 100.0
    stiffness: Annotated[tuple[float, ...], Field(min_length=_JOINTS, max_length=_JOINTS)] = _STIFFNESS
    gripper: Literal["none", "franka"] = "franka"


class FrankaFollower(VendorArm):
    """Implements `devices.protocols.FollowerDriver`.

    Args:
        context: Its arm and model.
        options: See `FrankaOptions`.
    """

    def __init__(self, context: DeviceContext, options: FrankaOptions) -> None:
        super().__init__(context, "Franka arm", options.host, options.rate_hz, _JOINTS)
        self._options = options
        self._library: Any = None
        self._robot: Any = None
        self._motion: Any = None
        self._gripper: Any = None
        self._width_m = _GRIPPER_OPEN_M
        self._moving: Any = None

    def connect(self) -> None:
        """Open it and start the controller at the present place; moves nothing.

        Raises:
            DeviceError: It cannot be reached, or cannot be controlled.
        """
        self._library = library = vendor_module("franky", "franka", "franka")
        self.disconnect()
        try:
            self._robot = library.Robot(self._host)
            if self._options.gripper == "franka":
                self._gripper = library.Gripper(self._host)
                self._width_m = float(self._gripper.width)
            self._robot.recover_from_errors()
            motion = library.JointImpedanceTrackingMotion(stiffness=np.array(self._options.stiffness))
            motion.set_reference(library.JointReference(q=self._robot.current_joint_positions))
            self._robot.move(motion, asynchronous=True)
            self._motion = motion
        except Exception as error:  # the library's exceptions have no base of their own
            self.disconnect()
            raise self._refused(
                "cannot be controlled",
                str(error),
                "Unlock its joints and activate FCI in Desk, and check the address",
            ) from error

    def read(self) -> FollowerState:
        """The newest state.

        Raises:
            DeviceError: It has an error, or left the control of this process.
        """
        robot = self._there()
        try:
            if robot.has_errors or not robot.is_in_control:
                robot.poll_motion()  # raises why
                raise self._refused("is no longer under control")
            state = robot.state
            if self._gripper is not None:
                self._width_m = float(self._gripper.width)
        except DeviceError:
            raise
        except Exception as error:
            raise self._refused("stopped", str(error)) from error
        opening = min(1.0, max(0.0, self._width_m / _GRIPPER_OPEN_M))
        return FollowerState(
            position=np.append(np.asarray(state.q, dtype=float), opening),
            velocity=np.append(np.asarray(state.dq, dtype=float), 0.0),
            effort=np.append(np.asarray(state.tau_J, dtype=float), 0.0),
            capture_ns=self._clock.now_ns(),
        )

    def send(self, target: Array) -> None:
        """Move the controller's reference, shape (8,).

        Raises:
            DeviceError: It is not finite, or was refused.
        """
        self._there()
        self._check(target)
        try:
            self._motion.set_reference(self._library.JointReference(q=target[:_JOINTS]))
            self._grip(float(target[_JOINTS]) * _GRIPPER_OPEN_M)
        except Exception as error:
            raise self._refused("did not take a target", str(error)) from error

    def hold(self) -> None:
        """Track the present place."""
        if self._motion is not None:
            here = self._robot.current_joint_positions
            self._motion.set_reference(self._library.JointReference(q=here))

    def disconnect(self) -> None:
        """End the controller; the robot's own holds. May be called twice."""
        robot, self._robot, self._motion, self._gripper = self._robot, None, None, None
        if robot is not None:
            with contextlib.suppress(Exception):
                robot.stop()

    def _there(self) -> Any:
        if self._robot is None or self._motion is None:
            raise self._refused("is not connected")
        return self._robot

    def _grip(self, width_m: float) -> None:
        """One move of the hand at a time: the library refuses a second."""
        busy = self._moving is not None and not self._moving.wait(0.0)
        if self._gripper is None or busy or abs(width_m - self._width_m) < _GRIPPER_STEP_M:
            return
        self._moving = self._gripper.move_async(width_m, _GRIPPER_SPEED_M_S)


def _make(context: DeviceContext, options: FrankaOptions) -> FrankaFollower:
    return FrankaFollower(context, options)


DRIVER = Driver(
    name="franka",
    kind=DriverKind.FOLLOWER,
    title="Franka FR3 or Panda",
    verification=Verification.IMPORT_ONLY,
    proof="Written to the interface of franky; no test loads it, and nothing was run against a robot or an "
    "emulator.",
    make=_make,
    options=FrankaOptions,
    needs=("franky",),
    extra="franka",
)
