"""Where every part of the model is for given joint positions; no dynamics, no rendering."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from ui.gl import meshes

log = logging.getLogger(__name__)

LAST_VISIBLE_GROUP = 2
"""MuJoCo's habit: groups 0 to 2 are visuals, 3 and above collision shapes."""

WARN_FRACTION = 0.06
"""A joint lights up amber within this share of its range from a limit."""

WALL_RADIUS_M = 1.2
"""Fixed geoms larger than this are the room, not the cell; endless planes have no radius."""

HIDDEN_BELOW_M = -2.0
"""Scenes park the parts they do not use below this height."""

LIMIT_FRACTION = 0.015
"""And red within this share."""


@dataclass(frozen=True, slots=True)
class Part:
    """One drawn geom.

    Attributes:
        geom: Index in the model.
        soup: Triangles in the geom frame.
        rgba: Colour, shape (4,).
        joints: Indices of the limited joints that move its body.
    """

    geom: int
    soup: meshes.Soup
    rgba: NDArray[np.float32]
    joints: tuple[int, ...]


def load_model(source: str | Path) -> mujoco.MjModel:
    """Loads a model from an MJCF string (starting with `<`) or a file path.

    Raises:
        ValueError: MuJoCo cannot read the model; the message is MuJoCo's.
    """
    if isinstance(source, str) and source.lstrip().startswith("<"):
        return mujoco.MjModel.from_xml_string(source)
    return mujoco.MjModel.from_xml_path(str(source))


class KinematicScene:
    """Forward kinematics of one model for the 3-D view. Not thread-safe.

    Args:
        model: Compiled model.
        triangle_budget: Meshes are thinned when the scene has more triangles.
    """

    def __init__(self, model: mujoco.MjModel, triangle_budget: int = meshes.TRIANGLE_BUDGET) -> None:
        self.model = model
        self._data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, self._data)
        self.parts = _parts(model, triangle_budget)

    def update(self, qpos: NDArray[np.float64]) -> bool:
        """Moves the scene to generalised positions `qpos`, shape (nq,).

        Returns:
            False, and leaves the scene where it is, when a value is not finite.

        Raises:
            ValueError: The length is not the model's.
        """
        qpos = np.asarray(qpos, dtype=np.float64)
        if qpos.shape != (self.model.nq,):
            raise ValueError(
                f"The 3-D view got {qpos.size} joint positions, but its model has {self.model.nq}. "
                "The station and this window use different model files."
            )
        if not np.all(np.isfinite(qpos)):
            return False
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self._data)
        return True

    @property
    def qpos(self) -> NDArray[np.float64]:
        """The generalised positions shown, shape (nq,)."""
        return self._data.qpos.copy()

    def site_pose(self, name: str) -> NDArray[np.float64]:
        """Returns `world_T_site` as x y z qw qx qy qz.

        Raises:
            KeyError: The model has no such site; MuJoCo lists the valid names.
        """
        site = self._data.site(name)
        pose = np.empty(7)
        pose[:3] = site.xpos
        mujoco.mju_mat2Quat(pose[3:], site.xmat)
        return pose

    def transforms(self) -> NDArray[np.float32]:
        """Returns `world_T_geom` of every part as 3x4 rows, shape (parts, 3, 4).

        Parked parts get zeros, which shrinks them to nothing.
        """
        geoms = [part.geom for part in self.parts]
        result = np.empty((len(geoms), 3, 4), dtype=np.float32)
        result[:, :, :3] = self._data.geom_xmat[geoms].reshape(-1, 3, 3)
        result[:, :, 3] = self._data.geom_xpos[geoms]
        result[result[:, 2, 3] < HIDDEN_BELOW_M] = 0.0
        return result

    def limit_levels(self) -> NDArray[np.float32]:
        """Returns how near each joint is to a limit: 0 free, 0..1 amber zone, 2 at the limit.

        Shape (njnt,); joints without limits and free joints are 0.
        """
        model = self.model
        levels = np.zeros(model.njnt, dtype=np.float32)
        for joint in range(model.njnt):
            if not model.jnt_limited[joint] or model.jnt_type[joint] not in _SCALAR_JOINTS:
                continue
            low, high = model.jnt_range[joint]
            span = max(high - low, 1e-9)
            q = self._data.qpos[model.jnt_qposadr[joint]]
            room = min(q - low, high - q) / span
            if room < LIMIT_FRACTION:
                levels[joint] = 2.0
            elif room < WARN_FRACTION:
                levels[joint] = (WARN_FRACTION - room) / (WARN_FRACTION - LIMIT_FRACTION)
        return levels


_SCALAR_JOINTS = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


def _is_wall(model: mujoco.MjModel, geom: int) -> bool:
    """Tells walls of the room, which would stand between the camera and the cell."""
    fixed = model.body_weldid[model.geom_bodyid[geom]] == 0
    return bool(fixed and model.geom_rbound[geom] > WALL_RADIUS_M)


def _parts(model: mujoco.MjModel, budget: int) -> list[Part]:
    parts: list[Part] = []
    for geom in range(model.ngeom):
        rgba = meshes.geom_color(model, geom)
        if model.geom_group[geom] > LAST_VISIBLE_GROUP or rgba[3] <= 0.0 or _is_wall(model, geom):
            continue
        soup = meshes.geom_soup(model, geom)
        if soup is None or not len(soup):
            continue
        body = int(model.geom_bodyid[geom])
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        # A finger at its stop is open or closed, not in trouble: only hinges light up.
        joints = tuple(
            joint
            for joint in range(first, first + count)
            if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
        )
        parts.append(Part(geom, soup, rgba, joints))
    triangles = sum(len(part.soup) // 3 for part in parts)
    if triangles > budget:
        keep = 0.9 * budget / triangles
        log.info("3-D view: thinning %d triangles to about %d", triangles, int(triangles * keep))
        parts = [
            Part(p.geom, meshes.thin(p.soup, keep) if len(p.soup) > 600 else p.soup, p.rgba, p.joints)
            for p in parts
        ]
    return parts
