"""From a policy's proposal, and what a person adds to it, to requests to the supervisor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from teleop_app.autonomy.action_queue import Proposal
from teleop_app.autonomy.correction import (
    WEIGHT_PER_S,
    JointCorrection,
    PoseCorrection,
    approached,
    blended_joints,
    blended_pose,
    weight,
)
from teleop_app.control.drives import ArmDrives
from teleop_app.core.config import AutonomySection
from teleop_app.core.geometry import Array
from teleop_app.mapping.retarget import ArmGoal
from teleop_app.safety.outcome import ArmRequest
from teleop_app.safety.supervisor import SafetySupervisor


@dataclass(slots=True)
class _Share:
    """What a person has in the motion of one arm.

    Attributes:
        pose: Motion of a hand since it engaged.
        joints: Motion of a leader since it engaged.
        goal: What the person asked last.
        start: Joints of the arm when its leader engaged [rad].
        gripper: What the person adds to the policy's gripper.
        alpha: Weight of the policy.
    """

    pose: PoseCorrection = field(default_factory=PoseCorrection)
    joints: JointCorrection = field(default_factory=JointCorrection)
    goal: ArmGoal | None = None
    start: Array | None = None
    gripper: float = 0.0
    alpha: float = 1.0


class PolicyMerge:
    """Requests under a policy's limits. One thread.

    Args:
        supervisor: Tells where the arms are, and their kinematics.
        drives: Tell how hands are tied to the arms.
        limits: Of a policy.
        period_s: Of a tick.

    Attributes:
        blend: Weight of the policy in blended mode, as set by hand.
    """

    def __init__(
        self, supervisor: SafetySupervisor, drives: ArmDrives, limits: AutonomySection, period_s: float
    ) -> None:
        self._supervisor = supervisor
        self._cell = supervisor.limits
        self._drives = drives
        self._limits = limits
        self._period_s = period_s
        self._shares: list[_Share | None] = [None] * len(self._cell.names)
        self._base: Proposal | None = None
        self._last: tuple[Proposal, Array] | None = None
        self.blend = limits.blend

    @property
    def faded(self) -> bool:
        """Whether nothing is left of what a person added."""
        return not any(self._shares)

    @property
    def alpha(self) -> float:
        """Weight of the policy in what is commanded; of several arms, the smallest."""
        return min((share.alpha for share in self._shares if share is not None), default=1.0)

    def shared(self, arm: int) -> bool:
        """Whether a person has a share in the arm's motion."""
        return self._shares[arm] is not None

    def clear(self) -> None:
        """Forget what people added."""
        self._shares = [None] * len(self._shares)
        self._base = self._last = None

    def alone(self, proposal: Proposal, now_ns: int) -> list[ArmRequest | None]:
        """The policy's requests, by arm; None for arms that it does not drive."""
        self._base = proposal
        return [
            self._request(arm, now_ns, joints=self._joints(proposal, arm), gripper=self._grip(proposal, arm))
            if name in proposal.arms
            else None
            for arm, name in enumerate(self._cell.names)
        ]

    def together(
        self,
        proposal: Proposal | None,
        goals: Sequence[ArmGoal | None],
        asked: Sequence[ArmRequest | None],
        now_ns: int,
        *,
        weighed: bool,
    ) -> list[ArmRequest | None]:
        """Requests, by arm, of a policy and a person who drive together, or have just done so.

        Args:
            proposal: Of the policy; None when it has none: it then stays at its last one.
            goals: What the person asks of each arm; None for arms that are not held.
            asked: The same as requests, for arms that the policy does not drive.
            now_ns: The tick.
            weighed: Both are weighed (blended mode); else the person's motion is added (corrective mode).
        """
        self._base = base = proposal or self._base
        if base is None:
            return list(asked)
        requests = self.alone(base, now_ns)
        if any(goals) or not self.faded:
            poses = self._supervisor.poses(base.vector[self._cell.joint_at])
            if not weighed:
                self._absorb(base, poses)
            for arm, goal in enumerate(goals):
                if self._cell.names[arm] not in base.arms:
                    requests[arm] = asked[arm]
                elif weighed:
                    self._weigh(requests, arm, goal, base, poses[arm], now_ns, silent=proposal is None)
                else:
                    self._add(requests, arm, goal, base, poses[arm], now_ns)
        return requests

    def _absorb(self, base: Proposal, poses: Array) -> None:
        """A new chunk already holds what was added when it was observed."""
        last, self._last = self._last, (base, poses)
        if last is None or last[0].chunk == base.chunk:
            return
        before, before_poses = last
        for arm, share in enumerate(self._shares):
            if share is not None:
                share.pose.absorb(before_poses[arm], poses[arm])
                share.joints.absorb(self._joints(before, arm), self._joints(base, arm))

    def _add(
        self,
        requests: list[ArmRequest | None],
        arm: int,
        goal: ArmGoal | None,
        base: Proposal,
        pose: Array,
        now_ns: int,
    ) -> None:
        share = self._take(arm, goal, base)
        if share is None:
            return
        if goal is None and not self._drives.driven(arm):
            share.pose.fade(self._period_s)
            share.joints.fade(self._period_s)
            share.gripper = approached(share.gripper, 0.0, WEIGHT_PER_S * self._period_s)
            if share.pose.nothing and share.joints.nothing and share.gripper == 0.0:
                self._shares[arm] = None
                return
        grip = self._grip(base, arm) + share.gripper
        if share.goal is not None and share.goal.joints is not None:
            joints = share.joints.applied(self._joints(base, arm))
            requests[arm] = self._request(arm, now_ns, joints=joints, gripper=grip)
        else:
            requests[arm] = self._request(arm, now_ns, pose=share.pose.applied(pose), gripper=grip)

    def _weigh(
        self,
        requests: list[ArmRequest | None],
        arm: int,
        goal: ArmGoal | None,
        base: Proposal,
        pose: Array,
        now_ns: int,
        *,
        silent: bool,
    ) -> None:
        share = self._take(arm, goal, base)
        if share is None or share.goal is None:
            return
        wanted, step = 1.0, WEIGHT_PER_S * self._period_s
        if self._drives.driven(arm):
            by_confidence = self._limits.blend_by_confidence
            wanted = 0.0 if silent else weight(self.blend, base.uncertainty, by_confidence=by_confidence)
        else:
            share.gripper = approached(share.gripper, 0.0, step)
            if share.alpha == 1.0 and share.gripper == 0.0:
                self._shares[arm] = None
                return
        share.alpha = approached(share.alpha, wanted, step)
        grip = self._grip(base, arm) + share.gripper
        if share.goal.pose is not None:
            merged = blended_pose(share.goal.pose, pose, share.alpha)
            requests[arm] = self._request(arm, now_ns, pose=merged, gripper=grip)
        elif share.start is not None:
            person = share.joints.applied(share.start)
            joints = blended_joints(person, self._joints(base, arm), share.alpha)
            requests[arm] = self._request(arm, now_ns, joints=joints, gripper=grip)

    def _take(self, arm: int, goal: ArmGoal | None, base: Proposal) -> _Share | None:
        """The person's share of the arm after what is asked now; None when there is none."""
        share, tie = self._shares[arm], self._drives.tie(arm)
        if goal is None or tie is None:
            return share
        if share is None or share.goal is None or (share.goal.joints is None) != (goal.joints is None):
            share = self._shares[arm] = _Share(alpha=1.0 if share is None else share.alpha)
        number, home = tie
        if goal.pose is not None:
            share.pose.take(number, home, goal.pose)
        elif goal.joints is not None:
            share.joints.take(number, goal.joints)
            if share.start is None:
                share.start = self._supervisor.rest(arm)
        share.goal = goal
        if self._drives.grips(arm):
            share.gripper = goal.gripper - self._grip(base, arm)
        return share

    def _request(
        self, arm: int, now_ns: int, *, gripper: float, pose: Array | None = None, joints: Array | None = None
    ) -> ArmRequest:
        limits = self._limits
        return ArmRequest(
            now_ns, pose, joints, gripper, limits.max_joint_velocity_rad_s, limits.max_tcp_speed_m_s
        )

    def _joints(self, proposal: Proposal, arm: int) -> Array:
        return proposal.vector[self._cell.joint_at][self._cell.joints_of(arm)]

    def _grip(self, proposal: Proposal, arm: int) -> float:
        return min(1.0, max(0.0, float(proposal.vector[self._cell.gripper_at[arm]])))
