"""The cell of a station with real arms: each arm's model on its base, on one table."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import mujoco

from devices.models.library import robot_model
from devices.models.robot import GRIPPER, TCP
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError

_TABLE_HALF_M = (1.2, 1.2, 0.01)
_GAP_M = 0.001


@dataclass(frozen=True, slots=True)
class CellArm:
    """One arm of a cell; names are those of the composed model.

    Attributes:
        name: As in the station file.
        model: Name of its robot model.
        joint_names: `<arm>/<joint>`, base to wrist.
        gripper_name: `<arm>/gripper`.
        tcp_site: Site of the tool centre point.
        home: Home posture [rad].
        lower: Lower joint limits [rad].
        upper: Upper joint limits [rad].
        velocity: Speed limits [rad/s], infinite where the model knows none.
    """

    name: str
    model: str
    joint_names: tuple[str, ...]
    gripper_name: str
    tcp_site: str
    home: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]


def cell_arms(config: StationConfig) -> list[CellArm]:
    """The arms of a station, in station order.

    Raises:
        ConfigError: A robot model cannot be used.
    """
    arms: list[CellArm] = []
    for section in config.arms:
        model = robot_model(section.model)
        arms.append(
            CellArm(
                name=section.name,
                model=model.name,
                joint_names=tuple(f"{section.name}/{joint}" for joint in model.joint_names),
                gripper_name=f"{section.name}/{GRIPPER}",
                tcp_site=f"{section.name}/{TCP}",
                home=model.home,
                lower=model.lower,
                upper=model.upper,
                velocity=model.velocity,
            )
        )
    return arms


def cell_spec(config: StationConfig) -> mujoco.MjSpec:
    """The composed model, uncompiled; its table top is as high as the lowest base.

    Raises:
        ConfigError: A robot model cannot be used, or the arms cannot be put together.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "cell"
    spec.compiler.degree = False
    spec.worldbody.add_light(pos=[0, 0, 3], dir=[0, 0, -1], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    places = [section.base_position for section in config.arms]
    middle = [sum(place[axis] for place in places) / len(places) for axis in (0, 1)]
    top = min(place[2] for place in places)
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[*middle, top - _TABLE_HALF_M[2] - _GAP_M],
        size=list(_TABLE_HALF_M),
        rgba=[0.55, 0.52, 0.48, 1.0],
    )
    for section in config.arms:
        half = radians(section.base_yaw_deg) / 2
        frame = spec.worldbody.add_frame(pos=section.base_position, quat=[cos(half), 0.0, 0.0, sin(half)])
        spec.attach(robot_model(section.model).build(), frame=frame, prefix=f"{section.name}/")
    try:
        spec.copy().compile()
    except ValueError as error:
        raise ConfigError("The arms cannot be put together into one cell", why=str(error)) from error
    return spec
