"""How far a joint can move what hangs on it: bounds that spare looking at what cannot have changed."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from teleop_app.core.geometry import Array


def geom_levers(model: mujoco.MjModel, joint_names: Sequence[str]) -> Array:
    """Greatest movement of any point of a geom with each joint, in any posture, shape (geoms, joints).

    [m/rad], slides 1; 0 where the geom does not hang on the joint. A chain is never longer than its links.
    """
    own = np.linalg.norm(model.geom_pos, axis=1) + model.geom_rbound
    return _levers(model, joint_names, model.geom_bodyid, own)


def site_levers(model: mujoco.MjModel, joint_names: Sequence[str], sites: Sequence[int]) -> Array:
    """The same of sites, shape (sites, joints)."""
    at = np.asarray(sites, dtype=np.intp)
    return _levers(model, joint_names, model.site_bodyid[at], np.linalg.norm(model.site_pos[at], axis=1))


def _levers(model: mujoco.MjModel, joint_names: Sequence[str], bodies: Array, own: Array) -> Array:
    column = {int(model.joint(name).id): index for index, name in enumerate(joint_names)}
    out = np.zeros((len(bodies), len(joint_names)))
    for row, start, length in zip(out, bodies, own, strict=True):
        body, reach = int(start), float(length)
        while body:
            first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
            for joint in range(first, first + count):
                slide = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE
                if joint in column:
                    lever = reach + float(np.linalg.norm(model.jnt_pos[joint]))
                    row[column[joint]] = 1.0 if slide else lever
                if slide:
                    reach += float(np.abs(model.jnt_range[joint]).max())
            reach += float(np.linalg.norm(model.body_pos[body]))
            body = int(model.body_parentid[body])
    return out
