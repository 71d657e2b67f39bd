"""How much one record of a motion lags behind another: cross-correlation of their increments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array, IntArray

LEAST_CONFIDENCE: Final = 0.6
LEAST_SAMPLES: Final = 40
MOST_SPREAD_S: Final = 0.06
_COARSE_S: Final = 0.02
_STEP_S: Final = 0.004
_FINE: Final = 6
_PARTS: Final = 4
_LEAST_PART: Final = 24
_LEAST_POWER: Final = 1e-12
_RIDGE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class MotionLag:
    """How two records of one motion lie in time.

    Attributes:
        lag_ms: How much later the second one shows it.
        confidence: Multiple correlation at that lag, at most 1.
        spread_ms: How far apart the lags of the parts of the record are, of those with motion in them.
        samples: Increments that were compared.
    """

    lag_ms: float
    confidence: float
    spread_ms: float
    samples: int


def motion_lag(
    first_ns: IntArray, first: Array, second_ns: IntArray, second: Array, max_lag_s: float = 0.5
) -> MotionLag:
    """Lag of the second record of a motion behind the first, finer than their sampling.

    Each interval between two samples of the second is compared with what the first did in the interval
    that lies the lag before it, so that a slow second (a camera) costs no accuracy by its rate alone.

    Args:
        first_ns: Increasing, shape (n,).
        first: Positions, or lengths of the path so far; shape (n, k). The faster one.
        second_ns: Increasing, shape (m,).
        second: Whatever goes with weighted sums of the first's increments; shape (m, c).
        max_lag_s: Largest lag looked for, either way.

    Raises:
        DeviceError: Too little motion, or no clear lag.
    """
    origin = int(second_ns[0]) if len(second_ns) else 0
    t_first, t_second = _seconds(first_ns, origin), _seconds(second_ns, origin)
    inside = _inside(t_first, t_second, max_lag_s)
    t_second, second = t_second[inside], np.asarray(second, np.float64)[inside]
    if len(t_second) <= LEAST_SAMPLES:
        raise DeviceError(
            f"Only {max(len(t_second) - 1, 0)} samples of the two records lie beside each other",
            why=f"it takes {LEAST_SAMPLES}",
            next_step="Measure for longer",
        )
    first = np.asarray(first, np.float64)
    lag_s, confidence = _peak(t_first, first, t_second, second, max_lag_s)
    if confidence < LEAST_CONFIDENCE:
        raise DeviceError(
            f"The two records of the motion do not agree: correlation {confidence:.2f} "
            f"(at least {LEAST_CONFIDENCE:g})",
            why="there was too little motion, or something else moved",
            next_step="Move the arm to and fro at changing speeds, in full view, and measure again",
        )
    spread_s = _spread_s(t_first, first, t_second, second, max_lag_s)
    if spread_s > MOST_SPREAD_S:
        raise DeviceError(
            f"The lag changes by {spread_s * 1e3:.0f} ms within the record "
            f"(limit {MOST_SPREAD_S * 1e3:g} ms)",
            why="the arm moved for too short a time, or something else moved",
            next_step="Move the arm all the time, to and fro at changing speeds, and measure again",
        )
    return MotionLag(lag_s * 1e3, confidence, spread_s * 1e3, len(t_second) - 1)


def _spread_s(t_first: Array, first: Array, t_second: Array, second: Array, max_lag_s: float) -> float:
    """How far apart the lags of the parts are in which there was motion to see."""
    parts = [part for part in np.array_split(np.arange(len(t_second)), _PARTS) if len(part) > _LEAST_PART]
    peaks = [_peak(t_first, first, t_second[part], second[part], max_lag_s) for part in parts]
    lags = [lag_s for lag_s, confidence in peaks if confidence >= LEAST_CONFIDENCE]
    return max(lags) - min(lags) if len(lags) > 1 else max_lag_s


def path_lengths(positions: Array) -> Array:
    """How far each of k positions has gone so far, whichever way; of and in shape (n, k)."""
    steps = np.abs(np.diff(positions, axis=0))
    return np.concatenate([np.zeros((1, positions.shape[1])), np.cumsum(steps, axis=0)])


def _peak(
    t_first: Array, first: Array, t_second: Array, second: Array, max_lag_s: float
) -> tuple[float, float]:
    """The lag of the highest correlation, by a parabola through it and its neighbours, and its height."""
    wanted = np.diff(second, axis=0)

    def heights_at(lags: Array) -> Array:
        return np.array([_agreement(_increments(t_first, first, t_second - lag), wanted) for lag in lags])

    steps = round(max_lag_s / _COARSE_S)
    coarse = np.linspace(-steps, steps, 2 * steps + 1, dtype=np.float64) * _COARSE_S
    near = coarse[int(np.argmax(heights_at(coarse)))]
    if abs(near) > max_lag_s - _COARSE_S:
        return float(near), 0.0  # a peak that may lie anywhere beyond is none
    lags = near + np.linspace(-_FINE, _FINE, 2 * _FINE + 1, dtype=np.float64) * _STEP_S
    heights = heights_at(lags)
    at = min(max(int(np.argmax(heights)), 1), len(lags) - 2)
    left, middle, right = heights[at - 1 : at + 2]
    bend = left - 2.0 * middle + right
    shift = min(max(0.5 * (left - right) / bend, -1.0), 1.0) if bend < 0 else 0.0
    return float(lags[at] + shift * _STEP_S), float(middle)


def _increments(t_first: Array, first: Array, at: Array) -> Array:
    columns = [np.interp(at, t_first, column) for column in first.T]
    return np.diff(np.stack(columns, axis=1), axis=0)


def _agreement(given: Array, wanted: Array) -> float:
    """How well weighted sums of `given`, shape (m, k), make up `wanted`, shape (m, c): multiple correlation.

    Adjusted for the number of weights, so that more columns alone do not raise it.
    """
    given, wanted = given - given.mean(axis=0), wanted - wanted.mean(axis=0)
    total = float((wanted * wanted).sum())
    spare = len(given) - given.shape[1] - 1
    if total < _LEAST_POWER or float((given * given).sum()) < _LEAST_POWER or spare < 1:
        return 0.0
    square = given.T @ given
    square[np.diag_indices_from(square)] += _RIDGE * np.trace(square)  # a joint at rest has no weight
    product = given.T @ wanted
    explained = float((np.linalg.solve(square, product) * product).sum()) / total
    return max(0.0, 1.0 - (1.0 - explained) * (len(given) - 1) / spare) ** 0.5


def _inside(t_first: Array, t_second: Array, max_lag_s: float) -> NDArray[np.bool_]:
    if not len(t_first):
        return np.zeros(len(t_second), bool)
    return (t_second >= t_first[0] + max_lag_s) & (t_second <= t_first[-1] - max_lag_s)


def _seconds(stamps: IntArray, origin: int) -> Array:
    return (np.asarray(stamps, np.int64) - origin).astype(np.float64) / NS_PER_S
