"""The shapes that must not touch: the arms' links and what is fixed in the cell, and which pairs count.

A model of its own, since inverse kinematics runs on one without shapes. Fingers are left out: they are
there to touch things, and each other's things. What moves by other joints than the arms' (objects,
fixtures that are placed) is left out too, since control does not know where it is.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array

logger = logging.getLogger(__name__)

Indices = NDArray[np.intp]

TOUCHING_M = 0.001
"""Shapes nearer than this at home belong together (a hub in its bracket); no motion could part them."""

_NEVER_NEAR_M = 0.01
_POSTURES = 400
"""Postures of two joints that are tried: about 20 steps of each."""


@dataclass(frozen=True, slots=True)
class CollisionModel:
    """Shapes of the cell.

    Attributes:
        model: Arms and fixed surroundings with the geoms that can collide.
        pairs: Geom indices that are watched, shape (pairs, 2).
        names: Of the pairs' bodies.
        home_m: Their distances at the home posture, shape (pairs,).
    """

    model: mujoco.MjModel
    pairs: Indices
    names: tuple[tuple[str, str], ...]
    home_m: Array


def collision_model(spec: mujoco.MjSpec, joint_names: Sequence[str], home: Array) -> CollisionModel:
    """Compile the shapes of `spec` that move with `joint_names`, and those that never move.

    Not watched are pairs that no joint or only one lies between (neighbours on the chain), pairs that the
    model itself excludes, pairs two joints apart that never come near each other within the joint limits,
    and pairs that touch at home; the last are logged.

    Args:
        spec: The robot model, uncompiled; it is copied, not changed.
        joint_names: Of all arms, in station order.
        home: Their home posture [rad].
    """
    cell = spec.copy()
    excluded = {frozenset((pair.bodyname1, pair.bodyname2)) for pair in cell.excludes}
    referring = (cell.actuators, cell.sensors, cell.equalities, cell.tendons, cell.excludes, cell.keys)
    for element in [element for group in referring for element in list(group)]:
        cell.delete(element)
    for pair in list(cell.pairs):
        cell.delete(pair)
    _prune(cell, cell.worldbody, set(joint_names))
    for geom in list(cell.geoms):
        if not geom.contype and not geom.conaffinity:
            cell.delete(geom)
    model = cell.compile()
    return _that_count(model, _candidates(model, excluded), joint_names, home)


def _prune(spec: mujoco.MjSpec, body: mujoco.MjsBody, wanted: set[str]) -> None:
    """Drop what moves by other joints."""
    for child in list(body.bodies):
        if any(joint.name not in wanted for joint in child.joints) and not _carries(child, wanted):
            spec.delete(child)
        else:
            _prune(spec, child, wanted)


def _carries(body: mujoco.MjsBody, wanted: set[str]) -> bool:
    mine = any(joint.name in wanted for joint in body.joints)
    return mine or any(_carries(child, wanted) for child in body.bodies)


def _candidates(model: mujoco.MjModel, excluded: set[frozenset[str]]) -> dict[tuple[int, int], int]:
    """Pairs of geoms that some joint parts, the one farther out first, and how many joints lie between."""
    chains = [_chain(model, body) for body in range(model.nbody)]
    found: dict[tuple[int, int], int] = {}
    for a, b in itertools.combinations(range(model.ngeom), 2):
        body_a, body_b = int(model.geom_bodyid[a]), int(model.geom_bodyid[b])
        between = len(set(chains[body_a]) ^ set(chains[body_b]))
        if between > 1 and frozenset((model.body(body_a).name, model.body(body_b).name)) not in excluded:
            found[(a, b) if len(chains[body_a]) >= len(chains[body_b]) else (b, a)] = between
    return found


def _chain(model: mujoco.MjModel, body: int) -> tuple[int, ...]:
    """Joints between the world and a body."""
    joints: list[int] = []
    while body:
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        joints += range(first, first + count)
        body = int(model.body_parentid[body])
    return tuple(joints)


def _that_count(
    model: mujoco.MjModel, pairs: dict[tuple[int, int], int], joint_names: Sequence[str], home: Array
) -> CollisionModel:
    at = [int(model.joint(name).qposadr[0]) for name in joint_names]
    near = [pair for pair, between in pairs.items() if between == 2]
    nearest = dict.fromkeys(near, np.inf)
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(_POSTURES):
        data.qpos[:] = rng.uniform(model.jnt_range[:, 0], model.jnt_range[:, 1])
        mujoco.mj_kinematics(model, data)
        for pair in near:
            nearest[pair] = min(nearest[pair], mujoco.mj_geomDistance(model, data, *pair, 1.0, None))
    data.qpos[at] = home
    mujoco.mj_kinematics(model, data)
    kept: list[tuple[int, int]] = []
    names: list[tuple[str, str]] = []
    at_home: list[float] = []
    for a, b in pairs:
        bodies = (model.body(model.geom_bodyid[a]).name, model.body(model.geom_bodyid[b]).name)
        if nearest.get((a, b), 0.0) > _NEVER_NEAR_M:
            continue
        distance = mujoco.mj_geomDistance(model, data, a, b, 1.0, None)
        if distance < TOUCHING_M:
            logger.info("collisions of %s with %s are not watched: they touch at home", *bodies)
            continue
        kept.append((a, b))
        names.append(bodies)
        at_home.append(distance)
    indices = np.array(kept, dtype=np.intp).reshape(-1, 2)
    return CollisionModel(model, indices, tuple(names), np.array(at_home))
