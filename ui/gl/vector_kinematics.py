"""Where tools, links and drawn parts are for joint vectors that nobody has driven yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from recorders.vector_posture import VectorPosture

Array = NDArray[np.float64]


class VectorKinematics:
    """Forward kinematics of a station's joint vectors on the model that the 3-D view draws.

    It has a state of its own, so that a look ahead never moves what is shown. See `VectorPosture` for what
    the names of a joint vector may be. Not thread-safe.

    Args:
        model: Compiled model, not changed.
        joint_names: Of the joint vector, n of them.
        tcp_sites: Tool site of each arm.
    """

    def __init__(
        self, model: mujoco.MjModel, joint_names: Sequence[str], tcp_sites: Mapping[str, str]
    ) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._posture = VectorPosture(model, joint_names)
        self._sites = {arm: int(model.site(site).id) for arm, site in tcp_sites.items()}

    @property
    def length(self) -> int:
        """Values in a joint vector."""
        return self._posture.length

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms whose tools are known, in station order."""
        return tuple(self._sites)

    def moves(self, body: int) -> bool:
        """Whether a body of the model stands on a joint of the vector."""
        while body > 0:
            first, count = int(self._model.body_jntadr[body]), int(self._model.body_jntnum[body])
            if any(joint in self._posture.moved for joint in range(first, first + count)):
                return True
            body = int(self._model.body_parentid[body])
        return False

    def pose(self, vector: Array) -> bool:
        """Takes the posture of a joint vector, shape (n,).

        Returns:
            False, and stays where it was, for another length or values that are not finite.
        """
        if np.shape(vector) != (self.length,) or not np.all(np.isfinite(vector)):
            return False
        self._data.qpos[:] = self._posture.qpos(vector)
        mujoco.mj_kinematics(self._model, self._data)
        return True

    def tools(self) -> Array:
        """Tool points of the posture taken, world frame [m], shape (arms, 3)."""
        return self._data.site_xpos[list(self._sites.values())].copy()

    def paths(self, vectors: Array) -> Array:
        """Tool points of each of k joint vectors, world frame [m], shape (arms, k, 3).

        A vector that is no posture gives NaN.
        """
        points = np.full((len(self._sites), len(vectors), 3), np.nan)
        for step, vector in enumerate(vectors):
            if self.pose(vector):
                points[:, step] = self.tools()
        return points

    def link(self, name: str) -> tuple[Array, Array] | None:
        """`world_T_link` of the posture taken: rotation (3, 3), position (3,); None for an unknown link."""
        if name == "world":
            return np.eye(3), np.zeros(3)
        body = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, name)
        if body < 0:
            return None
        return self._data.xmat[body].reshape(3, 3).copy(), self._data.xpos[body].copy()

    def transforms(self, geoms: Sequence[int]) -> NDArray[np.float32]:
        """`world_T_geom` of the posture taken, as 3x4 rows, shape (len(geoms), 3, 4)."""
        result = np.empty((len(geoms), 3, 4), dtype=np.float32)
        result[:, :, :3] = self._data.geom_xmat[list(geoms)].reshape(-1, 3, 3)
        result[:, :, 3] = self._data.geom_xpos[list(geoms)]
        return result
