"""What an input sample must pass before it may move an arm: order, deadman, edge, finite, jump.

One guard a source and arm. Rejected samples do not refresh the arm: they let it grow stale, so that a
single bad sample passes unnoticed and a run of them stops the robot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teleop_app.core.config import SafetySection
from teleop_app.core.geometry import Array, quat_angle
from teleop_app.core.types import ArmInput, InputSample, SafetyFlag
from teleop_app.safety.plausible import LARGEST, is_plausible, is_plausible_pose
from teleop_app.safety.watchdog import MAX_AHEAD_NS, Freshness, InputWatchdog

MAX_TURN_RAD = 0.8
"""A hand or leader joint that turns more than this between two samples is rejected."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A sample that was not accepted.

    Attributes:
        flag: Why.
        text: Sentence with the value and the limit.
    """

    flag: SafetyFlag
    text: str


class ArmGuard:
    """The engage control and the newest good sample of one arm of one source.

    Attributes:
        engaged: The engage control is held since a rising edge and was not revoked.
        engagement: Counts rising edges.
        ties: Counts how often hand and arm must be tied anew: each edge, and each pause bridged.
        good: The newest sample that passed.
        capture_ns: Its capture time.
        rejection: Why the last sample did not pass, None if it did.
    """

    def __init__(self, safety: SafetySection, watchdog: InputWatchdog) -> None:
        self._max_jump_m = safety.max_input_jump_m
        self._watchdog = watchdog
        self._armed = False
        self._jumped = False
        self._held = False
        self.engagement = 0
        self.ties = 0
        self.engaged = False
        self.good: ArmInput | None = None
        self.capture_ns = 0
        self.rejection: Rejection | None = None

    @property
    def released(self) -> bool:
        """Whether the engage control was seen released since the last edge or revocation."""
        return self._armed

    def revoke(self) -> None:
        """End the engagement; the engage control must be released before it counts again.

        A control that is seen released stays armed: pressing it later is a new edge. One that is held by a
        sample too bad to engage does not: when tracking came back it would engage by itself.
        """
        if self.engaged or self._held:
            self.engaged = self._armed = self._jumped = False

    def offer(self, asked: ArmInput, capture_ns: int, now_ns: int) -> None:
        """Take a sample in order of capture. A rising engage edge starts a new `engagement`."""
        self.rejection = None
        self._held = asked.clutch
        if not asked.clutch:
            self.engaged = False
            self._armed = True
            self._jumped = False
            return
        if self._watchdog.judge(capture_ns, now_ns) is not Freshness.FRESH:
            return
        self.rejection = _malformed(asked)
        if self.rejection is not None or not asked.valid:
            return
        if self._armed and not self.engaged:
            self.engaged, self._armed = True, False
            self.engagement += 1
            self.ties += 1
        elif self.engaged:
            # Across a pause the hand may have gone anywhere; the arm is then tied to it anew.
            paused = self._watchdog.judge(self.capture_ns, capture_ns) is not Freshness.FRESH
            self.rejection = None if paused and not self._jumped else self._jump(asked)
            if self.rejection is not None:
                self._jumped = True
                return
            self._jumped = False
            self.ties += int(paused)
        self.good, self.capture_ns = asked, capture_ns

    def freshness(self, now_ns: int) -> Freshness:
        """Freshness of the newest good sample; a hand that jumped and stayed away is LOST at once."""
        fresh = self._watchdog.judge(self.capture_ns, now_ns)
        return Freshness.LOST if fresh is Freshness.HOLD and self._jumped else fresh

    def _jump(self, asked: ArmInput) -> Rejection | None:
        last = self.good
        if last is None:
            return None
        if asked.pose is not None and last.pose is not None:
            moved_m = float(np.linalg.norm(asked.pose[:3] - last.pose[:3]))
            if moved_m > self._max_jump_m:
                text = (
                    f"The hand jumped {moved_m:.3f} m between two samples (limit {self._max_jump_m:.3f} m)."
                )
                return Rejection(SafetyFlag.JUMP, text)
            turned_rad = quat_angle(last.pose[3:], asked.pose[3:])
        elif asked.joints is not None and last.joints is not None and asked.joints.shape == last.joints.shape:
            turned_rad = float(np.abs(asked.joints - last.joints).max())
        elif _kind(asked) != _kind(last):
            return Rejection(SafetyFlag.JUMP, "The input changed its kind while the arm was engaged.")
        else:
            return None
        if turned_rad > MAX_TURN_RAD:
            text = f"The hand turned {turned_rad:.2f} rad between two samples (limit {MAX_TURN_RAD:.2f} rad)."
            return Rejection(SafetyFlag.JUMP, text)
        return None


class SourceGuard:
    """All arms of one source, its buttons, and the order of its samples."""

    def __init__(self, arms: tuple[str, ...], safety: SafetySection) -> None:
        watchdog = InputWatchdog(safety)
        self.arms = {arm: ArmGuard(safety, watchdog) for arm in arms}
        self.capture_ns = 0
        self.buttons: frozenset[str] = frozenset()
        self.dropped = 0

    def offer(self, sample: InputSample, now_ns: int) -> tuple[str, ...]:
        """Take a sample; returns the buttons newly pressed. Old, repeated and future samples are dropped."""
        if sample.capture_ns <= self.capture_ns or sample.capture_ns > now_ns + MAX_AHEAD_NS:
            self.dropped += 1
            return ()
        self.capture_ns = sample.capture_ns
        for arm, asked in sample.arms.items():
            if arm in self.arms:
                self.arms[arm].offer(asked, sample.capture_ns, now_ns)
        before, self.buttons = self.buttons, frozenset(sample.buttons)
        return tuple(button for button in dict.fromkeys(sample.buttons) if button not in before)

    def revoke(self) -> None:
        """End every engagement of this source."""
        for guard in self.arms.values():
            guard.revoke()


def _kind(asked: ArmInput) -> str:
    if asked.pose is not None:
        return "pose"
    return "joints" if asked.joints is not None else "twist" if asked.twist is not None else "none"


def _malformed(asked: ArmInput) -> Rejection | None:
    if asked.pose is not None and not is_plausible_pose(asked.pose):
        return Rejection(SafetyFlag.NON_FINITE, f"The hand's pose {_shown(asked.pose)} is not a finite pose.")
    if asked.twist is not None and not is_plausible(asked.twist, 6):
        return Rejection(SafetyFlag.NON_FINITE, f"The twist {_shown(asked.twist)} is not six finite numbers.")
    if asked.joints is not None and not is_plausible(asked.joints):
        return Rejection(SafetyFlag.NON_FINITE, f"The leader's joints {_shown(asked.joints)} are not finite.")
    if asked.gripper is not None and not abs(asked.gripper) < LARGEST:
        return Rejection(SafetyFlag.NON_FINITE, f"The gripper command {asked.gripper} is not finite.")
    return None


def _shown(values: Array) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values.ravel()[:8]) + "]"
