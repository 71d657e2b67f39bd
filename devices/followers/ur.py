"""Universal Robots arms (e-Series, CB3) by `ur-rtde`: joint targets through `servoj`, states by RTDE.

The controller's own watchdog ends the program, and with it all motion, when this process falls silent for
`_WATCHDOG_HZ`. The vendor's client holds Python's lock while it connects: one more reason why a follower has
a process of its own.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options, vendor_module
from devices.followers.robotiq import RobotiqGripper, close_quietly
from devices.followers.vendor_arm import VendorArm
from devices.protocols import Array, FollowerState, Verification
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.device_clock import DeviceClock
from teleop_app.core.errors import DeviceError

_JOINTS: Final = 6
_PORTS: Final = (30004, 29999)
_WATCHDOG_HZ: Final = 10.0
_SILENT_NS: Final = 300 * NS_PER_MS
_VARIABLES: Final = [
    "timestamp",
    "actual_q",
    "actual_qd",
    "actual_current",
    "robot_status_bits",
    "safety_status_bits",
    "runtime_state",
]
# Bits of safety_status_bits (RTDE guide).
_SAFETY: Final = {
    2: "a protective stop",
    3: "recovery mode",
    4: "a safeguard stop",
    5: "a system emergency stop",
    6: "an emergency stop at the robot",
    7: "an emergency stop",
    8: "a violation",
    9: "a fault",
}


class UrOptions(Options):
    """Settings of a UR arm.

    Attributes:
        host: Address of the controller.
        rate_hz: Targets a second: 500 for e-Series, 125 for CB3 at most.
        lookahead_s: Smoothing of `servoj`.
        gain: Gain of `servoj`.
        gripper: `robotiq` through its URCap, or `none`.
    """

    host: Annotated[str, Field(min_length=1, max_length=255)]
    rate_hz: Annotated[float, Field(ge=20.0, le=500.0)] = 125.0
    lookahead_s: Annotated[float, Field(ge=0.03, le=0.2)] = 0.05
    gain: Annotated[float, Field(ge=100.0, le=2000.0)] = 300.0
    gripper: Literal["none", "robotiq"] = "none"


class UrFollower(VendorArm):
    """Implements `devices.protocols.FollowerDriver`.

    Args:
        context: Its arm and model.
        options: See `UrOptions`.
    """

    def __init__(self, context: DeviceContext, options: UrOptions) -> None:
        super().__init__(context, "UR arm", options.host, options.rate_hz, _JOINTS)
        self._options = options
        self._times = DeviceClock(context.name)
        self._receive: Any = None
        self._control: Any = None
        self._gripper = RobotiqGripper(options.host) if options.gripper == "robotiq" else None
        self._opening = 1.0
        self._stamp_s = -1.0
        self._fresh_ns = 0
        self._commanded = False

    def connect(self) -> None:
        """Open states and control; moves nothing.

        Raises:
            DeviceError: It cannot be reached, is not in remote control, or is stopped.
        """
        receiving = vendor_module("rtde_receive", "ur", "ur")
        controlling = vendor_module("rtde_control", "ur", "ur")
        self.disconnect()
        self._reach(*_PORTS)
        try:
            self._receive = receiving.RTDEReceiveInterface(self._host, self._rate_hz, _VARIABLES)
            self._check_safety()
            self._control = controlling.RTDEControlInterface(self._host, self._rate_hz)
            self._control.setWatchdog(_WATCHDOG_HZ)
            if self._gripper is not None:
                self._gripper.connect()
        except (RuntimeError, ValueError) as error:
            self.disconnect()
            raise self._refused(
                "cannot be controlled",
                str(error).removeprefix("ur_rtde: "),
                "Switch it on, release its brakes and enable remote control on the pendant",
            ) from error
        except DeviceError:
            self.disconnect()
            raise
        self._fresh_ns = self._clock.now_ns()
        self._commanded = False

    def read(self) -> FollowerState:
        """The newest state of the controller.

        Raises:
            DeviceError: The controller is silent, stopped, or its program ended.
        """
        if self._receive is None:
            raise self._refused("is not connected")
        now_ns = self._clock.now_ns()
        stamp_s = self._receive.getTimestamp()
        if stamp_s != self._stamp_s:
            self._stamp_s, self._fresh_ns = stamp_s, now_ns
        elif now_ns - self._fresh_ns > _SILENT_NS:
            raise self._refused(
                "is silent",
                f"no new state for {(now_ns - self._fresh_ns) / NS_PER_MS:.0f} ms",
                "Check its cable and its pendant",
            )
        self._check_safety()
        if self._fresh_ns == now_ns:  # the vendor's control client may die of a call to a silent controller
            self._keep_running()
        if self._gripper is not None:
            self._opening = self._gripper.opening
        none = np.zeros(1)
        return FollowerState(
            position=np.append(self._receive.getActualQ(), self._opening),
            velocity=np.append(self._receive.getActualQd(), none),
            effort=np.append(self._receive.getActualCurrent(), none),
            capture_ns=self._times.stamp(round(stamp_s * NS_PER_S), self._fresh_ns),
        )

    def send(self, target: Array) -> None:
        """Give `servoj` a target, shape (7,).

        Raises:
            DeviceError: It is not finite, or was refused.
        """
        if self._control is None:
            raise self._refused("is not connected")
        self._check(target)
        options = self._options
        joints = target[:_JOINTS].tolist()
        done = self._control.servoJ(
            joints, 0.0, 0.0, 1.0 / options.rate_hz, options.lookahead_s, options.gain
        )
        if not done:
            raise self._refused("did not take a target", "its control program does not run")
        self._commanded = True
        if self._gripper is not None:
            self._gripper.move(float(target[_JOINTS]))
        else:
            self._opening = float(target[_JOINTS])

    def hold(self) -> None:
        """Stop `servoj` where the arm is."""
        if self._control is not None and self._commanded:
            self._commanded = False
            if self._control.isProgramRunning():  # a stopped one would be waited for
                self._control.servoStop()

    def disconnect(self) -> None:
        """Stop, end the control program and close. May be called twice."""
        close_quietly(self._gripper)
        control, receive, self._control, self._receive = self._control, self._receive, None, None
        with contextlib.suppress(RuntimeError):
            if control is not None:
                if control.isConnected() and control.isProgramRunning():
                    control.stopScript()
                control.disconnect()
        with contextlib.suppress(RuntimeError):
            if receive is not None:
                receive.disconnect()

    # Inside.

    def _check_safety(self) -> None:
        bits = self._receive.getSafetyStatusBits()
        reasons = [text for bit, text in _SAFETY.items() if bits >> bit & 1]
        if reasons:
            raise self._refused(
                f"is in {reasons[0]}",
                next_step="Clear it on the pendant; the arm is then found again by itself",
            )

    def _keep_running(self) -> None:
        """Kick the controller's watchdog while nothing is sent."""
        if self._commanded:
            return
        if not self._control.isProgramRunning():
            raise self._refused(
                "ended its control program",
                "it was stopped on the pendant, or this process was held up for too long",
                "It is started again by itself; engage anew then",
            )
        self._control.kickWatchdog()


def _make(context: DeviceContext, options: UrOptions) -> UrFollower:
    return UrFollower(context, options)


DRIVER = Driver(
    name="ur",
    kind=DriverKind.FOLLOWER,
    title="Universal Robots arm (RTDE)",
    verification=Verification.EMULATOR,
    proof="ur-rtde's own client against a byte-level emulator of the controller; no real arm.",
    make=_make,
    options=UrOptions,
    needs=("rtde_control", "rtde_receive"),
    extra="ur",
)
