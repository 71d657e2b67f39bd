"""The supervisor between arbitration and every follower: the only caller of `Follower.send`.

A tick goes through, in this order: follower feedback, e-stop, freshness, finite, workspace and speed of
the commanded pose, inverse kinematics, jerk-limited joint targets from the last sent command, send.
(Order, deadman, engage edge and jumps of samples come before, in `input_guard`.) It is software above the
robot's own safety, not a rated safety function.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from teleop_app.core.clock import Clock
from teleop_app.core.config import SafetySection
from teleop_app.core.errors import DeviceError
from teleop_app.core.geometry import Array, is_pose
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.jerk_limiter import STILL_RAD_S, JerkLimiter, Mask
from teleop_app.safety.limits import CellLimits
from teleop_app.safety.watchdog import FollowerWatchdog, Freshness, InputWatchdog
from teleop_app.safety.workspace import Workspace

logger = logging.getLogger(__name__)

IK_POSITION_ERROR_M = 0.02
"""A commanded pose farther than this from what the arm reaches is reported as out of reach."""

LAG_RAD = 0.10
"""A joint sent this far behind its command is reported as rate-limited."""

ADOPT_RAD = 0.10
"""A follower that comes back this far from the last command is met where it is, not pulled back."""


class Solution(Protocol):
    """What the supervisor reads of one step of inverse kinematics."""

    @property
    def q(self) -> Array:
        """Joint positions [rad] of all arms."""
        ...

    @property
    def position_error_m(self) -> Array:
        """Distance left to each arm's target, shape (arms,)."""
        ...

    @property
    def solved(self) -> bool:
        """Whether a solution was found."""
        ...


class Kinematics(Protocol):
    """Forward and inverse kinematics of the cell; vectors are all joints, grippers left out."""

    def poses(self, q: Array) -> Array:
        """`world_T_tcp` of every arm, shape (arms, 7)."""
        ...

    def solve(self, q: Array, targets: Sequence[Array | None]) -> Solution:
        """One tick from `q` towards the targets."""
        ...


class FollowerReading(Protocol):
    """What the supervisor reads of a follower's state (see `devices.protocols.FollowerState`)."""

    @property
    def position(self) -> Array:
        """Joint vector."""
        ...

    @property
    def velocity(self) -> Array:
        """Its velocity."""
        ...

    @property
    def effort(self) -> Array:
        """Its effort."""
        ...

    @property
    def capture_ns(self) -> int:
        """When it was so."""
        ...


class CommandedFollower(Protocol):
    """What the supervisor needs of a follower (a part of `devices.protocols.Follower`)."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of its joint vector."""
        ...

    def read(self) -> FollowerReading | None:
        """The newest state."""
        ...

    def send(self, target: Array) -> None:
        """Give joint targets to the device."""
        ...


@dataclass(frozen=True, slots=True)
class ArmRequest:
    """What arbitration asks of one arm at a tick. An arm without a request comes to rest.

    Attributes:
        capture_ns: Capture time of the input behind it; the supervisor judges its age again.
        pose: `world_T_tcp`, shape (7,), or None.
        joints: Joint positions [rad], shape (n,), or None.
        gripper: 0 closed .. 1 open.
        speed_rad_s: Joint speed limit of this motion, None for the cell's.
    """

    capture_ns: int
    pose: Array | None
    joints: Array | None
    gripper: float
    speed_rad_s: float | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where an arm is commanded to be and would come to rest: what an engage starts from.

    Attributes:
        pose: `world_T_tcp`, shape (7,).
        joints: [rad], shape (n,).
        gripper: 0 closed .. 1 open.
    """

    pose: Array
    joints: Array
    gripper: float


@dataclass(frozen=True, slots=True)
class Intervention:
    """One thing the supervisor changed or refused for one arm at this tick.

    Attributes:
        flag: Which limit.
        arm: Arm name, empty for the whole cell.
        text: A sentence.
        requested: What was asked, as far as numbers tell it.
        limited: What was let through.
    """

    flag: SafetyFlag
    arm: str
    text: str
    requested: tuple[float, ...] = ()
    limited: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened at a tick.

    Attributes:
        commanded: Joint vector asked of the joint limiter, NaN before the first follower state.
        sent: Joint vector given to the followers; NaN when nothing was sent.
        sent_ns: When, 0 when nothing was sent.
        measured: Joint vector the followers reported, NaN before the first.
        measured_velocity: Likewise.
        measured_effort: Likewise.
        measured_ns: Oldest capture time among the followers, 0 before the first.
        interventions: What was changed or refused.
        fault: A sentence while a follower is lost or refuses, else empty.
        limited_poses: Commanded pose by arm after the limits, None for arms without one.
        at_rest: Nothing sent moves.
    """

    commanded: Array
    sent: Array
    sent_ns: int
    measured: Array
    measured_velocity: Array
    measured_effort: Array
    measured_ns: int
    interventions: tuple[Intervention, ...]
    fault: str
    limited_poses: tuple[Array | None, ...]
    at_rest: bool


class SafetySupervisor:
    """See the module. One thread.

    Args:
        limits: Of the cell.
        safety: Section of the station file.
        kinematics: Of the cell.
        followers: Together they cover the joint vector, in order.
        clock: Stamps what was sent.
        period_s: Of a tick.
    """

    def __init__(
        self,
        limits: CellLimits,
        safety: SafetySection,
        kinematics: Kinematics,
        followers: Sequence[CommandedFollower],
        clock: Clock,
        period_s: float,
    ) -> None:
        self._limits = limits
        self._kinematics = kinematics
        self._clock = clock
        self._inputs = InputWatchdog(safety)
        self._feedback = FollowerWatchdog(safety)
        self._workspace = Workspace(
            limits.workspace_min, limits.workspace_max, safety.max_tcp_speed_m_s, period_s
        )
        self._limiter = JerkLimiter(
            limits.lower, limits.upper, limits.velocity, limits.acceleration, limits.jerk, period_s
        )
        self._gripper_step = limits.gripper_velocity * period_s
        self._period_s = period_s
        self._followers = list(followers)
        ends = np.cumsum([len(follower.joint_names) for follower in followers])
        if not len(ends) or ends[-1] != limits.size:
            names = ", ".join(name for follower in followers for name in follower.joint_names)
            raise DeviceError(
                f"The followers do not fit the cell's {limits.size} joint values", why=f"they report: {names}"
            )
        self._slices = [
            slice(int(end) - len(follower.joint_names), int(end))
            for end, follower in zip(ends, followers, strict=True)
        ]
        arms = len(limits.names)
        self._joints_of = [limits.joints_of(arm) for arm in range(arms)]
        self._gripper = np.ones(arms)
        self._reference = np.zeros(len(limits.joint_at))
        self._pose: list[Array | None] = [None] * arms
        self._known = False
        self._faulty = False
        self._refusal = ""
        self._measured = np.full((3, limits.size), np.nan)
        self._measured_ns = 0
        self.estop_reason = ""

    # State for arbitration.

    @property
    def ready(self) -> bool:
        """Whether the robot's place is known and no fault stands."""
        return self._known and not self._faulty and not self._refusal

    @property
    def estopped(self) -> bool:
        """Whether the e-stop is latched."""
        return bool(self.estop_reason)

    def estop(self, reason: str) -> None:
        """Latch the e-stop: from this tick on every joint ramps to rest."""
        if not self.estop_reason:
            self.estop_reason = reason or "pressed"
            logger.warning("e-stop: %s", self.estop_reason)

    def reset_estop(self) -> None:
        """Unlatch. Moves nothing; an arm moves only after a new engage."""
        self.estop_reason = ""

    def anchor(self, arm: int) -> Anchor:
        """Where the arm would come to rest if it braked now; further requests start from there."""
        rest = self._limiter.state.rest
        mine = self._joints_of[arm]
        self._reference[mine] = rest[mine]
        pose = self._kinematics.poses(rest)[arm]
        self._pose[arm] = pose
        return Anchor(pose.copy(), rest[mine].copy(), float(self._gripper[arm]))

    def joints_near(self, arm: int, joints: Array, tolerance_rad: float) -> bool:
        """Whether the arm was sent to `joints` and is at rest there."""
        state, mine = self._limiter.state, self._joints_of[arm]
        near = np.abs(state.position[mine] - joints).max() <= tolerance_rad
        return bool(near and np.abs(state.velocity[mine]).max() < STILL_RAD_S)

    # The tick.

    def tick(self, now_ns: int, requests: Sequence[ArmRequest | None]) -> Outcome:
        """Pass the requests of all arms, in station order, through every check and send the result."""
        notes: list[Intervention] = []
        fault = self._read(now_ns, notes)
        if not self._known:
            return self._nothing_sent(notes, fault)
        if self.estop_reason:
            notes.append(Intervention(SafetyFlag.ESTOP, "", f"E-stop: {self.estop_reason}."))
        stopped = bool(fault or self.estop_reason)
        passed = [
            None if stopped or request is None else self._admit(arm, request, now_ns, notes)
            for arm, request in enumerate(requests)
        ]
        poses = self._limit_poses(passed, notes)
        previous = self._reference.copy()
        self._solve(passed, poses, notes)
        self._limit_joints(passed, previous, notes)
        self._limit_grippers(passed)
        sent_ns = self._send()
        commanded = np.empty(self._limits.size)
        commanded[self._limits.joint_at] = self._reference
        commanded[self._limits.gripper_at] = [
            gripper if request is None else request.gripper
            for gripper, request in zip(self._gripper, passed, strict=True)
        ]
        return self._outcome(commanded, self._target(), sent_ns, notes, fault or self._refusal, tuple(poses))

    def _read(self, now_ns: int, notes: list[Intervention]) -> str:
        """Take the followers' states; returns the fault sentence."""
        complaints: list[str] = []
        states: list[FollowerReading | None] = []
        for follower in self._followers:
            name = follower.joint_names[0].partition("/")[0]
            state = None
            try:
                state = follower.read()
            except DeviceError as error:
                complaints.append(error.sentence)
            states.append(state)
            complaint = self._feedback.complaint(name, state.capture_ns if state else None, now_ns)
            if not complaint and state is not None and not np.isfinite(state.position).all():
                complaint = f"Follower '{name}' reports a position that is not finite."
            if complaint:
                complaints.append(complaint)
        if all(state is not None for state in states):
            for row, part in enumerate(("position", "velocity", "effort")):
                for at, state in zip(self._slices, states, strict=True):
                    self._measured[row, at] = getattr(state, part)
            self._measured_ns = min(state.capture_ns for state in states if state is not None)
        fault = " ".join([*complaints, self._refusal] if self._refusal else complaints)
        if not complaints and (not self._known or self._faulty):
            self._adopt(notes)
        self._faulty = bool(complaints)
        if fault:
            notes.append(Intervention(SafetyFlag.FOLLOWER_STALE, "", fault))
        return fault

    def _adopt(self, notes: list[Intervention]) -> None:
        """Start from where the robot is: at first, and when it was lost and is found elsewhere."""
        position = self._measured[0]
        joints = position[self._limits.joint_at]
        away = float(np.abs(joints - self._limiter.state.position).max()) if self._known else 0.0
        if self._known and away <= ADOPT_RAD:
            return
        if self._known:
            text = f"The robot came back {away:.2f} rad from its last command; it is held where it is."
            notes.append(Intervention(SafetyFlag.FOLLOWER_STALE, "", text, (away,), (ADOPT_RAD,)))
        self._known = True
        self._limiter.reset(joints)
        self._reference = joints.copy()
        self._gripper = np.clip(position[self._limits.gripper_at], 0.0, 1.0)

    def _admit(
        self, arm: int, request: ArmRequest, now_ns: int, notes: list[Intervention]
    ) -> ArmRequest | None:
        name = self._limits.names[arm]
        if self._inputs.judge(request.capture_ns, now_ns) is not Freshness.FRESH:
            age_ms = (now_ns - request.capture_ns) / 1e6
            text = (
                f"Input of arm '{name}' is {age_ms:.0f} ms old (limit {self._inputs.hold_ns / 1e6:.0f} ms)."
            )
            notes.append(
                Intervention(SafetyFlag.STALE_INPUT, name, text, (age_ms,), (self._inputs.hold_ns / 1e6,))
            )
            return None
        joints = self._joints_of[arm]
        fits = (
            np.isfinite(request.gripper)
            and (request.pose is None or is_pose(request.pose))
            and (
                request.joints is None
                or (
                    request.joints.shape == (joints.stop - joints.start,)
                    and bool(np.isfinite(request.joints).all())
                )
            )
        )
        if not fits:
            text = f"A command for arm '{name}' that is not finite or of a wrong shape was refused."
            notes.append(Intervention(SafetyFlag.NON_FINITE, name, text))
            return None
        return request

    def _limit_poses(
        self, passed: Sequence[ArmRequest | None], notes: list[Intervention]
    ) -> list[Array | None]:
        poses: list[Array | None] = [None] * len(passed)
        for arm, request in enumerate(passed):
            if request is None or request.pose is None:
                self._pose[arm] = None
                continue
            previous = self._pose[arm]
            if previous is None:
                previous = self.anchor(arm).pose
            limited = self._workspace.limit(arm, request.pose, previous)
            self._pose[arm] = poses[arm] = limited.pose
            name = self._limits.names[arm]
            asked, given = tuple(request.pose[:3].tolist()), tuple(limited.pose[:3].tolist())
            if limited.boxed:
                text = f"Arm '{name}' was asked to leave its workspace and stays at its edge."
                notes.append(Intervention(SafetyFlag.WORKSPACE, name, text, asked, given))
            if limited.slowed:
                text = f"Arm '{name}' was asked to move faster than its limit."
                notes.append(Intervention(SafetyFlag.TCP_SPEED, name, text, asked, given))
        return poses

    def _solve(
        self,
        passed: Sequence[ArmRequest | None],
        poses: Sequence[Array | None],
        notes: list[Intervention],
    ) -> None:
        """Move the joint reference: by kinematics to a pose, at once to joints, to rest without a request."""
        if any(pose is not None for pose in poses):
            solution = self._kinematics.solve(self._reference, poses)
            if solution.solved and np.isfinite(solution.q).all():
                self._reference = solution.q
                for arm in np.flatnonzero(solution.position_error_m > IK_POSITION_ERROR_M):
                    name, left = self._limits.names[arm], float(solution.position_error_m[arm])
                    text = f"Arm '{name}' cannot reach what is asked: {left * 1000:.0f} mm are left."
                    notes.append(
                        Intervention(SafetyFlag.IK_FAILED, name, text, (left,), (IK_POSITION_ERROR_M,))
                    )
            else:
                text = "Inverse kinematics found no solution; the arms keep their last targets."
                notes.append(Intervention(SafetyFlag.IK_FAILED, "", text))
        rest = self._limiter.state.rest
        for arm, request in enumerate(passed):
            mine = self._joints_of[arm]
            if request is None:
                self._reference[mine] = rest[mine]
            elif request.joints is not None:
                clipped = np.clip(request.joints, self._limits.lower[mine], self._limits.upper[mine])
                if (beyond := float(np.abs(clipped - request.joints).max())) > 0.0:
                    name = self._limits.names[arm]
                    text = f"Arm '{name}' was asked {beyond:.2f} rad beyond a joint limit."
                    notes.append(
                        Intervention(
                            SafetyFlag.JOINT_LIMIT,
                            name,
                            text,
                            tuple(request.joints.tolist()),
                            tuple(clipped.tolist()),
                        )
                    )
                self._reference[mine] = clipped

    def _limit_joints(
        self, passed: Sequence[ArmRequest | None], previous: Array, notes: list[Intervention]
    ) -> None:
        limits = self._limits
        moving = np.array([request is not None for request in passed])[limits.arm_of_joint]
        speed = limits.velocity.copy()
        for arm, request in enumerate(passed):
            if request is not None and request.speed_rad_s is not None:
                mine = self._joints_of[arm]
                speed[mine] = np.minimum(speed[mine], request.speed_rad_s)
        pace = np.zeros_like(previous)
        state, braking = self._limiter.step(self._reference, pace, moving, self._outward(), speed)
        for arm in np.unique(limits.arm_of_joint[braking]):
            name = limits.names[arm]
            text = f"Arm '{name}' brakes: it would have come to rest outside its workspace or joint limits."
            notes.append(Intervention(SafetyFlag.WORKSPACE, name, text))
        lag = np.abs(self._reference - state.position)
        hurried = moving & (speed == limits.velocity)
        for arm in np.unique(limits.arm_of_joint[hurried & (lag > LAG_RAD)]):
            name = limits.names[arm]
            most = float(lag[self._joints_of[int(arm)]].max())
            text = f"Arm '{name}' is {most:.2f} rad behind its command: joint speed is limited."
            notes.append(Intervention(SafetyFlag.RATE_LIMIT, name, text, (most,), (LAG_RAD,)))

    def _outward(self) -> Callable[[Array], Mask]:
        present = self._kinematics.poses(self._limiter.state.rest)[:, :3]

        def refused(rest: Array) -> Mask:
            arms = self._workspace.refuses(self._kinematics.poses(rest)[:, :3], present)
            return arms[self._limits.arm_of_joint]

        return refused

    def _limit_grippers(self, passed: Sequence[ArmRequest | None]) -> None:
        for arm, request in enumerate(passed):
            if request is not None:
                change = min(1.0, max(0.0, request.gripper)) - self._gripper[arm]
                self._gripper[arm] += min(self._gripper_step, max(-self._gripper_step, change))

    def _target(self) -> Array:
        target = np.empty(self._limits.size)
        target[self._limits.joint_at] = self._limiter.state.position
        target[self._limits.gripper_at] = self._gripper
        return target

    def _send(self) -> int:
        target = self._target()
        self._refusal = ""
        if not np.isfinite(target).all():
            # Cannot happen while every check above holds; a device must not learn it if one does not.
            self._refusal = "A command that is not finite was withheld; the robot holds its last one."
            return 0
        sent_ns = self._clock.now_ns()
        for follower, at in zip(self._followers, self._slices, strict=True):
            try:
                follower.send(target[at])
            except DeviceError as error:
                self._refusal = error.sentence
        return sent_ns

    def _nothing_sent(self, notes: list[Intervention], fault: str) -> Outcome:
        unknown = np.full(self._limits.size, np.nan)
        return self._outcome(unknown, unknown, 0, notes, fault, (None,) * len(self._limits.names))

    def _outcome(
        self,
        commanded: Array,
        sent: Array,
        sent_ns: int,
        notes: list[Intervention],
        fault: str,
        poses: tuple[Array | None, ...],
    ) -> Outcome:
        position, velocity, effort = self._measured.copy()
        return Outcome(
            commanded=commanded,
            sent=sent,
            sent_ns=sent_ns,
            measured=position,
            measured_velocity=velocity,
            measured_effort=effort,
            measured_ns=self._measured_ns,
            interventions=tuple(notes),
            fault=fault,
            limited_poses=poses,
            at_rest=self._limiter.at_rest,
        )
