"""UFACTORY xArm 6 and 7 by the vendor's SDK: joint targets in servo mode, states by request.

The SDK asks and waits over TCP, about a millisecond each on a quiet network. The gripper hangs on the arm's
own bus, which is slow: it is commanded and read ten times a second.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options, vendor_module
from devices.followers.vendor_arm import VendorArm
from devices.protocols import Array, FollowerState, Verification
from teleop_app.core.clock import NS_PER_MS

_COMMAND_PORT: Final = 502
_SERVO_MODE: Final = 1
_READY: Final = 0
_STOP: Final = 4
_WARNED: Final = 2
_PATIENCE_NS: Final = 2000 * NS_PER_MS
_GRIPPER_OPEN: Final = 850.0
_GRIPPER_SPEED: Final = 5000
_GRIPPER_PERIOD_NS: Final = 100 * NS_PER_MS
_GRIPPER_STEP: Final = 0.005


class XArmOptions(Options):
    """Settings of an xArm.

    Attributes:
        host: Address of the controller.
        rate_hz: Targets a second.
        gripper: `xarm` for UFACTORY's gripper, or `none`.
    """

    host: Annotated[str, Field(min_length=1, max_length=255)]
    rate_hz: Annotated[float, Field(ge=20.0, le=250.0)] = 100.0
    gripper: Literal["none", "xarm"] = "none"


class XArmFollower(VendorArm):
    """Implements `devices.protocols.FollowerDriver`.

    Args:
        context: Its arm and model.
        options: See `XArmOptions`.
        joints: Of the arm.
    """

    def __init__(self, context: DeviceContext, options: XArmOptions, joints: int) -> None:
        super().__init__(context, "xArm", options.host, options.rate_hz, joints)
        self._options = options
        self._api: Any = None
        self._opening = 1.0
        self._grip_sent: float | None = None
        self._grip_due_ns = 0

    def connect(self) -> None:
        """Open it and go to servo mode, which moves nothing.

        Raises:
            DeviceError: It cannot be reached, is another arm, or has an error.
        """
        wrapper = vendor_module("xarm.wrapper", "xarm", "xarm")
        logging.getLogger("xarm").setLevel(logging.ERROR)
        self.disconnect()
        self._reach(_COMMAND_PORT)
        try:
            self._api = wrapper.XArmAPI(
                self._host,
                is_radian=True,
                check_joint_limit=False,
                do_not_open=True,
                report_type="normal",
            )
            self._api.connect()
        except Exception as error:  # the SDK raises bare exceptions
            self.disconnect()
            raise self._refused("cannot be opened", str(error)) from error
        if self._api.axis != self._joints:
            axis = self._api.axis
            self.disconnect()
            raise self._refused(f"has {axis} joints, not {self._joints}", "", "Correct `model` in [[arms]]")
        self._check_errors()
        for act in (
            lambda: self._api.motion_enable(True),
            lambda: self._api.set_mode(_SERVO_MODE),
            lambda: self._api.set_state(_READY),
        ):
            if code := act():
                self.disconnect()
                raise self._refused("does not get ready to move", f"code {code} of the SDK")
        self._wait_for_servo_mode()
        if self._options.gripper == "xarm":
            self._start_gripper()

    def read(self) -> FollowerState:
        """Ask for the state.

        Raises:
            DeviceError: It does not answer, or has an error.
        """
        api = self._there()
        asked_ns = self._clock.now_ns()
        code, states = api.get_joint_states(is_radian=True)
        answered_ns = self._clock.now_ns()
        if code not in (0, _WARNED):
            self._check_errors()
            raise self._refused("does not tell where it is", f"code {code} of the SDK")
        if api.has_error:
            self._check_errors()
        if self._options.gripper == "xarm":
            self._read_gripper(answered_ns)
        position, velocity, effort = (np.asarray(values[: self._joints], dtype=float) for values in states)
        return FollowerState(
            position=np.append(position, self._opening),
            velocity=np.append(velocity, 0.0),
            effort=np.append(effort, 0.0),
            capture_ns=(asked_ns + answered_ns) // 2,
        )

    def send(self, target: Array) -> None:
        """Give it a target in servo mode, shape (n + 1,).

        Raises:
            DeviceError: It is not finite, or was refused.
        """
        api = self._there()
        self._check(target)
        code = api.set_servo_angle_j(target[: self._joints].tolist(), is_radian=True)
        if code not in (0, _WARNED):
            self._check_errors()
            raise self._refused("did not take a target", f"code {code} of the SDK")
        opening = float(target[self._joints])
        if self._options.gripper == "none":
            self._opening = opening
        else:
            self._grip(opening)

    def hold(self) -> None:
        """Take the present place as target: servo mode keeps its last one."""
        if self._api is not None and self._api.connected:
            code, states = self._api.get_joint_states(is_radian=True)
            if code in (0, _WARNED):
                self._api.set_servo_angle_j(states[0][: self._joints], is_radian=True)

    def disconnect(self) -> None:
        """Stop it and close; its brakes stay off and it holds. May be called twice."""
        api, self._api = self._api, None
        if api is not None:
            with contextlib.suppress(Exception):
                if api.connected:
                    api.set_state(_STOP)
                api.disconnect()
        self._grip_sent = None

    # Inside.

    def _there(self) -> Any:
        if self._api is None or not self._api.connected:
            raise self._refused("is not connected", "", "Check the cable and that the controller is on")
        return self._api

    def _check_errors(self) -> None:
        code, codes = self._api.get_err_warn_code()
        if code == 0 and codes[0]:
            raise self._refused(
                f"has the error {codes[0]}",
                "",
                "Look the code up in UFACTORY's manual and clear it; the arm is then found by itself",
            )

    def _wait_for_servo_mode(self) -> None:
        """The controller's reports confirm the mode a little later."""
        until_ns = self._clock.now_ns() + _PATIENCE_NS
        while self._api.mode != _SERVO_MODE:
            if self._clock.now_ns() > until_ns:
                self.disconnect()
                raise self._refused("does not go to servo mode", "its reports say another mode")
            time.sleep(0.01)

    def _start_gripper(self) -> None:
        api = self._api
        for act in (
            lambda: api.set_gripper_enable(True),
            lambda: api.set_gripper_mode(0),
            lambda: api.set_gripper_speed(_GRIPPER_SPEED),
        ):
            if code := act():
                self.disconnect()
                raise self._refused(
                    "has a gripper that does not answer", f"code {code} of the SDK", "Set `gripper` to none"
                )
        self._grip_due_ns = 0
        self._read_gripper(self._clock.now_ns())

    def _grip(self, opening: float) -> None:
        if self._grip_sent is not None and abs(opening - self._grip_sent) < _GRIPPER_STEP:
            return
        if self._clock.now_ns() < self._grip_due_ns:
            return  # the next command brings it
        self._api.set_gripper_position(round(opening * _GRIPPER_OPEN), wait=False, wait_motion=False)
        self._grip_sent = opening

    def _read_gripper(self, now_ns: int) -> None:
        if now_ns < self._grip_due_ns:
            return
        self._grip_due_ns = now_ns + _GRIPPER_PERIOD_NS
        code, pulses = self._api.get_gripper_position()
        if code or pulses is None:
            raise self._refused("has a gripper that does not answer", f"code {code} of the SDK")
        self._opening = min(1.0, max(0.0, float(pulses) / _GRIPPER_OPEN))


def _make(context: DeviceContext, options: XArmOptions) -> XArmFollower:
    (arm,) = (section for section in context.config.arms if section.name == context.name)
    return XArmFollower(context, options, 7 if arm.model == "xarm7" else 6)


DRIVER = Driver(
    name="xarm",
    kind=DriverKind.FOLLOWER,
    title="UFACTORY xArm",
    verification=Verification.EMULATOR,
    proof="The vendor's SDK against a byte-level emulator of the controller; no real arm.",
    make=_make,
    options=XArmOptions,
    needs=("xarm.wrapper",),
    extra="xarm",
)
