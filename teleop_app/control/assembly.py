"""Builds the control loop of a cell from its station file, robot model and followers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from teleop_app.control.loop import ControlLoop
from teleop_app.core.clock import Clock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.mapping.clearance import Clearance
from teleop_app.mapping.collision_model import collision_model
from teleop_app.mapping.dexterity import ArmDexterity
from teleop_app.mapping.ik import ArmChain, CellKinematics
from teleop_app.mapping.ik_model import arms_only
from teleop_app.mapping.symmetry import MirrorPlane
from teleop_app.safety.collision import CollisionSlowDown
from teleop_app.safety.contract import CommandedFollower
from teleop_app.safety.limits import ArmLimits, CellLimits
from teleop_app.safety.singularity import SingularitySlowDown
from teleop_app.safety.supervisor import SafetySupervisor


@dataclass(frozen=True, slots=True)
class ArmDescription:
    """One arm of the robot model.

    Attributes:
        name: As in the station file.
        joint_names: Base to wrist, as the model names them.
        gripper_name: Its gripper in the joint vector.
        tcp_site: Site of the tool centre point.
        home: Home posture [rad], shape (n,).
        max_velocity_rad_s: Speed limits of the joints where the model knows any, shape (n,), else empty.
    """

    name: str
    joint_names: tuple[str, ...]
    gripper_name: str
    tcp_site: str
    home: tuple[float, ...]
    max_velocity_rad_s: tuple[float, ...] = ()


def build_control_loop(
    config: StationConfig,
    arms: Sequence[ArmDescription],
    spec: mujoco.MjSpec,
    followers: Sequence[CommandedFollower],
    clock: Clock,
) -> ControlLoop:
    """Kinematics, limits, supervisor and loop of a cell.

    Args:
        config: The station file.
        arms: What the model knows of the arms, in any order.
        spec: The robot model, uncompiled; it is copied, not changed.
        followers: Connected followers; in order, they cover the joint vector of the station's arms.
        clock: The station's clock.

    Raises:
        ConfigError: The station file, the model and the followers do not fit together.
    """
    ordered = [_described(section.name, arms) for section in config.arms]
    _check_names(ordered, followers)
    period_s = 1.0 / config.control.rate_hz
    safety = config.safety
    model = arms_only(spec, [name for arm in ordered for name in arm.joint_names])
    chains = [ArmChain(a.name, a.joint_names, a.tcp_site, np.array(a.home)) for a in ordered]
    names = [name for arm in ordered for name in arm.joint_names]
    limits = CellLimits(
        [
            ArmLimits(
                arm.name,
                np.array([model.joint(name).range[0] for name in arm.joint_names]),
                np.array([model.joint(name).range[1] for name in arm.joint_names]),
                np.array(section.workspace_min),
                np.array(section.workspace_max),
                np.array(arm.max_velocity_rad_s) if arm.max_velocity_rad_s else None,
            )
            for arm, section in zip(ordered, config.arms, strict=True)
        ],
        safety,
    )
    kinematics = CellKinematics(
        model,
        chains,
        period_s=period_s,
        max_velocity_rad_s=limits.velocity,
        margin_rad=safety.joint_margin_rad,
    )
    kinematics.set_posture_weight(config.mapping.posture_weight)
    posture = np.concatenate([chain.home for chain in chains])
    home = kinematics.poses(posture)
    kinematics.solve(posture, list(home))  # the first solution loads the solver: 13 ms, not at an engage
    shapes = Clearance(collision_model(spec, names, posture), names, safety.collision_slow_m)
    supervisor = SafetySupervisor(
        limits,
        safety,
        kinematics,
        followers,
        clock,
        period_s,
        singularities=SingularitySlowDown(limits, safety, ArmDexterity(model, chains)),
        collisions=CollisionSlowDown(limits, safety, shapes),
    )
    return ControlLoop(
        limits.names,
        [chain.home for chain in chains],
        [float(pose[2]) for pose in home],
        supervisor,
        config.mapping,
        safety,
        period_s,
        joint_names=[arm.joint_names for arm in ordered],
        plane=_plane_between(model, ordered),
        autonomy=config.autonomy,
    )


def _plane_between(model: mujoco.MjModel, arms: Sequence[ArmDescription]) -> MirrorPlane | None:
    """The plane of symmetry of two arms, by where their first joints stand."""
    if len(arms) != 2:
        return None
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    first, second = (data.xanchor[int(model.joint(arm.joint_names[0]).id)] for arm in arms)
    return MirrorPlane.between(first, second)


def _described(name: str, arms: Sequence[ArmDescription]) -> ArmDescription:
    for arm in arms:
        if arm.name == name:
            return arm
    known = ", ".join(arm.name for arm in arms)
    raise ConfigError(f"The robot model has no arm {name!r}", next_step=f"The model has: {known}")


def _check_names(arms: Sequence[ArmDescription], followers: Sequence[CommandedFollower]) -> None:
    wanted = [name for arm in arms for name in (*arm.joint_names, arm.gripper_name)]
    offered = [name for follower in followers for name in follower.joint_names]
    if wanted != offered:
        raise ConfigError(
            "The followers do not fit the station's arms",
            why=f"the arms are {', '.join(wanted)}; the followers offer {', '.join(offered) or 'nothing'}",
            next_step="Check the [[arms]] of the station file",
        )
