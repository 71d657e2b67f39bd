"""When a leader arm asks to be engaged."""

from __future__ import annotations

from typing import Final

from devices.leaders.options import ClutchMode
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.types import ControlState

_SQUEEZED: Final = 0.15
_OPENED: Final = 0.3
_SQUEEZE_NS: Final = NS_PER_S // 2
_REFUSED_NS: Final = NS_PER_S
_SETTLE_NS: Final = 200 * NS_PER_MS
_STOPPED: Final = (ControlState.HOLD, ControlState.FAULT, ControlState.ESTOP)


class LeaderClutch:
    """A leader cannot be let go of like a controller, so its clutch latches.

    It falls when control stops the robot, when the leader's reading is lost, or by `engage(False)`; a person
    must ask anew each time. A request that control does not take up within a second falls too.

    Args:
        mode: What engages the leader.
    """

    def __init__(self, mode: ClutchMode) -> None:
        self._mode = mode
        self._latched = mode is ClutchMode.ALWAYS
        self._latched_ns = 0
        self._squeezed_ns = 0
        self._opened = True
        self._state: ControlState | None = None

    @property
    def held(self) -> bool:
        """Whether the leader asks to be engaged."""
        return self._latched

    def engage(self, on: bool, now_ns: int) -> None:
        """Ask, or let go."""
        self._latched, self._latched_ns = on, now_ns

    def drop(self) -> None:
        """Let go; the leader's reading is lost or it is driven by its motors."""
        self._latched, self._squeezed_ns, self._opened = False, 0, False

    def watch(self, state: ControlState, now_ns: int) -> None:
        """See what control does."""
        stopped = state in _STOPPED and self._state is not state
        self._state = state
        settled = now_ns - self._latched_ns > _SETTLE_NS
        refused = state is ControlState.IDLE and now_ns - self._latched_ns > _REFUSED_NS
        waits = self._mode is ClutchMode.ALWAYS and not self._latched_ns
        if self._latched and ((stopped and settled) or (refused and not waits)):
            self.drop()
        if state in (ControlState.ALIGNING, ControlState.ENGAGED) and self._latched and not self._latched_ns:
            self._latched_ns = now_ns

    def squeeze(self, gripper: float, now_ns: int) -> None:
        """See the gripper, 0 closed .. 1 open."""
        if gripper > _OPENED:
            self._opened = True
        if self._mode is not ClutchMode.SQUEEZE or self._latched:
            return
        if gripper > _SQUEEZED or not self._opened:
            self._squeezed_ns = 0
        elif not self._squeezed_ns:
            self._squeezed_ns = now_ns
        elif now_ns - self._squeezed_ns >= _SQUEEZE_NS:
            self._squeezed_ns, self._opened = 0, False
            self.engage(True, now_ns)
