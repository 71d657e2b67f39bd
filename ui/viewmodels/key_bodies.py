"""Base and lift by held keys."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.config import StationConfig

_SHARE = 0.5
"""Keys are all or nothing: they ask for this share of what the station file allows."""

_BASE: dict[str, tuple[int, float]] = {
    "base.forward": (0, 1.0),
    "base.back": (0, -1.0),
    "base.left": (1, 1.0),
    "base.right": (1, -1.0),
    "base.turn_left": (2, 1.0),
    "base.turn_right": (2, -1.0),
}
"""Axis of the twist (vx, vy, wz) in the frame of the base, and its sign."""

_LIFT = {"lift.up": 1.0, "lift.down": -1.0}

BODY_ACTIONS = frozenset(_BASE) | frozenset(_LIFT)


@dataclass(frozen=True, slots=True)
class KeyBodies:
    """Speeds that the keys ask of base and lift; None for what the station does not have.

    Attributes:
        base: Of translation [m/s] and of rotation [rad/s].
        lift_m_s: Up and down.
    """

    base: tuple[float, float] | None = None
    lift_m_s: float | None = None

    def twist(self, held: Collection[str]) -> NDArray[np.float64] | None:
        """Returns what the held keys ask of the base, shape (3,): vx, vy [m/s], wz [rad/s]."""
        if self.base is None:
            return None
        asked = np.zeros(3)
        for action in held:
            if action in _BASE:
                axis, sign = _BASE[action]
                asked[axis] += sign
        length = float(np.linalg.norm(asked[:2]))
        if length > 0.0:
            asked[:2] *= self.base[0] / length
        asked[2] *= self.base[1]
        return asked

    def lift(self, held: Collection[str]) -> float | None:
        """Returns what the held keys ask of the lift [m/s]."""
        if self.lift_m_s is None:
            return None
        return self.lift_m_s * sum(sign for action, sign in _LIFT.items() if action in held)


NO_BODIES = KeyBodies()


def key_bodies(config: StationConfig) -> KeyBodies:
    """Returns the speeds for the bodies that a station has."""
    base, lift = config.mobile_base, config.lift
    return KeyBodies(
        (_SHARE * base.max_speed_m_s, _SHARE * base.max_turn_rad_s) if base.driver else None,
        _SHARE * lift.max_speed_m_s if lift.driver else None,
    )
