"""From physical numbers to those that a policy was trained on, and back."""

from __future__ import annotations

import numpy as np

from teleop_app.autonomy.policy_sections import Statistics
from teleop_app.core.geometry import Array

_SMALLEST_SPREAD = 1e-9
"""A channel that varied less in the training did not vary: dividing by that would give noise."""


class Normaliser:
    """Applies a policy file's statistics along the last axis.

    A channel that did not vary in the training is 0 when normalised, and always its one value when physical.

    Args:
        statistics: Of as many channels as the values have.
    """

    def __init__(self, statistics: Statistics) -> None:
        low, high = np.array(statistics.low), np.array(statistics.high)
        mean_std = statistics.kind == "mean_std"
        self._plain = statistics.kind == "none"
        self._clipped = statistics.kind == "quantiles"
        self._centre = low if mean_std else (low + high) / 2.0
        spread = high if mean_std else (high - low) / 2.0
        varies = spread >= _SMALLEST_SPREAD
        self._scale = np.where(varies, spread, 0.0)
        self._divisor = np.where(varies, spread, np.inf)

    def apply(self, values: Array) -> Array:
        """Physical to normalised; quantiles are clipped to [-1, 1] as in training."""
        if self._plain:
            return values
        scaled = (values - self._centre) / self._divisor
        return np.clip(scaled, -1.0, 1.0) if self._clipped else scaled

    def undo(self, values: Array) -> Array:
        """Normalised to physical; quantiles are first clipped to [-1, 1]."""
        if self._plain:
            return values
        within = np.clip(values, -1.0, 1.0) if self._clipped else values
        return within * self._scale + self._centre
