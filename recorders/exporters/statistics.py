"""Feature statistics of an episode and of a dataset, with the meaning LeRobot gives them.

LeRobot's `compute_stats.py` (0.4.4) estimates quantiles from a 5000-bin histogram; these are exact, by the
same definition (the smallest value with at least a fraction q of the samples at or below it). Aggregation
follows it to the letter, also where quantiles of several episodes are averaged by sample count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
STATISTICS = ("min", "max", "mean", "std", "count", *QUANTILES)

Stats = dict[str, NDArray[Any]]
"""One feature: statistic name -> array, shape (n,); (3, 1, 1) for images; `count` has shape (1,)."""


def column_stats(values: NDArray[np.generic]) -> Stats:
    """Statistics of a table column.

    Args:
        values: Shape (rows,) or (rows, n), rows >= 1; bool, integer or float. Smallest and largest keep
            the type, as LeRobot's do.
    """
    table = values.reshape(len(values), -1)
    numbers = table.astype(np.float64)
    stats: Stats = {
        "min": table.min(axis=0),
        "max": table.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(values)], np.int64),
    }
    for name, q in QUANTILES.items():
        stats[name] = np.quantile(numbers, q, axis=0, method="inverted_cdf")
    return stats


class ImageStats:
    """Statistics per colour channel over sampled frames, in 0..1, gathered frame by frame in 256 bins."""

    def __init__(self) -> None:
        self._bins = np.zeros((3, 256), np.int64)
        self._frames = 0

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Count one frame, shape (height, width, 3); larger ones are thinned out as LeRobot does."""
        height, width = rgb.shape[:2]
        if max(height, width) >= 300:
            step = max(1, int((width if width > height else height) / 150))
            rgb = rgb[::step, ::step]
        for channel in range(3):
            self._bins[channel] += np.bincount(rgb[..., channel].ravel(), minlength=256)
        self._frames += 1

    def result(self) -> Stats:
        """The statistics, arrays of shape (3, 1, 1); `count` is the number of frames.

        Raises:
            ValueError: No frame was added.
        """
        if self._frames == 0:
            raise ValueError("statistics of no frame were asked for")
        levels = np.arange(256) / 255.0
        pixels = self._bins.sum(axis=1)
        mean = self._bins @ levels / pixels
        variance = self._bins @ levels**2 / pixels - mean**2
        below = np.cumsum(self._bins, axis=1)
        present = self._bins > 0
        values = {
            "min": levels[present.argmax(axis=1)],
            "max": levels[255 - present[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0.0)),
        }
        for name, q in QUANTILES.items():
            values[name] = levels[(below >= q * pixels[:, None]).argmax(axis=1)]
        stats: Stats = {name: value.reshape(3, 1, 1) for name, value in values.items()}
        stats["count"] = np.array([self._frames], np.int64)
        return stats


def sample_count(rows: int) -> int:
    """How many frames of an episode to look at: rows**0.75, from 100 to 10000, at most all (LeRobot's)."""
    return max(min(100, rows), min(int(rows**0.75), 10_000))


def aggregate(parts: Sequence[Stats]) -> Stats:
    """Statistics of the union of samples; quantiles are means weighted by count, as in LeRobot.

    Args:
        parts: At least one, all of one feature.
    """
    means = np.stack([part["mean"] for part in parts])
    counts = np.stack([part["count"] for part in parts])
    total = counts.sum(axis=0)
    weights = counts.reshape(counts.shape + (1,) * (means.ndim - counts.ndim))
    mean = (means * weights).sum(axis=0) / total
    spread = np.stack([np.square(part["std"]) for part in parts]) + np.square(means - mean)
    merged: Stats = {
        "min": np.stack([part["min"] for part in parts]).min(axis=0),
        "max": np.stack([part["max"] for part in parts]).max(axis=0),
        "mean": mean,
        "std": np.sqrt((spread * weights).sum(axis=0) / total),
        "count": total,
    }
    for name in QUANTILES:
        merged[name] = (np.stack([part[name] for part in parts]) * weights).sum(axis=0) / total
    return merged


def aggregate_features(episodes: Iterable[dict[str, Stats]]) -> dict[str, Stats]:
    """`aggregate` for each feature, in the order of the first episode."""
    gathered: dict[str, list[Stats]] = {}
    for features in episodes:
        for feature, stats in features.items():
            gathered.setdefault(feature, []).append(stats)
    return {feature: aggregate(parts) for feature, parts in gathered.items()}


def to_json(stats: Stats) -> dict[str, list[Any]]:
    """Lists for JSON and Parquet."""
    return {name: stats[name].tolist() for name in STATISTICS}


def from_json(stats: Mapping[str, list[Any]]) -> Stats:
    """Inverse of `to_json`."""
    return {name: np.asarray(value) for name, value in stats.items()}
