"""The station as a policy may see it at one instant, and the cell whose joints its actions become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CameraView:
    """The newest picture of a camera.

    Attributes:
        picture: RGB, shape (height, width, 3).
        capture_ns: When the scene looked so.
    """

    picture: Picture
    capture_ns: int


@dataclass(frozen=True, slots=True)
class StationView:
    """The newest of everything, as of `capture_ns`.

    Attributes:
        capture_ns: Capture time of the oldest part that a policy will be given.
        policy_ns: `AutonomyTick.policy_ns` of the tick.
        measured: Joint vector, shape (n,).
        measured_velocity: Shape (n,).
        sent: Joint vector last given to the followers, shape (n,).
        cameras: By name.
        instruction: What the robot is asked to do.
        task: Name of the task.
        truth: Poses of the simulated cell's objects by name (7 numbers, world frame); empty on real cells.
    """

    capture_ns: int
    policy_ns: int
    measured: Array
    measured_velocity: Array
    sent: Array
    cameras: Mapping[str, CameraView] = field(default_factory=dict)
    instruction: str = ""
    task: str = ""
    truth: Mapping[str, Sequence[float]] = field(default_factory=dict)


class ArmKinematics(Protocol):
    """Kinematics of all arms, for policies that see or ask for end-effector poses."""

    def poses(self, vector: Array) -> Array:
        """Tool poses of a joint vector, shape (arms, 7): world frame, position [m], quat_wxyz."""
        ...

    def reach(self, start: Array, poses: Sequence[Array | None]) -> tuple[Array, Array]:
        """Joint vector nearest `start` that puts the tools at `poses` (None leaves an arm).

        Returns:
            The vector (grippers as in `start`), and the distance [m] left of each arm.
        """
        ...


@dataclass(frozen=True, slots=True)
class CellLayout:
    """What a station offers to a policy.

    Attributes:
        arms: In the order of the joint vector.
        joint_names: Of the joint vector, `arm/joint`; each arm's gripper comes last.
        joints_of: Slice of each arm's joints in the vector, its gripper left out.
        gripper_of: Place of each arm's gripper.
        lower: Joint limits, grippers 0, shape (n,).
        upper: Likewise, grippers 1.
        base_poses: `world_T_base` of each arm, shape (arms, 7).
        cameras: Size (width, height) [px] by name.
        control_rate_hz: Of the control loop.
        embodiment: Textual embodiment prompt.
        simulated: Whether the truth of the cell is known.
    """

    arms: tuple[str, ...]
    joint_names: tuple[str, ...]
    joints_of: Mapping[str, slice]
    gripper_of: Mapping[str, int]
    lower: Array
    upper: Array
    base_poses: Array
    cameras: Mapping[str, tuple[int, int]]
    control_rate_hz: float
    embodiment: str = ""
    simulated: bool = False
