"""Real-time chunking (arXiv 2506.07339): the next chunk continues the one that is being executed.

While the next chunk of H actions is computed, the first d of it will have been executed by the old one: they
are frozen. The rest of the overlap is followed softly, by weights that fall to 0, and what is beyond is free.
A policy that decodes by flow matching fills in the rest as an inpainting: each denoising step is guided
towards the old actions by the gradient of the weighted error of the chunk that it leads to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from teleop_app.core.geometry import Array
from teleop_app.core.policy import Prefix

MAX_GUIDANCE: Final = 5.0
"""Beta of the paper: clips the guidance at the first steps, where its factor has no bound."""
FLOW_STEPS: Final = 5
_DIFFERENCE: Final = 1e-4

Velocity = Callable[[Array, float], Array]
"""`velocity(actions, time)`: of the flow at B chunks, shape (B, H, K); time 0 is noise, 1 the chunk."""
Pullback = Callable[[Array, float, Array], Array]
"""`pullback(actions, time, cotangent)`: cotangent times the velocity's Jacobian; all of shape (H, K)."""


def prefix_weights(horizon: int, frozen: int, overlap: int) -> Array:
    """How firmly each action of the new chunk is held to the old one, shape (horizon,).

    1 for i < d; c (e^c - 1) / (e - 1) with c = (H - s - i) / (H - s - d + 1) for d <= i < H - s; then 0.

    Args:
        horizon: Actions of a chunk (H).
        frozen: Actions that are executed before the new chunk can take over (d).
        overlap: Actions of the old chunk that are left (H - s).
    """
    overlap = min(max(overlap, 0), horizon)
    frozen = min(max(frozen, 0), overlap)
    index = np.arange(horizon)
    c = np.clip((overlap - index) / (overlap - frozen + 1), 0.0, 1.0)
    weights = c * np.expm1(c) / (math.e - 1.0)
    weights[:frozen] = 1.0
    weights[overlap:] = 0.0
    return weights


def make_prefix(leftover: Array, horizon: int, delay_steps: int) -> Prefix | None:
    """The prefix for the next request; None when nothing is left to continue.

    Args:
        leftover: What is left of the running chunk from the observation on, in the policy's space, (n, K).
        horizon: Actions of the new chunk (H).
        delay_steps: Expected steps from the observation to the answer.
    """
    leftover = leftover[:horizon]
    if len(leftover) == 0:
        return None
    frozen = min(delay_steps, len(leftover))
    return Prefix(leftover, frozen, prefix_weights(horizon, frozen, len(leftover)))


def guided_chunk(
    velocity: Velocity,
    noise: Array,
    prefix: Prefix | None = None,
    *,
    steps: int = FLOW_STEPS,
    max_guidance: float = MAX_GUIDANCE,
    pullback: Pullback | None = None,
) -> Array:
    """A chunk drawn from a flow, continuing `prefix`: pseudo-inverse guidance, in `steps` Euler steps.

    Args:
        velocity: Of the flow.
        noise: Where it starts, shape (H, K).
        prefix: Old actions and their weights; None draws freely.
        steps: Of the integration.
        max_guidance: Bound of the guidance's factor (beta).
        pullback: Of the velocity, where the policy has one; else finite differences (2 H K evaluations at
            once), which only small policies can afford.

    Returns:
        Shape (H, K).
    """
    chunk = np.array(noise, dtype=np.float64)
    target, weights = _padded(prefix, chunk.shape)
    for step in range(steps):
        time = step / steps
        flow = velocity(chunk[None], time)[0]
        if weights is not None:
            flow = flow + _guidance(
                velocity, pullback, chunk, flow, time, weights[:, None] * target, weights, max_guidance
            )
        chunk = chunk + flow / steps
    return chunk


def _padded(prefix: Prefix | None, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
    target = np.zeros(shape)
    if prefix is None:
        return target, None
    length = min(len(prefix.actions), shape[0])
    target[:length] = prefix.actions[:length]
    weights = np.where(np.arange(shape[0]) < length, prefix.weights[: shape[0]], 0.0)
    return target, weights


def _guidance(
    velocity: Velocity,
    pullback: Pullback | None,
    chunk: Array,
    flow: Array,
    time: float,
    weighted_target: Array,
    weights: Array,
    max_guidance: float,
) -> Array:
    """Equations 2 to 4 of the paper, for one chunk."""
    remaining = 1.0 - time
    final = chunk + remaining * flow
    error = weighted_target - weights[:, None] * final
    # The Jacobian of the final chunk is 1 + (1 - time) dv/dA: its product with the error.
    through = pullback(chunk, time, error) if pullback else _by_differences(velocity, chunk, time, error)
    gradient = error + remaining * through
    spread = remaining**2 / (time**2 + remaining**2)
    factor = max_guidance if time == 0.0 else min(max_guidance, remaining / (time * spread))
    return factor * gradient


def _by_differences(velocity: Velocity, chunk: Array, time: float, cotangent: Array) -> Array:
    size = chunk.size
    nudges = _DIFFERENCE * np.eye(size).reshape(size, *chunk.shape)
    ahead, behind = np.split(velocity(np.concatenate([chunk + nudges, chunk - nudges]), time), 2)
    slopes = (ahead - behind).reshape(size, size) / (2.0 * _DIFFERENCE)
    return (slopes @ cotangent.reshape(size)).reshape(chunk.shape)
