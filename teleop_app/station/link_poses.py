"""Where the links of the station's robot were at a time, by the joints that control measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import mujoco
import numpy as np

from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import Array, ControlTick

_KEPT: Final = 1000
_FARTHEST_NS: Final = 30 * NS_PER_MS


class LinkPoses:
    """Forward kinematics of one link, with the joints of the last seconds.

    Args:
        model: Of the robot.
        joint_names: Of control's joint vector; names that are no joint of the model (grippers) move nothing.
        link: Body of the model.

    Raises:
        ConfigError: There is no such link; the sentence names those that move.
    """

    def __init__(self, model: mujoco.MjModel, joint_names: Sequence[str], link: str) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._link = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, link)
        self._columns: list[int] = []
        self._places: list[int] = []
        for column, name in enumerate(joint_names):
            joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
            if joint >= 0:
                self._columns.append(column)
                self._places.append(int(model.jnt_qposadr[joint]))
        if self._link < 0:
            bodies = [model.body(number).name for number in range(1, model.nbody)]
            there = ", ".join(name for name in bodies if name)
            raise ConfigError(f"The robot has no link {link!r}", next_step=f"Choose one of: {there}")
        self._ticks: deque[tuple[int, Array]] = deque(maxlen=_KEPT)

    def add(self, tick: ControlTick) -> None:
        """Note the measured joints of a tick."""
        if (not self._ticks or tick.measured_ns > self._ticks[-1][0]) and np.isfinite(tick.measured).all():
            self._ticks.append((tick.measured_ns, tick.measured))

    def at(self, capture_ns: int) -> Array | None:
        """world_T_link at a time, shape (7,), between two measurements; None when none is near."""
        before = next((each for each in reversed(self._ticks) if each[0] <= capture_ns), None)
        after = next((each for each in self._ticks if each[0] > capture_ns), None)
        near = [each for each in (before, after) if each and abs(each[0] - capture_ns) <= _FARTHEST_NS]
        if not near:
            return None
        if len(near) == 1:
            return self.pose(near[0][1])
        (start_ns, start), (end_ns, end) = near
        return self.pose(start + (end - start) * ((capture_ns - start_ns) / (end_ns - start_ns)))

    def pose(self, vector: Array) -> Array:
        """world_T_link for a joint vector, shape (7,)."""
        self._data.qpos[:] = self._model.qpos0
        self._data.qpos[self._places] = vector[self._columns]
        mujoco.mj_kinematics(self._model, self._data)
        return np.concatenate([self._data.xpos[self._link], self._data.xquat[self._link]])
