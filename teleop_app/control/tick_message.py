"""What a tick of control tells the station."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teleop_app.control.arbitration import Source
from teleop_app.control.states import ControlStates
from teleop_app.core.geometry import Array
from teleop_app.core.types import Actor, AutonomyTick, ControlTick, SafetyFlag
from teleop_app.mapping.retarget import ArmGoal
from teleop_app.safety.outcome import Intervention, Outcome


def tick_message(
    seq: int,
    now_ns: int,
    due_ns: int,
    states: ControlStates,
    driver: Source | None,
    engaged: tuple[bool, ...],
    goals: Sequence[ArmGoal | None],
    outcome: Outcome,
    notes: Sequence[Intervention],
    *,
    actor: Actor,
    source: str,
    autonomy: tuple[AutonomyTick | None, Array | None],
) -> ControlTick:
    """The message of one tick.

    Args:
        seq: Its number.
        now_ns: When it began.
        due_ns: When it should have begun.
        states: State and reason after it.
        driver: Who drives.
        engaged: Per arm.
        goals: What the hand asked, by arm.
        outcome: Of the supervisor.
        notes: All interventions.
        actor: Who moves the robot.
        source: Name of a motion by command, or of a policy, for when no input drives.
        autonomy: What it tells of the policy in use, and its proposal as a joint vector.
    """
    poses = np.full((len(goals), 7), np.nan)
    grippers = np.full(len(goals), np.nan)
    for arm, goal in enumerate(goals):
        if goal is not None:
            grippers[arm] = goal.gripper
            if goal.pose is not None:
                poses[arm] = goal.pose
    flags = SafetyFlag(0)
    for note in notes:
        flags |= note.flag
    used = [guard.capture_ns for guard in driver.guard.arms.values()] if driver is not None else []
    return ControlTick(
        seq=seq,
        tick_ns=now_ns,
        due_ns=due_ns,
        state=states.state,
        actor=actor,
        source=driver.name if driver is not None else source,
        engaged=engaged,
        input_capture_ns=max(used, default=0),
        operator_pose=poses,
        operator_gripper=grippers,
        policy=autonomy[1],
        commanded=outcome.commanded,
        sent=outcome.sent,
        sent_ns=outcome.sent_ns,
        measured=outcome.measured,
        measured_velocity=outcome.measured_velocity,
        measured_effort=outcome.measured_effort,
        measured_ns=outcome.measured_ns,
        flags=int(flags),
        reason=states.reason,
        autonomy=autonomy[0],
    )
