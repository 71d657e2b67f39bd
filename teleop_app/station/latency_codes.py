"""The latency of a camera, from pictures that show the time beside the time they were stamped with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.config import LatencySection
from teleop_app.core.errors import DeviceError

LEAST_READ: Final = 30
"""Pictures whose code was read."""
LEAST_SHARE: Final = 0.5
"""Of the pictures looked at."""
MOST_SPREAD_MS: Final = 25.0
MOST_EARLY_MS: Final = 3.0
MOST_MS: Final = 2000.0
_OUTLIER_MADS: Final = 6.0


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """A measured latency.

    Attributes:
        stream: Camera or arm.
        latency_ms: What is to be subtracted from the time of arrival.
        spread_ms: 95th percentile of the residuals.
        method: `barcode` or `motion`.
        used: Samples it rests on.
        rejected: Samples that were looked at and not used.
        measured_utc: ISO date and time.
        note: What a person should know about the figure; may be empty.
    """

    stream: str
    latency_ms: float
    spread_ms: float
    method: str
    used: int
    rejected: int
    measured_utc: str
    note: str = ""

    @property
    def section(self) -> LatencySection:
        """As it stands in the station file."""
        return LatencySection.model_validate(
            {
                "stream": self.stream,
                "latency_ms": round(self.latency_ms, 2),
                "spread_ms": round(self.spread_ms, 2),
                "method": self.method,
                "measured_utc": self.measured_utc,
            }
        )


def now_utc() -> str:
    """The date and time of a measurement."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def latency_of_codes(
    camera: str,
    readings: Sequence[tuple[int, int]],
    looked_at: int,
    *,
    applied_ms: float = 0.0,
    display_period_ms: float = 0.0,
) -> LatencyResult:
    """Latency of a camera.

    Args:
        camera: Its name.
        readings: Stamp of a picture and the time it shows, CLOCK_MONOTONIC [ns].
        looked_at: Pictures in all, with those in which no time could be read.
        applied_ms: Latency that the stamps account for already.
        display_period_ms: How long the display shows each code; a picture sees it, on average, half of that
            after it was drawn.

    Raises:
        DeviceError: Too few pictures could be read, they stand still, or they contradict each other.
    """
    _check_readable(camera, readings, looked_at)
    late_ms = np.array([stamp - shown for stamp, shown in readings], np.float64) / NS_PER_MS
    middle = float(np.median(late_ms))
    deviation = np.abs(late_ms - middle)
    kept = deviation <= _OUTLIER_MADS * float(np.median(deviation)) + 1.0
    latency_ms = float(np.median(late_ms[kept])) + applied_ms - 0.5 * display_period_ms
    spread_ms = float(np.percentile(np.abs(late_ms[kept] - np.median(late_ms[kept])), 95))
    if spread_ms > MOST_SPREAD_MS:
        raise DeviceError(
            f"The latency of {camera} varies too much: {spread_ms:.0f} ms (limit {MOST_SPREAD_MS:g} ms)",
            why="its pictures arrive unevenly, or the display does not show the codes evenly",
            next_step="Close other programs, use a wired camera, and measure again",
        )
    if not -MOST_EARLY_MS <= latency_ms <= MOST_MS:
        before = "before" if latency_ms < 0 else "after"
        raise DeviceError(
            f"Pictures of {camera} are stamped {abs(latency_ms):.0f} ms {before} the time they show",
            why="they show the time of another computer, or of a simulation",
            next_step="Show the codes on this station's own display; simulated cameras need no calibration",
        )
    return LatencyResult(
        stream=camera,
        latency_ms=max(latency_ms, 0.0),
        spread_ms=spread_ms,
        method="barcode",
        used=int(kept.sum()),
        rejected=looked_at - int(kept.sum()),
        measured_utc=now_utc(),
        note=_display_note(display_period_ms),
    )


def _check_readable(camera: str, readings: Sequence[tuple[int, int]], looked_at: int) -> None:
    read = len(readings)
    if read < LEAST_READ or read < LEAST_SHARE * looked_at:
        raise DeviceError(
            f"Only {read} of {looked_at} pictures of {camera} show a time that can be read",
            why=f"it takes {LEAST_READ} and half of them",
            next_step="Let the code fill a third of the picture, sharp and without glare, and measure again",
        )
    if len({shown for _, shown in readings}) < LEAST_READ // 2:
        raise DeviceError(
            f"The time that {camera} sees stands still",
            why="its pictures, or the display, do not change",
            next_step="Bring the page with the code to the front and measure again",
        )


def _display_note(period_ms: float) -> str:
    if not period_ms:
        return ""
    return (
        f"Half the display's period of {period_ms:.1f} ms was subtracted, which is wrong by up to as much "
        "for a camera in step with the display. The display's own delay is within the figure."
    )
