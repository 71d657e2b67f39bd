"""Intervals of proportions and of their differences, for few trials."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for an interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


def wilson(successes: int, trials: int, z: float = Z_95) -> Interval:
    """Score interval of a proportion, without continuity correction (Wilson, 1927).

    Args:
        successes: 0..trials.
        trials: Without any, everything from 0 to 1 is possible.
        z: Quantile of the normal distribution.

    Raises:
        ValueError: More successes than trials, or a negative number.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no proportion")
    if trials == 0:
        return Interval(0.0, 1.0)
    share = successes / trials
    spread = z * math.sqrt(z * z + 4 * trials * share * (1 - share))
    middle, scale = 2 * successes + z * z, 2 * (trials + z * z)
    low = 0.0 if successes == 0 else (middle - spread) / scale  # exact where rounding would not be
    high = 1.0 if successes == trials else (middle + spread) / scale
    return Interval(low, high)


def newcombe(first: tuple[int, int], second: tuple[int, int], z: float = Z_95) -> Interval:
    """Interval of the difference of two independent proportions, the first minus the second.

    Method 10 of R. G. Newcombe, "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17 (1998): square-and-add of the two score intervals.

    Args:
        first: Successes and trials.
        second: Likewise.
        z: Quantile of the normal distribution.

    Raises:
        ValueError: As `wilson`.
    """
    one, two = wilson(*first, z), wilson(*second, z)
    if first[1] == 0 or second[1] == 0:
        return Interval(-1.0, 1.0)
    share_one, share_two = first[0] / first[1], second[0] / second[1]
    difference = share_one - share_two
    below = math.hypot(share_one - one.low, two.high - share_two)
    above = math.hypot(one.high - share_one, share_two - two.low)
    return Interval(max(-1.0, difference - below), min(1.0, difference + above))
