"""Statistics of a training: physical to normalised and back."""

from __future__ import annotations

import numpy as np
import pytest

from teleop_app.autonomy.normalise import Normaliser
from teleop_app.autonomy.policy_sections import Statistics

RANGES = {"quantiles": ([-2.0, 0.0], [2.0, 4.0]), "min_max": ([-2.0, 0.0], [2.0, 4.0])}
KINDS = RANGES | {"mean_std": ([0.0, 2.0], [2.0, 2.0])}


@pytest.mark.parametrize(("kind", "low", "high"), [(kind, *numbers) for kind, numbers in KINDS.items()])
def test_the_edges_of_the_range_are_one(kind: str, low: list[float], high: list[float]) -> None:
    made = Normaliser(Statistics.model_validate({"kind": kind, "low": low, "high": high}))
    physical = np.array([[-2.0, 0.0], [0.0, 2.0], [2.0, 4.0]])
    normalised = np.array([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(made.apply(physical), normalised)
    np.testing.assert_allclose(made.undo(normalised), physical)


@pytest.mark.parametrize(("kind", "edge"), [("quantiles", 2.0), ("min_max", 6.0), ("mean_std", 4.0)])
def test_only_quantiles_are_clipped(kind: str, edge: float) -> None:
    made = Normaliser(Statistics.model_validate({"kind": kind, "low": [-2.0], "high": [2.0]}))
    assert made.undo(np.array([3.0])).tolist() == [edge]


@pytest.mark.parametrize("spread", [0.0, 1e-12])
@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_that_never_varied_stays_what_it_was(kind: str, spread: float) -> None:
    low = [0.7, -1.0]
    high = [spread, 1.0] if kind == "mean_std" else [low[0] + spread, 1.0]
    made = Normaliser(Statistics.model_validate({"kind": kind, "low": low, "high": high}))
    said = np.array([[-1.0, 0.5], [0.0, 0.5], [1e6, 0.5]])
    np.testing.assert_allclose(made.undo(said)[:, 0], 0.7, rtol=1e-9)
    seen = made.apply(np.array([[0.7, 0.0], [0.6, 0.0], [-40.0, 0.0]]))
    assert seen[:, 0].tolist() == [0.0, 0.0, 0.0]
    assert made.undo(said)[:, 1].tolist() == pytest.approx([-0.5 if kind == "mean_std" else 0.5] * 3)
