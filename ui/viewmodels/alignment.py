"""How far the joints of leaders are from their followers, from a control tick."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from teleop_app.core.config import MappingSection
from teleop_app.core.types import ControlTick
from ui.widgets.alignment_bars import JointOffset

_STEP_RAD = math.radians(1.0)
"""Offsets are shown to the degree, so that a resting leader repaints nothing."""


def alignment_of(tick: ControlTick, arms: Sequence[str], mapping: MappingSection) -> tuple[JointOffset, ...]:
    """Returns the joints of the arms that are on their way to their leaders.

    What was asked is the leader's posture, what was measured the follower's; grippers are left out.

    Args:
        tick: In the state ALIGNING.
        arms: In station order.
        mapping: Limits.
    """
    per_arm = len(tick.measured) // max(len(arms), 1)
    offsets: list[JointOffset] = []
    for index, (arm, engaged) in enumerate(zip(arms, tick.engaged, strict=False)):
        if not engaged:
            continue
        joints = slice(index * per_arm, (index + 1) * per_arm - 1)
        apart = tick.commanded[joints] - tick.measured[joints]
        if not np.all(np.isfinite(apart)):
            continue
        prefix = f"{arm} " if sum(tick.engaged) > 1 else "Joint "
        offsets += [
            JointOffset(
                f"{prefix}{number}",
                round(float(value) / _STEP_RAD) * _STEP_RAD,
                mapping.align_limit_rad,
                mapping.align_tolerance_rad,
            )
            for number, value in enumerate(apart, start=1)
        ]
    return tuple(offsets)
