"""One arm's way from an input sample to a goal: clutch, virtual target or joint mirror, and gripper."""

from __future__ import annotations

from dataclasses import dataclass

from teleop_app.core.config import MappingSection
from teleop_app.core.geometry import Array
from teleop_app.core.types import ArmInput
from teleop_app.mapping.clutch import RelativeClutch
from teleop_app.mapping.filters import PoseFilter
from teleop_app.mapping.gripper import GripperPickup
from teleop_app.mapping.joint_mirror import JointMirror
from teleop_app.mapping.virtual_target import VirtualTarget


@dataclass(frozen=True, slots=True)
class ArmGoal:
    """What the hand asks of one arm.

    Attributes:
        pose: `world_T_tcp`, shape (7,); None when joints are given.
        joints: Joint positions [rad]; None when a pose is given.
        gripper: 0 closed .. 1 open.
    """

    pose: Array | None
    joints: Array | None
    gripper: float


class ArmRetargeter:
    """Turns the input of whichever device drives an arm into goals; every engage is free of jumps.

    Args:
        mapping: Scale, yaw and filter of the operator.
        period_s: Of the control tick.
    """

    def __init__(self, mapping: MappingSection, period_s: float) -> None:
        self._period_s = period_s
        self._gripper = GripperPickup()
        self.configure(mapping)

    def configure(self, mapping: MappingSection) -> None:
        """Take new settings; releases the arm, since a new scale under a held clutch would be a jump."""
        self._filter = (
            PoseFilter(mapping.filter_min_cutoff_hz, mapping.filter_beta) if mapping.filter else None
        )
        self._clutch = RelativeClutch(mapping.scale, mapping.yaw_deg)
        self._virtual = VirtualTarget(mapping.yaw_deg)
        self._mirror = JointMirror()
        self._filtered: Array | None = None
        self._filtered_ns = 0

    def release(self) -> None:
        """Untie the hand from the arm."""
        self._clutch.release()
        self._virtual.release()
        self._mirror.release()

    def engage(self, present: ArmGoal, *, pickup: bool) -> None:
        """Start from the arm's present command; the first sample after this is the reference.

        Args:
            present: Commanded pose, joints and gripper; both pose and joints are given.
            pickup: The gripper waits until its control is moved (people; scripts pass through).
        """
        self.release()
        self._present = present
        self._filtered = None
        self._gripper.engage(present.gripper, pickup=pickup)

    def reference(self, present: ArmGoal) -> None:
        """Tie hand and arm anew after a pause, with the gripper control left as it is."""
        self.release()
        self._present = present
        self._filtered = None

    def goal(self, asked: ArmInput, capture_ns: int) -> ArmGoal:
        """Goal of this tick for the newest good sample of the arm. Call once a tick.

        Raises:
            ValueError: The leader's joints do not fit the arm.
        """
        gripper = self._gripper.target(asked.gripper)
        if asked.joints is not None:
            return ArmGoal(None, self._mirrored(asked.joints), gripper)
        if asked.pose is not None:
            return ArmGoal(self._clutched(asked.pose, capture_ns), None, gripper)
        if asked.twist is not None:
            return ArmGoal(self._driven(asked.twist), None, gripper)
        return ArmGoal(self._resting(), None, gripper)

    def limited(self, world_T_reached: Array) -> None:
        """The goal was limited to this pose: a virtual target goes no farther."""
        self._virtual.pull_back(world_T_reached)

    def _clutched(self, pose: Array, capture_ns: int) -> Array:
        if self._filter is None:
            hand = pose
        else:
            if self._filtered is None:
                self._filter.reset()
            if self._filtered is None or capture_ns != self._filtered_ns:
                self._filtered = self._filter.update(pose, capture_ns)
                self._filtered_ns = capture_ns
            hand = self._filtered
        if not self._clutch.engaged:
            self._clutch.engage(hand, _pose_of(self._present))
        return self._clutch.target(hand)

    def _driven(self, twist: Array) -> Array:
        if not self._virtual.engaged:
            self._virtual.engage(_pose_of(self._present))
        return self._virtual.advance(twist, self._period_s)

    def _mirrored(self, joints: Array) -> Array:
        if not self._mirror.engaged:
            if self._present.joints is None:
                msg = "the arm's present joints are not known"
                raise ValueError(msg)
            self._mirror.engage(joints, self._present.joints)
        return self._mirror.target(joints)

    def _resting(self) -> Array:
        """A sample that moves only the gripper: the arm keeps its place."""
        return _pose_of(self._present)


def _pose_of(present: ArmGoal) -> Array:
    if present.pose is None:
        msg = "the arm's present pose is not known"
        raise ValueError(msg)
    return present.pose
