"""What the safety supervisor does to the arms now: which limit, for which arm, and how to get out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.types import ControlTick, Event, SafetyFlag
from ui.sounds import Cue

FORGET_NS = NS_PER_S
"""An intervention whose flag has been absent so long is over, told or not."""
REPEAT_NS = 3 * NS_PER_S
"""The same intervention sounds again no sooner."""
SPACING_NS = 400 * NS_PER_MS
"""Between two sounds; a grave intervention does not wait."""

_REMEDIES = {
    SafetyFlag.SINGULARITY: "Go back the way you came, or bend the elbow.",
    SafetyFlag.COLLISION: "Move away from what is near.",
    SafetyFlag.WORKSPACE: "It is the edge of the workspace: move back inside.",
    SafetyFlag.JOINT_LIMIT: "A joint is at its end: turn or move back.",
    SafetyFlag.TCP_SPEED: "Move slower.",
    SafetyFlag.RATE_LIMIT: "Move slower.",
    SafetyFlag.IK_FAILED: "The arm does not reach there: move back.",
    SafetyFlag.JUMP: "The hand jumped: let go and engage anew.",
    SafetyFlag.NON_FINITE: "The input sent numbers that are none: see the device.",
    SafetyFlag.STALE_INPUT: "The input is late: see its connection.",
    SafetyFlag.DEADMAN: "Hold the enabling device.",
    SafetyFlag.FOLLOWER_STALE: "An arm is silent: see its cable and power.",
}
_TITLES = {
    SafetyFlag.SINGULARITY: "near a singularity",
    SafetyFlag.COLLISION: "close to a collision",
    SafetyFlag.WORKSPACE: "at the edge of the workspace",
    SafetyFlag.JOINT_LIMIT: "at a joint limit",
    SafetyFlag.TCP_SPEED: "too fast",
    SafetyFlag.RATE_LIMIT: "too fast for its joints",
    SafetyFlag.IK_FAILED: "out of reach",
    SafetyFlag.JUMP: "jumped",
    SafetyFlag.NON_FINITE: "got no numbers",
    SafetyFlag.STALE_INPUT: "gets no input",
    SafetyFlag.DEADMAN: "not enabled",
    SafetyFlag.FOLLOWER_STALE: "silent",
}
_ORDER = tuple(_TITLES)
_GRAVE = SafetyFlag.SINGULARITY | SafetyFlag.COLLISION | SafetyFlag.DEADMAN
_CUES = {
    SafetyFlag.COLLISION: Cue.BLOCKED,
    SafetyFlag.SINGULARITY: Cue.BLOCKED,
    SafetyFlag.DEADMAN: Cue.DEADMAN,
    SafetyFlag.STALE_INPUT: Cue.HOLD,
    SafetyFlag.FOLLOWER_STALE: Cue.FAULT,
}


@dataclass(frozen=True, slots=True)
class Intervention:
    """One limit that holds an arm back.

    Attributes:
        flag: Which.
        arm: Whose, empty for all.
        text: As control said it.
    """

    flag: SafetyFlag
    arm: str
    text: str

    @property
    def grave(self) -> bool:
        """Whether it is shown instead of what the arm does otherwise."""
        return bool(self.flag & _GRAVE)

    @property
    def sentence(self) -> str:
        """What it is, and how to get out of it."""
        who = f"The {self.arm} arm is" if self.arm else "The arms are"
        said = self.text or f"{who} {_TITLES[self.flag]}."
        return f"{said} {_REMEDIES[self.flag]}"


class InterventionWatch:
    """Follows onset and end of each intervention, and says which of them is to be heard."""

    def __init__(self) -> None:
        self._active: dict[tuple[SafetyFlag, str], Intervention] = {}
        self._seen_ns: dict[SafetyFlag, int] = {}
        self._heard_ns: dict[tuple[SafetyFlag, str], int] = {}
        self._last_sound_ns = -SPACING_NS

    @property
    def active(self) -> tuple[Intervention, ...]:
        """Those in force, the gravest first."""
        return tuple(sorted(self._active.values(), key=lambda each: _ORDER.index(each.flag)))

    def clear(self) -> None:
        """Forgets all: the station is not heard any more."""
        self._active.clear()
        self._seen_ns.clear()

    def on_event(self, event: Event) -> Cue | None:
        """Takes an event of control; returns what is to be heard."""
        flag = _flag(event)
        if flag is None:
            return None
        key = (flag, str(event.fields.get("arm", "")))
        if event.kind == "safety.cleared":
            self._active.pop(key, None)
            return None
        self._active[key] = Intervention(flag, key[1], event.text)
        self._seen_ns[flag] = event.capture_ns
        return self._sound(key, event.capture_ns)

    def on_ticks(self, ticks: Sequence[ControlTick]) -> None:
        """Forgets what has ended although nobody said so."""
        for tick in ticks:
            for flag in {flag for flag, _ in self._active}:
                if tick.flags & flag:
                    self._seen_ns[flag] = tick.tick_ns
        now_ns = ticks[-1].tick_ns
        for key in list(self._active):
            if now_ns - self._seen_ns.get(key[0], 0) > FORGET_NS:
                del self._active[key]

    def _sound(self, key: tuple[SafetyFlag, str], now_ns: int) -> Cue | None:
        heard_ns = self._heard_ns.get(key)
        if heard_ns is not None and now_ns - heard_ns < REPEAT_NS:
            return None
        if now_ns - self._last_sound_ns < SPACING_NS and not key[0] & _GRAVE:
            return None
        self._heard_ns[key] = self._last_sound_ns = now_ns
        return _CUES.get(key[0], Cue.LIMIT)


def _flag(event: Event) -> SafetyFlag | None:
    name = str(event.fields.get("flag", "")).upper()
    if not event.kind.startswith("safety.") or name not in SafetyFlag.__members__:
        return None
    flag = SafetyFlag[name]
    return flag if flag in _TITLES else None
