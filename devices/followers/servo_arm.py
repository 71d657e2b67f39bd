"""A follower arm of servos: a `FollowerDriver` over any servo bus."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Options
from devices.protocols import FollowerState
from devices.servos.adapter import find_adapter
from devices.servos.arm_checks import check_servos, check_states, drift_sentence, load_calibration
from devices.servos.arm_joints import ArmJoints
from devices.servos.arm_layouts import ArmLayout, find_layout
from devices.servos.arm_reading import read_whole
from devices.servos.arm_torque import torque_constants
from devices.servos.bus import Array, MotionBus, ServoBus, ServoMode, ServoStates
from devices.servos.families import MakeBus
from teleop_app.core.calibration import ArmCalibration
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import ConfigError, DeviceError

_TURN: Final = 2.0 * np.pi
_TICK: Final = _TURN / 4096
_WATCHDOG_S: Final = 0.3


class ServoArmOptions(Options):
    """Settings of a follower arm of servos.

    Attributes:
        port: Serial port; empty for the one of the adapter with `serial`.
        serial: Serial number of the adapter, which names the calibration; empty for that of `port`.
        baud: Bit rate of the servos.
        layout: Arm, see docs/leader-arms.md.
        rate_hz: How often it is commanded and read.
        max_velocity_rad_s: Cap in the servos themselves, above the safety limits.
        max_acceleration_rad_s2: Likewise.
        shadows: Second servos of a joint: `secondary` obey their partner's ID (the maker's set-up), `both`
            are commanded one by one and must count in the same direction.
    """

    port: str = Field(default="", max_length=200)
    serial: str = Field(default="", max_length=120)
    baud: int = Field(default=1_000_000, ge=9600, le=4_500_000)
    layout: str
    rate_hz: float = Field(default=100.0, ge=20.0, le=500.0)
    max_velocity_rad_s: float = Field(default=4.0, gt=0.0, le=12.0)
    max_acceleration_rad_s2: float = Field(default=30.0, gt=0.0, le=200.0)
    shadows: Literal["secondary", "both"] = "secondary"


class ServoArm:
    """See `devices.protocols.FollowerDriver`.

    Args:
        arm: Name of the arm.
        layout: Its servos.
        options: Its settings.
        make_bus: Finds the adapter and the calibration, and makes the bus; called at every `connect`.
        clock: The station's clock.
    """

    def __init__(
        self,
        arm: str,
        layout: ArmLayout,
        options: ServoArmOptions,
        make_bus: Callable[[], tuple[ServoBus, ArmCalibration]],
        clock: Clock,
    ) -> None:
        self._arm = arm
        self._layout = layout
        self._options = options
        self._make_bus = make_bus
        self._clock = clock
        self._bus: ServoBus | None = None
        self._constants = np.ones(len(layout.joints))
        self._shadow_of: tuple[int, ...] = ()
        self._shadow_ids: tuple[int, ...] = ()
        self._shadow_lead: Array = np.zeros(0)
        self._spoken_ns = 0
        self._may_have_struck = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        """`arm/joint`, gripper last."""
        return tuple(f"{self._arm}/{name}" for name in self._layout.names)

    @property
    def rate_hz(self) -> float:
        """How often it is commanded and read."""
        return self._options.rate_hz

    def connect(self) -> None:
        """Check the arm and hold it where it is: goals are set to where it stands before torque goes on.

        Raises:
            DeviceError: It is not there, not whole, not calibrated, reports an alarm, or reads angles that
                its calibration excludes.
        """
        self.disconnect()
        bus, calibration = self._make_bus()
        try:
            self._take(bus, calibration)
        except BaseException:
            bus.close()
            raise
        self._bus = bus

    def read(self) -> FollowerState:
        """The state now.

        Raises:
            DeviceError: A servo does not answer, or reports an alarm.
        """
        bus = self._connected()
        self._speak()
        states = self._whole(bus)
        return FollowerState(
            position=self._joints.to_joints(states.position),
            velocity=self._joints.to_velocity(states.velocity),
            effort=self._joints.sign * states.current * self._constants,
            capture_ns=states.capture_ns,
        )

    def send(self, target: Array) -> None:
        """Joint targets, shape (n,). Those beyond the calibrated range stop at it.

        Raises:
            DeviceError: It has the wrong shape, is not finite, or the port is gone.
        """
        bus = self._connected()
        if target.shape != (self._joints.size,) or not np.isfinite(target).all():
            raise DeviceError(
                f"The arm {self._arm!r} refused a target of shape {target.shape}",
                why=f"it takes {self._joints.size} finite values",
            )
        self._watch(bus)
        self._write(bus, self._joints.to_raw(self._joints.limited(target)))

    def hold(self) -> None:
        """The place where the arm is becomes its goal.

        Raises:
            DeviceError: It cannot be read.
        """
        bus = self._connected()
        states = self._whole(bus)
        self._watch(bus)
        self._write(bus, states.position)

    def disconnect(self) -> None:
        """Close the bus; the servos hold. May be called twice."""
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(DeviceError):
                self._set_watchdog(bus, 0.0)
            bus.close()

    # Inside.

    def _take(self, bus: ServoBus, calibration: ArmCalibration) -> None:
        layout = self._layout
        bus.open()
        models = check_servos(bus, layout, self._arm)
        self._constants = torque_constants([bus.model_name(models[servo]) for servo in layout.servos])
        self._joints = ArmJoints(calibration)
        states = self._whole(bus)
        q = self._joints.to_joints(states.position)
        if drift := self._outside(calibration, q):
            raise DeviceError(drift)
        self._find_shadows(bus, states.position)
        driven = (*layout.servos, *self._shadow_ids)
        self._set_watchdog(bus, 0.0)
        bus.set_mode(driven, ServoMode.POSITION)
        if isinstance(bus, MotionBus):
            options = self._options
            bus.limit_motion(driven, options.max_velocity_rad_s, options.max_acceleration_rad_s2)
        self._write(bus, states.position)
        bus.set_torque(driven, True)
        # With torque a servo in position mode counts within one turn again.
        self._joints.forget_turns()
        self._joints.to_joints(self._whole(bus).position)
        self._set_watchdog(bus, _WATCHDOG_S)

    def _outside(self, calibration: ArmCalibration, q: Array) -> str:
        """Only what is certain keeps a follower from being driven: a joint outside its range."""
        without_rest = calibration.model_copy(update={"rest_rad": []})
        return drift_sentence(self._joints, without_rest, q, self._arm)

    def _find_shadows(self, bus: ServoBus, raw: Array) -> None:
        """How far each shadow that is commanded itself reads ahead of its partner, at rest."""
        pairs = self._layout.shadows if self._options.shadows == "both" else {}
        self._shadow_of = tuple(self._layout.servos.index(servo) for servo in pairs)
        self._shadow_ids = tuple(pairs.values())
        self._shadow_lead = np.zeros(0)
        if pairs:
            states = bus.read(self._shadow_ids)
            check_states(states, self._layout, self._arm)
            self._shadow_lead = states.position - raw[list(self._shadow_of)]

    def _write(self, bus: ServoBus, raw: Array) -> None:
        goals = np.append(raw, raw[list(self._shadow_of)] + self._shadow_lead)
        # What a hand turned past the zero of an encoder stands there when torque comes.
        bus.write_positions((*self._layout.servos, *self._shadow_ids), np.clip(goals, 0.0, _TURN - _TICK))

    def _whole(self, bus: ServoBus) -> ServoStates:
        states = read_whole(bus, self._layout.servos)
        check_states(states, self._layout, self._arm)
        return states

    def _connected(self) -> ServoBus:
        if self._bus is None:
            raise DeviceError(f"The arm {self._arm!r} is not connected")
        return self._bus

    def _speak(self) -> None:
        """Anything said to the servos keeps their watchdog still; after a pause it may have struck."""
        now_ns = self._clock.now_ns()
        self._may_have_struck |= now_ns - self._spoken_ns > _WATCHDOG_S * NS_PER_S / 2
        self._spoken_ns = now_ns

    def _watch(self, bus: ServoBus) -> None:
        """Servos whose watchdog has struck take no goals until it is set anew."""
        self._speak()
        if self._may_have_struck:
            self._set_watchdog(bus, _WATCHDOG_S)

    def _set_watchdog(self, bus: ServoBus, timeout_s: float) -> None:
        if isinstance(bus, MotionBus) and bus.has_watchdog:
            bus.set_watchdog((*self._layout.servos, *self._shadow_ids), timeout_s)
        self._spoken_ns, self._may_have_struck = self._clock.now_ns(), False


def make_servo_arm(
    context: DeviceContext,
    options: ServoArmOptions,
    family: str,
    driver: str,
    make_bus: MakeBus,
) -> ServoArm:
    """The follower of a station file's arm.

    Raises:
        ConfigError: Its layout is unknown.
    """
    layout = find_layout(options.layout, family)
    if len(context.arms) != 1:
        raise ConfigError(f"The follower {context.name!r} must drive one arm, not {len(context.arms)}")
    arm = context.arms[0]

    def make() -> tuple[ServoBus, ArmCalibration]:
        port, serial = find_adapter(options.port, options.serial, arm)
        calibration = load_calibration(context.calibrations, serial, driver, layout, arm)
        return make_bus(port, options.baud, context.clock), calibration

    return ServoArm(arm, layout, options, make, context.clock)
