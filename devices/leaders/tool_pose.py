"""Where a leader's end effector is, for an arm whose joints are not the leader's."""

from __future__ import annotations

import mujoco
import numpy as np

from devices.models.robot import TCP, RobotModel
from teleop_app.core.types import Array


class ToolPose:
    """Forward kinematics of a leader.

    Args:
        model: Of the leader.
    """

    def __init__(self, model: RobotModel) -> None:
        self._model = model.build().compile()
        self._data = mujoco.MjData(self._model)
        self._joints = [self._model.joint(name).qposadr[0] for name in model.joint_names]
        self._site = self._model.site(TCP).id

    def __call__(self, joints: Array) -> Array:
        """Pose of the tool centre point in the leader's base frame, shape (7,): position, quat_wxyz."""
        self._data.qpos[self._joints] = joints
        mujoco.mj_kinematics(self._model, self._data)
        pose = np.empty(7)
        pose[:3] = self._data.site_xpos[self._site]
        mujoco.mju_mat2Quat(pose[3:], self._data.site_xmat[self._site])
        return pose
