"""Where the tools of the cell's arms are, from their joint positions."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from devices.sim.arms import ArmModel, arm_model
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array


class ToolKinematics:
    """Forward kinematics of the arms' tool centre points.

    Args:
        model: The compiled cell.
        arms: Arm names in the order of the joint vector.
    """

    def __init__(self, model: mujoco.MjModel, arms: Sequence[str]) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._arms = tuple(arms)
        known: list[ArmModel] = [arm_model(arm) for arm in self._arms]
        joints = [model.joint(name) for arm in known for name in arm.joint_names]
        self._qpos_at = np.array([joint.qposadr[0] for joint in joints], dtype=np.intp)
        self._vector_at = np.array([7 * i + j for i in range(len(known)) for j in range(6)], dtype=np.intp)
        self._sites = {arm.side: int(model.site(arm.tcp_site_name).id) for arm in known}
        self._bases = {arm.side: np.array(arm.world_T_base) for arm in known}

    @property
    def arms(self) -> tuple[str, ...]:
        """Arm names in the order of the joint vector."""
        return self._arms

    def base(self, arm: str) -> Array:
        """World pose of an arm's base, shape (7,)."""
        return self._bases[arm]

    def tools(self, joints: Array) -> dict[str, Array]:
        """World poses of all tool centre points, shape (7,) each, x out of the gripper.

        Args:
            joints: Joint vector, shape (7 n,), grippers included.

        Raises:
            DeviceError: Wrong length or not finite.
        """
        if joints.shape != (7 * len(self._arms),) or not np.isfinite(joints).all():
            raise DeviceError(f"The scripted operator cannot use a joint vector of shape {joints.shape}")
        self._data.qpos[self._qpos_at] = joints[self._vector_at]
        mujoco.mj_kinematics(self._model, self._data)
        poses: dict[str, Array] = {}
        for arm, site in self._sites.items():
            quat = np.empty(4)
            mujoco.mju_mat2Quat(quat, self._data.site_xmat[site])
            poses[arm] = np.concatenate([self._data.site_xpos[site], quat])
        return poses
