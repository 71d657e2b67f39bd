"""Columns of shared autonomy: what the policy proposed, what the person asked, who had the say, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from recorders.exporters.authority_rows import RowAuthority, at_same_time
from recorders.exporters.source import EpisodeSource, Judgement
from recorders.resample import hold, to_seconds
from recorders.schema import Array, IntArray
from teleop_app.core.types import PolicyChunk

Values = np.ndarray | list[str]
"""Of shape (rows,) or (rows, n); a list for strings."""


def autonomy_columns(
    source: EpisodeSource, authority: RowAuthority, instant_ns: IntArray, action: Array, judgement: Judgement
) -> dict[str, tuple[tuple[str, ...] | None, Values]]:
    """Names of elements (None for a scalar) and values by feature; nothing is NaN.

    Where a number is not known it is one that does no harm (the action sent, or zero), and a column
    `..._valid` beside it is false.

    Args:
        source: The episode.
        authority: Of the rows.
        instant_ns: Of the rows.
        action: What was sent, shape (rows, n).
        judgement: What people said of the episode.
    """
    joints = source.header.joint_names
    proposal, proposed = _proposal(source, authority, action)
    human, asked = _human(source, authority, instant_ns, action)
    chunks = _chunks(source, authority)
    known = [chunk for chunk in chunks if chunk is not None]
    facts = source.footer.rollout if source.footer is not None else None
    told = (facts.policy, facts.version) if facts is not None else ("", "")
    names = [
        (chunk.policy, chunk.version) if chunk is not None else told if present else ("", "")
        for chunk, present in zip(chunks, authority.present.tolist(), strict=True)
    ]
    observed = np.array([chunk.observation_ns if chunk else 0 for chunk in chunks], np.int64)
    has_chunk = observed > 0 if known else np.zeros(len(chunks), np.bool_)
    age_s = np.where(has_chunk, to_seconds(instant_ns - observed), 0.0)
    labels = [judgement.takeovers.get(int(number), ("", "")) for number in _part(authority, "takeover", 0)]
    columns: dict[str, tuple[tuple[str, ...] | None, Values]] = {
        "action.policy": (joints, proposal),
        "autonomy.policy_valid": (None, proposed),
        "action.human": (joints, human),
        "autonomy.human_valid": (None, asked),
        "autonomy.mode": (None, authority.mode),
        "autonomy.phase": (None, authority.phase),
        "autonomy.takeover": (None, _part(authority, "takeover", 0).astype(np.int64)),
        "autonomy.takeover_reason": (None, [reason for reason, _ in labels]),
        "autonomy.takeover_outcome": (None, [outcome for _, outcome in labels]),
        "autonomy.alpha": (None, _part(authority, "alpha", 0.0)),
        "autonomy.policy": (None, [policy for policy, _ in names]),
        "autonomy.version": (None, [version for _, version in names]),
        "autonomy.chunk": (None, _part(authority, "chunk", 0).astype(np.int64)),
        "autonomy.index": (None, _part(authority, "index", -1.0)),
        "autonomy.observation_age_s": (None, age_s),
        "autonomy.latency_s": (None, np.array([c.latency_ns / 1e9 if c else 0.0 for c in chunks])),
        "autonomy.delay_steps": (None, np.array([c.delay_steps if c else 0 for c in chunks], np.int64)),
        "outcome": (None, [judgement.outcome] * len(chunks)),
    }
    for name in ("uncertainty", "novelty"):
        values = np.array([getattr(chunk, name) if chunk else math.nan for chunk in chunks])
        columns[f"autonomy.{name}"] = (None, np.nan_to_num(values))
        columns[f"autonomy.{name}_valid"] = (None, np.isfinite(values))
    return columns


def end_columns(rows: int, outcome: str, *, whole: bool) -> dict[str, Values]:
    """LeRobot's columns on how an episode ends; a part cut out of one that goes on is no success.

    Args:
        rows: Of the episode.
        outcome: Of it.
        whole: Its last row is the recording's.
    """
    last = np.arange(rows) == rows - 1
    success = last & (whole and outcome == "success")
    return {"next.done": last, "next.success": success, "next.reward": success.astype(np.float32)}


def _part(authority: RowAuthority, name: str, otherwise: float) -> np.ndarray:
    values = getattr(authority.track, name)
    if not len(values):
        return np.full(len(authority.actor), otherwise)
    return np.where(authority.present, values[authority.place], otherwise)


def _proposal(source: EpisodeSource, authority: RowAuthority, action: Array) -> tuple[Array, np.ndarray]:
    track = source.joints("policy")
    there, place = at_same_time(track.capture_ns, authority.tick_ns)
    values = action.copy()
    values[there] = track.position[place[there]]
    return values, there


def _human(
    source: EpisodeSource, authority: RowAuthority, instant_ns: IntArray, action: Array
) -> tuple[Array, np.ndarray]:
    """The leader's joints; else what was commanded while a person drove alone; else the action."""
    values = action.copy()
    commanded = source.joints("commanded")
    alone = np.array([actor == "human" for actor in authority.actor], np.bool_)
    if len(commanded.capture_ns):
        held = hold(commanded.capture_ns, commanded.position, instant_ns).value
        values[alone] = held[alone]
    else:
        alone[:] = False
    if not len(authority.track.capture_ns):
        return values, alone
    leader = authority.track.human[authority.place]
    led = authority.present[:, None] & np.isfinite(leader)
    values[led] = leader[led]
    return values, alone | led.any(axis=1)


def _chunks(source: EpisodeSource, authority: RowAuthority) -> list[PolicyChunk | None]:
    """The chunk that each row's proposal comes from; of several with a number the newest by then."""
    by_number: dict[int, list[PolicyChunk]] = {}
    if len(authority.track.capture_ns):
        for chunk in source.chunks():
            by_number.setdefault(chunk.chunk, []).append(chunk)
    numbers = _part(authority, "chunk", 0).astype(np.int64).tolist()
    return [_latest(by_number, number, at) for number, at in zip(numbers, authority.tick_ns, strict=True)]


def _latest(by_number: Mapping[int, list[PolicyChunk]], number: int, at_ns: int) -> PolicyChunk | None:
    made = [chunk for chunk in by_number.get(number, ()) if chunk.made_ns <= at_ns]
    return made[-1] if number and made else None
