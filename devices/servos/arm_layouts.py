"""Arms made of servos: which ID moves which joint, and in which posture the arm rests.

IDs are those of the makers' own set-up tools. Signs, offsets and ranges are not here: they are calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Final

from teleop_app.core.errors import ConfigError

GRIPPER: Final = "gripper"


@dataclass(frozen=True, slots=True)
class ServoJoint:
    """One joint.

    Attributes:
        name: In the model's convention, `gripper` for the gripper.
        servo: ID.
        rest_rad: Its angle in the rest posture, model convention; of a gripper not used.
        positive: Which way a person must turn it for the sign, e.g. `to the left`.
        shadow: ID of a second servo on the same shaft, 0 for none.
    """

    name: str
    servo: int
    rest_rad: float
    positive: str
    shadow: int = 0


@dataclass(frozen=True, slots=True)
class ArmLayout:
    """An arm.

    Attributes:
        name: As in the station file.
        family: `dynamixel` or `feetech`.
        model: Robot model whose joints it names.
        joints: Base to gripper; the gripper is the last.
        rest: The rest posture, for people.
        mirrors: Further models whose joints have the same order, zero and direction.
    """

    name: str
    family: str
    model: str
    joints: tuple[ServoJoint, ...]
    rest: str
    mirrors: tuple[str, ...] = ()

    @property
    def servos(self) -> tuple[int, ...]:
        """IDs, base to gripper, without shadows."""
        return tuple(joint.servo for joint in self.joints)

    @property
    def names(self) -> tuple[str, ...]:
        """Joint names, gripper last."""
        return tuple(joint.name for joint in self.joints)

    @property
    def shadows(self) -> dict[int, int]:
        """Shadow ID by the ID of its joint."""
        return {joint.servo: joint.shadow for joint in self.joints if joint.shadow}

    def mirrored_by(self, model: str) -> bool:
        """Whether an arm of this model moves joint for joint as this one."""
        return model == self.model or model in self.mirrors

    def named(self, servo: int) -> str:
        """`servo 3 (elbow)`."""
        owner = next((j.name for j in self.joints if servo in (j.servo, j.shadow)), "")
        return f"servo {servo} ({owner})" if owner else f"servo {servo}"


def _interbotix(name: str, *models: str) -> ArmLayout:
    """ViperX-300 and WidowX-250, 6 DoF: IDs and sleep posture of the maker's configuration."""
    return ArmLayout(
        name,
        "dynamixel",
        models[0],
        (
            ServoJoint("waist", 1, 0.0, "to the left, seen from behind the arm"),
            ServoJoint("shoulder", 2, -1.85, "forward and down", shadow=3),
            ServoJoint("elbow", 4, 1.55, "so that the forearm goes down", shadow=5),
            ServoJoint("forearm_roll", 6, 0.0, "clockwise, seen from the elbow"),
            ServoJoint("wrist_angle", 7, 0.8, "so that the gripper goes down"),
            ServoJoint("wrist_rotate", 8, 0.0, "clockwise, seen from the wrist"),
            ServoJoint(GRIPPER, 9, 0.0, "open"),
        ),
        "asleep in its cradle: upper arm back to its stop, forearm folded down onto it, gripper pointing "
        "slightly down, waist and rolls straight",
        models[1:],
    )


def _gello(name: str, models: tuple[str, ...], rest: tuple[float, ...], posture: str) -> ArmLayout:
    """GELLO: a small copy of the follower; IDs count up from the base, the gripper's trigger is the last."""
    joints = tuple(
        ServoJoint(f"joint{number}", number, angle, f"in the positive direction of joint {number}")
        for number, angle in enumerate(rest, start=1)
    )
    gripper = ServoJoint(GRIPPER, len(rest) + 1, 0.0, "open")
    return ArmLayout(name, "dynamixel", models[0], (*joints, gripper), posture, models[1:])


LAYOUTS: Final[dict[str, ArmLayout]] = {
    layout.name: layout
    for layout in (
        _gello(
            "gello-7",
            ("fr3", "panda"),
            (0.0, 0.0, 0.0, -pi / 2, 0.0, pi / 2, 0.0),
            "upper arm upright, forearm level and ahead, wrist pointing down, everything in one plane",
        ),
        _gello(
            "gello-xarm7",
            ("xarm7",),
            (0.0, 0.0, 0.0, pi / 2, 0.0, pi / 2, 0.0),
            "upper arm upright, forearm level and ahead, wrist pointing down, everything in one plane",
        ),
        _gello(
            "gello-6",
            ("ur5e", "ur10e"),
            (0.0, -pi / 2, pi / 2, -pi / 2, -pi / 2, 0.0),
            "upper arm upright, forearm level and ahead, wrist pointing down, everything in one plane",
        ),
        _interbotix("aloha-viperx", "viperx300"),
        _interbotix("viperx", "viperx300"),
        _interbotix("widowx", "widowx250", "viperx300"),
        ArmLayout(
            "so101",
            "feetech",
            "so101",
            (
                ServoJoint("shoulder_pan", 1, 0.0, "to the right, seen from behind the arm"),
                ServoJoint("shoulder_lift", 2, -1.745, "forward and down"),
                ServoJoint("elbow_flex", 3, 1.571, "so that the forearm goes down"),
                ServoJoint("wrist_flex", 4, 0.873, "so that the gripper goes down"),
                ServoJoint("wrist_roll", 5, 0.0, "clockwise, seen from the wrist"),
                ServoJoint(GRIPPER, 6, 0.0, "open"),
            ),
            "folded: upper arm back to its stop, forearm level above it, gripper 50 degrees down, pan and "
            "roll straight",
        ),
    )
}


def find_layout(name: str, family: str) -> ArmLayout:
    """The layout of that name.

    Raises:
        ConfigError: There is none for servos of this family; the sentence names those that are there.
    """
    layout = LAYOUTS.get(name)
    if layout is None or layout.family != family:
        known = ", ".join(each.name for each in LAYOUTS.values() if each.family == family)
        raise ConfigError(f"There is no {family} arm layout {name!r}", next_step=f"Choose one of: {known}")
    return layout
