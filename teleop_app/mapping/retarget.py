"""One arm's way from an input sample to a goal: clutch, virtual target or joint mirror, and gripper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from teleop_app.core.config import MappingSection
from teleop_app.core.geometry import Array
from teleop_app.core.types import ArmInput
from teleop_app.mapping.clutch import RelativeClutch
from teleop_app.mapping.filters import PoseFilter
from teleop_app.mapping.gripper import GripperPickup
from teleop_app.mapping.joint_mirror import ALIGN_SPEED_RAD_S, JointMirror
from teleop_app.mapping.nudge import nudge_step, nudged
from teleop_app.mapping.virtual_target import VirtualTarget


@dataclass(frozen=True, slots=True)
class ArmGoal:
    """What the hand asks of one arm.

    Attributes:
        pose: `world_T_tcp`, shape (7,); None when joints are given.
        joints: Joint positions [rad]; None when a pose is given.
        gripper: 0 closed .. 1 open.
        aligning: The arm is still on its way to its leader; a sentence, else empty.
        speed_rad_s: Joint speed limit of this motion, None for the cell's.
    """

    pose: Array | None
    joints: Array | None
    gripper: float
    aligning: str = ""
    speed_rad_s: float | None = None


class ArmRetargeter:
    """Turns the input of whichever device drives an arm into goals; every engage is free of jumps.

    A leader of the arm's own kinematics sends its joints; one of another sends the pose of its end
    effector in its base frame, which drives the arm's end effector through the clutch like a hand.

    Args:
        mapping: Scale, yaw and filter of the operator.
        period_s: Of the control tick.
        joint_names: Of the arm, for sentences.
    """

    def __init__(self, mapping: MappingSection, period_s: float, joint_names: Sequence[str] = ()) -> None:
        self._period_s = period_s
        self._joint_names = tuple(joint_names)
        self._gripper = GripperPickup()
        self.configure(mapping)

    def configure(self, mapping: MappingSection) -> None:
        """Take new settings; releases the arm, since a new scale under a held clutch would be a jump."""
        self._mapping = mapping
        self._filter = (
            PoseFilter(mapping.filter_min_cutoff_hz, mapping.filter_beta) if mapping.filter else None
        )
        self._clutch = RelativeClutch(mapping.scale, mapping.yaw_deg)
        self._precise = False
        self._virtual = VirtualTarget(mapping.yaw_deg)
        self._mirror = JointMirror(mapping, self._joint_names)
        self._filtered: Array | None = None
        self._filtered_ns = 0

    @property
    def filtered(self) -> Array | None:
        """The hand's newest pose after the filter, shape (7,); None while no pose drives the arm."""
        return self._filtered

    @property
    def grips(self) -> bool:
        """Whether the gripper control acts: it was moved since `engage`."""
        return self._gripper.live

    def release(self) -> None:
        """Untie the hand from the arm."""
        self._clutch.release()
        self._virtual.release()
        self._mirror.release()
        self._filtered = None

    def engage(self, present: ArmGoal, *, pickup: bool) -> None:
        """Start from the arm's present command; the first sample after this is the reference.

        Args:
            present: Commanded pose, joints and gripper; both pose and joints are given.
            pickup: The gripper waits until its control is moved (people; scripts pass through).
        """
        self.reference(present)
        self._gripper.engage(present.gripper, pickup=pickup)

    def reference(self, present: ArmGoal) -> None:
        """Tie hand and arm anew after a pause, with the gripper control left as it is."""
        self.release()
        self._present = present

    def goal(self, asked: ArmInput, capture_ns: int, follower: Array | None = None) -> ArmGoal:
        """Goal of this tick for the newest good sample of the arm. Call once a tick.

        Args:
            asked: The sample.
            capture_ns: Its capture time.
            follower: Joints where the arm is commanded to come to rest [rad]; needed for leaders.

        Raises:
            ValueError: The leader's joints do not fit the arm, or stand too far from it.
        """
        gripper = self._gripper.target(asked.gripper)
        if asked.joints is not None and (asked.pose is None or self._fits(asked.joints)):
            return self._mirrored(asked.joints, follower, gripper)
        if asked.pose is not None:
            return ArmGoal(self._clutched(asked.pose, capture_ns, asked.precise), None, gripper)
        if asked.twist is not None:
            return ArmGoal(self._driven(asked.twist, asked.precise), None, gripper)
        return ArmGoal(self._resting(), None, gripper)

    def limited(self, world_T_reached: Array) -> None:
        """The goal was limited to this pose: a virtual target goes no farther."""
        self._virtual.pull_back(world_T_reached)

    def nudge(self, axis: str, sign: int) -> None:
        """Move the goal by one small step or turn; the hand stays tied to it.

        Raises:
            ValueError: A leader drives the arm.
        """
        if self._mirror.engaged:
            msg = "a leader drives the arm joint for joint"
            raise ValueError(msg)
        step_m, turn = nudge_step(self._mapping, axis, sign)
        self._clutch.shift(step_m, turn)
        self._virtual.shift(step_m, turn)
        self._present = replace(self._present, pose=nudged(_pose_of(self._present), step_m, turn))

    def _fits(self, joints: Array) -> bool:
        return self._present.joints is not None and joints.shape == self._present.joints.shape

    def _clutched(self, pose: Array, capture_ns: int, precise: bool) -> Array:
        if self._filter is None:
            self._filtered = hand = pose
        else:
            if self._filtered is None:
                self._filter.reset()
            if self._filtered is None or capture_ns != self._filtered_ns:
                self._filtered = self._filter.update(pose, capture_ns)
                self._filtered_ns = capture_ns
            hand = self._filtered
        if not self._clutch.engaged:
            self._set_precise(precise)
            self._clutch.engage(hand, _pose_of(self._present))
        elif precise != self._precise:
            home = self._clutch.target(hand)
            self._set_precise(precise)
            self._clutch.engage(hand, home)
        return self._clutch.target(hand)

    def _set_precise(self, precise: bool) -> None:
        """Another scale; whoever calls it ties the clutch anew."""
        if precise != self._precise:
            self._precise = precise
            scale = self._mapping.scale * (self._mapping.precision_scale if precise else 1.0)
            self._clutch = RelativeClutch(scale, self._mapping.yaw_deg)

    def _driven(self, twist: Array, precise: bool) -> Array:
        if not self._virtual.engaged:
            self._virtual.engage(_pose_of(self._present))
        scale = self._mapping.precision_scale if precise else 1.0
        return self._virtual.advance(twist * scale, self._period_s)

    def _mirrored(self, joints: Array, follower: Array | None, gripper: float) -> ArmGoal:
        present = self._present.joints if follower is None else follower
        if present is None:
            msg = "the arm's present joints are not known"
            raise ValueError(msg)
        if not self._mirror.engaged:
            self._mirror.engage(joints, present)
        target = self._mirror.target(joints, present)
        if self._mirror.aligned:
            return ArmGoal(None, target, gripper)
        name, apart = self._mirror.apart(joints, present)
        text = f"goes to its leader: joint '{name}' is {abs(apart):.2f} rad away"
        return ArmGoal(None, target, gripper, text, ALIGN_SPEED_RAD_S)

    def _resting(self) -> Array:
        """A sample that moves only the gripper: the arm keeps its place."""
        return _pose_of(self._present)


def _pose_of(present: ArmGoal) -> Array:
    if present.pose is None:
        msg = "the arm's present pose is not known"
        raise ValueError(msg)
    return present.pose
