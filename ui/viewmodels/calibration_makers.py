"""What the calibration wizards are made with: real buses and the cameras of the running station."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco

from devices.cameras.hand_eye import MountKind
from devices.leaders.calibrating import arm_calibrator
from devices.leaders.calibration import ArmCalibrator
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.station.camera_calibration import CameraCalibrationSession, CameraPlace
from teleop_app.station.client import StationClient
from teleop_app.station.link_poses import LinkPoses
from ui.gl.scene_feed import SceneSource
from ui.viewmodels.arm_wizard import MakeArmCalibrator
from ui.viewmodels.camera_wizard import CameraTask, MakeCameraSession


def _servo_arm(config: StationConfig, name: str) -> ArmCalibrator:
    return arm_calibrator(config, name, MonotonicClock())


def _no_links() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class CalibrationMakers:
    """How wizards get at the devices.

    Attributes:
        arm: Opens the bus of an arm.
        camera: Looks at a camera of the running station, None without one.
        links: Names of the links that a camera or board can be on.
    """

    arm: MakeArmCalibrator = _servo_arm
    camera: MakeCameraSession | None = None
    links: Callable[[], Sequence[str]] = _no_links


def station_makers(
    client: StationClient,
    store: CalibrationStore,
    scene: SceneSource | None,
) -> CalibrationMakers:
    """Returns the makers for a window on a station.

    Args:
        client: Of the station.
        store: Takes the calibrations.
        scene: Model of the robot, None without one: then only lenses are calibrated.
    """

    def camera(task: CameraTask) -> CameraCalibrationSession:
        place = None
        link = task.on_link or task.board_on
        if link and scene is not None:
            kind = MountKind.ON_LINK if task.on_link else MountKind.FIXED
            place = CameraPlace(kind, link, LinkPoses(scene.model, scene.joint_names, link))
        return CameraCalibrationSession(
            client, task.camera, store, board=task.board, place=place, keep_lens=task.keep_lens
        )

    return CalibrationMakers(camera=camera, links=lambda: _moving_links(scene))


def _moving_links(scene: SceneSource | None) -> tuple[str, ...]:
    """Links that the joints of control move, the last of each arm first."""
    if scene is None:
        return ()
    bodies: list[str] = []
    model = scene.model
    for name in scene.joint_names:
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if joint >= 0:
            bodies.append(model.body(int(model.jnt_bodyid[joint])).name)
    return tuple(dict.fromkeys(reversed(bodies)))
