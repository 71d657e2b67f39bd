"""Finds the range of a person's hand from a few seconds in which it opens and closes."""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array
from teleop_app.mapping.hand import HandRange
from teleop_app.mapping.hand_features import FEATURES, FINGERS, hand_features, is_plausible_hand, pinch_gap

MOTION: Final = "Open the hand wide, make a fist, and bring thumb and index finger together, slowly, twice"
_LEAST_SECONDS: Final = 1.5
_LEAST_SAMPLES: Final = 30
_MOST_SAMPLES: Final = 3000
_GOOD_SHARE: Final = 0.8
_LEAST_FLEXION_RAD: Final = 0.6
_LEAST_SPREAD_RAD: Final = 0.3
"""An angle that moved less keeps its usual range, e.g. of a person who did not spread the fingers."""
_ENDS_PERCENT: Final = (3.0, 97.0)
_MET_LENGTHS: Final = 0.25


class HandRangeFinder:
    """Watches one hand. One thread."""

    def __init__(self) -> None:
        self._rows: list[Array] = []
        self._stamps: list[int] = []
        self._seen = 0
        self._gap = float("inf")

    def add(self, joints: Array | None, capture_ns: int) -> None:
        """Take a sample; None where the hand was not tracked."""
        if self._stamps and capture_ns <= self._stamps[-1]:
            return
        self._seen += 1
        if joints is None or not is_plausible_hand(joints) or len(self._rows) >= _MOST_SAMPLES:
            return
        self._rows.append(hand_features(joints))
        self._stamps.append(capture_ns)
        self._gap = min(self._gap, pinch_gap(joints))

    def result(self) -> tuple[HandRange, str]:
        """The range, and a remark about what was not seen, else empty.

        Raises:
            StationError: The motion does not tell the range.
        """
        seconds = (self._stamps[-1] - self._stamps[0]) / NS_PER_S if self._stamps else 0.0
        if len(self._rows) < _LEAST_SAMPLES or seconds < _LEAST_SECONDS:
            self._refuse(f"the hand was seen {len(self._rows)} times in {seconds:.1f} s")
        if len(self._rows) < _GOOD_SHARE * self._seen:
            lost = 1.0 - len(self._rows) / self._seen
            self._refuse(f"its tracking was lost {100.0 * lost:.0f} % of the time")
        low, high = np.percentile(np.array(self._rows), _ENDS_PERCENT, axis=0)
        moved = dict(zip(FEATURES, high - low, strict=True))
        stiff = [
            finger
            for finger in FINGERS
            if min(moved[f"{finger}_mcp"], moved[f"{finger}_pip"]) < _LEAST_FLEXION_RAD
        ]
        if stiff:
            self._refuse(f"fingers hardly moved: {', '.join(stiff)}")
        usual = HandRange.usual()
        kept = (high - low) < _LEAST_SPREAD_RAD
        found = HandRange(np.where(kept, usual.low, low), np.where(kept, usual.high, high))
        if self._gap > _MET_LENGTHS:
            return found, (
                "Thumb and index finger never met: their tips stayed "
                f"{self._gap:.2f} lengths of the finger apart, so a pinch may not close the robot's hand."
            )
        return found, ""

    def _refuse(self, why: str) -> None:
        raise StationError("The range of the hand was not found", why=why, next_step=MOTION)
