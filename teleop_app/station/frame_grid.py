"""The instants at which cameras take frames: multiples of the frame period on the monotonic clock."""

from __future__ import annotations

from teleop_app.core.clock import NS_PER_S


class FrameGrid:
    """Counts frame instants k / fps since the origin of the monotonic clock.

    All cameras of a rate share the grid, and it is the same after a restart, so that a frame's index
    says when it was due and a gap in the indices says how many are missing. A source that knows the
    recent past may be asked for an instant a little late, so a short stall costs nothing; what lies
    further back is skipped as a whole, so that a machine that is too slow neither drifts nor piles up.

    Args:
        fps: Instants a second.
        now_ns: The first instant is the next one after this.
        slack: How many periods late an instant may be taken.
    """

    def __init__(self, fps: int, now_ns: int, slack: float = 2.0) -> None:
        self.fps = fps
        self._slack_ns = round(slack * NS_PER_S / fps)
        self._index = now_ns * fps // NS_PER_S + 1

    @property
    def index(self) -> int:
        """The instant that comes next."""
        return self._index

    @property
    def due_ns(self) -> int:
        """When it is due."""
        return self.instant_ns(self._index)

    def instant_ns(self, index: int) -> int:
        """When an instant is due."""
        return -(-index * NS_PER_S // self.fps)

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """The index to take now, and how many instants were skipped before it.

        Returns:
            None when the next instant lies ahead.
        """
        if now_ns < self.due_ns:
            return None
        taken = self._index
        if now_ns - self.due_ns > self._slack_ns:
            taken = now_ns * self.fps // NS_PER_S
        skipped = taken - self._index
        self._index = taken + 1
        return taken, skipped
