"""The squeeze clutch: when a tracked hand counts as holding an arm."""

from __future__ import annotations


class SqueezeClutch:
    """Engages above one squeeze and lets go below a lower one, so that a trembling finger does neither.

    It engages only from open: after a loss of tracking, a recentred space or a sleeping headset, a squeeze
    that is still held counts for nothing until it was let go of.

    Args:
        engage: Squeeze above which it engages.
        release: Squeeze below which it lets go.
    """

    def __init__(self, engage: float, release: float) -> None:
        self._engage = engage
        self._release = release
        self._open = False
        self.held = False

    def update(self, squeeze: float, *, valid: bool) -> bool:
        """Take the squeeze of a frame; whether the clutch is held now."""
        if not valid:
            self.drop()
        elif squeeze < self._release:
            self._open, self.held = True, False
        elif squeeze > self._engage and self._open:
            self._open, self.held = False, True
        return self.held

    def drop(self) -> None:
        """Let go; the squeeze has to be opened before it counts again."""
        self._open = self.held = False
