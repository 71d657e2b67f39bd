"""What makes an answer of a policy nonsense: checked before it becomes a motion, each with a sentence."""

from __future__ import annotations

import numpy as np

from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array, quat_angle

LONGEST = 4
"""Times the declared horizon that a chunk may be long."""
LARGEST_VALUE = 1e4
"""No angle, length or gripper scale is as large."""
LIMIT_MARGIN_RAD = 0.5
"""A joint target so far beyond its limit is nonsense; nearer ones are the supervisor's to stop."""
GRIPPER_MARGIN = 0.5
"""Strokes by which a gripper value may overshoot closed or opened; it is then cut off there."""
FARTHEST_M = 3.0
"""No tool is asked to go farther from where it is."""
_CHECK_FILE = "Check the convention and the statistics of the policy file"


def checked_answer(raw: object, *, horizon: int, width: int, used: int) -> Array:
    """The channels of an answer that mean something, as float64, shape (H, used).

    Args:
        raw: What the policy answered.
        horizon: Actions that its file tells of.
        width: Channels that it tells of, padding included.
        used: Channels of its parts.

    Raises:
        PolicyError: It is of another shape or type, or holds values that are no numbers or too large.
    """
    if not isinstance(raw, np.ndarray):
        raise PolicyError(f"The policy answered with a {type(raw).__name__:.40}, not an array of numbers")
    if raw.dtype.kind not in "fiu":
        raise PolicyError(f"The policy answered with {raw.dtype!s:.40} values, not with numbers")
    if raw.ndim != 2:
        raise PolicyError(
            f"The policy answered with an array of {raw.ndim} axes, not 2",
            why="a chunk has steps and channels",
        )
    steps, channels = raw.shape
    limit = LONGEST * horizon
    if not 1 <= steps <= limit:
        raise PolicyError(
            f"The policy answered with {steps} actions (1 to {limit} are taken)",
            why=f"its file tells of {horizon}",
        )
    if channels != width:
        raise PolicyError(
            f"The policy's actions have {channels} channels, not {width}",
            next_step="Correct action.parts or action.width of the policy file",
        )
    finite = np.isfinite(raw)
    if not finite.all():
        step, channel = np.argwhere(~finite)[0].tolist()
        raise PolicyError(f"The policy's action {step} is {raw[step, channel]} in channel {channel}")
    values = raw[:, :used].astype(np.float64)
    large = np.abs(values) > LARGEST_VALUE
    if large.any():
        step, channel = np.argwhere(large)[0].tolist()
        value = values[step, channel]
        raise PolicyError(
            f"The policy's action {step} is {value:.3g} in channel {channel} (limit +-{LARGEST_VALUE:g})"
        )
    return values


def check_joints(asked: Array, names: tuple[str, ...], lower: Array, upper: Array) -> None:
    """Refuse joint targets, shape (H, joints), far beyond their limits [rad].

    Raises:
        PolicyError: One is.
    """
    outside = ~((asked >= lower - LIMIT_MARGIN_RAD) & (asked <= upper + LIMIT_MARGIN_RAD))
    if outside.any():
        step, joint = np.argwhere(outside)[0].tolist()
        raise PolicyError(
            f"The policy asks joint {names[joint]} for {asked[step, joint]:.2f} rad at action {step} "
            f"(limits {lower[joint]:.2f} to {upper[joint]:.2f} rad)",
            next_step=_CHECK_FILE,
        )


def gripper_strokes(values: Array, arm: str, closed: float, opened: float) -> Array:
    """Grippers, 0 closed to 1 open, of a policy's own values; a small overshoot is cut off.

    Raises:
        PolicyError: One is far beyond closed or open.
    """
    strokes = (values - closed) / (opened - closed)
    outside = ~((strokes >= -GRIPPER_MARGIN) & (strokes <= 1.0 + GRIPPER_MARGIN))
    if outside.any():
        step = int(np.argwhere(outside)[0][0])
        raise PolicyError(
            f"The policy asks the gripper of arm {arm!r} for {values[step, 0]:.3g} at action {step} "
            f"({closed:g} is closed, {opened:g} open)",
            next_step="Check action.closed, action.opened and the statistics of the policy file",
        )
    return np.clip(strokes, 0.0, 1.0)


def check_near(pose: Array, start: Array, arm: str, step: int) -> None:
    """Refuse a pose that lies absurdly far from where the tool is.

    Raises:
        PolicyError: It does.
    """
    away = float(np.linalg.norm(pose[:3] - start[:3]))
    if not away <= FARTHEST_M:
        raise PolicyError(
            f"The policy asks arm {arm!r} at action {step} to go {away:.3g} m from where its tool is "
            f"(limit {FARTHEST_M:g} m)",
            next_step=_CHECK_FILE,
        )


def check_reached(
    asked: Array, reached: Array, arm: str, step: int, *, position_m: float, rotation_rad: float
) -> None:
    """Refuse what inverse kinematics could not do.

    Raises:
        PolicyError: The pose that was reached is farther from the asked one than the tolerances.
    """
    away = float(np.linalg.norm(asked[:3] - reached[:3]))
    turned = quat_angle(asked[3:], reached[3:])
    # Written so that a value that is no number is refused as well.
    if not (away <= position_m and turned <= rotation_rad):
        raise PolicyError(
            f"Arm {arm!r} cannot reach what the policy asks for at action {step}: {away * 1000:.0f} mm and "
            f"{turned:.2f} rad are left (limits {position_m * 1000:.0f} mm, {rotation_rad:.2f} rad)",
            next_step="Take over and bring it back, or check the frame and rotation of the policy file",
        )
