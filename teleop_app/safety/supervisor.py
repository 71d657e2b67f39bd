"""The supervisor between arbitration and every follower: the only caller of `Follower.send`.

A tick goes through, in this order: follower feedback, e-stop, freshness, finite, workspace and speed of
the commanded pose, inverse kinematics, singularity and collision slow-down, jerk-limited joint targets from
the last sent command, send. (Order, deadman, engage edge and jumps of samples come before, in
`input_guard`.) It is software above the robot's own safety, not a rated safety function.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from teleop_app.core.clock import Clock
from teleop_app.core.config import SafetySection
from teleop_app.core.geometry import Array
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.collision import CollisionSlowDown
from teleop_app.safety.contract import CommandedFollower, Kinematics
from teleop_app.safety.follower_link import FollowerLink
from teleop_app.safety.jerk_limiter import STILL_RAD_S, JerkLimiter, Mask
from teleop_app.safety.limits import CellLimits
from teleop_app.safety.outcome import Anchor, ArmRequest, Intervention, Outcome
from teleop_app.safety.plausible import LARGEST, is_plausible, is_plausible_pose
from teleop_app.safety.singularity import SingularitySlowDown
from teleop_app.safety.tool_speed import ToolSpeed
from teleop_app.safety.watchdog import Freshness, InputWatchdog
from teleop_app.safety.workspace import Workspace

logger = logging.getLogger(__name__)

IK_POSITION_ERROR_M = 0.02
"""A commanded pose farther than this from what the arm reaches is reported as out of reach."""

LAG_RAD = 0.10
"""A joint sent this far behind its command is reported as rate-limited."""

TOOL_LAG_RAD = 0.02
"""Joints held back this far from what is asked, for their tool's speed, are reported."""

ADOPT_RAD = 0.10
"""A follower that comes back this far from the last command is met where it is, not pulled back."""


class SafetySupervisor:
    """See the module. One thread.

    Args:
        limits: Of the cell.
        safety: Section of the station file.
        kinematics: Of the cell.
        followers: Together they cover the joint vector, in order.
        clock: Stamps what was sent.
        period_s: Of a tick.
        singularities: Slow-down towards singularities, None for none.
        collisions: Slow-down and stop before shapes touch, None for none.
    """

    def __init__(
        self,
        limits: CellLimits,
        safety: SafetySection,
        kinematics: Kinematics,
        followers: Sequence[CommandedFollower],
        clock: Clock,
        period_s: float,
        *,
        singularities: SingularitySlowDown | None = None,
        collisions: CollisionSlowDown | None = None,
    ) -> None:
        self._limits = limits
        self._kinematics = kinematics
        self._tool_speed = ToolSpeed(kinematics, period_s)
        self._inputs = InputWatchdog(safety)
        self._link = FollowerLink(followers, limits.size, safety, clock)
        self._workspace = Workspace(
            limits.workspace_min, limits.workspace_max, safety.max_tcp_speed_m_s, period_s
        )
        self._limiter = JerkLimiter(
            limits.lower, limits.upper, limits.velocity, limits.acceleration, limits.jerk, period_s
        )
        self._singularities, self._collisions = singularities, collisions
        self._gripper_step = limits.gripper_velocity * period_s
        arms = len(limits.names)
        self._joints_of = [limits.joints_of(arm) for arm in range(arms)]
        self._gripper = np.ones(arms)
        self._reference = np.zeros(len(limits.joint_at))
        self._pose: list[Array | None] = [None] * arms
        self._posed: tuple[Array, Array] = (self._reference, np.zeros((arms, 3)))
        self._known = False
        self._faulty = False
        self._touching = False
        self.estop_reason = ""

    # State for arbitration.

    @property
    def limits(self) -> CellLimits:
        """Of the cell, also its place in joint vectors."""
        return self._limits

    @property
    def ready(self) -> bool:
        """Whether the robot's place is known and no fault stands."""
        return self._known and not self._faulty and not self._link.refusal

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

    def rest(self, arm: int) -> Array:
        """Joints [rad] where the arm would come to rest if it braked now, shape (n,); changes nothing."""
        return self._limiter.state.rest[self._joints_of[arm]].copy()

    def commanded(self, arm: int) -> Array:
        """Joints [rad] that the arm was last commanded to, shape (n,)."""
        return self._reference[self._joints_of[arm]].copy()

    def poses(self, joints: Array) -> Array:
        """`world_T_tcp` of every arm for all joints [rad], shape (arms, 7); changes nothing."""
        return self._kinematics.poses(joints)

    def lag_rad(self, arm: int) -> float:
        """How far the arm was sent behind its command, at the joint that is worst."""
        mine = self._joints_of[arm]
        return float(np.abs(self._reference[mine] - self._limiter.state.position[mine]).max())

    def set_posture_weight(self, weight: float) -> None:
        """How hard spare freedom is drawn to the home posture."""
        self._kinematics.set_posture_weight(weight)

    def is_at(self, arm: int, joints: Array, gripper: float, tolerance_rad: float) -> bool:
        """Whether the arm was sent to `joints`, its gripper to `gripper`, and it is at rest there."""
        state, mine = self._limiter.state, self._joints_of[arm]
        near = np.abs(state.position[mine] - joints).max() <= tolerance_rad and self._gripper[arm] == gripper
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
        asked = self._solve(passed, poses, notes)
        self._limit_joints(passed, notes)
        self._limit_grippers(passed)
        sent = self._target()
        sent_ns = self._link.send(sent)
        commanded = np.empty(self._limits.size)
        commanded[self._limits.joint_at] = asked
        commanded[self._limits.gripper_at] = [
            gripper if request is None else request.gripper
            for gripper, request in zip(self._gripper, passed, strict=True)
        ]
        return self._outcome(commanded, sent, sent_ns, notes, fault or self._link.refusal, tuple(poses))

    def _read(self, now_ns: int, notes: list[Intervention]) -> str:
        """Take the followers' states; returns the fault sentence."""
        complaint = self._link.read(now_ns)
        if not complaint and (not self._known or self._faulty):
            self._adopt(notes)
        self._faulty = bool(complaint)
        fault = " ".join(filter(None, (complaint, self._link.refusal)))
        if fault:
            notes.append(Intervention(SafetyFlag.FOLLOWER_STALE, "", fault))
        return fault

    def _adopt(self, notes: list[Intervention]) -> None:
        """Start from where the robot is: at first, and when it was lost and is found elsewhere."""
        position = self._link.measured[0]
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
        fits = _is_finite(request, joints.stop - joints.start)
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
            limited = self._workspace.limit(arm, request.pose, previous, request.tcp_speed_m_s)
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
    ) -> Array:
        """Move the joint reference: by kinematics to a pose, at once to joints, to rest without a request.

        Returns:
            The reference before the slow-down towards singularities.
        """
        wished: Array | None = None
        before = self._reference.copy()
        if any(pose is not None for pose in poses):
            solution = self._kinematics.solve(self._reference, poses)
            if solution.solved and np.isfinite(solution.q).all():
                wished, self._reference = solution.q, solution.q.copy()
                if self._singularities is not None:
                    active = [arm for arm, pose in enumerate(poses) if pose is not None]
                    self._reference = self._singularities.limit(before, self._reference, active, notes)
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
                self._reference[mine] = self._slow_tool(arm, request, before, notes)
        asked = self._reference.copy()
        for arm, pose in enumerate(poses):
            if pose is not None and wished is not None:
                asked[self._joints_of[arm]] = wished[self._joints_of[arm]]
        return asked

    def _slow_tool(self, arm: int, request: ArmRequest, before: Array, notes: list[Intervention]) -> Array:
        if request.joints is None:
            return before[self._joints_of[arm]]
        joints = self._clip_joints(arm, request.joints, notes)
        if request.tcp_speed_m_s is None:
            return joints
        limited = self._tool_speed.limit(arm, self._joints_of[arm], before, joints, request.tcp_speed_m_s)
        if (short := float(np.abs(limited - joints).max())) > TOOL_LAG_RAD:
            name = self._limits.names[arm]
            text = f"Arm '{name}' was asked to move its tool faster than a policy may."
            notes.append(Intervention(SafetyFlag.TCP_SPEED, name, text, (short,), (TOOL_LAG_RAD,)))
        return limited

    def _clip_joints(self, arm: int, joints: Array, notes: list[Intervention]) -> Array:
        mine, name = self._joints_of[arm], self._limits.names[arm]
        clipped = np.clip(joints, self._limits.lower[mine], self._limits.upper[mine])
        if (beyond := float(np.abs(clipped - joints).max())) > 0.0:
            text = f"Arm '{name}' was asked {beyond:.2f} rad beyond a joint limit."
            asked, given = tuple(joints.tolist()), tuple(clipped.tolist())
            notes.append(Intervention(SafetyFlag.JOINT_LIMIT, name, text, asked, given))
        return clipped

    def _limit_joints(self, passed: Sequence[ArmRequest | None], notes: list[Intervention]) -> None:
        limits = self._limits
        moving = np.array([request is not None for request in passed])[limits.arm_of_joint]
        speed = limits.velocity.copy()
        for arm, request in enumerate(passed):
            if request is not None and request.speed_rad_s is not None:
                mine = self._joints_of[arm]
                speed[mine] = np.minimum(speed[mine], request.speed_rad_s)
        hurried = moving & (speed == limits.velocity)
        target = self._hold_back(passed, moving, speed, notes)
        state, braking = self._limiter.step(
            target, moving, self._outward(), speed, self._into_touch(self._limiter.state.position)
        )
        for arm in np.unique(limits.arm_of_joint[braking]):
            name = limits.names[arm]
            text = f"Arm '{name}' brakes: it would have come to rest outside its workspace or joint limits."
            flag = SafetyFlag.WORKSPACE
            if self._touching:
                flag = SafetyFlag.COLLISION
                text = f"Arm '{name}' brakes: it would have come to rest too near to another body."
            notes.append(Intervention(flag, name, text))
        lag = np.abs(self._reference - state.position)
        for arm in np.unique(limits.arm_of_joint[hurried & (lag > LAG_RAD)]):
            name = limits.names[arm]
            most = float(lag[self._joints_of[int(arm)]].max())
            text = f"Arm '{name}' is {most:.2f} rad behind its command: joint speed is limited."
            notes.append(Intervention(SafetyFlag.RATE_LIMIT, name, text, (most,), (LAG_RAD,)))

    def _hold_back(
        self,
        passed: Sequence[ArmRequest | None],
        moving: Mask,
        speed: Array,
        notes: list[Intervention],
    ) -> Array:
        """The joints' target, held back from what is near; `speed` is lowered there."""
        if self._collisions is None:
            return self._reference
        rest = self._limiter.state.rest
        kept = self._collisions.hold_back(rest, self._reference, moving, speed, notes)
        speed *= kept.share
        for arm, request in enumerate(passed):
            mine = self._joints_of[arm]
            if request is not None and request.pose is not None and kept.held[mine].any():
                self._reference[mine] = kept.target[mine]  # kinematics goes on from there, not from beyond
        return kept.target

    def _outward(self) -> Callable[[Array], Mask]:
        here = self._limiter.state.rest
        if self._posed[0] is not here:
            self._posed = (here, self._kinematics.poses(here)[:, :3])
        present = self._posed[1]
        touch = self._into_touch(here)

        def refused(rest: Array) -> Mask:
            self._posed = (rest, self._kinematics.poses(rest)[:, :3])
            arms = self._workspace.refuses(self._posed[1], present)
            outside = arms[self._limits.arm_of_joint]
            return outside if touch is None else outside | touch(rest[None])

        return refused

    def _into_touch(self, now: Array) -> Callable[[Array], Mask] | None:
        collisions = self._collisions
        self._touching = False
        if collisions is None:
            return None

        def refused(places: Array) -> Mask:
            joints = collisions.refuses(places, now)
            self._touching |= bool(joints.any())
            return joints

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
        position, velocity, effort = self._link.measured.copy()
        return Outcome(
            commanded=commanded,
            sent=sent,
            sent_ns=sent_ns,
            measured=position,
            measured_velocity=velocity,
            measured_effort=effort,
            measured_ns=self._link.measured_ns,
            interventions=tuple(notes),
            fault=fault,
            limited_poses=poses,
            at_rest=self._limiter.at_rest,
        )


def _is_finite(request: ArmRequest, joints: int) -> bool:
    """Whether a request is finite, of a sane size and of the right shapes."""
    if request.pose is not None and not is_plausible_pose(request.pose):
        return False
    if request.joints is not None and not is_plausible(request.joints, joints):
        return False
    return abs(request.gripper) < LARGEST
