"""Events that tell of modes and takeovers, and the record of takeovers."""

from __future__ import annotations

from collections.abc import Callable

from teleop_app.autonomy.authority import Authority, Stage
from teleop_app.autonomy.interventions import TakeoverLog
from teleop_app.core.types import AuthorityMode

Note = Callable[[str, int, str, dict[str, object]], None]


class AuthorityEvents:
    """Compares the authority before and after a change.

    Args:
        authority: Who has the robot.
        note: Writes an event: kind, time, text, fields.
    """

    def __init__(self, authority: Authority, note: Note) -> None:
        self._authority = authority
        self._note = note
        self._log = TakeoverLog()
        self._mode = authority.mode
        self._takeover = 0

    def tell(self, person: str, reason: str, now_ns: int) -> None:
        """After a change.

        Args:
            person: Source that drives by hand, empty for none.
            reason: Why the arms hold now, if they do.
            now_ns: When.
        """
        authority = self._authority
        mode, self._mode = self._mode, authority.mode
        number, self._takeover = self._takeover, authority.takeover
        if authority.mode is not mode:
            fields: dict[str, object] = {"mode": authority.mode.value}
            self._note("autonomy.mode", now_ns, f"Mode: {authority.mode.value}.", fields)
        if number and number != authority.takeover:
            self._tell_end(number, now_ns)
        if authority.takeover and number != authority.takeover:
            self._tell_takeover(person, now_ns)
        if authority.mode is not mode and authority.mode is AuthorityMode.PAUSED:
            self._note("autonomy.paused", now_ns, reason, {})
        elif authority.stage is Stage.WAITING and authority.mode is not AuthorityMode.PAUSED:
            self._note("autonomy.hold", now_ns, reason, {})

    def explain(self, reason: str, takeover: int, now_ns: int) -> None:
        """Note why a person took over; 0 for the last time.

        Raises:
            StationError: There is no such reason or takeover.
        """
        entry = self._log.explain(takeover, reason)
        fields: dict[str, object] = {"takeover": entry.number, "reason": reason}
        self._note("autonomy.reason", now_ns, f"Takeover {entry.number}: {reason}.", fields)

    def _tell_takeover(self, person: str, now_ns: int) -> None:
        authority = self._authority
        entry = self._log.begin(authority.takeover, person, authority.phase, now_ns)
        fields: dict[str, object] = {
            "takeover": entry.number,
            "source": entry.source,
            "phase": entry.phase.value,
        }
        self._note("autonomy.takeover", now_ns, f"'{entry.source}' took over.", fields)

    def _tell_end(self, number: int, now_ns: int) -> None:
        entry = self._log.end(number, self._authority.outcome, now_ns)
        seconds = entry.seconds if entry is not None else 0.0
        fields: dict[str, object] = {
            "takeover": number,
            "seconds": seconds,
            "outcome": self._authority.outcome,
        }
        self._note("autonomy.returned", now_ns, f"Takeover {number} ended after {seconds:.1f} s.", fields)
