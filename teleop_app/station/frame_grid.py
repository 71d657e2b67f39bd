"""The instants at which cameras take frames: multiples of the frame period on the monotonic clock."""

from __future__ import annotations

from teleop_app.core.clock import NS_PER_S


class FrameGrid:
    """Counts frame instants k / fps since the origin of the monotonic clock.

    All cameras of a rate share the grid, and it is the same after a restart, so that a frame's index
    says when it was due and a gap in the indices says how many are missing. An instant that is missed
    by more than half a period is skipped: every frame lies nearest to its own index, and a late machine
    neither drifts nor sends bursts.

    Args:
        fps: Instants a second.
        now_ns: The first instant is the next one after this.
    """

    def __init__(self, fps: int, now_ns: int) -> None:
        self.fps = fps
        self._index = self._nearest(now_ns) + 1
        self.skipped = 0

    @property
    def index(self) -> int:
        """The instant that comes next."""
        return self._index

    @property
    def due_ns(self) -> int:
        """When it is due."""
        return -(-self._index * NS_PER_S // self.fps)

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """The index to take now, and how many instants were skipped before it.

        Returns:
            None when no instant is near: the next one lies ahead.
        """
        if now_ns < self.due_ns:
            return None
        nearest = self._nearest(now_ns)
        lost = nearest - self._index
        self.skipped += lost
        self._index = nearest
        if now_ns < self.due_ns:  # beyond the middle: wait for the one ahead
            return None
        skipped, self.skipped = self.skipped, 0
        self._index += 1
        return nearest, skipped

    def _nearest(self, now_ns: int) -> int:
        return (2 * now_ns * self.fps + NS_PER_S) // (2 * NS_PER_S)
