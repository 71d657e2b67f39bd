"""Inverse kinematics of all arms of a cell: one quadratic programme a tick (mink, daqp).

Position outweighs orientation: near the straight wrist of a 6-DoF arm both cannot be had within the joint
speeds, and 0.07 m per rad kept the position within 7 mm on a path through it where 0.3 lost 81 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mink
import mujoco
import numpy as np

from teleop_app.core.errors import ConfigError
from teleop_app.core.geometry import Array

_POSITION_COST = 1.0
_ORIENTATION_COST = 0.07
_POSTURE_COST = 1e-3
_DAMPING_COST = 1e-2
_LM_DAMPING = 1e-3
_SOLVER = "daqp"


@dataclass(frozen=True, slots=True)
class ArmChain:
    """One arm of the model.

    Attributes:
        name: e.g. `left`.
        joint_names: Base to wrist.
        tcp_site: The frame that is placed.
        home: Posture [rad] that spare freedom tends to, shape (n,).
    """

    name: str
    joint_names: tuple[str, ...]
    tcp_site: str
    home: Array


@dataclass(frozen=True, slots=True)
class IkSolution:
    """One step of inverse kinematics.

    Attributes:
        q: Joint positions [rad] of all arms, shape (joints,).
        position_error_m: Distance left to each arm's target, shape (arms,); 0 for arms without one.
        rotation_error_rad: Angle left, shape (arms,).
        solved: The optimisation found a solution; if not, `q` is the start.
    """

    q: Array
    position_error_m: Array
    rotation_error_rad: Array
    solved: bool


class CellKinematics:
    """Forward and differential inverse kinematics. Keeps no state between calls; one thread.

    Args:
        model: The arms alone (`ik_model.arms_only`): exactly the joints of `arms`.
        arms: In station order; vectors are their joints in this order.
        period_s: Of a control tick.
        max_velocity_rad_s: Of every joint, or of each, shape (joints,).
        margin_rad: Kept from the model's joint limits.

    Raises:
        ConfigError: The model has other joints, or lacks a frame.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        arms: Sequence[ArmChain],
        *,
        period_s: float,
        max_velocity_rad_s: float | Array,
        margin_rad: float,
    ) -> None:
        names = [name for arm in arms for name in arm.joint_names]
        present = {model.joint(index).name for index in range(model.njnt)}
        if present != set(names) or model.nq != len(names):
            odd = sorted(present.symmetric_difference(names))
            raise ConfigError("The robot model does not fit the arms", why=f"joints differ: {', '.join(odd)}")
        sites = {model.site(index).name for index in range(model.nsite)}
        for arm in arms:
            if arm.tcp_site not in sites:
                raise ConfigError(f"The robot model has no site {arm.tcp_site!r} for arm {arm.name!r}")
        self._model = model
        self._period_s = period_s
        self._qpos_at = np.array([model.joint(name).qposadr[0] for name in names])
        self._configuration = mink.Configuration(model)
        self._probe = mujoco.MjData(model)
        self._sites = [int(model.site(arm.tcp_site).id) for arm in arms]
        ends = np.cumsum([len(arm.joint_names) for arm in arms])
        self._mine = [
            slice(end - len(arm.joint_names), end) for arm, end in zip(arms, ends.tolist(), strict=True)
        ]
        self._dofs = [
            self._qpos_at[end - len(arm.joint_names) : end] for arm, end in zip(arms, ends, strict=True)
        ]
        self._frames = [
            mink.FrameTask(
                arm.tcp_site,
                "site",
                position_cost=_POSITION_COST,
                orientation_cost=_ORIENTATION_COST,
                lm_damping=_LM_DAMPING,
            )
            for arm in arms
        ]
        speeds = np.broadcast_to(np.asarray(max_velocity_rad_s, dtype=np.float64), (len(names),))
        self._posture = posture = mink.PostureTask(model, cost=_POSTURE_COST)
        home = np.zeros(model.nq)
        home[self._qpos_at] = np.concatenate([arm.home for arm in arms])
        posture.set_target(home)
        self._common = [posture, mink.DampingTask(model, cost=_DAMPING_COST)]
        self._limits = [
            mink.ConfigurationLimit(model, min_distance_from_limits=margin_rad),
            mink.VelocityLimit(model, dict(zip(names, speeds.tolist(), strict=True))),
        ]
        self._reachable = model.jnt_range[:, 0] + margin_rad, model.jnt_range[:, 1] - margin_rad

    @property
    def arms(self) -> int:
        """Number of arms."""
        return len(self._frames)

    def set_posture_weight(self, weight: float) -> None:
        """How hard spare freedom is drawn to the home posture, against 1 for a metre of position."""
        self._posture.set_cost(weight)

    def poses(self, q: Array) -> Array:
        """`world_T_tcp` of every arm for joint positions `q`, shape (arms, 7)."""
        data = self._probe
        data.qpos[self._qpos_at] = q
        mujoco.mj_kinematics(self._model, data)
        out = np.empty((len(self._sites), 7))
        for row, site in zip(out, self._sites, strict=True):
            row[:3] = data.site_xpos[site]
            mujoco.mju_mat2Quat(row[3:], data.site_xmat[site])
        return out

    def solve(self, q: Array, targets: Sequence[Array | None]) -> IkSolution:
        """One step from `q` towards `targets`, within joint limits and one tick of joint speed.

        Args:
            q: Joint positions [rad] to start from, shape (joints,).
            targets: `world_T_tcp`, shape (7,), by arm; None leaves the arm where it is.
        """
        arms = len(self._frames)
        position, rotation = np.zeros(arms), np.zeros(arms)
        active = [index for index, target in enumerate(targets) if target is not None]
        if not active:
            return IkSolution(q.copy(), position, rotation, solved=True)
        start = np.empty_like(q)
        start[self._qpos_at] = q
        # A start outside the limits (a robot switched on there) would leave the programme without solution.
        np.clip(start, *self._reachable, out=start)
        configuration = self._configuration
        configuration.update(start)
        for index in active:
            target = targets[index]
            self._frames[index].set_target(mink.SE3(np.concatenate([target[3:], target[:3]])))  # pyright: ignore[reportOptionalSubscript]
        tasks = [*(self._frames[index] for index in active), *self._common]
        try:
            velocity = mink.solve_ik(configuration, tasks, self._period_s, _SOLVER, limits=self._limits)
        except mink.NoSolutionFound:
            velocity = np.full(self._model.nv, np.nan)
        if not np.isfinite(velocity).all():
            return IkSolution(q.copy(), position, rotation, solved=False)
        moved = q.copy()
        step = velocity * self._period_s
        for index in active:
            dofs = self._dofs[index]
            moved[self._mine[index]] = start[dofs] + step[dofs]
        configuration.update(self._in_model_order(moved))
        for index in active:
            error = self._frames[index].compute_error(configuration)
            position[index] = float(np.linalg.norm(error[:3]))
            rotation[index] = float(np.linalg.norm(error[3:]))
        return IkSolution(moved, position, rotation, solved=True)

    def _in_model_order(self, q: Array) -> Array:
        out = np.empty_like(q)
        out[self._qpos_at] = q
        return out
