"""What is left to be executed of the newest chunk: joint vectors, and where the tools will go. No widgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teleop_app.core.types import Array, AutonomyTick, PolicyChunk
from ui.gl.scene_feed import SceneSource
from ui.gl.vector_kinematics import VectorKinematics


@dataclass(frozen=True, slots=True)
class ChunkPreview:
    """The part of a chunk that lies ahead: the place between two actions that is due now, then each action.

    Attributes:
        chunk: `PolicyChunk.chunk`.
        arms: Arms that the policy drives, in station order.
        ahead_s: From now by the policy's clock, shape (k,), from 0.
        vectors: Joint vectors, shape (k, n).
        tools: Tool points of `arms`, world frame [m], shape (arms, k, 3).
    """

    chunk: int
    arms: tuple[str, ...]
    ahead_s: Array
    vectors: Array
    tools: Array


def place_of(chunk: PolicyChunk, tick: AutonomyTick) -> float:
    """Returns where in a chunk [steps] the policy's clock of a tick stands; below 0 before it begins.

    Control may have re-based the chunk that it executes, so its own word on that goes first.
    """
    if tick.chunk == chunk.chunk and tick.index >= 0.0:
        return tick.index
    return (tick.policy_ns - chunk.start_policy_ns) / chunk.step_ns


def is_sound(chunk: PolicyChunk, length: int) -> bool:
    """Whether a chunk can be shown on a station whose joint vectors have `length` values."""
    actions = chunk.actions
    return (
        chunk.step_ns > 0
        and actions.ndim == 2
        and actions.shape[1] == length
        and len(actions) > 0
        and bool(np.all(np.isfinite(actions)))
    )


class ChunkPreviewer:
    """Follows the newest chunk. The tools' way is worked out once a chunk.

    Args:
        source: What the 3-D view draws.
    """

    def __init__(self, source: SceneSource) -> None:
        self.kinematics = VectorKinematics(source.model, source.joint_names, source.tcp_sites)
        self._chunk: PolicyChunk | None = None
        self._tools: Array = np.empty((0, 0, 3))
        self._arms: tuple[str, ...] = ()

    @property
    def chunk(self) -> PolicyChunk | None:
        """The newest chunk, None before the first."""
        return self._chunk

    def clear(self) -> None:
        """Forgets the chunk: the policy was let go, or a person has the robot."""
        self._chunk = None

    def set_chunk(self, chunk: PolicyChunk) -> bool:
        """Takes a chunk; returns whether it can be shown."""
        if not is_sound(chunk, self.kinematics.length):
            return False
        known = self.kinematics.arms
        rows = [row for row, arm in enumerate(known) if arm in chunk.arms]
        self._chunk = chunk
        self._arms = tuple(known[row] for row in rows)
        self._tools = self.kinematics.paths(chunk.actions)[rows]
        return True

    def ahead(self, tick: AutonomyTick) -> ChunkPreview | None:
        """Returns what is left of the chunk at a tick; None without a chunk, and when it is used up."""
        chunk = self._chunk
        if chunk is None:
            return None
        place = max(place_of(chunk, tick), 0.0)
        last = len(chunk.actions) - 1
        if place >= last:
            return None
        before = int(place)
        share = place - before
        step_s = chunk.step_ns / 1e9

        def from_here(values: Array) -> Array:
            """The interpolated value that is due now, then all that follow, along the first axis."""
            here = (1.0 - share) * values[before] + share * values[before + 1]
            return np.concatenate([here[None], values[before + 1 :]])

        return ChunkPreview(
            chunk.chunk,
            self._arms,
            from_here(np.arange(len(chunk.actions), dtype=np.float64) * step_s) - place * step_s,
            from_here(chunk.actions),
            from_here(self._tools.swapaxes(0, 1)).swapaxes(0, 1),
        )
