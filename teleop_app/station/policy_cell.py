"""What a station offers to policies: joints, limits, bases, cameras, and the kinematics of its arms."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import mujoco
import numpy as np

from teleop_app.autonomy.view import CellLayout
from teleop_app.control.assembly import ArmDescription
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.core.geometry import Array
from teleop_app.mapping.ik import ArmChain
from teleop_app.mapping.ik_model import arms_only
from teleop_app.mapping.reach import CellReach
from teleop_app.station.roster import is_simulated

if TYPE_CHECKING:
    from teleop_app.station.policy_view import CameraSizes

_CAMERAS_S: Final = 2.0
_POLL_S: Final = 0.05


class PolicyCell:
    """A station as policies may use it. It compiles the robot model, which may take a second.

    Args:
        config: The station file.
        arms: What the model knows of the arms, in any order.
        spec: The robot model, uncompiled.
        cameras: Those that deliver, as far as is known now.

    Raises:
        ConfigError: The model does not have the station's arms.
    """

    def __init__(
        self,
        config: StationConfig,
        arms: Sequence[ArmDescription],
        spec: mujoco.MjSpec,
        cameras: Callable[[], CameraSizes],
    ) -> None:
        known = {arm.name: arm for arm in arms}
        if missing := [section.name for section in config.arms if section.name not in known]:
            raise ConfigError(f"The robot model has no arm {missing[0]!r}")
        self._config = config
        self._arms = [known[section.name] for section in config.arms]
        self._cameras = cameras
        self._model = arms_only(spec, [name for arm in self._arms for name in arm.joint_names])

    def kinematics(self) -> CellReach:
        """Of the arms, for one thread."""
        chains = [ArmChain(a.name, a.joint_names, a.tcp_site, np.array(a.home)) for a in self._arms]
        return CellReach(self._model, chains, self._config.safety.joint_margin_rad)

    def layout(self) -> CellLayout:
        """What the station offers; waits up to 2 s for cameras of unknown size to tell it."""
        joints_of: dict[str, slice] = {}
        gripper_of: dict[str, int] = {}
        lower: list[float] = []
        upper: list[float] = []
        for arm in self._arms:
            ranges = np.array([self._model.joint(name).range for name in arm.joint_names])
            joints_of[arm.name] = slice(len(lower), len(lower) + len(ranges))
            lower += [*ranges[:, 0].tolist(), 0.0]
            upper += [*ranges[:, 1].tolist(), 1.0]
            gripper_of[arm.name] = len(lower) - 1
        return CellLayout(
            arms=tuple(arm.name for arm in self._arms),
            joint_names=tuple(
                f"{arm.name}/{name.rpartition('/')[2]}"
                for arm in self._arms
                for name in (*arm.joint_names, arm.gripper_name)
            ),
            joints_of=joints_of,
            gripper_of=gripper_of,
            lower=np.array(lower),
            upper=np.array(upper),
            base_poses=self._base_poses(),
            cameras=self._camera_sizes(),
            control_rate_hz=float(self._config.control.rate_hz),
            embodiment=self._config.station.embodiment,
            simulated=is_simulated(self._config),
        )

    def _base_poses(self) -> Array:
        """`world_T_base`: of what the first joint of each arm is mounted on."""
        data = mujoco.MjData(self._model)
        mujoco.mj_kinematics(self._model, data)
        out = np.empty((len(self._arms), 7))
        for row, arm in zip(out, self._arms, strict=True):
            body = int(self._model.joint(arm.joint_names[0]).bodyid[0])
            base = int(self._model.body(body).parentid[0]) or body
            row[:3], row[3:] = data.xpos[base], data.xquat[base]
        return out

    def _camera_sizes(self) -> CameraSizes:
        wanted = {camera.name: (camera.width, camera.height) for camera in self._config.cameras}
        deadline = time.monotonic() + _CAMERAS_S
        while True:
            sizes = wanted | {name: size for name, size in self._cameras().items() if name in wanted}
            if all(all(size) for size in sizes.values()) or time.monotonic() > deadline:
                return sizes
            time.sleep(_POLL_S)
