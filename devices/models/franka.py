"""Franka Robotics FR3 and Franka Emika Panda with the Franka hand.

Kinematics, joint limits and speeds: "Robot and interface specifications" of the Franka Control Interface
documentation (modified DH, flange 107 mm after the last joint; hand turned by -45 degrees, TCP 103.4 mm
ahead of it). Masses: Panda from Gaz et al., "Dynamic identification of the Franka Emika Panda robot with
retrieval of feasible parameters using penalty-based optimization", RA-L 2019; FR3 from the maker's
franka_description.
"""

from __future__ import annotations

from math import cos, pi, radians, sin

from devices.models.dh import Row, modified_links
from devices.models.robot import Quaternion, RobotModel, Tool, chain_model

_A = (0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088)
_D = (0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0)
_ALPHA = (0.0, -pi / 2, pi / 2, pi / 2, -pi / 2, pi / 2, pi / 2)
_RADIUS = (0.060, 0.060, 0.055, 0.055, 0.050, 0.045, 0.040)
_HOME = (0.0, -pi / 4, 0.0, -3 * pi / 4, 0.0, pi / 2, pi / 4)


def _hand() -> Quaternion:
    """Rz(-45 deg) and then x along the hand's z, its y being the opening direction."""
    c, s, h = cos(radians(-22.5)), sin(radians(-22.5)), 2**-0.5
    return (c * h, s * h, -c * h, s * h)


def _model(
    name: str,
    title: str,
    lower: tuple[float, ...],
    upper: tuple[float, ...],
    speed: tuple[float, ...],
    masses: tuple[float, ...],
    base_mass: float,
) -> RobotModel:
    rows = tuple(
        Row(a, d, alpha, low, high, fast, mass, radius)
        for a, d, alpha, low, high, fast, mass, radius in zip(
            _A, _D, _ALPHA, lower, upper, speed, masses, _RADIUS, strict=True
        )
    )
    tool = Tool((0.0, 0.0, 0.107), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.1034), _hand(), 0.73, 0.04)
    links = modified_links(rows, tuple(f"joint{number}" for number in range(1, 8)))
    return chain_model(name, title, links, tool, _HOME, base_mass=base_mass)


FR3 = _model(
    "fr3",
    "Franka FR3",
    (-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159),
    (2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159),
    (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
    (2.9275, 2.9355, 2.2449, 2.6156, 2.3271, 1.8170, 0.6272),
    2.3966,
)

PANDA = _model(
    "panda",
    "Franka Emika Panda",
    (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973),
    (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973),
    (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    (4.970684, 0.646926, 3.228604, 3.587895, 1.225946, 1.666555, 0.735522),
    0.629769,
)

MODELS = (FR3, PANDA)
