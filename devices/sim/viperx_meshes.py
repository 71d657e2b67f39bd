"""Draws the ViperX meshes of the installed gym-aloha package on an arm of the cell."""

import importlib.util
from pathlib import Path
from typing import Final, NamedTuple

import mujoco

from devices.sim.arms import ArmModel
from teleop_app.core.errors import ConfigError

_PACKAGE: Final = "gym_aloha"
_QUARTER_TURN: Final = (0.7071068, 0.0, 0.0, 0.7071068)
_DARK: Final = (0.16, 0.17, 0.19, 1.0)
_STEEL: Final = (0.62, 0.64, 0.67, 1.0)


class _Part(NamedTuple):
    """A mesh and its place in the body that carries it."""

    body: str
    file: str
    pos: tuple[float, float, float]
    quat: tuple[float, float, float, float]
    rgba: tuple[float, float, float, float]


_FINGER_QUAT: Final = (0.0, 0.7071068, 0.0, 0.7071068)

_PARTS: Final = (
    _Part("base_link", "vx300s_1_base.stl", (0, 0, 0), _QUARTER_TURN, _DARK),
    _Part("shoulder_link", "vx300s_2_shoulder.stl", (0, 0, -0.003), _QUARTER_TURN, _DARK),
    _Part("upper_arm_link", "vx300s_3_upper_arm.stl", (0, 0, 0), _QUARTER_TURN, _DARK),
    _Part("upper_forearm_link", "vx300s_4_upper_forearm.stl", (0, 0, 0), (1, 0, 0, 0), _DARK),
    _Part("lower_forearm_link", "vx300s_5_lower_forearm.stl", (0, 0, 0), (0, 1, 0, 0), _DARK),
    _Part("wrist_link", "vx300s_6_wrist.stl", (0, 0, 0), _QUARTER_TURN, _DARK),
    _Part("gripper_link", "vx300s_7_gripper.stl", (-0.02, 0, 0), _QUARTER_TURN, _DARK),
    _Part("gripper_link", "vx300s_9_gripper_bar.stl", (-0.020175, 0, 0), _QUARTER_TURN, _DARK),
    _Part("gripper_link", "vx300s_8_gripper_prop.stl", (-0.02, 0, 0), _QUARTER_TURN, _STEEL),
    _Part("left_finger_link", "vx300s_10_custom_finger_left.stl", (0.005, -0.052, 0), _FINGER_QUAT, _STEEL),
    _Part("right_finger_link", "vx300s_10_custom_finger_right.stl", (0.005, 0.052, 0), _FINGER_QUAT, _STEEL),
)


def mesh_directory() -> Path:
    """Finds the meshes without importing the package, which would import gymnasium.

    Raises:
        ConfigError: The package is not installed, or lacks a mesh.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "The 'viperx' look cannot be drawn",
            why="its meshes come with the gym-aloha package, which is not installed",
            next_step="Install gym-aloha, or choose the 'primitive' look",
        )
    folder = Path(found.submodule_search_locations[0]) / "assets"
    missing = sorted({part.file for part in _PARTS if not (folder / part.file).is_file()})
    if missing:
        raise ConfigError(
            "The 'viperx' look cannot be drawn",
            why=f"the gym-aloha package lacks {len(missing)} mesh file(s), first '{missing[0]}' in {folder}",
            next_step="Reinstall gym-aloha, or choose the 'primitive' look",
        )
    return folder


def add_viperx_meshes(spec: mujoco.MjSpec, arm: ArmModel) -> None:
    """Attaches the meshes to a mounted arm: drawn only, without mass or contact."""
    folder = mesh_directory()
    known = {mesh.name for mesh in spec.meshes}
    for part in _PARTS:
        name = Path(part.file).stem
        if name not in known:
            mesh = spec.add_mesh(name=name, file=str(folder / part.file), scale=[0.001] * 3)
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
            known.add(name)
        spec.body(f"{arm.side}/{part.body}").add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            pos=list(part.pos),
            quat=list(part.quat),
            rgba=list(part.rgba),
            group=1,
            contype=0,
            conaffinity=0,
            mass=0,
        )
