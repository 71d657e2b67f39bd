"""The enabling device: without its held button no person's input moves the robot."""

from __future__ import annotations

from teleop_app.core.config import SafetySection
from teleop_app.safety.input_guard import SourceGuard
from teleop_app.safety.watchdog import NS_PER_MS, Freshness, InputWatchdog

ENABLE_BUTTON = "enable"


class Deadman:
    """Judges the enabling device that `safety.deadman` names; without one, everything is enabled.

    Args:
        safety: Section of the station file.
    """

    def __init__(self, safety: SafetySection) -> None:
        self.source = safety.deadman
        self._watchdog = InputWatchdog(safety)

    def complaint(self, device: SourceGuard | None, now_ns: int) -> str:
        """A sentence without its full stop if the device is not held now, else empty.

        Args:
            device: The guard of the device's samples, None before the first.
            now_ns: The tick.
        """
        if not self.source:
            return ""
        if device is None:
            return f"the enabling device '{self.source}' has not been heard of"
        if self._watchdog.judge(device.capture_ns, now_ns) is not Freshness.FRESH:
            age_ms = (now_ns - device.capture_ns) / NS_PER_MS
            return f"the enabling device '{self.source}' has been silent for {age_ms:.0f} ms"
        if ENABLE_BUTTON not in device.buttons:
            return f"the enabling device '{self.source}' is not held"
        return ""
