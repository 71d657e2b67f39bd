"""From a person's hand to the joints of a dexterous hand, each by the angle it is named after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import ConfigError
from teleop_app.core.geometry import Array
from teleop_app.mapping.filters import OneEuroFilter
from teleop_app.mapping.hand_features import FEATURES, hand_features, is_plausible_hand

_MIN_CUTOFF_HZ: Final = 2.0
_BETA_HZ_PER_RAD_S: Final = 1.0

_USUAL_FLEXION: Final = {"mcp": (0.0, 1.3), "pip": (0.25, 1.5), "dip": (0.1, 1.0)}
_USUAL: Final = {
    "thumb_opposition": (0.4, 1.5),
    "thumb_abduction": (0.3, 0.9),
    "thumb_mcp": (0.1, 0.7),
    "thumb_ip": (0.1, 1.0),
    "index_abduction": (-0.15, 0.3),
    "middle_abduction": (-0.35, 0.1),
    "ring_abduction": (-0.45, 0.0),
    "little_abduction": (-0.7, -0.1),
}
"""By hands that a Quest recorded (the poses of the emulator IWER): relaxed, pinching, pointing."""


@dataclass(frozen=True, slots=True)
class HandRange:
    """How far a person's hand moves; by this its angles are stretched over the range of the robot's joints.

    Attributes:
        low: Smallest angle of each of `FEATURES` [rad].
        high: Largest.
    """

    low: Array
    high: Array

    @classmethod
    def usual(cls) -> HandRange:
        """Ranges of an adult's hand, for whoever has not been measured."""
        pairs = [_USUAL.get(name) or _USUAL_FLEXION[name.split("_")[1]] for name in FEATURES]
        return cls(*(np.array(side) for side in zip(*pairs, strict=True)))


class HandRetargeter:
    """Turns tracked hands into joint targets. One thread.

    An angle at the low end of the person's range is the joint's lower limit, at its high end the upper one,
    and in between by proportion: an open hand opens the robot's, a fist closes it, whatever their sizes.

    Args:
        joint_names: Of the robot's hand; each is one of `FEATURES`.
        limits: Its lower and upper joint limits [rad].
        hand: Its name, for sentences.

    Raises:
        ConfigError: A joint has another name.
    """

    def __init__(self, joint_names: Sequence[str], limits: tuple[Array, Array], hand: str) -> None:
        unknown = [name for name in joint_names if name not in FEATURES]
        if unknown:
            raise ConfigError(
                f"The hand {hand!r} cannot be driven",
                why=f"no angle of a person's hand belongs to its joints {', '.join(unknown)}",
                next_step=f"Its driver must name each after one of: {', '.join(FEATURES)}",
            )
        self._pick = [FEATURES.index(name) for name in joint_names]
        self._lower, self._upper = limits
        self._range = HandRange.usual()
        self._filter = OneEuroFilter(_MIN_CUTOFF_HZ, _BETA_HZ_PER_RAD_S)
        self._last_ns = 0
        self._target: Array | None = None

    def set_range(self, hand_range: HandRange) -> None:
        """Use another person's range."""
        self._range = hand_range

    def reset(self) -> None:
        """Forget the past: the next hand passes unfiltered."""
        self._filter.reset()
        self._target = None

    def target(self, joints: Array, capture_ns: int) -> Array | None:
        """Joint targets within the limits, shape (n,); None when this is no hand.

        Args:
            joints: Shape (25, 7), as tracked.
            capture_ns: When; the same again gives the same targets.
        """
        if self._target is not None and capture_ns == self._last_ns:
            return self._target
        if not is_plausible_hand(joints):
            return None
        dt_s = (capture_ns - self._last_ns) / NS_PER_S
        angles = self._filter.update(hand_features(joints), dt_s)
        share = (angles - self._range.low) / (self._range.high - self._range.low)
        share = np.clip(share[self._pick], 0.0, 1.0)
        self._last_ns = capture_ns
        self._target = self._lower + share * (self._upper - self._lower)
        return self._target
