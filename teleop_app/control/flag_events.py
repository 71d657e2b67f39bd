"""Events at the onset and the end of each safety intervention."""

from __future__ import annotations

from collections.abc import Sequence

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Event, SafetyFlag
from teleop_app.safety.outcome import Intervention

_NOT_LIMITS = SafetyFlag.STALE_INPUT | SafetyFlag.DEADMAN | SafetyFlag.NON_FINITE | SafetyFlag.FOLLOWER_STALE

QUIET_NS = 250_000_000
"""An intervention has ended when it was absent this long: a limit that flickers is one event, not fifty."""


class FlagEvents:
    """Turns the interventions of each tick into events, per arm.

    The onset is `safety.limit` for a limit, else `safety.stale_input`, `safety.non_finite` and so on; the
    end is `safety.cleared`. Each names its flag and arm, the onset also what was requested and let through,
    the end how long it lasted.
    """

    def __init__(self, origin: str = "control") -> None:
        self._origin = origin
        self._last_ns: dict[tuple[SafetyFlag, str], int] = {}
        self._since_ns: dict[tuple[SafetyFlag, str], int] = {}

    def update(self, now_ns: int, interventions: Sequence[Intervention]) -> list[Event]:
        """Events of this tick."""
        events: list[Event] = []
        for note in interventions:
            if note.flag is SafetyFlag.ESTOP:
                continue  # latching and resetting it are events of their own
            key = (note.flag, note.arm)
            if key not in self._last_ns:
                events.append(self._onset(now_ns, note))
                self._since_ns[key] = now_ns
            self._last_ns[key] = now_ns
        for (flag, arm), last_ns in list(self._last_ns.items()):
            if now_ns - last_ns > QUIET_NS:
                del self._last_ns[flag, arm]
                text = f"{_title(flag)} over{f' (arm {arm})' if arm else ''}."
                lasted_s = (last_ns - self._since_ns.pop((flag, arm))) / NS_PER_S
                fields: dict[str, object] = {"flag": _name(flag), "arm": arm, "lasted_s": lasted_s}
                events.append(Event("safety.cleared", now_ns, self._origin, text, fields))
        return events

    def _onset(self, now_ns: int, note: Intervention) -> Event:
        kind = _name(note.flag) if note.flag in _NOT_LIMITS else "limit"
        fields: dict[str, object] = {
            "flag": _name(note.flag),
            "arm": note.arm,
            "requested": list(note.requested),
            "limited": list(note.limited),
        }
        return Event(f"safety.{kind}", now_ns, self._origin, note.text, fields)


def _name(flag: SafetyFlag) -> str:
    return (flag.name or "limit").lower()


def _title(flag: SafetyFlag) -> str:
    return _name(flag).replace("_", " ").capitalize()
