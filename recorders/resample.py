"""Streams of their own rates, read off at given instants: interpolated, held, or matched to the nearest.

Every function takes increasing sample times and query times in ns of one clock, and tells how far the
nearest real sample was, so that a caller can report the error it made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recorders.schema import Array, IntArray
from teleop_app.core.clock import NS_PER_S


@dataclass(frozen=True, slots=True)
class Resampled:
    """Values at the query times.

    Attributes:
        value: Shape (m, n).
        distance_ns: Time between each query and the sample it rests on, shape (m,): the nearest one
            where interpolated, the one held where held.
    """

    value: Array
    distance_ns: IntArray


def nearest_index(sample_ns: IntArray, query_ns: IntArray) -> IntArray:
    """Index of the sample nearest to each query, the earlier one where two are as near.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        query_ns: Shape (m,).
    """
    after = np.clip(np.searchsorted(sample_ns, query_ns, side="left"), 0, len(sample_ns) - 1)
    before = np.maximum(after - 1, 0)
    take_before = np.abs(query_ns - sample_ns[before]) <= np.abs(sample_ns[after] - query_ns)
    return np.where(take_before, before, after).astype(np.int64)


def interpolate(sample_ns: IntArray, value: Array, query_ns: IntArray) -> Resampled:
    """Linear interpolation; before the first and after the last sample, that sample's value.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        value: Shape (k, n). Angles are taken as they are, without wrapping.
        query_ns: Shape (m,).
    """
    # Relative to the first sample: a float64 of absolute monotonic ns would lose the last digits.
    origin = sample_ns[0]
    times = (sample_ns - origin).astype(np.float64)
    queries = (query_ns - origin).astype(np.float64)
    columns = [np.interp(queries, times, value[:, column]) for column in range(value.shape[1])]
    result = np.stack(columns, axis=1) if columns else np.zeros((len(query_ns), 0))
    distance = np.abs(sample_ns[nearest_index(sample_ns, query_ns)] - query_ns)
    return Resampled(result, distance.astype(np.int64))


def hold_index(sample_ns: IntArray, query_ns: IntArray) -> IntArray:
    """Index of the last sample at or before each query; of the first sample where there is none.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        query_ns: Shape (m,).
    """
    return np.maximum(np.searchsorted(sample_ns, query_ns, side="right") - 1, 0).astype(np.int64)


def hold(sample_ns: IntArray, value: Array, query_ns: IntArray) -> Resampled:
    """What was in force at each query: a command stays so until the next one.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        value: Shape (k, n).
        query_ns: Shape (m,).
    """
    index = hold_index(sample_ns, query_ns)
    return Resampled(value[index], np.abs(query_ns - sample_ns[index]).astype(np.int64))


def to_seconds(time_ns: IntArray) -> Array:
    """[s] from [ns]."""
    return np.asarray(time_ns, np.float64) / NS_PER_S
