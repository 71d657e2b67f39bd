"""Where the tools are, and which joints put them elsewhere at once: for policies that speak in tool poses.

Unlike `mapping.ik`, which moves a tick's worth within joint speeds, this iterates until the tool is there
(Levenberg-Marquardt on each arm, T. Sugihara, IEEE T-RO 27(5), 2011). Speeds are the supervisor's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import mujoco
import numpy as np

from teleop_app.core.geometry import Array
from teleop_app.mapping.ik import ArmChain

_ROTATION_WEIGHT: Final = 0.07
"""[m/rad], as in `mapping.ik`: where both cannot be had, position wins."""
_ITERATIONS: Final = 40
_CLOSE: Final = 1e-5
"""Weighted distance [m] at which it is there."""
_LONGEST_STEP_RAD: Final = 0.4
_DAMPING: Final = 1e-9
_STUCK: Final = 1e-3
_PATIENCE: Final = 3
"""Iterations without gain before it gives up: near a limit the error grows before it shrinks."""


class CellReach:
    """Forward kinematics and complete inverse kinematics of joint vectors with grippers. One thread.

    Args:
        model: The arms alone (`ik_model.arms_only`).
        arms: In station order; a joint vector holds each one's joints and then its gripper.
        margin_rad: Kept from the model's joint limits.
    """

    def __init__(self, model: mujoco.MjModel, arms: Sequence[ArmChain], margin_rad: float = 0.0) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._arms: list[_Arm] = []
        place = 0
        for arm in arms:
            self._arms.append(_Arm(model, arm, place, margin_rad))
            place += len(arm.joint_names) + 1
        self._jacobian = np.zeros((6, model.nv))

    def poses(self, vector: Array) -> Array:
        """Tool poses of a joint vector, shape (arms, 7): world frame, position [m], quat_wxyz."""
        self._place(vector)
        out = np.empty((len(self._arms), 7))
        for row, arm in zip(out, self._arms, strict=True):
            row[:3] = self._data.site_xpos[arm.site]
            mujoco.mju_mat2Quat(row[3:], self._data.site_xmat[arm.site])
        return out

    def reach(self, start: Array, poses: Sequence[Array | None]) -> tuple[Array, Array]:
        """Joint vector near `start` that puts the tools at `poses` (None leaves an arm).

        Returns:
            The vector, within the joint limits, grippers as in `start`; and the distance [m] left of each
            arm, 0 for those that were left.
        """
        vector = np.array(start, dtype=np.float64)
        left = np.zeros(len(self._arms))
        for index, (arm, pose) in enumerate(zip(self._arms, poses, strict=True)):
            if pose is not None:
                left[index] = self._reach(arm, vector, pose)
        return vector, left

    def _reach(self, arm: _Arm, vector: Array, pose: Array) -> float:
        q = np.clip(vector[arm.joints], arm.lower, arm.upper)
        best_q, best, best_m = q, np.inf, np.inf
        idle = 0
        for _ in range(_ITERATIONS):
            vector[arm.joints] = q
            self._place(vector)
            error = self._error(arm, pose)
            size = float(np.linalg.norm(error))
            idle = 0 if size < best * (1.0 - _STUCK) else idle + 1
            if size < best:
                best_q, best, best_m = q, size, float(np.linalg.norm(error[:3]))
            if best < _CLOSE or idle > _PATIENCE:
                break
            q = arm.moved(q, self._step(arm, q, error))
        vector[arm.joints] = best_q
        return best_m

    def _step(self, arm: _Arm, q: Array, error: Array) -> Array:
        """Joint step against `error`; joints that stand at a limit and would leave it stay."""
        jacobian = self._jacobian
        mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], arm.site)
        mine = jacobian[:, arm.dofs]
        mine[3:] *= _ROTATION_WEIGHT
        free = np.ones(len(q), dtype=bool)
        step = np.zeros(len(q))
        for _ in range(2):
            part = mine[:, free]
            normal = part @ part.T + (float(error @ error) + _DAMPING) * np.eye(6)
            step[:] = 0.0
            step[free] = part.T @ np.linalg.solve(normal, error)
            stuck = ((q <= arm.lower) & (step < 0.0)) | ((q >= arm.upper) & (step > 0.0))
            if not stuck.any():
                break
            free &= ~stuck
            step[stuck] = 0.0
        return step * min(1.0, _LONGEST_STEP_RAD / max(float(np.abs(step).max()), 1e-12))

    def _error(self, arm: _Arm, pose: Array) -> Array:
        """What is missing to the pose, world frame, rotation weighted, shape (6,)."""
        error = np.empty(6)
        error[:3] = pose[:3] - self._data.site_xpos[arm.site]
        here, turn = np.empty(4), np.empty(4)
        mujoco.mju_mat2Quat(here, self._data.site_xmat[arm.site])
        mujoco.mju_negQuat(here, here)
        mujoco.mju_mulQuat(turn, np.asarray(pose[3:], dtype=np.float64), here)
        mujoco.mju_quat2Vel(error[3:], turn, 1.0)
        error[3:] *= _ROTATION_WEIGHT
        return error

    def _place(self, vector: Array) -> None:
        for arm in self._arms:
            self._data.qpos[arm.qpos] = vector[arm.joints]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)


class _Arm:
    """Where an arm is in the model and in the joint vector."""

    def __init__(self, model: mujoco.MjModel, arm: ArmChain, place: int, margin_rad: float) -> None:
        joints = [model.joint(name) for name in arm.joint_names]
        ranges = np.array([joint.range for joint in joints])
        self.site = int(model.site(arm.tcp_site).id)
        self.qpos = np.array([int(joint.qposadr[0]) for joint in joints])
        self.dofs = np.array([int(joint.dofadr[0]) for joint in joints])
        self.joints = slice(place, place + len(joints))
        self.lower = ranges[:, 0] + margin_rad
        self.upper = ranges[:, 1] - margin_rad

    def moved(self, q: Array, step: Array) -> Array:
        """`q` after `step`, within the limits."""
        return np.clip(q + step, self.lower, self.upper)
