"""Streams of their own rates, read off at given instants: interpolated, held, or matched to the nearest.

Every function takes increasing sample times and query times in ns of one clock, and tells how far the
nearest real sample was, so that a caller can report the error it made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recorders.schema import Array, IntArray
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Resampling

NEVER_NS = (1 << 63) - 1
"""Distance to the nearest sample of a stream without samples."""
_USUAL_STEPS = 3
"""Samples further apart than this many usual steps leave a gap, where the caller names no limit."""
_QUAT_WXYZ = slice(3, 7)


@dataclass(frozen=True, slots=True)
class Resampled:
    """Values at the query times.

    Attributes:
        value: Shape (m, n); NaN where the stream has no samples at all.
        distance_ns: Time between each query and the sample it rests on, shape (m,): the nearest one
            where interpolated, the one held where held; `NEVER_NS` where there is none.
        gap: Shape (m,) bool: the query lies in a hole of the stream or outside it, further than the gap
            allowed; held values also before the first sample, because they would come from the future.
    """

    value: Array
    distance_ns: IntArray
    gap: NDArray[np.bool_]


def resample(
    how: Resampling, sample_ns: IntArray, value: Array, query_ns: IntArray, *, max_gap_ns: int | None = None
) -> Resampled:
    """Read a stream off at the query times.

    Args:
        how: LINEAR between the two neighbours, PREVIOUS what was in force, NEAREST the nearest sample, SLERP
            as LINEAR with values 3..6 a quaternion (w, x, y, z) turning along the shortest arc. Before the
            first sample each gives the first one, after the last one each gives the last one.
        sample_ns: Increasing, shape (k,); k may be 0.
        value: Shape (k, n), n >= 7 for SLERP.
        query_ns: Shape (m,).
        max_gap_ns: Samples further apart leave a gap between them; None: three times their usual spacing.
    """
    if not len(sample_ns):
        empty = np.full((len(query_ns), value.shape[1]), np.nan)
        return Resampled(empty, np.full(len(query_ns), NEVER_NS, np.int64), np.ones(len(query_ns), np.bool_))
    if max_gap_ns is None:
        max_gap_ns = usual_gap_ns(sample_ns)
    return _METHODS[how](sample_ns, value, query_ns, max_gap_ns)


def usual_gap_ns(sample_ns: IntArray) -> int:
    """Three times the median spacing of samples; 0 for a single one."""
    return _USUAL_STEPS * int(np.median(np.diff(sample_ns))) if len(sample_ns) > 1 else 0


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


def interpolate(
    sample_ns: IntArray, value: Array, query_ns: IntArray, max_gap_ns: int = NEVER_NS
) -> Resampled:
    """Linear interpolation; before the first and after the last sample, that sample's value.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        value: Shape (k, n). Angles are taken as they are, without wrapping.
        query_ns: Shape (m,).
        max_gap_ns: Samples further apart leave a gap between them.
    """
    # Relative to the first sample: a float64 of absolute monotonic ns would lose the last digits.
    origin = sample_ns[0]
    times = (sample_ns - origin).astype(np.float64)
    queries = (query_ns - origin).astype(np.float64)
    columns = [np.interp(queries, times, value[:, column]) for column in range(value.shape[1])]
    result = np.stack(columns, axis=1) if columns else np.zeros((len(query_ns), 0))
    return Resampled(result, _nearest_ns(sample_ns, query_ns), _between(sample_ns, query_ns, max_gap_ns))


def slerp(sample_ns: IntArray, value: Array, query_ns: IntArray, max_gap_ns: int = NEVER_NS) -> Resampled:
    """Linear interpolation of all values but 3..6, a quaternion (w, x, y, z) turned along the shortest arc.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        value: Shape (k, n), n >= 7; quaternions of length 1.
        query_ns: Shape (m,).
        max_gap_ns: Samples further apart leave a gap between them.
    """
    result = interpolate(sample_ns, value, query_ns, max_gap_ns)
    before = hold_index(sample_ns, query_ns)
    after = np.minimum(before + 1, len(sample_ns) - 1)
    step = np.maximum(sample_ns[after] - sample_ns[before], 1)
    share = np.clip((query_ns - sample_ns[before]) / step, 0.0, 1.0)
    result.value[:, _QUAT_WXYZ] = slerp_quat_wxyz(value[before, _QUAT_WXYZ], value[after, _QUAT_WXYZ], share)
    return result


def slerp_quat_wxyz(start: Array, end: Array, share: Array) -> Array:
    """Rotations between `start` (share 0) and `end` (share 1) along the shortest arc.

    Args:
        start: Unit quaternions (w, x, y, z), shape (m, 4).
        end: Likewise.
        share: 0..1, shape (m,).
    """
    cosine = (start * end).sum(axis=1)
    end = np.where(cosine < 0, -1.0, 1.0)[:, None] * end
    angle = np.arccos(np.minimum(np.abs(cosine), 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6  # so close that a straight line is as exact
    divisor = np.where(near, 1.0, sine)
    weight_start = np.where(near, 1.0 - share, np.sin((1.0 - share) * angle) / divisor)
    weight_end = np.where(near, share, np.sin(share * angle) / divisor)
    mixed = weight_start[:, None] * start + weight_end[:, None] * end
    length = np.linalg.norm(mixed, axis=1, keepdims=True)
    return mixed / np.where(length > 0, length, 1.0)


def hold_index(sample_ns: IntArray, query_ns: IntArray) -> IntArray:
    """Index of the last sample at or before each query; of the first sample where there is none.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        query_ns: Shape (m,).
    """
    return np.maximum(np.searchsorted(sample_ns, query_ns, side="right") - 1, 0).astype(np.int64)


def hold(sample_ns: IntArray, value: Array, query_ns: IntArray, max_gap_ns: int = NEVER_NS) -> Resampled:
    """What was in force at each query: a command stays so until the next one.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        value: Shape (k, n).
        query_ns: Shape (m,).
        max_gap_ns: A sample older than this leaves a gap.
    """
    index = hold_index(sample_ns, query_ns)
    distance_ns = np.abs(query_ns - sample_ns[index]).astype(np.int64)
    return Resampled(value[index], distance_ns, (distance_ns > max_gap_ns) | (query_ns < sample_ns[0]))


def nearest(sample_ns: IntArray, value: Array, query_ns: IntArray, max_gap_ns: int = NEVER_NS) -> Resampled:
    """The nearest sample to each query.

    Args:
        sample_ns: Increasing, shape (k,), k >= 1.
        value: Shape (k, n).
        query_ns: Shape (m,).
        max_gap_ns: Samples further apart leave a gap between them.
    """
    return Resampled(
        value[nearest_index(sample_ns, query_ns)],
        _nearest_ns(sample_ns, query_ns),
        _between(sample_ns, query_ns, max_gap_ns),
    )


def _nearest_ns(sample_ns: IntArray, query_ns: IntArray) -> IntArray:
    return np.abs(sample_ns[nearest_index(sample_ns, query_ns)] - query_ns).astype(np.int64)


def _between(sample_ns: IntArray, query_ns: IntArray, max_gap_ns: int) -> NDArray[np.bool_]:
    """Which queries lie between samples further apart than `max_gap_ns`, or as far outside all samples."""
    before = hold_index(sample_ns, query_ns)
    after = np.minimum(before + 1, len(sample_ns) - 1)
    inside = (query_ns > sample_ns[before]) & (query_ns < sample_ns[after])
    spacing = np.where(inside, sample_ns[after] - sample_ns[before], np.abs(query_ns - sample_ns[before]))
    return spacing > max_gap_ns


_METHODS: dict[Resampling, Callable[[IntArray, Array, IntArray, int], Resampled]] = {
    Resampling.LINEAR: interpolate,
    Resampling.PREVIOUS: hold,
    Resampling.NEAREST: nearest,
    Resampling.SLERP: slerp,
}


def to_seconds(time_ns: IntArray) -> Array:
    """[s] from [ns]."""
    return np.asarray(time_ns, np.float64) / NS_PER_S
