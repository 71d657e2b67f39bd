"""The supervisor's hold on the followers: what they report, and the only place that commands them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from teleop_app.core.clock import Clock
from teleop_app.core.config import SafetySection
from teleop_app.core.errors import DeviceError
from teleop_app.core.geometry import Array
from teleop_app.safety.contract import CommandedFollower, FollowerReading
from teleop_app.safety.plausible import is_plausible
from teleop_app.safety.watchdog import FollowerWatchdog

logger = logging.getLogger(__name__)


class FollowerLink:
    """Reads and commands all followers of a cell. For the supervisor alone.

    Attributes:
        measured: Position, velocity and effort of the joint vector, shape (3, n); NaN before the first.
        measured_ns: Capture time of its oldest part, 0 before the first.
        refusal: A sentence when the last command did not get through, else empty.

    Raises:
        DeviceError: The followers do not cover the joint vector.
    """

    def __init__(
        self, followers: Sequence[CommandedFollower], size: int, safety: SafetySection, clock: Clock
    ) -> None:
        self._followers = list(followers)
        self._clock = clock
        self._watchdog = FollowerWatchdog(safety)
        ends = np.cumsum([len(follower.joint_names) for follower in followers])
        if not len(ends) or ends[-1] != size:
            names = ", ".join(name for follower in followers for name in follower.joint_names)
            raise DeviceError(
                f"The followers do not fit the cell's {size} joint values", why=f"they report: {names}"
            )
        self._slices = [
            slice(int(end) - len(follower.joint_names), int(end))
            for end, follower in zip(ends, followers, strict=True)
        ]
        self.measured = np.full((3, size), np.nan)
        self.measured_ns = 0
        self.refusal = ""

    def read(self, now_ns: int) -> str:
        """Take the newest states; returns a sentence if one is absent, stale or not finite, else empty."""
        complaints: list[str] = []
        stamps: list[int] = []
        for follower, at in zip(self._followers, self._slices, strict=True):
            name = follower.joint_names[0].partition("/")[0]
            try:
                state = follower.read()
            except DeviceError as error:
                complaints.append(error.sentence)
                continue
            complaint = self._watchdog.complaint(name, state.capture_ns if state else None, now_ns)
            if not complaint and state is not None and not _is_finite(state):
                complaint = f"Follower '{name}' reports a position that is not finite."
            if complaint:
                complaints.append(complaint)
            if state is not None:
                self.measured[0, at] = state.position
                self.measured[1, at] = state.velocity
                self.measured[2, at] = state.effort
                stamps.append(state.capture_ns)
        if len(stamps) == len(self._followers):
            self.measured_ns = min(stamps)
        return " ".join(complaints)

    def send(self, target: Array) -> int:
        """Command every follower; returns when, 0 when the command was withheld."""
        self.refusal = ""
        if not np.isfinite(target).all():
            # Cannot happen while the supervisor's checks hold; no device must learn it if one does not.
            self.refusal = "A command that is not finite was withheld; the robot holds its last one."
            logger.error("%s", self.refusal)
            return 0
        sent_ns = self._clock.now_ns()
        for follower, at in zip(self._followers, self._slices, strict=True):
            try:
                follower.send(target[at])
            except DeviceError as error:
                self.refusal = error.sentence
        return sent_ns


def _is_finite(state: FollowerReading) -> bool:
    return is_plausible(state.position)
