"""Bimanual symmetry: the second arm mirrors the first in the vertical plane between their bases."""

from __future__ import annotations

import numpy as np

from teleop_app.core.geometry import Array, make_pose, quat_normalise


class MirrorPlane:
    """Mirrors poses, shape (7,), in a plane through the origin; only changes of them are used.

    Args:
        normal: Of the plane, world frame, shape (3,); any length but zero.
    """

    def __init__(self, normal: Array) -> None:
        self._normal = normal / np.linalg.norm(normal)

    @classmethod
    def between(cls, first_base: Array, second_base: Array) -> MirrorPlane | None:
        """The vertical plane midway between two bases, shape (3,); None if one is over the other."""
        across = (second_base - first_base) * (1.0, 1.0, 0.0)
        return cls(across) if np.linalg.norm(across) > 1e-3 else None

    def mirrored(self, pose: Array) -> Array:
        """The mirror image: points by the plane, turns the other way round about the mirrored axis.

        With M the mirror, a rotation R becomes M R M, whose axis is -M times the axis of R.
        """
        n = self._normal
        position = pose[:3] - 2.0 * (n @ pose[:3]) * n
        axis = pose[4:7]
        return make_pose(position, quat_normalise(np.concatenate([pose[3:4], 2.0 * (n @ axis) * n - axis])))
