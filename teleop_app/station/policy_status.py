"""What is told of the policy in use; of a blind comparison, nothing that would tell which one it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from teleop_app.core.types import PolicyState, PolicyStatus
from teleop_app.station.policy_session import PolicySession


@dataclass(frozen=True, slots=True)
class Signs:
    """What the process knows besides the session.

    Attributes:
        running: The policy is in use.
        label: `A` or `B` in a blind comparison, else empty.
        hidden: The label is told instead of names.
        stalled_s: For how long the robot has made no progress.
        help: Score that would ask for help at 1.
        seen: The version has driven this station before.
    """

    running: bool
    label: str = ""
    hidden: bool = False
    stalled_s: float = 0.0
    help: float = math.nan
    seen: bool = False


def policy_state(session: PolicySession | None, *, running: bool) -> PolicyState:
    """What the process does with a policy."""
    if session is None:
        return PolicyState.NONE
    return PolicyState.RUNNING if session.ready and running else session.state


def policy_status(session: PolicySession, signs: Signs, now_ns: int) -> PolicyStatus:
    """The status to be published."""
    file, hidden = session.file, signs.hidden
    return PolicyStatus(
        state=policy_state(session, running=signs.running),
        capture_ns=now_ns,
        policy="" if hidden else file.name,
        title="" if hidden else file.title or file.name,
        version="" if hidden else session.version,
        label=signs.label,
        execution=session.execution.value,
        rate_hz=0.0 if hidden else file.rate_hz,
        horizon=0 if hidden else file.horizon,
        text=disguised(session.sentence(), session, signs.label if hidden else ""),
        # What a policy expects tells which one it is; that it may not move must be told all the same.
        checks=tuple(check for check in session.checks if not hidden or check.level == "mismatch"),
        chunks=session.chunks,
        refused=session.refused,
        latency_p50_ms=math.nan if hidden else session.latency_ms(0.5),
        latency_p99_ms=math.nan if hidden else session.latency_ms(0.99),
        delay_steps=0 if hidden else session.delay_steps,
        uncertainty=session.uncertainty,
        novelty=session.novelty,
        stalled_s=signs.stalled_s,
        help=signs.help,
        seen=signs.seen,
    )


def disguised(text: str, session: PolicySession, label: str) -> str:
    """With the label in place of what would tell which policy it is; as it is without a label."""
    if label:
        for telling in (session.file.title, session.file.name, session.version):
            if telling:
                text = text.replace(telling, label)
    return text
