"""SO-101 (and SO-100 by the same calibration): five joints and a gripper on Feetech servos.

Joint frames, ranges and masses: `Simulation/SO101/so101_new_calib.urdf` of TheRobotStudio/SO-ARM100, where
zero is the middle of each joint's range. Speed: STS3215 at 7.4 V, 0.222 s for 60 degrees, about 4.7 rad/s.
"""

from __future__ import annotations

from math import pi
from typing import Final

from devices.models.robot import (
    OUT_ALONG_Z,
    Link,
    Quaternion,
    RobotModel,
    Tool,
    Vector,
    by_rpy,
    chain_model,
)

_SPEED: Final = 4.7


def _link(
    joint: str,
    position: Vector,
    turn: Quaternion,
    limits: tuple[float, float],
    mass: float,
    radius: float,
    path: tuple[Vector, ...] = (),
) -> Link:
    return Link(joint, position, turn, *limits, _SPEED, mass, radius, path)


def _so101() -> RobotModel:
    links = (
        _link(
            "shoulder_pan", (0.0388353, 0.0, 0.0624), by_rpy(pi, 0.0, -pi), (-1.91986, 1.91986), 0.100, 0.028
        ),
        _link(
            "shoulder_lift",
            (-0.0303992, -0.0182778, -0.0542),
            by_rpy(-pi / 2, -pi / 2, 0.0),
            (-1.74533, 1.74533),
            0.103,
            0.020,
        ),
        _link(
            "elbow_flex",
            (-0.11257, -0.028, 0.0),
            by_rpy(0.0, 0.0, pi / 2),
            (-1.69, 1.69),
            0.104,
            0.018,
        ),
        _link(
            "wrist_flex",
            (-0.1349, 0.0052, 0.0),
            by_rpy(0.0, 0.0, -pi / 2),
            (-1.65806, 1.65806),
            0.079,
            0.018,
        ),
        _link(
            "wrist_roll",
            (0.0, -0.0611, 0.0181),
            by_rpy(pi / 2, 0.0486795, pi),
            (-2.74385, 2.84121),
            0.060,
            0.016,
            ((0.0, 0.0, 0.0), (0.0, 0.0, -0.03)),
        ),
    )
    # The maker's gripper frame is half a turn about y from the gripper's and lies between the jaws' tips.
    tool = Tool(
        (-0.0079, -0.000218121, -0.03), by_rpy(0.0, pi, 0.0), (0.0, 0.0, 0.0681274), OUT_ALONG_Z, 0.039, 0.03
    )
    home = (0.0, -0.6, 0.6, 0.8, 0.0)
    return chain_model("so101", "SO-101, 5 DoF", links, tool, home, base_mass=0.147)


MODELS = (_so101(),)
