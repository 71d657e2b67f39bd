"""The scripted operator showing the task: from being asked until it lets go of the arms."""

from __future__ import annotations

from teleop_app.core.types import Actor, ControlTick

_LET_GO_NS = 2_500_000_000
"""A scripted operator that was interrupted engages anew within this."""

_DEMONSTRATION_PATIENCE_NS = 12_000_000_000


class Demonstration:
    """Follows the scripted operator from being asked until it lets go of the arms."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._drove = False

    def is_over(self, tick: ControlTick) -> bool:
        """Whether it has let go for good, was taken over, or never got the arms."""
        drives = tick.actor is Actor.SCRIPT and any(tick.engaged)
        if self._since_ns is None or drives:
            self._since_ns = tick.tick_ns
        self._drove = self._drove or drives
        if tick.actor is Actor.HUMAN and any(tick.engaged):
            return True
        patience_ns = _LET_GO_NS if self._drove else _DEMONSTRATION_PATIENCE_NS
        return tick.tick_ns - self._since_ns > patience_ns
