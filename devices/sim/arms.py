"""What every part of the application must know of the two arms of the simulated cell."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

ARM_SIDES: Final = ("left", "right")
"""Station order of the arms: every 14-vector is left, then right."""

FINGER_CLOSED_M: Final = 0.0224
"""Finger joint position at which the pads touch (gripper 0) [m]."""

FINGER_OPEN_M: Final = 0.057
"""Finger joint position of the open gripper (gripper 1): 69 mm between the pads [m]."""

_JOINTS: Final = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
_HOME_RAD: Final = (0.0, -0.96, 1.16, 0.0, -0.2, 0.0)

# Ranges of the ViperX-300 6-DoF [rad]; speeds are the servos' limit with 10 % in hand [rad/s].
_LOWER_RAD: Final = (-3.14158, -1.85005, -1.76278, -3.14158, -1.8675, -3.14158)
_UPPER_RAD: Final = (3.14158, 1.25664, 1.6057, 3.14158, 2.23402, 3.14158)
_SPEED_RAD_S: Final = 2.8
_GRIPPER_SPEED_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class ArmModel:
    """Names in the MJCF and constants of one mounted arm.

    Attributes:
        side: `left` or `right`.
        joint_names: The 6 arm joints, base to wrist, as the MJCF names them.
        gripper_name: Name of the gripper in the 14-vector; the MJCF has two finger joints instead.
        finger_joint_names: The two slide joints, `<side>/left_finger` and `<side>/right_finger`.
        actuator_names: The 7 actuators, in the order of the joints, gripper last.
        base_body_name: Root body of the arm.
        gripper_body_name: The body that carries the fingers.
        finger_body_names: Bodies of the two fingers, in the order of `finger_joint_names`.
        tcp_site_name: Site between the finger tips; x out of the gripper, y opening direction.
        camera_name: The wrist camera.
        world_T_base: Pose of the base in the world, x y z [m] qw qx qy qz.
        home_q: Home posture of the 6 joints [rad]; the gripper points forward and level.
        lower_rad: Lower joint limits, shape (6,).
        upper_rad: Upper joint limits, shape (6,).
    """

    side: str
    joint_names: tuple[str, ...]
    gripper_name: str
    finger_joint_names: tuple[str, str]
    actuator_names: tuple[str, ...]
    base_body_name: str
    gripper_body_name: str
    finger_body_names: tuple[str, str]
    tcp_site_name: str
    camera_name: str
    world_T_base: tuple[float, float, float, float, float, float, float]
    home_q: tuple[float, ...]
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]


def _arm(side: str, world_T_base: tuple[float, float, float, float, float, float, float]) -> ArmModel:
    joint_names = tuple(f"{side}/{joint}" for joint in _JOINTS)
    return ArmModel(
        side=side,
        joint_names=joint_names,
        gripper_name=f"{side}/gripper",
        finger_joint_names=(f"{side}/left_finger", f"{side}/right_finger"),
        actuator_names=(*joint_names, f"{side}/gripper"),
        base_body_name=f"{side}/base_link",
        gripper_body_name=f"{side}/gripper_link",
        finger_body_names=(f"{side}/left_finger_link", f"{side}/right_finger_link"),
        tcp_site_name=f"{side}/tcp",
        camera_name=f"{side}_wrist",
        world_T_base=world_T_base,
        home_q=_HOME_RAD,
        lower_rad=_LOWER_RAD,
        upper_rad=_UPPER_RAD,
    )


ARMS: Final[tuple[ArmModel, ArmModel]] = (
    _arm("left", (-0.469, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0)),
    _arm("right", (0.469, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0)),
)
"""The two arms in station order, facing each other across the table."""

JOINT_NAMES: Final[tuple[str, ...]] = tuple(
    name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name)
)
"""Names of the 14 values of the cell's joint vector."""

FINGER_NAMES: Final[tuple[str, ...]] = tuple(name for arm in ARMS for name in arm.finger_joint_names)
"""Names of the 4 fingers in the order of `Cell.finger_forces`."""


def home_q() -> Vector:
    """Returns the home posture with open grippers, 6 x [rad] + gripper [0..1] an arm, shape (14,)."""
    return np.array([value for arm in ARMS for value in (*arm.home_q, 1.0)])


def joint_limits() -> tuple[Vector, Vector]:
    """Returns the lower and upper limits of the 14 values [rad] (grippers 0..1), shape (14,) each."""
    lower = np.array([value for arm in ARMS for value in (*arm.lower_rad, 0.0)])
    upper = np.array([value for arm in ARMS for value in (*arm.upper_rad, 1.0)])
    return lower, upper


def velocity_limits() -> Vector:
    """Returns the speed limits of the 14 values [rad/s] (grippers [1/s]), shape (14,)."""
    return np.array([value for _ in ARMS for value in (*[_SPEED_RAD_S] * 6, _GRIPPER_SPEED_S)])


def arm_model(side: str) -> ArmModel:
    """Returns the arm of a side.

    Raises:
        KeyError: The cell has no arm of that name.
    """
    for arm in ARMS:
        if arm.side == side:
            return arm
    raise KeyError(f"The cell has no arm '{side}'. Arms: {', '.join(ARM_SIDES)}.")
