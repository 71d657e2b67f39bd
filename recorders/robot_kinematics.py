"""Where a robot's links are for a joint vector, by the MJCF that travels in the episode."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np
from numpy.typing import NDArray

from recorders.vector_posture import VectorPosture
from teleop_app.core.errors import EpisodeError

Array = NDArray[np.float64]


class RobotKinematics:
    """Forward kinematics of the links that a joint vector moves, and of whatever carries them.

    See `VectorPosture` for what the names of a joint vector may be.

    Args:
        mjcf: Model text that compiles by itself.
        joint_names: Of the joint vector, n of them.
        also: Further links whose frames are wanted; unknown ones are ignored.

    Raises:
        EpisodeError: It does not compile, or has none of these joints.

    Attributes:
        model: The compiled model.
        bodies: Numbers of the links in the model, a parent before its children; m of them.
        links: Their names.
        parents: Name of the frame that each is given in.
    """

    def __init__(self, mjcf: str, joint_names: tuple[str, ...], also: Iterable[str] = ()) -> None:
        try:
            self.model = mujoco.MjModel.from_xml_string(mjcf)
        except ValueError as error:
            raise EpisodeError("The robot's model cannot be compiled", why=str(error)[:200]) from error
        self._data = mujoco.MjData(self.model)
        self._posture = VectorPosture(self.model, joint_names)
        if not self._posture.moved:
            raise EpisodeError("The robot's model has none of the robot's joints")
        self.bodies = sorted({*self._carried(self._posture.moved), *self._carriers(also)})
        self.links = tuple(self._frame(body) for body in self.bodies)
        self._parent_bodies: list[int] = self.model.body_parentid[self.bodies].tolist()
        self.parents = tuple(self._frame(body) for body in self._parent_bodies)

    def _frame(self, body: int) -> str:
        return self.model.body(body).name or f"body {body}"

    def _carried(self, joints: set[int]) -> list[int]:
        """All bodies of the trees that these joints are in."""
        model = self.model
        roots = {int(model.body_rootid[model.jnt_bodyid[joint]]) for joint in joints}
        return [body for body in range(1, model.nbody) if int(model.body_rootid[body]) in roots]

    def _carriers(self, links: Iterable[str]) -> list[int]:
        """Bodies of these names, with all that they stand on."""
        found: list[int] = []
        for name in links:
            body = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, name)
            while body > 0:
                found.append(body)
                body = int(self.model.body_parentid[body])
        return found

    def poses(self, vector: Array) -> Array:
        """Pose of each link in its parent, shape (m, 7): x y z [m], quat_xyzw.

        Args:
            vector: Joint vector, finite, shape (n,).
        """
        data = self._data
        data.qpos[:] = self._posture.qpos(vector)
        mujoco.mj_kinematics(self.model, data)
        to_parent = data.xmat[self._parent_bodies].reshape(-1, 3, 3)
        offset = data.xpos[self.bodies] - data.xpos[self._parent_bodies]
        poses = np.empty((len(self.bodies), 7))
        poses[:, :3] = (offset[:, None, :] @ to_parent)[:, 0, :]
        poses[:, 3:] = _turn_xyzw(data.xquat[self._parent_bodies], data.xquat[self.bodies])
        return poses


def _turn_xyzw(start_wxyz: Array, end_wxyz: Array) -> Array:
    """The rotations that lead from one set of orientations to the other, shape (m, 4)."""
    w, v = start_wxyz[:, :1], start_wxyz[:, 1:]
    end_w, end_v = end_wxyz[:, :1], end_wxyz[:, 1:]
    turn = np.empty_like(start_wxyz)
    turn[:, :3] = w * end_v - end_w * v - np.cross(v, end_v)
    turn[:, 3:] = w * end_w + (v * end_v).sum(axis=1, keepdims=True)
    return turn
