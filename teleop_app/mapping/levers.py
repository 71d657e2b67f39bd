"""How far a joint can move what hangs on it: bounds that spare looking at what cannot have changed."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from teleop_app.core.geometry import Array


def levers(model: mujoco.MjModel, joint_names: Sequence[str]) -> Array:
    """Greatest movement of any shape or site with each joint, in any posture [m/rad, slides 1], shape (n,).

    A chain is never longer than the sum of its links.
    """
    out = np.empty(len(joint_names))
    for index, name in enumerate(joint_names):
        joint = int(model.joint(name).id)
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE:
            out[index] = 1.0
        else:
            out[index] = _beyond(model, int(model.jnt_bodyid[joint])) + np.linalg.norm(model.jnt_pos[joint])
    return out


def _beyond(model: mujoco.MjModel, body: int) -> float:
    """Greatest distance of anything on a body or below it from the body's frame."""
    reach = [0.0]
    for geom in np.flatnonzero(model.geom_bodyid == body):
        reach.append(float(np.linalg.norm(model.geom_pos[geom]) + model.geom_rbound[geom]))
    reach += [
        float(np.linalg.norm(model.site_pos[site])) for site in np.flatnonzero(model.site_bodyid == body)
    ]
    for child in np.flatnonzero(model.body_parentid == body):
        if child != body:
            joints = np.flatnonzero(model.jnt_bodyid == child)
            slides = model.jnt_type[joints] == mujoco.mjtJoint.mjJNT_SLIDE
            stroke = float(np.abs(model.jnt_range[joints[slides]]).max(axis=1).sum())
            reach.append(float(np.linalg.norm(model.body_pos[child])) + stroke + _beyond(model, int(child)))
    return max(reach)
