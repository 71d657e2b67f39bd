"""How near the shapes of a cell are to each other, and which joint motion brings them nearer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array
from teleop_app.mapping.collision_model import CollisionModel, Indices
from teleop_app.mapping.levers import geom_levers

_CACHED = 4
_FLAT = 1e-9
_MANY = 24
_STEERING = 8
_AHEAD_M = 0.15
"""Distances are found out this far beyond what matters, so that they say something for a while."""


@dataclass(frozen=True, slots=True)
class Clearances:
    """Distances at one posture.

    Attributes:
        distance_m: Of every pair, shape (pairs,); one farther than `within_m` counts as `within_m`.
        near: Indices of the pairs nearer than that, at most the 8 nearest, shape (k,).
        gradient: Change of the near pairs' distances with each joint [m/rad], shape (k, joints).
    """

    distance_m: Array
    near: Indices
    gradient: Array


class Clearance:
    """Distances of the watched pairs. Remembers the last postures asked for; one thread.

    A pair is looked at closer (MuJoCo's GJK, 1 us) only if it may be near: since the last look at all pairs
    no joint can have brought it nearer than its lever times its motion. In free air, no pair of 200 is.

    Attributes:
        home_m: Distances of the pairs at home, shape (pairs,).

    Args:
        shapes: Model and pairs.
        joint_names: Order of the joints in `q`.
        within_m: Distances beyond this do not matter.
    """

    def __init__(self, shapes: CollisionModel, joint_names: Sequence[str], within_m: float) -> None:
        model = shapes.model
        self._model = model
        self._data = mujoco.MjData(model)
        self._pairs = shapes.pairs
        self._within_m = within_m
        self._qpos_at = np.array([int(model.joint(name).qposadr[0]) for name in joint_names])
        self._dof_at = np.array([int(model.joint(name).dofadr[0]) for name in joint_names])
        first, second = shapes.pairs[:, 0], shapes.pairs[:, 1]
        self._first, self._second = first, second
        self._reach = model.geom_rbound[first]
        self._box_at = model.geom_aabb[second, :3].copy()
        self._box_half = model.geom_aabb[second, 3:].copy()
        planes = model.geom_type[second] == mujoco.mjtGeom.mjGEOM_PLANE
        self._box_at[planes] = (0.0, 0.0, -1e3)
        self._box_half[planes] = 1e3
        self._names = shapes.names
        self.home_m = shapes.home_m
        self._from_to = np.zeros(6)
        self._jac = np.zeros((2, 3, model.nv))
        self._known: dict[bytes, Clearances] = {}
        levers = geom_levers(model, joint_names)
        self._reaches = self.joints_of * np.maximum(levers[first], levers[second])
        self._looked_q = np.zeros(len(joint_names))
        self._looked_m = np.full(len(shapes.pairs), -np.inf)

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Bodies of every pair."""
        return self._names

    @property
    def joints_of(self) -> Array:
        """Whether a joint moves a pair's bodies against each other, shape (pairs, joints), 0 or 1."""
        chains = np.zeros((self._model.nbody, self._model.nv))
        for body in range(1, self._model.nbody):
            chains[body] = chains[self._model.body_parentid[body]]
            start, count = self._model.body_dofadr[body], self._model.body_dofnum[body]
            chains[body, start : start + count] = 1.0
        bodies = self._model.geom_bodyid[self._pairs]
        return np.abs(chains[bodies[:, 0]] - chains[bodies[:, 1]])[:, self._dof_at]

    def too_near(self, places: Array, within_m: float) -> list[tuple[int, Indices, Array]]:
        """Where along some postures, shape (k, joints), pairs are nearer than `within_m`.

        Returns:
            Index of each such posture, the pairs, and their distances.
        """
        may = self._may_be_near(places, within_m)
        if np.count_nonzero(may) > _MANY:
            self._place(places[0])
            self._look_at_all(places[0])
            may = self._may_be_near(places, within_m)
        found: list[tuple[int, Indices, Array]] = []
        for row in np.flatnonzero(may.any(axis=0)):
            self._place(places[row])
            pairs = np.flatnonzero(may[:, row])
            distance = self._measured(pairs, within_m)
            near = distance < within_m
            if near.any():
                found.append((int(row), pairs[near], distance[near]))
        return found

    def distances(self, q: Array) -> Array:
        """Distance of every pair for joint positions `q` [rad], shape (pairs,), at most `within_m`."""
        distance = np.full(len(self._pairs), self._within_m)
        worth = np.flatnonzero(self._may_be_near(q[None], self._within_m))
        if len(worth):
            self._place(q)
            if len(worth) > _MANY:
                self._look_at_all(q)
                worth = np.flatnonzero(self._looked_m < self._within_m)
            distance[worth] = self._measured(worth, self._within_m)
        return distance

    def _may_be_near(self, places: Array, within_m: float) -> NDArray[np.bool_]:
        """Which pairs may be nearer at which postures, shape (pairs, k)."""
        moved = self._reaches @ np.abs(places - self._looked_q).T
        return self._looked_m[:, None] - moved < within_m

    def _measured(self, pairs: Indices, within_m: float) -> Array:
        """Distances of some pairs at the posture that was placed."""
        model, data = self._model, self._data
        found = [
            mujoco.mj_geomDistance(model, data, a, b, within_m, None) for a, b in self._pairs[pairs].tolist()
        ]
        return np.array(found)

    def _look_at_all(self, q: Array) -> None:
        """Lower bounds of all distances at the posture that was placed."""
        far = self._bounds()
        reach = self._within_m + _AHEAD_M
        some = np.flatnonzero(far < reach)
        far[some] = self._measured(some, reach)
        self._looked_q, self._looked_m = q.copy(), far

    def at(self, q: Array) -> Clearances:
        """Distances, and the gradients of the near ones."""
        key = q.tobytes()
        known = self._known.get(key)
        if known is None:
            known = self._evaluate(q)
            if len(self._known) >= _CACHED:
                del self._known[next(iter(self._known))]
            self._known[key] = known
        return known

    def _evaluate(self, q: Array) -> Clearances:
        distance = self.distances(q)
        near = np.flatnonzero(distance < self._within_m)
        if len(near) > _STEERING:
            near = near[np.argsort(distance[near])[:_STEERING]]
        gradient = np.zeros((len(near), len(self._dof_at)))
        if len(near):
            self._place(q)
            mujoco.mj_comPos(self._model, self._data)
        for row, index in zip(gradient, near, strict=True):
            row[:] = self._gradient(int(index))[self._dof_at]
        return Clearances(distance, near, gradient)

    def _gradient(self, index: int) -> Array:
        model, data, line = self._model, self._data, self._from_to
        a, b = self._pairs[index]
        length = mujoco.mj_geomDistance(model, data, a, b, self._within_m, line)
        if abs(length) < _FLAT:
            return np.zeros(model.nv)
        mujoco.mj_jac(model, data, self._jac[0], None, line[:3], model.geom_bodyid[a])
        mujoco.mj_jac(model, data, self._jac[1], None, line[3:], model.geom_bodyid[b])
        return ((line[3:] - line[:3]) / length) @ (self._jac[1] - self._jac[0])

    def _place(self, q: Array) -> None:
        self._data.qpos[self._qpos_at] = q
        mujoco.mj_kinematics(self._model, self._data)

    def _bounds(self) -> Array:
        """Distances between the bounding spheres (of the first) and boxes (of the second) of all pairs."""
        data = self._data
        offset = data.geom_xpos[self._first] - data.geom_xpos[self._second]
        axes = data.geom_xmat[self._second].reshape(-1, 3, 3)
        inside = np.matmul(offset[:, None, :], axes)[:, 0] - self._box_at
        over = np.maximum(np.abs(inside) - self._box_half, 0.0)
        return np.sqrt((over * over).sum(axis=1)) - self._reach
