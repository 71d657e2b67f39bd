"""A policy whose flow is known in closed form: two ways to go, and chunks that do not agree with each other.

The left arm sweeps its waist to and fro; on the way its shoulder goes round something, above or below. Each
chunk is drawn from a mixture of two Gaussian processes around these ways, weighed by which of them the arm is
on. So consecutive chunks differ as those of learned flow policies do: by a smooth offset always, by the way
taken while the ways are still close.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.autonomy.rtc import guided_chunk
from teleop_app.core.geometry import Array
from teleop_app.core.policy import PolicyAnswer, PolicyFacts, PolicyRequest, Prefix

HORIZON: Final = 16
RATE_HZ: Final = 20.0
_FLOW_STEPS: Final = 10
_MOVED: Final = (0, 1)
_CENTRE: Final = np.array([0.0, -1.05])
_REACH_RAD: Final = 0.35
SPEED_RAD_S: Final = 0.25
_BEND_RAD: Final = 0.12
_COMMITTED_RAD: Final = 0.05
"""Nearer than this, both ways are about as likely."""
_UNIT_RAD: Final = 0.15
_OFFSET: Final = 0.12
_SMOOTH_STEPS: Final = 6.0


def ways(waist: Array) -> Array:
    """Shoulder angles [rad] of the two ways at these waist angles, shape (2, ...)."""
    bump = np.cos(0.5 * np.pi * np.clip(waist / _REACH_RAD, -1.0, 1.0)) ** 2
    return _CENTRE[1] + _BEND_RAD * np.stack([bump, -bump])


def away_from_ways(joints: Array) -> Array:
    """Distance [rad] of the shoulder from the nearer way; rows of joints of the left arm, (n, >= 2)."""
    return np.abs(ways(joints[:, 0]) - joints[:, 1]).min(axis=0)


class FlowPolicy:
    """See the module. It offers real-time chunking.

    Args:
        seed: Of what it draws.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._forward = 1.0
        index = np.arange(HORIZON)
        kernel = np.exp(-0.5 * ((index[:, None] - index) / _SMOOTH_STEPS) ** 2)
        sizes, self._axes = np.linalg.eigh(kernel)
        self._variance = np.maximum(_OFFSET**2 * sizes, 1e-4)[:, None]

    def open(self) -> PolicyFacts:
        """It is there."""
        return PolicyFacts(
            "flow", "1", horizon=HORIZON, action_dim=7, rate_hz=RATE_HZ, prefix=True, samples=False
        )

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Draw a chunk, continuing the prefix if there is one."""
        state = np.asarray(request.observation["state"], dtype=np.float64)
        means = self._means(state)
        origin = np.array([state[0], _CENTRE[1]])

        def velocity(actions: Array, time: float) -> Array:
            return self._velocity(actions, time, (means - origin) / _UNIT_RAD, self._shares(state))

        prefix = request.prefix
        if prefix is not None:
            actions = (prefix.actions[:, _MOVED] - origin) / _UNIT_RAD
            prefix = Prefix(actions, prefix.frozen, prefix.weights)
        noise = self._rng.normal(size=(HORIZON, len(_MOVED)))
        drawn = guided_chunk(velocity, noise, prefix, steps=_FLOW_STEPS)
        chunk = np.tile(state, (HORIZON, 1))
        chunk[:, _MOVED] = origin + _UNIT_RAD * drawn
        return PolicyAnswer(chunk)

    def reset(self) -> None:
        """It remembers nothing but its direction."""

    def close(self) -> None:
        """Nothing is open."""

    def _means(self, state: Array) -> Array:
        """The two ways from here on, shape (2, H, 2)."""
        if abs(state[0]) > 0.95 * _REACH_RAD:
            self._forward = -np.sign(state[0])
        waist = state[0] + self._forward * SPEED_RAD_S / RATE_HZ * np.arange(HORIZON)
        return np.stack([np.stack([waist, shoulder], axis=1) for shoulder in ways(waist)])

    def _shares(self, state: Array) -> Array:
        """How likely each way is: the one that the arm is on."""
        off = (ways(state[:1])[:, 0] - state[1]) / _COMMITTED_RAD
        share = np.exp(-0.5 * (off**2 - (off**2).min()))
        return share / share.sum()

    def _velocity(self, actions: Array, time: float, means: Array, shares: Array) -> Array:
        """Of the flow from unit noise to the mixture; `actions` (B, H, 2), in its units."""
        spread = (1.0 - time) ** 2 + time**2 * self._variance
        off = np.einsum("hi,bmhk->bmik", self._axes, actions[:, None] - time * means[None])
        log = np.log(shares) - 0.5 * np.sum(off**2 / spread, axis=(2, 3))
        weight = np.exp(log - log.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        pulled = off * (time * self._variance - (1.0 - time)) / spread
        moved = means[None] + np.einsum("hi,bmik->bmhk", self._axes, pulled)
        return np.einsum("bm,bmhk->bhk", weight, moved)
