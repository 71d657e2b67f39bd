"""When a leader arm asks to be engaged."""

from __future__ import annotations

from typing import Final

from devices.leaders.options import ClutchMode
from teleop_app.core.clock import NS_PER_S

_SQUEEZED: Final = 0.15
_OPENED: Final = 0.3
_SQUEEZE_NS: Final = NS_PER_S // 2
_REFUSED_NS: Final = NS_PER_S
_RELEASED_NS: Final = NS_PER_S // 10


class LeaderClutch:
    """A leader cannot be let go of like a controller, so its clutch latches.

    It falls when control no longer drives the arm by this leader, when the leader's reading is lost, or by
    `engage(False)`; a person must ask anew each time. A request that control does not take up within a
    second falls too.

    Args:
        mode: What engages the leader.
    """

    def __init__(self, mode: ClutchMode) -> None:
        self._mode = mode
        self._held = self._taken = False
        self._asks_by_itself = mode is ClutchMode.ALWAYS
        self._held_ns = 0
        self._retry_ns = 0
        self._squeezed_ns = 0
        self._opened = True

    @property
    def held(self) -> bool:
        """Whether the leader asks to be engaged."""
        return self._held

    def engage(self, on: bool, now_ns: int) -> None:
        """Ask, or let go."""
        if on:
            self._held, self._taken, self._held_ns = True, False, now_ns
        else:
            self.drop()

    def drop(self) -> None:
        """Let go for good: a person must ask anew."""
        self._held = self._taken = self._asks_by_itself = self._opened = False
        self._squeezed_ns = 0

    def let_go(self) -> None:
        """Let go; what asks by itself asks again after the next start."""
        self._held = self._taken = False
        self._retry_ns = 0

    def watch(self, drives: bool, now_ns: int) -> None:
        """See whether control drives the arm by this leader."""
        if not self._held:
            return
        if drives:
            self._taken = True
        elif self._taken:
            self.drop()
        elif now_ns - self._held_ns > _REFUSED_NS:
            self._held, self._opened = False, False
            self._retry_ns = now_ns + _REFUSED_NS

    def squeeze(self, gripper: float, now_ns: int) -> None:
        """See the gripper, 0 closed .. 1 open."""
        self._opened = self._opened or gripper > _OPENED
        if self._held:
            return
        if self._asks_by_itself:
            # Control counts a clutch only once it has seen it released.
            self._retry_ns = self._retry_ns or now_ns + _RELEASED_NS
            if now_ns >= self._retry_ns:
                self.engage(True, now_ns)
        if self._mode is not ClutchMode.SQUEEZE:
            return
        if gripper > _SQUEEZED or not self._opened:
            self._squeezed_ns = 0
        elif not self._squeezed_ns:
            self._squeezed_ns = now_ns
        elif now_ns - self._squeezed_ns >= _SQUEEZE_NS:
            self._squeezed_ns, self._opened = 0, False
            self.engage(True, now_ns)
