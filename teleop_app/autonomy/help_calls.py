"""When a policy asks for help: it is unsure, makes no progress, or sees what it was not trained on.

Each sign becomes a score that asks at 1. A gate above them is tuned to the calls that the operator has time
for (ThriftyDAgger's intervention budget, arXiv 2109.08273): every call raises it, every quiet second lowers
it, so that in the long run there are no more calls than that.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.geometry import Array

STALL_S: Final = 6.0
"""Without motion for so long while it drives, a policy makes no progress: grasps take about one second."""
_MOVED_RAD: Final = 0.03
_KNOWN: Final = 30
"""Uncertainties of a policy have no scale of their own: it takes so many answers to know what is usual."""
_REMEMBERED: Final = 600
_USUAL: Final = (0.8, 0.995)
_REARM: Final = 0.7
_REFRACTORY_S: Final = 10.0
_PUSH: Final = 0.4
_MAX_GATE: Final = 20.0


class HelpKind(StrEnum):
    """Why it asks."""

    UNCERTAIN = "uncertain"
    STALLED = "stalled"
    UNFAMILIAR = "unfamiliar"


class StallMeter:
    """For how long the robot has stayed about where it is while the policy drove.

    Args:
        moved: Farther than this from where the meter was started is progress, of any joint [rad] or gripper.
    """

    def __init__(self, moved: float = _MOVED_RAD) -> None:
        self._moved = moved
        self._anchor: Array | None = None
        self._since_ns = 0
        self.stalled_s = 0.0

    def see(self, now_ns: int, measured: Array, *, driving: bool) -> None:
        """A control tick: the measured joint vector, shape (n,), and whether the policy drives."""
        anchor = self._anchor
        if not driving:
            self._anchor, self.stalled_s = None, 0.0
        elif anchor is None or float(np.abs(measured - anchor).max()) > self._moved:
            self._anchor, self._since_ns, self.stalled_s = measured.copy(), now_ns, 0.0
        else:
            self.stalled_s = (now_ns - self._since_ns) / NS_PER_S


@dataclass(frozen=True, slots=True)
class HelpCall:
    """A call for help.

    Attributes:
        kind: The strongest sign.
        score: Of it; at least 1.
    """

    kind: HelpKind
    score: float

    @property
    def sentence(self) -> str:
        """For the operator."""
        return {
            HelpKind.UNCERTAIN: "The policy is unsure of what to do next.",
            HelpKind.STALLED: "The policy makes no progress.",
            HelpKind.UNFAMILIAR: "The policy sees something that it was not trained on.",
        }[self.kind]


class HelpCalls:
    """Decides when to call. One thread.

    A call is made once: the score must fall below 0.7 before the next, and ten seconds must pass.

    Args:
        per_minute: Calls that the operator has time for; 0 never calls.
    """

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._uncertainties: deque[float] = deque(maxlen=_REMEMBERED)
        self._answers: deque[int] = deque(maxlen=_REMEMBERED)
        self._usual = math.nan
        self._uncertainty = self._novelty = math.nan
        self._log_gate = 0.0
        self._armed = True
        self._quiet_until_ns = 0
        self._last_ns = 0
        self.score = math.nan

    def forget(self) -> None:
        """The policy's last answer is of the past: it was reset, or the robot was moved by others."""
        self._uncertainty = self._novelty = math.nan

    def answered(self, now_ns: int, uncertainty: float, novelty: float) -> None:
        """An answer of the policy; NaN where a sign is not known."""
        self._uncertainty, self._novelty = uncertainty, novelty
        self._answers.append(now_ns)
        if math.isfinite(uncertainty):
            self._uncertainties.append(uncertainty)
        if len(self._uncertainties) >= _KNOWN:
            self._usual = float(np.quantile(np.array(self._uncertainties), self._level()))

    def judge(self, now_ns: int, stalled_s: float, *, driving: bool) -> HelpCall | None:
        """The call to make now, None for none. Several times a second.

        Args:
            now_ns: Host time.
            stalled_s: From a `StallMeter`.
            driving: The policy drives; else nothing is judged, and the operator's time is not counted.
        """
        passed_s = min((now_ns - self._last_ns) / NS_PER_S, 1.0) if self._last_ns else 0.0
        self._last_ns = now_ns
        if not driving:
            self.score = math.nan
            return None
        signs = self._signs(stalled_s)
        kind = max(signs, key=lambda each: signs[each])
        self._log_gate = max(0.0, self._log_gate - _PUSH * self._per_minute * passed_s / 60.0)
        self.score = signs[kind] / math.exp(self._log_gate)
        if self.score < _REARM:
            self._armed = True
        if self.score < 1.0 or not self._armed or self._per_minute <= 0.0 or now_ns < self._quiet_until_ns:
            return None
        self._armed = False
        self._quiet_until_ns = now_ns + round(_REFRACTORY_S * NS_PER_S)
        self._log_gate = min(self._log_gate + _PUSH, math.log(_MAX_GATE))
        return HelpCall(kind, self.score)

    def _signs(self, stalled_s: float) -> dict[HelpKind, float]:
        unsure = self._uncertainty / self._usual if self._usual > 0.0 else 0.0
        return {
            HelpKind.UNCERTAIN: unsure if math.isfinite(unsure) else 0.0,
            HelpKind.STALLED: stalled_s / STALL_S,
            HelpKind.UNFAMILIAR: self._novelty if math.isfinite(self._novelty) else 0.0,
        }

    def _level(self) -> float:
        """Share of usual answers: as many others come a minute as there may be calls."""
        span_s = (self._answers[-1] - self._answers[0]) / NS_PER_S
        if span_s <= 0.0:
            return _USUAL[1]
        a_minute = (len(self._answers) - 1) / span_s * 60.0
        return float(np.clip(1.0 - self._per_minute / a_minute, *_USUAL))
