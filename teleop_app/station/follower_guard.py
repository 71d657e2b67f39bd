"""The last check of a command before a real arm: in the process of its driver, whatever control does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import SafetySection
from teleop_app.core.geometry import Array

TOLERANCE_RAD: Final = 0.02
"""How far beyond the model's limits a target may lie: control keeps a margin, rounding does not matter."""
HASTE: Final = 1.5
"""Commands within the safety limits pass unchanged even when one comes half a cycle late."""
LONGEST_STEP_S: Final = 0.05
"""After a longer pause a command may move the arm no farther than after this one."""
CATCH_UP: Final = 0.2
"""Share of the speed limit at which an arm that stands elsewhere comes to its command."""


@dataclass(frozen=True, slots=True)
class TargetLimits:
    """What a target must keep.

    Attributes:
        lower: Of the joint vector [rad], gripper 0, shape (n,).
        upper: Gripper 1.
        velocity: [rad/s], gripper [1/s].
    """

    lower: Array
    upper: Array
    velocity: Array


def target_limits(
    lower: Sequence[float], upper: Sequence[float], velocity: Sequence[float], safety: SafetySection
) -> TargetLimits:
    """Limits of the joint vector of an arm.

    Args:
        lower: Joint limits of its model [rad], gripper left out.
        upper: Likewise.
        velocity: Joint speed limits of its model [rad/s].
        safety: Section of the station file; the lower of both speeds counts.
    """
    speed = np.minimum(velocity, safety.max_joint_velocity_rad_s)
    return TargetLimits(
        np.array([*lower, 0.0]), np.array([*upper, 1.0]), np.array([*speed, safety.max_gripper_speed_per_s])
    )


class TargetGuard:
    """Refuses what is not finite or out of the model, and never lets a target jump.

    In ordinary work every target passes unchanged, since safety keeps stricter limits. It matters when the
    link was broken: the arm may stand elsewhere than control believes, and comes to its command slowly
    from where it is.
    """

    def __init__(self, limits: TargetLimits) -> None:
        self._limits = limits
        self._last: Array | None = None
        self._last_ns = 0
        self._catching_up = True

    def start(self, position: Array, now_ns: int) -> None:
        """The arm is, or holds, here: the next target starts from it."""
        self._last, self._last_ns, self._catching_up = position.copy(), now_ns, True

    def admit(self, target: Array, now_ns: int) -> tuple[Array | None, str]:
        """The target to be sent, None when it is refused, and a sentence about what was changed or refused.

        Args:
            target: Shape (n,).
            now_ns: Host time.
        """
        limits, last = self._limits, self._last
        if last is None:
            return None, "No position of the arm is known yet."
        if target.shape != limits.lower.shape or not np.isfinite(target).all():
            return None, "A command that is not finite was refused; the arm holds."
        # An arm that was found outside its limits may come back, never go farther out.
        lower = np.minimum(limits.lower - TOLERANCE_RAD, last)
        upper = np.maximum(limits.upper + TOLERANCE_RAD, last)
        if (beyond := np.maximum(lower - target, target - upper)).max() > 0.0:
            joint = int(beyond.argmax())
            return None, (
                f"A command of {target[joint]:.2f} for joint {joint + 1} was refused "
                f"(limits {limits.lower[joint]:.2f} to {limits.upper[joint]:.2f}); the arm holds."
            )
        seconds = min(max(0.0, (now_ns - self._last_ns) / NS_PER_S), LONGEST_STEP_S)
        step = limits.velocity * (CATCH_UP if self._catching_up else HASTE) * seconds
        admitted = np.clip(target, last - step, last + step)
        self._last, self._last_ns = admitted, now_ns
        away = float(np.abs(target - admitted).max())
        if away == 0.0:
            self._catching_up = False
        if away > TOLERANCE_RAD:
            return admitted, f"The arm is {away:.2f} rad from its command and comes to it slowly."
        return admitted, ""
