"""What the scripted expert expects of the world: things stay, ride on, or go with the fingers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from teleop_app.core.geometry import pose_compose, pose_inverse
from teleop_app.core.types import Array

TARGET: Final = "target"
HAND_OVER: Final = "hand-over"
HANDED_BY: Final = ("grasp_left", "grasp_right")
"""Where each arm takes the thing that is handed over."""
_AHEAD: Final = "target_in_1s"
_FIXED: Final = ("goal", "tray", "bin", "socket", "pass", "belt_end")
_SAME_M: Final = 1e-3
_WITHIN_FINGERS_M: Final = 0.065
"""A mistaken grasp, up to 5 cm beside the thing, is one that the expert believes in."""
_FALLS_S: Final = 0.4
_IN_TRAY_M: Final = np.array([0.060, 0.050, 0.020])
_IN_SOCKET_M: Final = np.array([0.006, 0.006, 0.008])
_CLEAR_M: Final = 0.05
_HANDED_OVER_M: Final = 0.10


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation.

    Attributes:
        joints: Joint vector, shape (7 n,).
        tools: Tool poses by arm, world frame.
        grippers: Openings by arm.
        task: Name of the task.
        truth: Poses by name, shape (7,) each, world frame.
    """

    joints: Array
    tools: Mapping[str, Array]
    grippers: Mapping[str, float]
    task: str
    truth: Mapping[str, Array]

    @property
    def solved(self) -> bool:
        """The task's goal holds, as far as poses tell; a little stricter than the task's own check."""
        target, goal = self.truth[TARGET], self.truth["goal"]
        off = np.abs(target[:3] - goal[:3])
        away = all(float(np.linalg.norm(tool[:3] - target[:3])) > _CLEAR_M for tool in self.tools.values())
        if self.task == HAND_OVER:
            left, right = (
                float(np.linalg.norm(self.tools[arm][:3] - self.truth[place][:3])) < _CLEAR_M
                for arm, place in zip(("left", "right"), HANDED_BY, strict=True)
            )
            return left and not right and bool(target[2] > _HANDED_OVER_M)
        return away and bool((off < (_IN_SOCKET_M if self.task == "peg-insert" else _IN_TRAY_M)).all())


@dataclass(slots=True)
class WorldModel:
    """Predicts the poses of `Seen.truth` from the newest one and what the fingers do after it.

    Attributes:
        seen: The newest observation.
        seen_s: When it was made, on the plan's clock.
        holding: `tool_T_target` by the arm whose fingers hold the target, the first one first.
    """

    seen: Seen
    seen_s: float = 0.0
    holding: dict[str, Array] = field(default_factory=dict)
    _released: tuple[float, Array] | None = None

    def see(self, seen: Seen, seen_s: float) -> None:
        """Take a new observation."""
        self.seen, self.seen_s = seen, seen_s
        if self._released is not None and seen_s > self._released[0] + _FALLS_S:
            self._released = None

    def look_at_fingers(self) -> None:
        """Take how the target lies in the fingers from the observation; the arms must stand still."""
        for arm in self.holding:
            self.holding[arm] = pose_compose(pose_inverse(self.seen.tools[arm]), self.seen.truth[TARGET])

    @property
    def loose(self) -> bool:
        """The target was let go of and nobody has yet seen where it went."""
        return self._released is not None

    def close(self, arm: str, at_s: float, tools: Mapping[str, Array]) -> None:
        """Fingers close: they hold the target if it is between them."""
        poses = self.poses(at_s, tools)
        places = [TARGET, *(name for name in poses if name in HANDED_BY)]
        tool = tools[arm]
        if min(float(np.linalg.norm(poses[name][:3] - tool[:3])) for name in places) < _WITHIN_FINGERS_M:
            self.holding[arm] = pose_compose(pose_inverse(tool), poses[TARGET])
            self._released = None

    def open(self, arm: str, at_s: float, tools: Mapping[str, Array]) -> None:
        """Fingers open."""
        if arm in self.holding:
            target = self.poses(at_s, tools)[TARGET]
            del self.holding[arm]
            self._released = (at_s, target) if not self.holding else None

    def poses(self, at_s: float, tools: Mapping[str, Array]) -> dict[str, Array]:
        """Everything at a time at or after `seen_s`, with the tools at `tools`."""
        truth = self.seen.truth
        before = truth[TARGET]
        target = self._target(at_s, tools)
        moved = pose_compose(target, pose_inverse(before))
        found: dict[str, Array] = {}
        for name, pose in truth.items():
            goes_along = name in HANDED_BY or (
                name not in _FIXED and float(np.linalg.norm(pose[:3] - before[:3])) < _SAME_M
            )
            found[name] = pose_compose(moved, pose) if goes_along else pose
        if _AHEAD in truth:
            ahead = target.copy()
            if not self.holding and self._released is None:
                ahead[:3] += truth[_AHEAD][:3] - before[:3]
            found[_AHEAD] = ahead
        return found

    def _target(self, at_s: float, tools: Mapping[str, Array]) -> Array:
        for arm, held in self.holding.items():
            return pose_compose(tools[arm], held)
        if self._released is not None:
            return self._released[1]
        target = self.seen.truth[TARGET].copy()
        if _AHEAD in self.seen.truth:
            target[:3] += (at_s - self.seen_s) * (self.seen.truth[_AHEAD][:3] - target[:3])
        return target
