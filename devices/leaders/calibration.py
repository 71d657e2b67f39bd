"""Calibrates an arm of servos, leader or follower: a state machine that a command or a window steps through.

Nothing is moved: torque is off, a person moves the arm. `update` is called about thirty times a second for
live values and ranges; `advance` ends a step, or says why it cannot end yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import numpy as np

from devices.servos.arm_checks import check_servos, check_states
from devices.servos.arm_layouts import GRIPPER, ArmLayout
from devices.servos.arm_reading import read_whole
from devices.servos.bus import Array, CentringBus, ServoBus
from teleop_app.core.calibration import ArmCalibration, JointCalibration
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError

_TURN: Final = 2.0 * np.pi
_STILL_RAD: Final = 0.02
_STILL_NS: Final = NS_PER_S // 2
_SIGN_RAD: Final = 0.35
_OTHERS_SHARE: Final = 0.5
_SWEEP_RAD: Final = 0.8
_STROKE_RAD: Final = 0.15
_SEAM_RAD: Final = 0.1


class CalibrationStep(StrEnum):
    """What the person is asked to do.

    START: get ready; torque goes off when it ends. CENTRE: hold every joint in the middle of its range, which
    becomes the middle of its encoder (of servos that can; kept in them). REST: hold the rest posture. SIGN:
    turn one joint the named way, joint after joint. SWEEP: move every joint through its whole range. CLOSE
    and OPEN: the gripper. DONE: `result` may be called.
    """

    START = "start"
    CENTRE = "centre"
    REST = "rest"
    SIGN = "sign"
    SWEEP = "sweep"
    CLOSE = "close"
    OPEN = "open"
    DONE = "done"


_BEFORE_SIGNS: Final = (
    CalibrationStep.START,
    CalibrationStep.CENTRE,
    CalibrationStep.REST,
    CalibrationStep.SIGN,
)


@dataclass(frozen=True, slots=True)
class LiveJoint:
    """A joint as seen now [rad].

    Attributes:
        rad: Angle: the servo's own until the sign is known, then the model's.
        lower: Smallest since the rest posture.
        upper: Largest.
    """

    rad: float
    lower: float
    upper: float


class ArmCalibrator:
    """One thread; calls block for a bus cycle. The bus must be open and used by nobody else.

    Args:
        bus: Of the arm, open; `close` closes it.
        layout: Of the arm.
        serial: Under which the calibration is stored.
        clock: For stillness.
        driver: Named in the calibration, e.g. `dynamixel-leader`.
        arm: Name for sentences.
        follower: It is driven by its servos: it must be held when torque goes off, and no joint may turn
            across the zero of its encoder.
    """

    def __init__(
        self,
        bus: ServoBus,
        layout: ArmLayout,
        serial: str,
        clock: Clock,
        *,
        driver: str,
        arm: str,
        follower: bool = False,
    ) -> None:
        self._bus = bus
        self._layout = layout
        self._serial = serial
        self._clock = clock
        self._driver = driver
        self._arm = arm
        self._follower = follower
        count = len(layout.joints)
        self.step = CalibrationStep.START
        self._joint = 0
        self._raw: Array | None = None
        self._anchor: Array = np.zeros(count)
        self._anchor_ns = 0
        self._rest: Array = np.zeros(count)
        self._sign_from: Array | None = None
        self._sign = np.ones(count)
        self._lower = np.full(count, np.inf)
        self._upper = np.full(count, -np.inf)
        self._closed = 0.0
        self._opened = 0.0

    @property
    def joint(self) -> str:
        """The joint that the step SIGN asks for, else empty."""
        return self._layout.joints[self._joint].name if self.step is CalibrationStep.SIGN else ""

    @property
    def progress(self) -> float:
        """Share of the steps that is done, 0..1."""
        arm = len(self._layout.joints) - 1
        order = [step for step in CalibrationStep if step is not CalibrationStep.CENTRE or self._can_centre]
        done = order.index(self.step) + (self._joint if self.step is CalibrationStep.SIGN else 0)
        done += arm - 1 if order.index(self.step) > order.index(CalibrationStep.SIGN) else 0
        return done / (len(order) + arm - 2)

    @property
    def instruction(self) -> str:
        """What to do now, as a sentence."""
        match self.step:
            case CalibrationStep.START:
                held = "Hold the arm: it falls when its motors are switched off. " if self._follower else ""
                return f"{held}The motors of {self._arm!r} are switched off when you go on."
            case CalibrationStep.CENTRE:
                return "Put every joint, and the gripper, into the middle of its range and keep it still."
            case CalibrationStep.REST:
                return f"Put the arm into its rest posture and keep it still: {self._layout.rest}."
            case CalibrationStep.SIGN:
                joint = self._layout.joints[self._joint]
                return f"Turn {joint.name} alone by 20 degrees or more {joint.positive}."
            case CalibrationStep.SWEEP:
                return "Move every joint to both ends of its range, the gripper left out."
            case CalibrationStep.CLOSE:
                return "Close the gripper fully and keep it closed."
            case CalibrationStep.OPEN:
                return "Open the gripper fully and keep it open."
            case CalibrationStep.DONE:
                return "The arm is calibrated."

    @property
    def live(self) -> dict[str, LiveJoint]:
        """Every joint as last seen; empty before the first `update`."""
        if self._raw is None:
            return {}
        known = self.step not in _BEFORE_SIGNS
        live: dict[str, LiveJoint] = {}
        for i, joint in enumerate(self._layout.joints):
            ends = (self._lower[i], self._upper[i]) if np.isfinite(self._lower[i]) else (self._raw[i],) * 2
            values = [self._model(i, raw) if known else float(raw) for raw in (self._raw[i], *ends)]
            live[joint.name] = LiveJoint(values[0], min(values[1:]), max(values[1:]))
        return live

    def close(self) -> None:
        """Close the bus; torque stays off. May be called twice."""
        self._bus.close()

    def update(self) -> None:
        """Read the arm.

        Raises:
            DeviceError: A servo is silent or reports an alarm; nothing is lost, call it again.
        """
        states = read_whole(self._bus, self._layout.servos)
        check_states(states, self._layout, self._arm)
        raw = states.position
        if self._raw is None:
            raw = np.mod(raw, _TURN)
        else:
            raw = raw + _TURN * np.round((self._raw - raw) / _TURN)
        self._raw = raw
        if np.abs(raw - self._anchor).max() > _STILL_RAD or not self._anchor_ns:
            self._anchor, self._anchor_ns = raw, self._clock.now_ns()
        if self.step in (CalibrationStep.SIGN, CalibrationStep.SWEEP):
            self._lower = np.minimum(self._lower, raw)
            self._upper = np.maximum(self._upper, raw)

    def advance(self) -> None:
        """End the present step and begin the next one.

        Raises:
            DeviceError: The step is not done yet, as a sentence; or the arm cannot be read.
        """
        match self.step:
            case CalibrationStep.START:
                check_servos(self._bus, self._layout, self._arm)
                every = [*self._layout.servos, *self._layout.shadows.values()]
                self._bus.set_torque(every, False)
                self.step = CalibrationStep.CENTRE if self._can_centre else CalibrationStep.REST
            case CalibrationStep.CENTRE:
                self._centre()
                self.step = CalibrationStep.REST
            case CalibrationStep.REST:
                self._rest = self._lower = self._upper = self._still()
                self.step = CalibrationStep.SIGN
            case CalibrationStep.SIGN:
                self._take_sign()
            case CalibrationStep.SWEEP:
                self._check_sweep()
                self.step = CalibrationStep.CLOSE
            case CalibrationStep.CLOSE:
                self._closed = self._model(len(self._sign) - 1, self._still()[-1])
                self.step = CalibrationStep.OPEN
            case CalibrationStep.OPEN:
                self._take_opened()
                self.step = CalibrationStep.DONE
            case CalibrationStep.DONE:
                pass

    def result(self) -> ArmCalibration:
        """The calibration; save it with a `CalibrationStore`.

        Raises:
            DeviceError: It is not finished.
        """
        if self.step is not CalibrationStep.DONE:
            raise DeviceError(f"The calibration of {self._arm!r} is not finished", next_step=self.instruction)
        joints: list[JointCalibration] = []
        for i, joint in enumerate(self._layout.joints):
            if joint.name == GRIPPER:
                low, high = self._closed, self._opened
            else:
                low, high = sorted((self._model(i, self._lower[i]), self._model(i, self._upper[i])))
            joints.append(
                JointCalibration(
                    name=joint.name,
                    servo=joint.servo,
                    sign=int(self._sign[i]),
                    offset_rad=self._offset(i),
                    lower_rad=low,
                    upper_rad=high,
                )
            )
        return ArmCalibration(
            serial=self._serial,
            driver=self._driver,
            model=self._layout.model,
            joints=joints,
            rest_rad=[joint.rest_rad for joint in self._layout.joints if joint.name != GRIPPER],
            measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    # Inside.

    def _offset(self, i: int) -> float:
        return float(self._layout.joints[i].rest_rad - self._sign[i] * self._rest[i])

    def _model(self, i: int, raw: float) -> float:
        return float(self._sign[i] * raw + self._offset(i))

    def _still(self) -> Array:
        """The arm's raw angles, now that it has been still for a while."""
        self.update()
        if self._raw is None or self._clock.now_ns() - self._anchor_ns < _STILL_NS:
            raise DeviceError("The arm still moves", next_step="Keep it still for half a second and go on")
        return self._raw.copy()

    @property
    def _can_centre(self) -> bool:
        return isinstance(self._bus, CentringBus)

    def _centre(self) -> None:
        self._still()
        if isinstance(self._bus, CentringBus):
            for servo in self._layout.servos:
                self._bus.centre(servo)
        self._raw, self._anchor_ns = None, 0

    def _take_sign(self) -> None:
        self.update()
        if self._raw is None:
            return
        moved = self._raw - self._anchor_of_sign()
        name = self._layout.joints[self._joint].name
        own = abs(float(moved[self._joint]))
        others = np.abs(np.delete(moved[:-1], self._joint))
        if others.size and others.max() > max(_SIGN_RAD, own):
            names = [joint.name for joint in self._layout.joints[:-1] if joint.name != name]
            other = names[int(np.argmax(others))]
            raise DeviceError(
                f"{other} was turned, not {name}",
                why=f"by {others.max():.2f} rad against {own:.2f} rad",
                next_step=f"Turn {other} back and {name} {self._layout.joints[self._joint].positive}; if the "
                "right joint was turned, the servos' IDs are in another order than the layout's",
            )
        if own < _SIGN_RAD:
            raise DeviceError(
                f"{name} was turned by {own:.2f} rad only",
                why=f"its sign needs {_SIGN_RAD:g}",
                next_step=self.instruction,
            )
        if others.size and others.max() > _OTHERS_SHARE * own:
            raise DeviceError(
                f"More than {name} was turned", next_step=f"Hold the others still: {self.instruction}"
            )
        self._sign[self._joint] = np.sign(moved[self._joint])
        self._sign_from = self._raw.copy()
        self._joint += 1
        if self._layout.joints[self._joint].name == GRIPPER:
            self.step = CalibrationStep.SWEEP

    def _anchor_of_sign(self) -> Array:
        """Where the arm was when this joint's turn began."""
        return self._rest if self._sign_from is None else self._sign_from

    def _check_sweep(self) -> None:
        self.update()
        spans = (self._upper - self._lower)[:-1]
        short = [self._layout.joints[i].name for i in np.flatnonzero(spans < _SWEEP_RAD)]
        if short:
            verb = "was" if len(short) == 1 else "were"
            raise DeviceError(
                f"{', '.join(short)} {verb} not moved through the whole range",
                why=f"less than {_SWEEP_RAD:g} rad was seen",
                next_step=self.instruction,
            )
        over = [self._layout.joints[i].name for i in np.flatnonzero(spans > _TURN)]
        if over:
            raise DeviceError(
                f"{', '.join(over)} was turned by more than a full turn",
                why="its encoder cannot tell the turns apart after a restart",
                next_step="Begin anew and stay within one turn",
            )
        if self._follower:
            self._check_seam(range(spans.size), self._lower, self._upper)

    def _take_opened(self) -> None:
        last = len(self._sign) - 1
        raw = self._still()
        self._opened = self._model(last, raw[-1])
        stroke = abs(self._opened - self._closed)
        if stroke < _STROKE_RAD:
            raise DeviceError(
                f"The gripper opened by {stroke:.2f} rad only",
                why=f"at least {_STROKE_RAD:g} is needed",
                next_step=self.instruction,
            )
        if self._follower:
            closed = self._sign[last] * (self._closed - self._offset(last))
            ends = np.sort([closed, raw[-1]])
            self._check_seam((last,), np.full(last + 1, ends[0]), np.full(last + 1, ends[1]))

    def _check_seam(self, which: Iterable[int], lower: Array, upper: Array) -> None:
        """A servo in position mode takes goals of one turn only; a little at its ends is given up."""
        across = [i for i in which if lower[i] < -_SEAM_RAD or upper[i] >= _TURN + _SEAM_RAD]
        if across:
            listed = ", ".join(
                f"{self._layout.joints[i].name} ({self._layout.named(self._layout.joints[i].servo)})"
                for i in across
            )
            middle = "Begin anew, and put each joint into the middle of its range when it is centred"
            turned = "Take the horn off, turn the servo's shaft by half a turn and calibrate anew"
            raise DeviceError(
                f"The range of {listed} crosses the zero of its encoder",
                why="the servo could not be driven across it",
                next_step=middle if self._can_centre else turned,
            )
