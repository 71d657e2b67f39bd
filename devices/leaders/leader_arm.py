"""A leader arm on its bus: reads it, and moves it where it is asked to. One thread."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from devices.leaders.gravity import GravityModel
from devices.leaders.options import LeaderOptions
from devices.servos.arm_checks import check_servos, drift_sentence
from devices.servos.arm_joints import ArmJoints
from devices.servos.arm_layouts import ArmLayout
from devices.servos.arm_reading import read_whole
from devices.servos.arm_torque import torque_constants
from devices.servos.bus import Array, MotionBus, ServoBus, ServoMode, ServoStates
from teleop_app.core.calibration import ArmCalibration
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.errors import DeviceError

DROPOUT_NS: Final = 50 * NS_PER_MS
"""A reading that is missing for less is only late: one damaged packet must not stop the robot."""

_LARGEST_STEP_RAD: Final = 0.05
_ALIGNED_RAD: Final = 0.05
_STALE_NS: Final = 200 * NS_PER_MS
_WATCHDOG_S: Final = 0.1
_TRACK_RAD_S: Final = 2.0
_PUSHED_TURNS: Final = 3


class Drive(StrEnum):
    """What the leader's motors do. FREE: nothing. GRAVITY: carry its weight. FOLLOW: go to the follower."""

    FREE = "free"
    GRAVITY = "gravity"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True)
class LeaderReading:
    """One reading.

    Attributes:
        seq: Counts readings.
        q: Joint vector; NaN where a servo did not answer.
        capture_ns: When it was so.
        missing: IDs that did not answer.
        alarms: By ID, a sentence.
    """

    seq: int
    q: Array
    capture_ns: int
    missing: tuple[int, ...]
    alarms: dict[int, str]

    @property
    def whole(self) -> bool:
        """Whether every servo answered."""
        return bool(np.isfinite(self.q).all())


class LeaderArm:
    """See the module. `want` and `lead_to` may be called from another thread.

    Args:
        bus: Opened and closed by `begin` and `end`.
        layout: Of the arm.
        calibration: Of the arm.
        gravity: Its model, None without gravity compensation.
        options: Of the leader.
        arm: Its name, for sentences.
        clock: The station's clock.
        seize_rad: Pushed so far off where it is driven to, it counts as pushed by a person.

    Attributes:
        aligned: It is driven, and stands as the follower does.
        pushed: A person pushed it while it was aligned and driven; whoever takes note of it sets it back.
        remark: What is off, empty when nothing is.
    """

    def __init__(
        self,
        bus: ServoBus,
        layout: ArmLayout,
        calibration: ArmCalibration,
        gravity: GravityModel | None,
        options: LeaderOptions,
        arm: str,
        clock: Clock,
        seize_rad: float = 0.12,
    ) -> None:
        self._seize_rad = seize_rad
        self._reach_rad = max(4 * _LARGEST_STEP_RAD, 1.5 * seize_rad)
        self._tracks = False
        self._pushed_turns = 0
        self.pushed = False
        self._bus = bus
        self._layout = layout
        self._calibration = calibration
        self._gravity = gravity
        self._options = options
        self._arm = arm
        self._clock = clock
        self._joints = ArmJoints(calibration)
        self._servos = self._joints.servos
        self._every = (*self._servos, *layout.shadows.values())
        self._resting = Drive.GRAVITY if gravity is not None else Drive.FREE
        self._drive = Drive.FREE
        self._wanted = self._resting
        self._target: tuple[Array, int] | None = None
        self._goal: Array | None = None
        self._constants = np.ones(len(self._servos))
        self._strong = np.zeros(len(self._servos), dtype=bool)
        self._seq = 0
        self._whole_ns = 0
        self._turn_ns = 0
        self.aligned = False
        self.remark = ""

    @property
    def drive(self) -> Drive:
        """What the motors do now."""
        return self._drive

    def begin(self) -> None:
        """Open the bus, check the arm, let it go, look for drift.

        Raises:
            DeviceError: The arm is not there, not whole, or reports an alarm.
        """
        self._bus.open()
        models = check_servos(self._bus, self._layout, self._arm)
        self._strong = np.array([self._bus.can_current(servo) for servo in self._servos])
        self._strong[-1] = False  # the gripper stays the person's
        if self._gravity is not None and not self._strong.any():
            raise DeviceError(
                f"The leader {self._arm!r} cannot carry its weight",
                why="its servos take no currents",
                next_step="Set gravity_compensation to 0",
            )
        self._constants = torque_constants([self._bus.model_name(models[servo]) for servo in self._servos])
        self._constants *= [2.0 if joint.shadow else 1.0 for joint in self._layout.joints]
        self._arm_watchdog(0.0)
        self._bus.set_torque(self._every, False)
        states = self._bus.read(self._servos)
        self.remark = drift_sentence(
            self._joints, self._calibration, self._joints.to_joints(states.position), self._arm
        )
        self._whole_ns = self._turn_ns = self._clock.now_ns()

    def end(self) -> None:
        """Let the arm go and close the bus. May be called twice."""
        if self._drive is not Drive.FREE:
            self._let_go()
        self._bus.close()

    def want(self, follow: bool) -> None:
        """Drive it to the follower from the next turn on, or no longer."""
        self._wanted = Drive.FOLLOW if follow else self._resting

    def lead_to(self, q: Array, now_ns: int) -> None:
        """Where the follower is, shape (n,); needed anew all the time."""
        self._target = (q, now_ns)

    def turn(self) -> LeaderReading | None:
        """One cycle: read, then move. None when nothing answered, which is borne for `DROPOUT_NS`.

        Raises:
            DeviceError: The bus is lost.
        """
        now_ns = self._clock.now_ns()
        dt_s, self._turn_ns = (now_ns - self._turn_ns) / NS_PER_S, now_ns
        try:
            lately = now_ns - self._whole_ns <= DROPOUT_NS
            states = read_whole(self._bus, self._servos) if lately else self._bus.read(self._servos)
        except DeviceError:
            if now_ns - self._whole_ns > DROPOUT_NS:
                raise
            return None
        reading = self._reading(states)
        if reading.whole:
            self._whole_ns = self._clock.now_ns()
        if reading.alarms or (not reading.whole and now_ns - self._whole_ns > DROPOUT_NS):
            self._wanted = self._resting
            if self._drive is not Drive.FREE:
                self._let_go()
        elif reading.whole:
            self._move(reading.q, dt_s)
        return reading

    def _reading(self, states: ServoStates) -> LeaderReading:
        self._seq += 1
        q = self._joints.to_joints(states.position)
        return LeaderReading(self._seq, q, states.capture_ns, states.missing, dict(states.alarms))

    def _move(self, q: Array, dt_s: float) -> None:
        # After a pause the servos' watchdog may have struck: they take no goals until it is set anew.
        struck = self._drive is not Drive.FREE and dt_s > _WATCHDOG_S / 2
        if self._wanted is not self._drive or struck:
            self._go(self._wanted, q)
            self._turn_ns = self._clock.now_ns()
            dt_s = 0.0
        if self._drive is Drive.GRAVITY and self._gravity is not None:
            self._bus.write_currents(self._driven(Drive.GRAVITY), self._currents(q)[self._strong])
        elif self._drive is Drive.FOLLOW:
            self._feel(q)
            goal = self._joints.to_raw(self._next_goal(q, dt_s))
            try:
                self._bus.write_positions(self._driven(Drive.FOLLOW), goal[:-1])
            except (
                DeviceError
            ) as error:  # a goal beyond a servo's range: it is set free, and goes on being read
                self.remark, self._wanted = error.sentence, self._resting

    def _currents(self, q: Array) -> Array:
        """[A] that carry the wanted share of the weight, shape (n,); the gripper gets none."""
        if self._gravity is None:
            return np.zeros(q.size)
        torques = np.zeros(q.size)
        torques[: self._gravity.size] = self._gravity.torques(q[: self._gravity.size])
        amperes = self._options.gravity_compensation * self._joints.sign * torques / self._constants
        return np.clip(amperes, -self._options.max_current_a, self._options.max_current_a)

    def _next_goal(self, q: Array, dt_s: float) -> Array:
        """The next step towards the follower; the gripper stays the person's."""
        goal = q.copy() if self._goal is None else self._goal
        target = self._target
        if target is not None and self._clock.now_ns() - target[1] <= _STALE_NS:
            # Slow until it is there; then as fast as the arm, or it would fall behind.
            speed = _TRACK_RAD_S if self._tracks else self._options.follow_speed_rad_s
            step = min(_LARGEST_STEP_RAD, speed * max(dt_s, 0.0))
            goal = goal + np.clip(target[0] - goal, -step, step)
            # A person who holds the leader back is not pulled harder and harder.
            goal = np.clip(goal, q - self._reach_rad, q + self._reach_rad)
            self.aligned = bool(np.abs(target[0] - q)[:-1].max() < _ALIGNED_RAD)
            self._tracks |= self.aligned
        goal[-1] = q[-1]
        self._goal = self._joints.limited(goal)
        return self._goal

    def _feel(self, q: Array) -> None:
        """Tell a person's push from the lag of the servos: it is larger, and lasts for several readings."""
        off = 0.0 if self._goal is None else float(np.abs(self._goal - q)[:-1].max())
        self._pushed_turns = self._pushed_turns + 1 if self._tracks and off > self._seize_rad else 0
        if self._pushed_turns >= _PUSHED_TURNS:
            self.pushed = True

    def _forget_goal(self) -> None:
        self._goal, self.aligned, self._drive = None, False, Drive.FREE
        self._tracks, self._pushed_turns = False, 0

    def _let_go(self) -> None:
        """Torque off wherever a servo still answers; all of them are tried."""
        self._forget_goal()
        with contextlib.suppress(DeviceError):
            self._bus.set_torque(self._every, False)
        with contextlib.suppress(DeviceError):
            self._arm_watchdog(0.0)

    def _go(self, drive: Drive, q: Array) -> None:
        """Switch the motors over; without torque in between, so that nothing jumps."""
        self._arm_watchdog(0.0)
        self._bus.set_torque(self._every, False)
        self._forget_goal()
        if drive is Drive.FREE:
            return
        driven = self._driven(drive)
        self._bus.set_mode(driven, ServoMode.POSITION if drive is Drive.FOLLOW else ServoMode.CURRENT)
        self._bus.set_torque(driven, True)  # goes on where each stands, without current
        if drive is Drive.GRAVITY:
            self._bus.write_currents(driven, self._currents(q)[self._strong])
        self._drive = drive
        self._arm_watchdog(_WATCHDOG_S)

    def _driven(self, drive: Drive) -> tuple[int, ...]:
        """IDs that move: all but the gripper; with currents those that take them."""
        if drive is Drive.GRAVITY:
            return tuple(np.array(self._servos)[self._strong].tolist())
        return self._servos[:-1]

    def _arm_watchdog(self, timeout_s: float) -> None:
        """Servos that watch over the host let go of a goal that nobody renews."""
        if isinstance(self._bus, MotionBus) and self._bus.has_watchdog:
            self._bus.set_watchdog(self._servos[:-1], timeout_s)
