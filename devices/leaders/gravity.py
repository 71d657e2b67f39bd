"""Gravity terms of a leader arm, from the masses and lengths of its links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np

from devices.servos.bus import Array
from teleop_app.core.errors import ConfigError

Vector = tuple[float, float, float]
_X: Final = (1.0, 0.0, 0.0)
_Y: Final = (0.0, 1.0, 0.0)
_Z: Final = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a serial arm, and the joint that carries it.

    Attributes:
        origin: Of the joint in the frame of the link before [m]; all frames are parallel at zero.
        axis: Of the joint.
        mass: [kg], servos included.
        centre: Centre of mass from the joint [m].
    """

    origin: Vector
    axis: Vector
    mass: float
    centre: Vector


# WidowX-250 6-DoF, the leader of ALOHA: the maker's published lengths, masses and centres; the gripper's link
# carries its fingers.
_WIDOWX: Final = (
    Link((0.0, 0.0, 0.072), _Z, 0.4809, (0.0, 0.0, 0.0066)),
    Link((0.0, 0.0, 0.03865), _Y, 0.4308, (0.0172, 0.0, 0.1913)),
    Link((0.04975, 0.0, 0.25), _Y, 0.2346, (0.1080, 0.0, 0.0)),
    Link((0.175, 0.0, 0.0), _X, 0.2210, (0.0374, 0.0052, 0.0)),
    Link((0.075, 0.0, 0.0), _Y, 0.0850, (0.0424, 0.0, 0.0106)),
    Link((0.065, 0.0, 0.0), _X, 0.1426, (0.0435, 0.0, 0.0070)),
)

# GELLO for a Franka arm: its lengths halved, 18 g a servo and about as much print a link. Estimated, not
# weighed; a factor below 1 covers the error.
_GELLO_7: Final = (
    Link((0.0, 0.0, 0.1665), _Z, 0.050, (0.0, 0.0, 0.0)),
    Link((0.0, 0.0, 0.0), _Y, 0.050, (0.0, 0.0, 0.08)),
    Link((0.0, 0.0, 0.158), _Z, 0.045, (0.02, 0.0, 0.0)),
    Link((0.04125, 0.0, 0.0), (0.0, -1.0, 0.0), 0.045, (-0.02, 0.0, 0.08)),
    Link((-0.04125, 0.0, 0.192), _Z, 0.045, (0.0, 0.0, -0.02)),
    Link((0.0, 0.0, 0.0), (0.0, -1.0, 0.0), 0.040, (0.03, 0.0, 0.0)),
    Link((0.044, 0.0, 0.0), (0.0, 0.0, -1.0), 0.070, (0.0, 0.0, -0.05)),
)

LINKS: Final[dict[str, tuple[Link, ...]]] = {
    "gello-7": _GELLO_7,
    "aloha-viperx": _WIDOWX,
    "widowx": _WIDOWX,
}
"""By layout."""


class GravityModel:
    """Joint torques that hold an arm against gravity at rest (inverse dynamics at zero velocity).

    Args:
        links: Base to tip; the base stands upright.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        spec = mujoco.MjSpec()
        body = spec.worldbody
        for number, link in enumerate(links):
            body = body.add_body(name=f"link{number}", pos=link.origin)
            body.add_joint(name=f"joint{number}", type=mujoco.mjtJoint.mjJNT_HINGE, axis=link.axis)
            body.mass = link.mass
            body.ipos = list(link.centre)
            body.inertia = [1e-4] * 3
            body.explicitinertial = True
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)

    @property
    def size(self) -> int:
        """Number of joints."""
        return int(self._model.nq)

    def torques(self, q: Array) -> Array:
        """Torques [N m] that hold the joints `q` [rad], shape (n,) each."""
        self._data.qpos[:] = q
        self._data.qvel[:] = 0.0
        mujoco.mj_forward(self._model, self._data)
        return np.array(self._data.qfrc_bias)


def gravity_model(layout: str) -> GravityModel:
    """The model of a layout's leader.

    Raises:
        ConfigError: The masses of this arm are not known.
    """
    links = LINKS.get(layout)
    if links is None:
        raise ConfigError(
            f"There is no gravity model of the layout {layout!r}",
            next_step=f"Set gravity_compensation to 0; known are {', '.join(LINKS)}",
        )
    return GravityModel(links)
