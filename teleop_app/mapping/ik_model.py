"""The model that inverse kinematics runs on: the arms alone, without objects, fingers and shapes."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco

from teleop_app.core.errors import ConfigError


def arms_only(spec: mujoco.MjSpec, joint_names: Sequence[str]) -> mujoco.MjModel:
    """Compile a copy of `spec` whose only joints are `joint_names`.

    Everything else of the cell would only add unknowns to the optimisation: objects and fixtures are
    dropped, the fingers are fixed, shapes are left out. Frames (sites) of the arms stay.

    Raises:
        ConfigError: The model lacks a joint.
    """
    wanted = set(joint_names)
    known = {joint.name for joint in spec.joints}
    if missing := sorted(wanted - known):
        raise ConfigError(
            f"The robot model has no joint {missing[0]!r}", next_step=f"It has: {', '.join(sorted(known))}"
        )
    arms = spec.copy()
    for body in list(arms.worldbody.bodies):
        if not _joints_below(body) & wanted:
            arms.delete(body)
    referring = (arms.actuators, arms.sensors, arms.equalities, arms.tendons, arms.excludes, arms.keys)
    for element in [element for group in referring for element in list(group)]:
        arms.delete(element)
    for joint in list(arms.joints):
        if joint.name not in wanted:
            arms.delete(joint)
    for geom in list(arms.geoms):
        arms.delete(geom)
    return arms.compile()


def _joints_below(body: mujoco.MjsBody) -> set[str]:
    return {joint.name for joint in body.joints}.union(*(_joints_below(child) for child in body.bodies))
