"""Real-time chunking: the weights of the reference, and guidance on a flow that is known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.autonomy.rtc import guided_chunk, make_prefix, prefix_weights
from teleop_app.core.policy import Prefix

HORIZON, CHANNELS = 12, 2
SPREAD = 0.2


class MixtureFlow:
    """The exact flow from unit noise to a mixture of Gaussians around whole chunks."""

    def __init__(self, means: np.ndarray) -> None:
        self.means = means  # (modes, H, K)

    def __call__(self, actions: np.ndarray, time: float) -> np.ndarray:
        variance = (1.0 - time) ** 2 + (time * SPREAD) ** 2
        off = actions[:, None] - time * self.means[None]  # (B, modes, H, K)
        log = -np.sum(off**2, axis=(2, 3)) / (2.0 * variance)
        share = np.exp(log - log.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        ends = self.means[None] + (time * SPREAD**2 / variance) * off
        starts = (1.0 - time) / variance * off
        return np.einsum("bm,bmhk->bhk", share, ends - starts)


def two_ways() -> MixtureFlow:
    """Round an obstacle to the left or to the right."""
    bend = np.sin(np.linspace(0.0, math.pi, HORIZON))
    way = np.stack([bend, np.linspace(0.0, 1.0, HORIZON)], axis=1)
    return MixtureFlow(np.stack([way, way * [-1.0, 1.0]]))


def draw(flow: MixtureFlow, seed: int, prefix: Prefix | None = None) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(HORIZON, CHANNELS))
    return guided_chunk(flow, noise, prefix, steps=20)


def test_the_weights_are_those_of_the_paper() -> None:
    horizon, frozen, executed = 16, 3, 5
    weights = prefix_weights(horizon, frozen, horizon - executed)
    for i in range(horizon):
        c = (horizon - executed - i) / (horizon - executed - frozen + 1)
        soft = c * (math.exp(c) - 1.0) / (math.e - 1.0)
        wanted = 1.0 if i < frozen else soft if i < horizon - executed else 0.0
        assert weights[i] == pytest.approx(wanted)


@given(st.integers(1, 64), st.integers(-2, 80), st.integers(-2, 80))
def test_weights_fall_from_one_to_nought(horizon: int, frozen: int, overlap: int) -> None:
    weights = prefix_weights(horizon, frozen, overlap)
    assert weights.shape == (horizon,) and np.all(np.diff(weights) <= 1e-12)
    assert np.all((weights >= 0.0) & (weights <= 1.0))
    assert np.all(weights[: max(0, min(frozen, overlap, horizon))] == 1.0)
    assert np.all(weights[max(0, min(overlap, horizon)) :] == 0.0)


def test_the_prefix_is_what_is_left_and_never_more_frozen_than_that() -> None:
    leftover = np.arange(10.0).reshape(5, 2)
    prefix = make_prefix(leftover, HORIZON, 9)
    assert prefix is not None and prefix.frozen == 5 and prefix.weights.shape == (HORIZON,)
    assert np.array_equal(prefix.actions, leftover)
    assert make_prefix(leftover[:0], HORIZON, 2) is None
    longer = make_prefix(np.zeros((20, 2)), HORIZON, 2)
    assert longer is not None and len(longer.actions) == HORIZON


def test_without_a_prefix_both_ways_are_drawn() -> None:
    flow = two_ways()
    drawn = [draw(flow, seed) for seed in range(30)]
    sides = {float(np.sign(chunk[HORIZON // 2, 0])) for chunk in drawn}
    assert sides == {1.0, -1.0}
    nearest = [min(np.abs(chunk - mean).max() for mean in flow.means) for chunk in drawn]
    assert np.median(nearest) < 0.6


def test_a_guided_chunk_repeats_what_is_frozen_and_keeps_to_its_side() -> None:
    flow = two_ways()
    strays: dict[str, list[float]] = {"guided": [], "free": []}
    same_side = {"guided": 0, "free": 0}
    for seed in range(30):
        old = flow.means[seed % 2]
        drawn = {"guided": draw(flow, seed, make_prefix(old[:8], HORIZON, 4)), "free": draw(flow, seed)}
        for kind, chunk in drawn.items():
            strays[kind].append(float(np.abs(chunk[:4] - old[:4]).max()))
            same_side[kind] += int(chunk[-3, 0] * old[-3, 0] > 0.0)
    assert same_side["guided"] >= 27 > 20 >= same_side["free"]
    assert np.median(strays["guided"]) < 0.2 < 0.4 < np.median(strays["free"])


def test_a_pullback_of_the_policy_replaces_differences() -> None:
    flow = two_ways()

    def pullback(actions: np.ndarray, time: float, cotangent: np.ndarray) -> np.ndarray:
        step = 1e-6
        out = np.zeros_like(actions)
        for index in np.ndindex(actions.shape):
            nudge = np.zeros_like(actions)
            nudge[index] = step
            slope = (flow((actions + nudge)[None], time) - flow((actions - nudge)[None], time))[0] / (
                2 * step
            )
            out[index] = float(np.sum(slope * cotangent))
        return out

    prefix = make_prefix(flow.means[0][:8], HORIZON, 4)
    noise = np.random.default_rng(3).normal(size=(HORIZON, CHANNELS))
    exact = guided_chunk(flow, noise, prefix, pullback=pullback)
    assert np.abs(exact - guided_chunk(flow, noise, prefix)).max() < 1e-3
