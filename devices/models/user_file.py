"""Robot models of users' own MJCF and URDF files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import mujoco
import numpy as np

from devices.models.robot import GRIPPER, TCP, RobotModel, keep_masses
from teleop_app.core.errors import ConfigError

_TOOLS: Final = (TCP, "tool0", "tcp_link", "gripper_frame_link", "ee_link", "ee_gripper_link")
"""Links that stand for the tool centre point where a file has no site of that name, as in URDF."""
_MARGIN_RAD: Final = 0.1


@lru_cache(maxsize=32)
def file_model(path: Path) -> RobotModel:
    """The model of a file.

    Its arm is the chain of hinges from the world to the tool centre point: a site `tcp`, or a link `tcp`,
    `tool0`, `tcp_link`, `gripper_frame_link`, `ee_link` or `ee_gripper_link`. The first key frame, if there
    is one, is the home posture. An actuator `gripper` on a tendon is the gripper of views.

    Raises:
        ConfigError: It cannot be read or compiled, has no tool centre point, or a joint without limits.
    """
    model = _load(path).compile()
    names = _chain(model, path)
    lower, upper = (tuple(float(model.joint(name).range[side]) for name in names) for side in (0, 1))
    for name in names:
        if not model.joint(name).limited:
            raise ConfigError(
                f"The robot model {path} cannot be used", why=f"its joint {name!r} has no limits"
            )
    resting = model.key_qpos[0] if model.nkey else model.qpos0
    home = [float(resting[model.joint(name).qposadr[0]]) for name in names]
    room = np.minimum(_MARGIN_RAD, np.subtract(upper, lower) / 4)
    home = np.clip(home, np.add(lower, room), np.subtract(upper, room))
    return RobotModel(
        name=str(path),
        title=path.stem,
        joint_names=names,
        home=tuple(home.tolist()),
        lower=lower,
        upper=upper,
        velocity=(float("inf"),) * len(names),
        build=lambda: _load(path),
    )


def _load(path: Path) -> mujoco.MjSpec:
    """The file with a site `tcp`."""
    try:
        spec = mujoco.MjSpec.from_file(str(path.resolve(strict=True)))
        spec.compiler.fusestatic = False
        for number, body in enumerate(spec.bodies[1:]):
            body.name = body.name or f"body{number}"
        keep_masses(spec)
    except (OSError, ValueError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"The robot model {path} cannot be used", why=why, next_step="Correct `model` in [[arms]]"
        ) from error
    if not any(site.name == TCP for site in spec.sites):
        found = next((body for name in _TOOLS for body in spec.bodies if body.name == name), None)
        if found is None:
            raise ConfigError(
                f"The robot model {path} has no tool centre point",
                next_step=f"Give it a site `{TCP}`, or a link named {', '.join(_TOOLS)}",
            )
        found.add_site(name=TCP, size=[0.004] * 3, rgba=[0, 0, 0, 0])
    return spec


def _chain(model: mujoco.MjModel, path: Path) -> tuple[str, ...]:
    """Names of the hinges between the world and the tool centre point."""
    body = int(model.site_bodyid[model.site(TCP).id])
    joints: list[int] = []
    while body:
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        joints = [*range(first, first + count), *joints]
        body = int(model.body_parentid[body])
    if not joints or any(model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE for joint in joints):
        raise ConfigError(
            f"The robot model {path} cannot be used",
            why=f"{len(joints)} joints lead to its tool centre point; an arm has hinges, and hinges only",
        )
    names = tuple(model.joint(joint).name for joint in joints)
    if GRIPPER in names or any(not name or "/" in name for name in names):
        raise ConfigError(
            f"The robot model {path} cannot be used",
            why=f"its joints need names other than {GRIPPER!r} and without a slash",
        )
    return names
