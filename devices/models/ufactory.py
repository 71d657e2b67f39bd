"""UFACTORY xArm 6 and xArm 7.

Kinematics: modified DH tables of the xArm user manual (appendix "Kinematic parameters"); the joint offsets
of the xArm 6 (joint 2: -79.35 deg, joint 3: +79.35 deg) are part of its link frames here. Joint ranges and
speed: technical specifications of the same manual. Masses: maker's URDF (xarm_ros, inertial parameters).
"""

from __future__ import annotations

from dataclasses import replace
from math import atan2, cos, pi, radians, sin

from devices.models.dh import Row, modified_links
from devices.models.robot import OUT_ALONG_Z, Link, RobotModel, Tool, chain_model

_SPEED = pi
_SHIFT = atan2(0.2845, 0.0535)
"""Joints 2 and 3 of the xArm 6 count from an upright line between them, which is 53.5 mm off the shoulder."""
# xArm gripper: 172 mm from flange to finger tips, 84 mm stroke.
_TOOL = Tool((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.172), OUT_ALONG_Z, 0.82, 0.042)


def _row(
    a: float, d: float, alpha: float, low_deg: float, high_deg: float, mass: float, radius: float
) -> Row:
    return Row(a, d, alpha, radians(low_deg), radians(high_deg), _SPEED, mass, radius)


def _names(joints: int) -> tuple[str, ...]:
    return tuple(f"joint{number}" for number in range(1, joints + 1))


def _xarm6() -> RobotModel:
    rows = (
        _row(0.0, 0.267, 0.0, -360, 360, 2.177, 0.055),
        _row(0.0, 0.0, -pi / 2, -118, 120, 2.011, 0.050),
        _row(0.28948866, 0.0, 0.0, -225, 11, 1.725, 0.045),
        _row(0.0775, 0.3425, -pi / 2, -360, 360, 1.211, 0.040),
        _row(0.0, 0.0, pi / 2, -97, 180, 1.206, 0.040),
        _row(0.076, 0.097, -pi / 2, -360, 360, 0.17, 0.035),
    )
    links = list(modified_links(rows, _names(6)))
    links[1] = _counted_from(links[1], -_SHIFT)
    links[2] = _counted_from(links[2], _SHIFT)
    home = (0.0, radians(-20), radians(-60), 0.0, radians(80), 0.0)
    return chain_model("xarm6", "UFACTORY xArm 6", tuple(links), _TOOL, home, base_mass=2.7)


def _counted_from(link: Link, angle: float) -> Link:
    """The link with its joint's zero turned by an angle [rad] about the joint."""
    w, x, y, z = link.turn
    c, s = cos(angle / 2), sin(angle / 2)
    return replace(link, turn=(w * c - z * s, x * c + y * s, y * c - x * s, w * s + z * c))


def _xarm7() -> RobotModel:
    rows = (
        _row(0.0, 0.267, 0.0, -360, 360, 2.382, 0.055),
        _row(0.0, 0.0, -pi / 2, -118, 120, 1.869, 0.050),
        _row(0.0, 0.293, pi / 2, -360, 360, 1.6383, 0.050),
        _row(0.0525, 0.0, pi / 2, -11, 225, 1.7269, 0.045),
        _row(0.0775, 0.3425, pi / 2, -360, 360, 1.3203, 0.040),
        _row(0.0, 0.0, pi / 2, -97, 180, 1.325, 0.040),
        _row(0.076, 0.097, -pi / 2, -360, 360, 0.17, 0.035),
    )
    home = (0.0, radians(-20), 0.0, radians(60), 0.0, radians(80), 0.0)
    links = modified_links(rows, _names(7))
    return chain_model("xarm7", "UFACTORY xArm 7", links, _TOOL, home, base_mass=2.7)


MODELS = (_xarm6(), _xarm7())
