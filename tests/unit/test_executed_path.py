"""The path of the robot: spaced, bounded, without rest, forgotten backwards."""

from __future__ import annotations

import numpy as np
import pytest

from teleop_app.control.executed_path import KEPT_S, SPACING_S, ExecutedPath

TICK_NS = 5_000_000


def test_motion_is_kept_every_fourth_tick_and_rest_is_left_out():
    path = ExecutedPath(2)
    with pytest.raises(IndexError, match="the path is empty"):
        path.last()
    for k in range(41):
        path.record(np.array([0.01 * k, 0.0]), 10**9 + k * TICK_NS)
    assert path.seconds == pytest.approx(0.2)
    for k in range(41, 400):
        path.record(np.array([0.4, 0.0]), 10**9 + k * TICK_NS)
    assert path.seconds == pytest.approx(0.2)
    path.record(np.array([np.nan, 0.0]), 10**12)
    assert path.last()[0] == 0.4


def test_it_is_bounded_and_forgotten_backwards():
    path = ExecutedPath(1)
    for k in range(round(2 * KEPT_S / SPACING_S)):
        path.record(np.array([float(k)]), (k + 1) * round(SPACING_S * 1e9))
    newest = path.last()[0]
    assert path.seconds == pytest.approx(KEPT_S, abs=2 * SPACING_S)
    path.drop_last()
    assert path.last()[0] == newest - 1
    path.clear()
    path.drop_last()
    assert path.seconds == 0.0
