"""How far an arm is from a singularity: the smallest singular value of its Jacobian, and its gradient.

Of the translation alone [m/rad]: inverse kinematics keeps the position and lets the orientation give way,
so that a straight wrist is harmless to it (`ik`), while at a stretched arm or above its own axis the
position itself asks for joint speeds without bound. With the rotation in it (0.07 m per rad) the smallest
singular value is 0.003 at the home posture of the simulated arms and goes through 0 in every task; of the
translation alone it stays above 0.16 in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from teleop_app.core.geometry import Array
from teleop_app.mapping.ik import ArmChain
from teleop_app.mapping.levers import site_levers

_FLAT = 1e-6
_NONE = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Dexterity:
    """One arm at one posture.

    Attributes:
        smallest: Smallest singular value [m/rad]; a lower bound of it where the gradient was not asked for.
        gradient: Its change with each joint of the arm, shape (n,); no use where it was not asked for.
    """

    smallest: float
    gradient: Array


class ArmDexterity:
    """Smallest singular values of the arms of a cell. One thread.

    Args:
        model: The arms alone (`ik_model.arms_only`).
        arms: In station order.
    """

    def __init__(self, model: mujoco.MjModel, arms: Sequence[ArmChain]) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        names = [name for arm in arms for name in arm.joint_names]
        self._qpos_at = np.array([int(model.joint(name).qposadr[0]) for name in names])
        self._dofs = [np.array([int(model.joint(name).dofadr[0]) for name in a.joint_names]) for a in arms]
        self._sites = [int(model.site(arm.tcp_site).id) for arm in arms]
        self._jacobian = np.zeros((2, 3, model.nv))
        ends = np.cumsum([len(arm.joint_names) for arm in arms])
        self._mine = [slice(int(e) - len(a.joint_names), int(e)) for a, e in zip(arms, ends, strict=True)]
        # Weyl: a singular value changes no more than the matrix does; each column by at most the lever.
        reach = site_levers(model, names, self._sites).max(axis=0)
        self._change = [
            float(np.sqrt(len(a.joint_names)) * reach[m].max()) for a, m in zip(arms, self._mine, strict=True)
        ]
        self._looked: list[tuple[Array, float] | None] = [None] * len(self._sites)

    def at(self, q: Array, arms: Sequence[int], below: float) -> list[Dexterity]:
        """The arms of these indices at joint positions `q` [rad] of all arms.

        Args:
            q: Shape (joints,).
            arms: Indices in station order.
            below: The gradient is found only for a singular value smaller than this.
        """
        bounds = [self._bound(arm, q) for arm in arms]
        if below > 0.0 and all(bound >= below for bound in bounds):
            return [Dexterity(bound, _NONE) for bound in bounds]
        self._data.qpos[self._qpos_at] = q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        found = [self._of(arm, below) for arm in arms]
        for arm, each in zip(arms, found, strict=True):
            self._looked[arm] = (q[self._mine[arm]].copy(), each.smallest)
        return found

    def _bound(self, arm: int, q: Array) -> float:
        """What the singular value is at least, by the last look at it."""
        looked = self._looked[arm]
        if looked is None:
            return -1.0
        return looked[1] - self._change[arm] * float(np.abs(q[self._mine[arm]] - looked[0]).sum())

    def _of(self, arm: int, below: float) -> Dexterity:
        move, turn = self._jacobian
        mujoco.mj_jacSite(self._model, self._data, move, turn, self._sites[arm])
        dofs = self._dofs[arm]
        columns, axes = move[:, dofs], turn[:, dofs]
        values, vectors = np.linalg.eigh(columns @ columns.T)
        smallest = float(np.sqrt(max(values[0], 0.0)))
        left = vectors[:, 0]
        if smallest < _FLAT or smallest >= below:
            return Dexterity(smallest, np.zeros(len(dofs)))
        right = left @ columns / smallest
        return Dexterity(smallest, _gradient(columns, axes, left, right))


def _gradient(columns: Array, axes: Array, left: Array, right: Array) -> Array:
    """The derivative left . dJ/dq_j right, where column i of dJ/dq_j is axis_min(i,j) x column_max(i,j).

    A slide's axis counts as zero there, which is what MuJoCo gives as its rotational Jacobian.
    """
    # left . (axis_a x column_b) = (left x axis_a) . column_b for every a, b
    x, y, z = left
    across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    triple = (across @ axes).T @ columns
    lower = np.tril(triple.T, -1)  # i > j: axis_j x column_i
    upper = np.triu(triple)  # i <= j: axis_i x column_j
    return right @ (upper + lower)
