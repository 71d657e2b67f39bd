"""Gripper commands: absolute, but never a jump at engage or takeover."""

from __future__ import annotations

PICKUP_CHANGE = 0.03
"""How far a person must move the gripper control after engage before it acts (0 closed .. 1 open)."""


class GripperPickup:
    """Holds the gripper until its control is moved, so that taking over does not drop what is held.

    A trigger that rests open while the gripper holds a part would otherwise open it at the first tick.
    """

    def __init__(self) -> None:
        self._held: float = 1.0
        self._start: float | None = None
        self._live = False

    @property
    def live(self) -> bool:
        """Whether the control acts."""
        return self._live

    def engage(self, present: float, *, pickup: bool) -> None:
        """Begin at the gripper's present command; `pickup` False passes the control through at once."""
        self._held = present
        self._start = None
        self._live = not pickup

    def target(self, asked: float | None) -> float:
        """Gripper command 0..1 for what the control asks; None leaves it as it is."""
        if asked is None:
            return self._held
        asked = min(1.0, max(0.0, asked))
        if self._start is None:
            self._start = asked
        if not self._live and abs(asked - self._start) > PICKUP_CHANGE:
            self._live = True
        if self._live:
            self._held = asked
        return self._held
