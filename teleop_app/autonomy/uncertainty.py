"""How unsure a policy is: the spread of several chunks that it draws for one observation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array


def spread(chunks: Array, joints: NDArray[np.bool_], steps: int) -> float:
    """RMS over arm joints and first actions of the standard deviation over the chunks [rad].

    Measured after decoding, in joints: what two poses or normalised channels are apart says little of how
    differently the arms would move.

    Args:
        chunks: Joint vectors, shape (N, H, n).
        joints: Which of the n count, boolean, shape (n,): arm joints that the policy drives.
        steps: Actions that count, from the first: those that would be executed.

    Returns:
        NaN for fewer than two chunks, or when nothing counts.
    """
    counted = chunks[:, : max(steps, 1), joints]
    if len(chunks) < 2 or counted.size == 0:
        return math.nan
    return float(np.sqrt(np.mean(np.var(counted, axis=0, ddof=1))))
