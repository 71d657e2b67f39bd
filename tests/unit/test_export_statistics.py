"""Feature statistics of episodes and datasets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.exporters.statistics import (
    STATISTICS,
    ImageStats,
    aggregate,
    aggregate_features,
    column_stats,
    from_json,
    sample_count,
    to_json,
)


def test_a_table_column():
    values = np.arange(100, dtype=np.float32)[:, None] * np.array([1, -1], np.float32)
    stats = column_stats(values)
    assert tuple(stats) == STATISTICS
    assert stats["min"].tolist() == [0, -99]
    assert stats["max"].tolist() == [99, 0]
    assert stats["mean"].tolist() == [49.5, -49.5]
    assert stats["count"].tolist() == [100]
    assert stats["q01"].tolist() == [0, -99]
    assert stats["q50"].tolist() == [49, -50]
    assert stats["q99"].tolist() == [98, -1]
    assert stats["std"] == pytest.approx(values.std(axis=0))


def test_scalars_and_truth_values_keep_lerobots_types():
    stats = column_stats(np.array([False, True, True, True]))
    assert (stats["min"].tolist(), stats["max"].tolist()) == ([False], [True])
    assert stats["mean"].tolist() == [0.75]
    counted = column_stats(np.arange(3))
    assert counted["max"].dtype == np.int64
    assert counted["mean"].shape == (1,)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_mean_and_spread_of_parts_are_those_of_the_whole(lengths, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.uniform(-5, 5), 2, (n, 3)) for n in lengths]
    merged, whole = aggregate([column_stats(part) for part in parts]), column_stats(np.concatenate(parts))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(merged[name], whole[name], rtol=1e-9, atol=1e-9)


def test_quantiles_of_parts_are_weighted_by_count():
    merged = aggregate([column_stats(np.zeros((30, 1))), column_stats(np.ones((10, 1)))])
    assert merged["q50"].tolist() == [0.25]


def test_images_are_counted_by_channel_in_0_to_1():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)
    stats = ImageStats()
    for frame in frames:
        stats.add(frame)
    result = stats.result()
    flat = frames.reshape(-1, 3) / 255.0
    assert result["count"].tolist() == [4]
    assert all(result[name].shape == (3, 1, 1) for name in STATISTICS if name != "count")
    np.testing.assert_allclose(result["mean"].ravel(), flat.mean(axis=0))
    np.testing.assert_allclose(result["std"].ravel(), flat.std(axis=0), atol=1e-9)
    np.testing.assert_allclose(result["min"].ravel(), flat.min(axis=0))
    for q, name in ((0.01, "q01"), (0.5, "q50"), (0.99, "q99")):
        expected = np.quantile(flat, q, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(result[name].ravel(), expected)


def test_large_images_are_thinned_out():
    stats = ImageStats()
    image = np.zeros((480, 640, 3), np.uint8)
    image[::4, ::4] = 255  # exactly the pixels that a step of 4 keeps
    stats.add(image)
    assert stats.result()["min"].ravel().tolist() == [1.0, 1.0, 1.0]


def test_images_and_tables_are_aggregated_alike():
    first, second = ImageStats(), ImageStats()
    first.add(np.zeros((8, 8, 3), np.uint8))
    second.add(np.full((8, 8, 3), 255, np.uint8))
    merged = aggregate([first.result(), second.result()])
    assert merged["mean"].ravel().tolist() == [0.5, 0.5, 0.5]
    assert merged["std"].ravel().tolist() == [0.5, 0.5, 0.5]


def test_statistics_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no frame"):
        ImageStats().result()


def test_json_and_back():
    stats = column_stats(np.arange(12.0).reshape(4, 3))
    assert to_json(from_json(to_json(stats))) == to_json(stats)


def test_features_are_aggregated_one_by_one():
    one, two = column_stats(np.zeros((2, 1))), column_stats(np.ones((2, 1)))
    merged = aggregate_features([{"a": one, "b": one}, {"a": two, "b": one}])
    assert merged["a"]["mean"].tolist() == [0.5]
    assert merged["b"]["mean"].tolist() == [0.0]


@pytest.mark.parametrize(("rows", "count"), [(1, 1), (99, 99), (100, 100), (300, 100), (1000, 177)])
def test_sampled_frames_are_as_many_as_lerobot_takes(rows, count):
    assert sample_count(rows) == count
