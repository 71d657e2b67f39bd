"""Where the tools of the cell's arms are, from their joint positions, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from devices.sim.arms import ArmModel, arm_model
from devices.sim.model import load_model
from teleop_app.core.errors import DeviceError
from teleop_app.core.geometry import quat_conjugate, quat_multiply, quat_to_rotvec
from teleop_app.core.types import Array

# A turn counts as so many metres: near the straight wrist, where both cannot be had, the place wins.
_TURN_M_PER_RAD = 0.05
_DAMPING = 1e-5
_CLOSE_M = 2e-4
_ITERATIONS = 25
_LONGEST_STEP_RAD = 0.25
_STEP_DONE_RAD = 1e-4


class ToolKinematics:
    """Forward and inverse kinematics of the arms' tool centre points. One thread.

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
        self._dofs = {
            arm.side: [int(model.joint(name).dofadr[0]) for name in arm.joint_names] for arm in known
        }
        self._limits = {arm.side: (np.array(arm.lower_rad), np.array(arm.upper_rad)) for arm in known}

    @classmethod
    def of_cell(cls, arms: Sequence[str]) -> ToolKinematics:
        """Those of the simulated cell.

        Raises:
            KeyError: It has no arm of that name.
        """
        for arm in arms:
            arm_model(arm)
        return cls(load_model(), arms)

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

    def reach(self, joints: Array, tools: Mapping[str, Array], most_rad: float = np.inf) -> Array:
        """The joint vector near `joints` that brings tools to poses, as near as they come within the limits.

        Damped least squares (Wampler 1986); a joint at a bound is left out where it would go on beyond it.

        Args:
            joints: Joint vector to start from, shape (7 n,); its grippers are kept.
            tools: World poses by arm, shape (7,) each; arms left out keep their place.
            most_rad: No joint goes further from `joints`: near the straight wrist, where small turns of the
                tool are large ones of the joints, the place is kept and the turn comes later.
        """
        found = joints.copy()
        for arm, wanted in tools.items():
            place = 7 * self._arms.index(arm)
            q = found[place : place + 6]
            least, most = self._limits[arm]
            np.clip(q, least, most, out=q)
            lower, upper = np.maximum(least, q - most_rad), np.minimum(most, q + most_rad)
            for _ in range(_ITERATIONS):
                missing, jacobian = self._towards(found, arm, wanted)
                if float(missing @ missing) < _CLOSE_M**2:
                    break
                step = _damped(jacobian, missing)
                blocked = ((q <= lower) & (step < 0.0)) | ((q >= upper) & (step > 0.0))
                if blocked.any():
                    jacobian[:, blocked] = 0.0
                    step = _damped(jacobian, missing)
                longest = float(np.abs(step).max())
                if longest < _STEP_DONE_RAD:
                    break
                q += step * min(1.0, _LONGEST_STEP_RAD / longest)
                np.clip(q, lower, upper, out=q)
        return found

    def _towards(self, joints: Array, arm: str, wanted: Array) -> tuple[Array, Array]:
        """What is missing to a pose, turns as metres, shape (6,), and how joints change it, shape (6, 6)."""
        data, site = self._data, self._sites[arm]
        data.qpos[self._qpos_at] = joints[self._vector_at]
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        moved = np.empty((6, self._model.nv))
        mujoco.mj_jacSite(self._model, data, moved[:3], moved[3:], site)
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, data.site_xmat[site])
        turn = quat_to_rotvec(quat_multiply(wanted[3:], quat_conjugate(quat)))
        missing = np.concatenate([wanted[:3] - data.site_xpos[site], _TURN_M_PER_RAD * turn])
        jacobian = moved[:, self._dofs[arm]]
        jacobian[3:] *= _TURN_M_PER_RAD
        return missing, jacobian


def _damped(jacobian: Array, missing: Array) -> Array:
    """Step of the joints towards what is missing, shape (6,)."""
    normal = jacobian.T @ jacobian + _DAMPING * np.eye(6)
    return np.asarray(np.linalg.solve(normal, jacobian.T @ missing), np.float64)
