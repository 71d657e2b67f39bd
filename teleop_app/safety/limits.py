"""Limits of a cell as vectors, from the robot model and the station file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teleop_app.core.config import SafetySection
from teleop_app.core.errors import ConfigError
from teleop_app.core.geometry import Array


@dataclass(frozen=True, slots=True)
class ArmLimits:
    """One arm's place in the joint vector and its limits.

    Attributes:
        name: e.g. `left`.
        lower_rad: Lower joint limits of the model, shape (n,).
        upper_rad: Upper joint limits of the model.
        workspace_min: Lower corner [m] of the box for the end effector, world frame, shape (3,).
        workspace_max: Upper corner.
        velocity_rad_s: Speed limits of its joints where the model gives any, shape (n,); they lower those of
            the station file, never raise them.
    """

    name: str
    lower_rad: Array
    upper_rad: Array
    workspace_min: Array
    workspace_max: Array
    velocity_rad_s: Array | None = None

    @property
    def joints(self) -> int:
        """Number of joints, gripper not counted."""
        return len(self.lower_rad)


class CellLimits:
    """Limits of all arms in one place. Joint vectors hold each arm's joints and then its gripper.

    Attributes:
        names: Arm names in station order.
        joint_at: Indices of the joints in the joint vector, shape (joints,).
        gripper_at: Indices of the grippers, shape (arms,).
        arm_of_joint: Arm index of each joint, shape (joints,).
        lower: Lowest allowed joint positions [rad] (model limit and margin), shape (joints,).
        upper: Highest.
        velocity: [rad/s], shape (joints,).
        acceleration: [rad/s^2].
        jerk: [rad/s^3].
        workspace_min: Shape (arms, 3).
        workspace_max: Shape (arms, 3).
    """

    def __init__(self, arms: Sequence[ArmLimits], safety: SafetySection) -> None:
        self.names = tuple(arm.name for arm in arms)
        self.size = sum(arm.joints + 1 for arm in arms)
        starts = np.cumsum([0, *(arm.joints + 1 for arm in arms)])[:-1]
        self.joint_at = np.concatenate(
            [np.arange(start, start + arm.joints) for start, arm in zip(starts, arms, strict=True)]
        )
        self.gripper_at = np.array(
            [start + arm.joints for start, arm in zip(starts, arms, strict=True)], dtype=np.intp
        )
        self.arm_of_joint = np.repeat(np.arange(len(arms)), [arm.joints for arm in arms])
        self.lower = np.concatenate([arm.lower_rad for arm in arms]) + safety.joint_margin_rad
        self.upper = np.concatenate([arm.upper_rad for arm in arms]) - safety.joint_margin_rad
        if np.any(self.lower >= self.upper):
            raise ConfigError(
                f"safety.joint_margin_rad {safety.joint_margin_rad:g} leaves a joint no range",
                next_step="Lower it in the station file",
            )
        joints = len(self.joint_at)
        most = safety.max_joint_velocity_rad_s
        self.velocity = np.concatenate(
            [
                np.full(arm.joints, most)
                if arm.velocity_rad_s is None
                else np.minimum(arm.velocity_rad_s, most)
                for arm in arms
            ]
        )
        for index, arm in enumerate(arms):
            if arm.velocity_rad_s is not None:
                mine = self.joints_of(index)
                self.velocity[mine] = np.minimum(self.velocity[mine], arm.velocity_rad_s)
        self.acceleration = np.full(joints, safety.max_joint_acceleration_rad_s2)
        self.jerk = np.full(joints, safety.max_joint_jerk_rad_s3)
        self.gripper_velocity = safety.max_gripper_speed_per_s
        self.workspace_min = np.array([arm.workspace_min for arm in arms])
        self.workspace_max = np.array([arm.workspace_max for arm in arms])

    def joints_of(self, arm: int) -> slice:
        """Where the joints of an arm are in a vector of all joints (grippers left out)."""
        mine = np.flatnonzero(self.arm_of_joint == arm)
        return slice(int(mine[0]), int(mine[-1]) + 1)
