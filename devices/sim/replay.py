"""Run recorded actions again in the simulated cell and compare what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.sim.cell import TIMESTEP_S, Cell
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError

Array = NDArray[np.float64]
_STEP_NS = round(TIMESTEP_S * NS_PER_S)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay needs of an episode; times are on the episode's monotonic clock.

    Attributes:
        task: Simulated task.
        seed: Scene seed.
        start_qpos: World state to start from, shape (nq,).
        start_ns: Its time.
        action_ns: Shape (k,).
        actions: Sent joint vectors, shape (k, n).
        measured_ns: Shape (m,).
        measured: Measured joint vectors, shape (m, n).
    """

    task: str
    seed: int
    start_qpos: Array
    start_ns: int
    action_ns: NDArray[np.int64]
    actions: Array
    measured_ns: NDArray[np.int64]
    measured: Array


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """How the replay compares with the recording.

    Attributes:
        success: The task's success check holds at the end.
        duration_s: Of the recording.
        joint_rms_rad: Root mean square difference of the arm joints.
        joint_max_rad: Largest difference of an arm joint.
        worst_joint: Its name.
    """

    success: bool
    duration_s: float
    joint_rms_rad: float
    joint_max_rad: float
    worst_joint: str


def replay(recording: Recording, progress: Callable[[float], None] | None = None) -> ReplayResult:
    """Re-execute the sent actions, open loop, from the recorded start; faster than real time.

    Args:
        recording: What to run.
        progress: Called with the fraction done about once a simulated second.

    Raises:
        EpisodeError: The recording holds no actions, or not those of this cell.
    """
    cell = Cell("primitive", recording.task, recording.seed)
    joints = len(cell.joint_names)
    if recording.actions.ndim != 2 or recording.actions.shape[1] != joints or len(recording.actions) == 0:
        raise EpisodeError(
            f"Actions of shape {recording.actions.shape} cannot be replayed",
            why=f"the cell has {joints} joints",
        )
    cell.set_targets(recording.actions[0])
    cell.set_qpos(recording.start_qpos)
    steps = int((recording.action_ns[-1] - recording.start_ns) // _STEP_NS)
    states = np.empty((max(steps, 1), joints))
    action_at = np.searchsorted(
        recording.action_ns, recording.start_ns + np.arange(len(states)) * _STEP_NS, side="right"
    )
    for step in range(len(states)):
        cell.set_targets(recording.actions[max(int(action_at[step]) - 1, 0)])
        cell.step()
        states[step] = cell.read()[0]
        if progress is not None and step % 500 == 0:
            progress(step / len(states))
    for _ in range(1000):  # a last second at rest: the success check wants the goal to hold for a while
        if cell.task_state().success:
            break
        cell.step()
    return _compare(cell, recording, states)


def _compare(cell: Cell, recording: Recording, states: Array) -> ReplayResult:
    at = np.clip((recording.measured_ns - recording.start_ns) // _STEP_NS, 0, len(states) - 1)
    difference = np.abs(states[at] - recording.measured)
    arm = np.array([not name.endswith("/gripper") for name in cell.joint_names])
    difference[:, ~arm] = 0.0
    worst = int(np.argmax(difference.max(axis=0)))
    return ReplayResult(
        success=cell.task_state().success,
        duration_s=len(states) * TIMESTEP_S,
        joint_rms_rad=float(np.sqrt(np.mean(difference[:, arm] ** 2))),
        joint_max_rad=float(difference[:, worst].max()),
        worst_joint=cell.joint_names[worst],
    )
