"""Tool poses of the arms as policies count them: in the world, or in each arm's own base."""

from __future__ import annotations

import numpy as np

from teleop_app.autonomy.rotations import Rotation, read_rotation, write_rotation
from teleop_app.core.geometry import Array, make_pose, pose_compose, pose_inverse


def write_pose(pose: Array, rotation: Rotation) -> Array:
    """Position [m] and the rotation as it is wanted, shape (3 + rotation.width,)."""
    return np.concatenate([pose[:3], write_rotation(pose[3:], rotation)])


def read_pose(values: Array, rotation: Rotation) -> Array:
    """Pose, shape (7,), of `write_pose`'s numbers.

    Raises:
        ValueError: They are no rotation.
    """
    return make_pose(values[:3], read_rotation(values[3:], rotation))


class Bases:
    """Where arms stand.

    Args:
        base_poses: `world_T_base` of each arm, shape (arms, 7).
    """

    def __init__(self, base_poses: Array) -> None:
        self._world_T_base = np.array(base_poses, dtype=np.float64)
        self._base_T_world = np.array([pose_inverse(pose) for pose in self._world_T_base])

    def to_base(self, arm: int, world_T_ee: Array) -> Array:
        """`base_T_ee` of an arm by its row."""
        return pose_compose(self._base_T_world[arm], world_T_ee)

    def to_world(self, arm: int, base_T_ee: Array) -> Array:
        """`world_T_ee` of an arm by its row."""
        return pose_compose(self._world_T_base[arm], base_T_ee)
