"""What a force-torque sensor between wrist and gripper of each simulated arm would measure."""

from __future__ import annotations

import mujoco
import numpy as np

from devices.sim.arms import ARMS
from teleop_app.core.geometry import Array

AXES = ("fx", "fy", "fz", "tx", "ty", "tz")


class WristWrench:
    """Reads the wrench that each arm exerts on its gripper, sample by sample.

    A sample is read as raw arrays of the physics; `wrenches` turns many of them into numbers at once.

    Args:
        model: The cell.
        data: Its state.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        self._data = data
        self._bodies = np.array([model.body(arm.gripper_body_name).id for arm in ARMS])
        self._roots = model.body_rootid[self._bodies]
        self._sites = np.array([model.site(arm.tcp_site_name).id for arm in ARMS])
        self._samples: list[tuple[Array, Array, Array, Array]] = []

    def sample(self) -> None:
        """Note the present state. Call right after a physics step."""
        data = self._data
        mujoco.mj_rnePostConstraint(self._model, data)
        self._samples.append(
            (
                data.cfrc_int[self._bodies],
                data.subtree_com[self._roots],
                data.site_xpos[self._sites],
                data.site_xmat[self._sites],
            )
        )

    def take(self) -> Array:
        """Wrenches of the samples since the last call, shape (samples, arms, 6): [N], [N m].

        In the frame of the tool centre point and about it; weight and inertia of the gripper included.
        """
        raw, self._samples = self._samples, []
        if not raw:
            return np.zeros((0, len(ARMS), 6))
        spatial, origin, point, turn = (np.stack(parts) for parts in zip(*raw, strict=True))
        # cfrc_int: torque, then force, in world axes about the centre of mass of the whole arm.
        force, torque = spatial[..., 3:], spatial[..., :3]
        torque = torque - np.cross(point - origin, force)
        world_R_site = turn.reshape(*turn.shape[:2], 3, 3)
        both = np.stack([force, torque], axis=-2)
        return np.einsum("kaji,kanj->kani", world_R_site, both).reshape(len(raw), len(ARMS), 6)
