"""Cuts of rollouts for the methods that learn from corrections; docs/export-lerobot.md describes each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recorders.exporters.authority_rows import (
    DEMO,
    INTERVENTION,
    POLICY,
    RowAuthority,
    runs,
)

PRESETS: dict[str, str] = {
    "hg-dagger": "demonstrations, and of rollouts what a person drove alone",
    "iwr": "everything, with sample_weight: corrections weigh as much as all the rest",
    "sirius": "everything, with sample_weight by class: corrections half, shortly before a takeover nothing",
    "rac": "demonstrations, and of rollouts recovery and correction, each an episode that ends there",
    "recap": "everything, failures too, with outcome, version and intervention_forced_positive",
}
"""By name."""
WEIGHTED = ("iwr", "sirius")
"""Presets with a `sample_weight`, which depends on all episodes together."""
_CUTTING = ("hg-dagger", "rac")
Span = tuple[int, int]
"""First row, and the row behind the last."""


def cuts(preset: str) -> bool:
    """Whether a preset leaves frames of an episode out."""
    return preset in _CUTTING


def kept_spans(preset: str, authority: RowAuthority) -> list[Span]:
    """Which rows of an episode a preset keeps; each stretch becomes an episode of the dataset.

    Args:
        preset: One that cuts.
        authority: Of all rows.
    """
    if not authority.is_trial:
        return [(0, len(authority.actor))]
    if preset == "hg-dagger":
        return runs(np.array([actor == "human" for actor in authority.actor], np.bool_))
    return runs(np.array([phase in ("recover", "correct") for phase in authority.phase], np.bool_))


def class_weights(preset: str, counts: Mapping[str, int]) -> dict[str, float]:
    """Weight of a sample of each class; over all samples the mean is 1.

    IWR (Mandlekar et al., arXiv 2012.06733) draws interventions and all else equally often. Sirius (Liu et
    al., arXiv 2211.08416) gives class c the weight P*(c) / P(c), where P is its share of the samples:
    P*(intervention) = 1/2, P*(pre-intervention) = 0, P*(demo) = P(demo), and the policy's own samples get
    what is left. A class without samples leaves its share to the others.

    Args:
        preset: One of `WEIGHTED`.
        counts: Samples by class.
    """
    total = sum(counts.values())
    share = {name: count / total for name, count in counts.items() if count}
    corrected = 0.5 if INTERVENTION in share and len(share) > 1 else float(INTERVENTION in share)
    if preset == "iwr":
        rest = 1.0 - share.get(INTERVENTION, 0.0)
        wanted = {
            name: part / rest * (1.0 - corrected) for name, part in share.items() if name != INTERVENTION
        }
        wanted[INTERVENTION] = corrected
    else:
        wanted = _sirius(share, corrected)
    return {name: wanted.get(name, 0.0) / part for name, part in share.items()}


def _sirius(share: Mapping[str, float], corrected: float) -> dict[str, float]:
    if DEMO not in share and POLICY not in share:  # nothing else to learn from
        return dict(share) if INTERVENTION not in share else {INTERVENTION: 1.0}
    rest = 1.0 - corrected
    demo = min(share.get(DEMO, 0.0), rest) if POLICY in share else rest
    return {INTERVENTION: corrected, DEMO: demo, POLICY: rest - demo}
