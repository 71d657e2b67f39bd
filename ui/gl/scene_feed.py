"""What the 3-D view is fed with: the simulated world, or the measured joints of real arms; tool speeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

from teleop_app.core.types import ControlTick, WorldState
from ui.gl.kinematics import KinematicScene
from ui.gl.scene_view import SceneView

_LONGEST_STEP_S = 0.5
_SHORTEST_STEP_NS = 15_000_000
"""Measured joints come faster than a screen shows them."""


@dataclass(frozen=True, slots=True)
class SceneSource:
    """The model the 3-D view draws.

    Attributes:
        model: Compiled model, the same as the simulation's, or of the cell of real arms.
        tcp_sites: Tool site of each arm.
        measured_qpos: MuJoCo's positions for a measured joint vector, where no simulation tells them.
        joint_names: Of control's joint vector.
    """

    model: mujoco.MjModel
    tcp_sites: Mapping[str, str] = field(default_factory=dict)
    measured_qpos: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    joint_names: Sequence[str] = ()


class SceneFeed:
    """Poses the scene, seen or not, and derives how fast the tools move.

    Args:
        source: What is drawn.
        kinematics: Posed here when nothing is drawn.
        view: Draws; None without OpenGL.
    """

    def __init__(self, source: SceneSource, kinematics: KinematicScene, view: SceneView | None) -> None:
        self._source = source
        self._kinematics = kinematics
        self._view = view
        self._tools_at: tuple[int, NDArray[np.float64]] | None = None
        self._posed_ns = 0

    def on_world(self, world: WorldState) -> float | None:
        """Takes a state of the simulated world; returns the speed of the fastest tool [m/s], if known."""
        return self._pose(world.qpos, world.capture_ns)

    def on_tick(self, tick: ControlTick) -> float | None:
        """Takes the measured joints where there is no simulation; as `on_world`."""
        source = self._source
        if source.measured_qpos is None or tick.measured_ns - self._posed_ns < _SHORTEST_STEP_NS:
            return None
        if not np.all(np.isfinite(tick.measured)):
            return None
        return self._pose(source.measured_qpos(tick.measured), tick.measured_ns)

    def _pose(self, qpos: NDArray[np.float64], capture_ns: int) -> float | None:
        self._posed_ns = capture_ns
        if self._view is not None:
            self._view.set_state(qpos, capture_ns)
        else:
            self._kinematics.update(qpos)
        sites = self._source.tcp_sites.values()
        tools = np.array([self._kinematics.site_pose(site)[:3] for site in sites])
        before, self._tools_at = self._tools_at, (capture_ns, tools)
        if before is None or not len(tools):
            return None
        dt_s = (capture_ns - before[0]) / 1e9
        if not 0.0 < dt_s < _LONGEST_STEP_S:
            return None
        return float(np.linalg.norm(tools - before[1], axis=1).max()) / dt_s
