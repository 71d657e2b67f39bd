"""Builds the MuJoCo model of the simulated cell in one of its looks."""

from pathlib import Path
from typing import Final, Literal, get_args

import mujoco

from devices.sim.arms import ARMS, ArmModel
from devices.sim.viperx_meshes import add_viperx_meshes
from teleop_app.core.errors import ConfigError

Look = Literal["primitive", "viperx"]
LOOKS: Final[tuple[str, ...]] = get_args(Look)

CAMERA_NAMES: Final[tuple[str, ...]] = ("overhead", "left_wrist", "right_wrist", "front")
"""Cameras of the cell; the first three are the standard set, `front` is for people."""

PARKED_BELOW_M: Final = -2.0
"""Whatever lies below this height is a task part that is not in use; viewers leave it out."""

COLLISION_GROUP: Final = 3
"""Geom group of the arms' collision shapes in the `viperx` look; viewers hide it."""

_MODELS: Final = Path(__file__).parent / "models"
# Contact bits: 1 world and objects, 2 left arm, 4 right arm. An arm meets the world and the other arm.
_CONTACT: Final = {"left": (2, 1 | 4), "right": (4, 1 | 2)}


def load_model(look: Look = "primitive") -> mujoco.MjModel:
    """Compiles the cell. The physics is the same in every look.

    Args:
        look: `primitive` draws the collision shapes, `viperx` the meshes of the gym-aloha package.

    Returns:
        A fresh model; the caller owns it.
    """
    return build_spec(look).compile()


def model_xml(look: Look = "primitive") -> str:
    """Returns the cell as one MJCF text, to embed in recordings.

    The `primitive` text compiles by itself; the `viperx` text names the mesh files it needs.
    """
    spec = build_spec(look)
    spec.compile()
    return spec.to_xml()


def build_spec(look: Look = "primitive") -> mujoco.MjSpec:
    """Assembles the cell from its parts, uncompiled."""
    if look not in LOOKS:
        raise ConfigError(
            f"The simulated cell has no look '{look}'", next_step=f"Choose one of: {', '.join(LOOKS)}"
        )
    spec = mujoco.MjSpec.from_file(str(_MODELS / "cell.xml"))
    for arm in ARMS:
        _mount(spec, arm, look)
    return spec


def _mount(spec: mujoco.MjSpec, arm: ArmModel, look: Look) -> None:
    arm_spec = mujoco.MjSpec.from_file(str(_MODELS / "arm.xml"))
    contype, conaffinity = _CONTACT[arm.side]
    for geom in arm_spec.geoms:
        geom.contype, geom.conaffinity = contype, conaffinity
        if look == "viperx" and not geom.name.endswith("_pad"):
            geom.group = COLLISION_GROUP
    pose = arm.world_T_base
    frame = spec.worldbody.add_frame(pos=list(pose[:3]), quat=list(pose[3:]))
    spec.attach(arm_spec, frame=frame, prefix=f"{arm.side}/")
    spec.camera(f"{arm.side}/wrist").name = arm.camera_name
    if look == "viperx":
        add_viperx_meshes(spec, arm)
