"""Trossen Robotics (Interbotix) ViperX-300 and WidowX-250, six degrees of freedom.

Link offsets, joint ranges and masses: the maker's URDF of `vx300s` and `wx250s`; the same figures stand in
the maker's screw tables (modern_robotics `mr_descriptions`), against which the test checks them. Speed: the
servos' pi rad/s with 10 % in hand.
"""

from __future__ import annotations

from math import pi
from typing import Final

from devices.models.robot import Link, RobotModel, Tool, Vector, chain_model

_JOINTS: Final = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
_AXES: Final[tuple[Vector, ...]] = (
    (0.0, 0.0, 1.0),
    (0.0, 1.0, 0.0),
    (0.0, 1.0, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (1.0, 0.0, 0.0),
)
_STRAIGHT: Final = (1.0, 0.0, 0.0, 0.0)
_SPEED: Final = 2.8


def _model(
    name: str,
    title: str,
    offsets: tuple[Vector, ...],
    ranges: tuple[tuple[float, float], ...],
    masses: tuple[float, ...],
    radii: tuple[float, ...],
    home: tuple[float, ...],
    tool: Tool,
    base_mass: float,
) -> RobotModel:
    links = [
        Link(joint, offset, _STRAIGHT, low, high, _SPEED, mass, radius, axis=axis)
        for joint, offset, (low, high), mass, radius, axis in zip(
            _JOINTS, offsets, ranges, masses, radii, _AXES, strict=True
        )
    ]
    return chain_model(name, title, tuple(links), tool, home, base_mass=base_mass)


VIPERX300 = _model(
    "viperx300",
    "ViperX 300, 6 DoF",
    (
        (0.0, 0.0, 0.079),
        (0.0, 0.0, 0.04805),
        (0.05955, 0.0, 0.3),
        (0.2, 0.0, 0.0),
        (0.1, 0.0, 0.0),
        (0.069744, 0.0, 0.0),
    ),
    ((-pi, pi), (-1.85005, 1.25664), (-1.76278, 1.6057), (-pi, pi), (-1.8675, 2.23402), (-pi, pi)),
    (0.798614, 0.792592, 0.322228, 0.414823, 0.115395, 0.13),
    (0.050, 0.034, 0.028, 0.034, 0.028, 0.026),
    (0.0, -0.96, 1.16, 0.0, -0.2, 0.0),
    Tool((0.042825, 0.0, 0.0), _STRAIGHT, (0.097175, 0.0, 0.0), _STRAIGHT, 0.32, 0.0346),
    0.97,
)

WIDOWX250 = _model(
    "widowx250",
    "WidowX 250, 6 DoF",
    (
        (0.0, 0.0, 0.072),
        (0.0, 0.0, 0.03865),
        (0.04975, 0.0, 0.25),
        (0.175, 0.0, 0.0),
        (0.075, 0.0, 0.0),
        (0.065, 0.0, 0.0),
    ),
    ((-pi, pi), (-1.88496, 1.98968), (-2.14675, 1.6057), (-pi, pi), (-1.74533, 2.14675), (-pi, pi)),
    (0.480879, 0.430811, 0.234589, 0.220991, 0.084957, 0.110084),
    (0.040, 0.028, 0.024, 0.028, 0.024, 0.022),
    (0.0, -0.96, 1.16, 0.0, -0.2, 0.0),
    Tool((0.043, 0.0, 0.0), _STRAIGHT, (0.080, 0.0, 0.0), _STRAIGHT, 0.18, 0.022),
    0.538736,
)

MODELS = (VIPERX300, WIDOWX250)
