"""From physical numbers to those that a policy was trained on, and back."""

from __future__ import annotations

import numpy as np

from teleop_app.autonomy.policy_sections import Statistics
from teleop_app.core.geometry import Array


class Normaliser:
    """Applies a policy file's statistics along the last axis.

    Args:
        statistics: Of as many channels as the values have.
    """

    def __init__(self, statistics: Statistics) -> None:
        self._kind = statistics.kind
        self._low = np.array(statistics.low)
        self._high = np.array(statistics.high)

    def apply(self, values: Array) -> Array:
        """Physical to normalised; quantiles are clipped to [-1, 1] as in training."""
        if self._kind == "none":
            return values
        if self._kind == "mean_std":
            return (values - self._low) / self._high
        scaled = 2.0 * (values - self._low) / (self._high - self._low) - 1.0
        return np.clip(scaled, -1.0, 1.0) if self._kind == "quantiles" else scaled

    def undo(self, values: Array) -> Array:
        """Normalised to physical; quantiles are first clipped to [-1, 1]."""
        if self._kind == "none":
            return values
        if self._kind == "mean_std":
            return values * self._high + self._low
        within = np.clip(values, -1.0, 1.0) if self._kind == "quantiles" else values
        return (within + 1.0) * 0.5 * (self._high - self._low) + self._low
