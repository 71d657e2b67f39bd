"""How often and how finely the preview is drawn: live, but never at the cost of what is recorded.

Where the processor draws (no graphics hardware), pictures on screen and recorded streams share its
cores. Then the 3-D view may use a quarter of the GUI thread, and small camera tiles are drawn 12 times
a second. While recorded samples are being lost, or the recorder falls behind, the screen steps back:
first its rate, three steps, then its resolution, two steps. Nothing that is recorded ever does.
"""

from __future__ import annotations

SHARE = 0.25
"""Of the GUI thread, for a 3-D view that is drawn in software."""
HARDWARE_SHARE = 0.4
MAX_HZ = 30.0
MIN_HZ = 4.0
STRAINED_MIN_HZ = 2.0
SMALL_TILE_HZ = 12.0
LOSS_LIMIT = 0.01
"""Share of a camera's frames; more than this is a strain."""
BACKLOG_LIMIT = 0.5
"""Fill of the recorder's fullest queue; more than this is a strain."""

RATE_STEPS = 3
RESOLUTION_STEPS = 2
_MOST_STRAIN = RATE_STEPS + RESOLUTION_STEPS
_WORSE_AFTER_S = 1.0
_BETTER_AFTER_S = 3.0
_SMOOTHING = 0.2


class Strain:
    """How far the preview steps back, 0 (not at all) to 5, from what the recording suffers.

    A step back comes at most once a second, a step forward after three seconds without strain, so
    that it does not swing.
    """

    def __init__(self) -> None:
        self.level = 0
        self._changed_s = 0.0
        self._lost_s = 0.0

    def observe(self, lost_share: float, recording: bool, now_s: float, backlog: float = 0.0) -> int:
        """Takes the greatest lost share of any camera and the fullest queue, 0..1; returns the level."""
        if recording and (lost_share > LOSS_LIMIT or backlog > BACKLOG_LIMIT):
            self._lost_s = now_s
            if self.level < _MOST_STRAIN and now_s - self._changed_s >= _WORSE_AFTER_S:
                self.level += 1
                self._changed_s = now_s
        elif self.level and now_s - max(self._changed_s, self._lost_s) >= _BETTER_AFTER_S:
            self.level -= 1
            self._changed_s = now_s
        return self.level


class ScenePace:
    """Interval between frames of the 3-D view, from what its frames cost the GUI thread.

    Args:
        software: The processor draws.
    """

    def __init__(self, software: bool) -> None:
        self._share = SHARE if software else HARDWARE_SHARE
        self._cost_s: float | None = None
        self.strain = 0

    @property
    def cost_s(self) -> float:
        """Smoothed cost of a frame [s], 0 before the first."""
        return self._cost_s or 0.0

    def spent(self, cost_s: float) -> None:
        """A frame took the GUI thread this long."""
        before = self._cost_s
        self._cost_s = cost_s if before is None else before + _SMOOTHING * (cost_s - before)

    @property
    def interval_s(self) -> float:
        """From the start of a frame to the start of the next."""
        factor = 2 ** rate_step(self.strain)
        slowest = 1.0 / (STRAINED_MIN_HZ if self.strain else MIN_HZ)
        return min(max(self.cost_s / self._share * factor, factor / MAX_HZ), slowest)


def rate_step(strain: int) -> int:
    """Steps by which the rate is lowered."""
    return min(strain, RATE_STEPS)


def picture_divisor(strain: int) -> int:
    """Each how many pixels, across and down, one is drawn: 1, 2 or 4."""
    return 2 ** max(strain - RATE_STEPS, 0)


def preview_note(period_s: float, strain: int) -> str:
    """Returns what a tile says while it steps back, empty when it does not."""
    if not strain or period_s <= 0:
        return ""
    share = {1: "", 2: ", ½ size", 4: ", ¼ size"}[picture_divisor(strain)]
    return f"preview {1 / period_s:.0f}/s{share}"


def camera_period_s(*, large: bool, software: bool, strain: int) -> float:
    """Shortest time between two drawn pictures of a camera [s]; 0 draws each one."""
    strain = rate_step(strain)
    if large:
        return 0.0 if not strain else 2 ** (strain - 1) / 15.0
    return 2 ** max(strain - 1, 0) / SMALL_TILE_HZ if software or strain else 0.0
