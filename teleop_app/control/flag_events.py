"""Events at the onset and the end of each safety intervention."""

from __future__ import annotations

from collections.abc import Sequence

from teleop_app.core.types import Event, SafetyFlag
from teleop_app.safety.supervisor import Intervention

QUIET_NS = 250_000_000
"""An intervention has ended when it was absent this long: a limit that flickers is one event, not fifty."""


class FlagEvents:
    """Turns the interventions of each tick into `safety.<flag>` events, on and off, per arm."""

    def __init__(self, origin: str = "control") -> None:
        self._origin = origin
        self._last_ns: dict[tuple[SafetyFlag, str], int] = {}

    def update(self, now_ns: int, interventions: Sequence[Intervention]) -> list[Event]:
        """Events of this tick."""
        events: list[Event] = []
        for note in interventions:
            if note.flag is SafetyFlag.ESTOP:
                continue  # latching and resetting it are events of their own
            key = (note.flag, note.arm)
            if key not in self._last_ns:
                events.append(self._event(key, now_ns, note.text, note))
            self._last_ns[key] = now_ns
        for key, last_ns in list(self._last_ns.items()):
            if now_ns - last_ns > QUIET_NS:
                del self._last_ns[key]
                events.append(self._event(key, now_ns, "", None))
        return events

    def _event(self, key: tuple[SafetyFlag, str], now_ns: int, text: str, note: Intervention | None) -> Event:
        flag, arm = key
        name = (flag.name or "limit").lower()
        fields: dict[str, object] = {"arm": arm, "on": note is not None}
        if note is not None:
            fields["requested"] = list(note.requested)
            fields["limited"] = list(note.limited)
        text = text or f"{name.replace('_', ' ').capitalize()} over{f' ({arm})' if arm else ''}."
        return Event(f"safety.{name}", now_ns, self._origin, text, fields)
