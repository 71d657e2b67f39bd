"""Keeps physics in step with the host clock: when a step is due, what time it stands for."""

from __future__ import annotations

from collections import deque

from teleop_app.core.clock import NS_PER_S

_WINDOW_NS = 2 * NS_PER_S


class PhysicsPacer:
    """Maps physics steps onto host time, and gives lost time up instead of running after it.

    Step k stands for the host instant `origin + k * step_ns`, and is computed at or after that
    instant, never before. A short stall is caught up, so that physics and host time stay locked; what
    a stall exceeds `max_backlog` steps by is given up by moving the origin, and shows in
    `realtime_factor`.

    Args:
        step_ns: Physics time a step [ns].
        max_backlog: Steps that are caught up at most.
    """

    def __init__(self, step_ns: int, max_backlog: int = 20) -> None:
        self._step_ns = step_ns
        self._max_backlog = max_backlog
        self._origin_ns = 0
        self._step = 0
        self._since_ns = 0
        self._lost: deque[tuple[int, int]] = deque()
        self.lost_ns = 0

    def start(self, now_ns: int) -> None:
        """The next step is due a step from now; nothing counts as lost. Also after a planned pause."""
        self._origin_ns = now_ns - self._step * self._step_ns
        self._since_ns = now_ns
        self._lost.clear()

    @property
    def step(self) -> int:
        """Steps taken since the process began."""
        return self._step

    @property
    def next_due_ns(self) -> int:
        """When the next step is due."""
        return self._origin_ns + (self._step + 1) * self._step_ns

    def due(self, now_ns: int) -> int:
        """How many steps are due now, at most `max_backlog`; gives up what lies further back."""
        behind = (now_ns - self._origin_ns) // self._step_ns - self._step
        excess = behind - self._max_backlog
        if excess > 0:
            lost_ns = excess * self._step_ns
            self._origin_ns += lost_ns
            self.lost_ns += lost_ns
            self._lost.append((now_ns, lost_ns))
            behind = self._max_backlog
        return max(0, behind)

    def advance(self) -> int:
        """Count one step and return the host time it stands for [ns]."""
        self._step += 1
        return self._origin_ns + self._step * self._step_ns

    def realtime_factor(self, now_ns: int) -> float:
        """Physics time per host time over the last two seconds; 1 keeps up."""
        window_ns = min(_WINDOW_NS, now_ns - self._since_ns)
        while self._lost and self._lost[0][0] <= now_ns - _WINDOW_NS:
            self._lost.popleft()
        if window_ns <= 0:
            return 1.0
        return max(0.0, 1.0 - sum(lost_ns for _, lost_ns in self._lost) / window_ns)
