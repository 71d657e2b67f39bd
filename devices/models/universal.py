"""Universal Robots UR5e and UR10e.

Kinematics, masses: standard DH tables of Universal Robots ("DH Parameters for calculations of kinematics
and dynamics", support article 16-12-2020). Limits: e-Series user manual, chapter "Robot arm", joint ranges
+-360 deg; the elbow is kept to +-180 deg, beyond which the links collide. With all joints zero the maker's
arm lies along -x of its base frame, which is therefore turned half a turn about the vertical. DH tables say
nothing of the sideways offsets of upper arm and forearm; those are from the maker's ROS description.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi, radians

from devices.models.dh import Row, end_of, standard_links
from devices.models.robot import OUT_ALONG_Z, RobotModel, Tool, about_z, chain_model

_NAMES = tuple(f"joint{number}" for number in range(1, 7))
_HOME = (0.0, -pi / 2, pi / 2, -pi / 2, -pi / 2, 0.0)
_TURN = 2 * pi


def _row(
    a: float, d: float, alpha: float, mass: float, radius: float, speed_deg_s: float, most: float = _TURN
) -> Row:
    return Row(a, d, alpha, -most, most, radians(speed_deg_s), mass, radius)


def _model(
    name: str, title: str, rows: tuple[Row, ...], base_mass: float, upper_m: float, fore_m: float
) -> RobotModel:
    """The arm; `upper_m` and `fore_m` are how far its upper arm and forearm lie beside their joints."""
    links = list(standard_links(rows, _NAMES))
    for number, beside in ((1, upper_m), (2, fore_m)):
        end = rows[number].a
        path = ((0.0, 0.0, beside), (end, 0.0, beside))
        links[number] = replace(links[number], path=path)
    position, turn = end_of(rows[-1])
    # A two-finger gripper of 2F-85 size: 163 mm from flange to finger tips, 85 mm stroke.
    tool = Tool(position, turn, (0.0, 0.0, 0.163), OUT_ALONG_Z, 0.9, 0.0425)
    return chain_model(
        name,
        title,
        tuple(links),
        tool,
        _HOME,
        base_mass=base_mass,
        base_turn=about_z(pi),
    )


UR5E = _model(
    "ur5e",
    "Universal Robots UR5e",
    (
        _row(0.0, 0.1625, pi / 2, 3.761, 0.060, 180.0),
        _row(-0.425, 0.0, 0.0, 8.058, 0.055, 180.0),
        _row(-0.3922, 0.0, 0.0, 2.846, 0.045, 180.0, pi),
        _row(0.0, 0.1333, pi / 2, 1.37, 0.040, 180.0),
        _row(0.0, 0.0997, -pi / 2, 1.3, 0.040, 180.0),
        _row(0.0, 0.0996, 0.0, 0.365, 0.035, 180.0),
    ),
    4.0,
    0.138,
    0.007,
)

UR10E = _model(
    "ur10e",
    "Universal Robots UR10e",
    (
        _row(0.0, 0.1807, pi / 2, 7.369, 0.075, 120.0),
        _row(-0.6127, 0.0, 0.0, 13.051, 0.070, 120.0),
        _row(-0.57155, 0.0, 0.0, 3.989, 0.055, 180.0, pi),
        _row(0.0, 0.17415, pi / 2, 2.1, 0.045, 180.0),
        _row(0.0, 0.11985, -pi / 2, 1.98, 0.045, 180.0),
        _row(0.0, 0.11655, 0.0, 0.615, 0.040, 180.0),
    ),
    4.0,
    0.1762,
    0.0393,
)

MODELS = (UR5E, UR10E)
