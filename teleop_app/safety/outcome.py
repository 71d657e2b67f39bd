"""What goes into a tick of the supervisor and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from teleop_app.core.geometry import Array
from teleop_app.core.types import SafetyFlag


@dataclass(frozen=True, slots=True)
class ArmRequest:
    """What arbitration asks of one arm at a tick. An arm without a request comes to rest.

    Attributes:
        capture_ns: Capture time of the input behind it; the supervisor judges its age again.
        pose: `world_T_tcp`, shape (7,), or None.
        joints: Joint positions [rad], shape (n,), or None.
        gripper: 0 closed .. 1 open.
        speed_rad_s: Joint speed limit of this motion, None for the cell's.
        tcp_speed_m_s: Limit of the speed of the commanded end effector, None for the cell's; of joints, the
            cell's is not applied.
    """

    capture_ns: int
    pose: Array | None
    joints: Array | None
    gripper: float
    speed_rad_s: float | None = None
    tcp_speed_m_s: float | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where an arm is commanded to be and would come to rest: what an engage starts from.

    Attributes:
        pose: `world_T_tcp`, shape (7,).
        joints: [rad], shape (n,).
        gripper: 0 closed .. 1 open.
    """

    pose: Array
    joints: Array
    gripper: float


@dataclass(frozen=True, slots=True)
class Intervention:
    """One thing the supervisor changed or refused for one arm at this tick.

    Attributes:
        flag: Which limit.
        arm: Arm name, empty for the whole cell.
        text: A sentence.
        requested: What was asked, as far as numbers tell it.
        limited: What was let through.
    """

    flag: SafetyFlag
    arm: str
    text: str
    requested: tuple[float, ...] = ()
    limited: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened at a tick.

    Attributes:
        commanded: Joint vector asked of the joint limiter, NaN before the first follower state.
        sent: Joint vector given to the followers; NaN when nothing was sent.
        sent_ns: When, 0 when nothing was sent.
        measured: Joint vector the followers reported, NaN before the first.
        measured_velocity: Likewise.
        measured_effort: Likewise.
        measured_ns: Oldest capture time among the followers, 0 before the first.
        interventions: What was changed or refused.
        fault: A sentence while a follower is lost or refuses, else empty.
        limited_poses: Commanded pose by arm after the limits, None for arms without one.
        at_rest: Nothing sent moves.
    """

    commanded: Array
    sent: Array
    sent_ns: int
    measured: Array
    measured_velocity: Array
    measured_effort: Array
    measured_ns: int
    interventions: tuple[Intervention, ...]
    fault: str
    limited_poses: tuple[Array | None, ...]
    at_rest: bool
