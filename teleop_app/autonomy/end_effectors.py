"""Tool poses of the arms as policies count them: in the world, or in each arm's own base."""

from __future__ import annotations

import numpy as np

from teleop_app.autonomy.rotations import Rotation, read_rotation, write_rotation
from teleop_app.core.geometry import (
    Array,
    make_pose,
    pose_compose,
    pose_inverse,
    quat_conjugate,
    quat_multiply,
    quat_normalise,
)


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


def motion(reference: Array, pose: Array, *, own_axes: bool) -> Array:
    """What moves `reference` to `pose`, as a pose.

    Args:
        reference: In some frame.
        pose: In the same one.
        own_axes: Along and about the reference's own axes (a delta in the tool's frame); else along the axes
            of the frame and, for the rotation, about them.
    """
    if own_axes:
        return pose_compose(pose_inverse(reference), pose)
    return make_pose(pose[:3] - reference[:3], quat_multiply(pose[3:], quat_conjugate(reference[3:])))


def moved(reference: Array, delta: Array, *, own_axes: bool) -> Array:
    """The pose that `motion` leads to."""
    if own_axes:
        pose = pose_compose(reference, delta)
    else:
        pose = make_pose(reference[:3] + delta[:3], quat_multiply(delta[3:], reference[3:]))
    return make_pose(pose[:3], quat_normalise(pose[3:]))
