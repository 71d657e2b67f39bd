"""Who had the say at each row of a dataset, and which class of sample a row is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recorders.exporters.source import EpisodeSource
from recorders.resample import hold_index
from recorders.schema import AutonomyTrack, IntArray

DEMO, POLICY, PRE_INTERVENTION, INTERVENTION = "demo", "policy", "pre-intervention", "intervention"
CLASSES = (DEMO, POLICY, PRE_INTERVENTION, INTERVENTION)
"""A person's demonstration; the policy at work; shortly before a takeover; a person who has taken over."""
_WATCHING = frozenset({"manual", "paused"})
"""Authority modes in which a policy does not act."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RowAuthority:
    """Who had the say; all of shape (rows,).

    Attributes:
        tick_ns: Time of the control tick in force.
        actor: Who drove.
        present: A policy was in use.
        place: Where that tick is in `track`; only where `present`.
        track: The ticks with a policy in use.
        mode: Authority mode, empty where no policy was in use.
        phase: What went on.
        intervention: A person drove, alone or along, while a policy or script had been given the robot.
        is_trial: Of the whole episode: a policy might act in it.
    """

    tick_ns: IntArray
    actor: list[str]
    present: Flags
    place: IntArray
    track: AutonomyTrack
    mode: list[str]
    phase: list[str]
    intervention: Flags
    is_trial: bool


def row_authority(source: EpisodeSource, instant_ns: IntArray) -> RowAuthority | None:
    """Read off who had the say at the rows' instants; None without any control tick."""
    ticks, track = source.ticks(), source.autonomy()
    if not len(ticks.capture_ns):
        return None
    held = hold_index(ticks.capture_ns, instant_ns)
    tick_ns = ticks.capture_ns[held]
    actor = [ticks.actor[i] for i in held.tolist()]
    present, place = at_same_time(track.capture_ns, tick_ns)
    rows = list(zip(actor, present.tolist(), place.tolist(), strict=True))
    mode = [track.mode[at] if there else "" for _, there, at in rows]
    phase = [track.phase[at] if there else _phase_without(who) for who, there, at in rows]
    person = np.array([who in ("human", "blend") for who in actor], np.bool_)
    if len(track.capture_ns):
        given = np.array([name not in ("", "manual") for name in mode], np.bool_)
    else:
        given = np.full(len(actor), bool({"policy", "script"} & set(ticks.actor)))
    return RowAuthority(
        tick_ns=tick_ns,
        actor=actor,
        present=present,
        place=place,
        track=track,
        mode=mode,
        phase=phase,
        intervention=person & given,
        is_trial=bool(set(track.mode) - _WATCHING),
    )


def at_same_time(sample_ns: IntArray, at_ns: IntArray) -> tuple[Flags, IntArray]:
    """Whether a stream has a sample of exactly each time, and where."""
    if not len(sample_ns):
        return np.zeros(len(at_ns), np.bool_), np.zeros(len(at_ns), np.int64)
    place = np.minimum(np.searchsorted(sample_ns, at_ns), len(sample_ns) - 1)
    return sample_ns[place] == at_ns, place.astype(np.int64)


def _phase_without(actor: str) -> str:
    """The phase of a tick without a policy in use."""
    return "demonstrate" if actor in ("human", "script") else "idle"


def sample_classes(authority: RowAuthority, fps: int, window_s: float) -> list[str]:
    """Class of each row, one of `CLASSES`.

    Args:
        authority: Of the rows.
        fps: Rows a second.
        window_s: The policy's rows so long before a takeover are of the class before it [s].
    """
    if not authority.is_trial:
        return [DEMO] * len(authority.actor)
    found = [
        INTERVENTION if taken else DEMO if mode in ("", "manual") and actor == "human" else POLICY
        for taken, mode, actor in zip(
            authority.intervention.tolist(), authority.mode, authority.actor, strict=True
        )
    ]
    window = round(window_s * fps)
    for start in np.flatnonzero(np.diff(authority.intervention.astype(np.int8)) == 1).tolist():
        for row in range(start, max(-1, start - window), -1):
            if found[row] != POLICY:
                break
            found[row] = PRE_INTERVENTION
    return found


def runs(chosen: Flags) -> list[tuple[int, int]]:
    """Stretches of rows that are all chosen: first row, and the row behind the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
