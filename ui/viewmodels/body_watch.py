"""Where base, lift and hands are, from the streams of control."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import monotonic_ns

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import StreamBatch, StreamSetup

_SILENT_NS = NS_PER_S


class BodyWatch:
    """Keeps the newest row of each stream; one that is older than a second is no longer told.

    Args:
        now: Host time [ns].
    """

    def __init__(self, now: Callable[[], int] = monotonic_ns) -> None:
        self._now = now
        self._setups: dict[str, StreamSetup] = {}
        self._rows: dict[str, tuple[int, tuple[float, ...]]] = {}

    def on_stream(self, setup: StreamSetup) -> None:
        """What a stream holds."""
        self._setups[setup.name] = setup

    def on_batch(self, batch: StreamBatch) -> None:
        """New rows of a stream."""
        if len(batch.values):
            self._rows[batch.stream] = (self._now(), tuple(float(value) for value in batch.values[-1]))

    def clear(self) -> None:
        """The station was lost."""
        self._rows.clear()

    def values(self, body: str) -> dict[str, float]:
        """Returns what is measured and sent of a body, by `measured x`, `sent vx` and so on."""
        return {
            f"{kind} {name}": value
            for kind in ("measured", "sent")
            for name, value in self._row(f"{body}/{kind}")
        }

    def line(self) -> str:
        """Returns speed of the base and height of the lift, empty where there is neither."""
        parts = []
        base, lift = dict(self._row("base/measured")), dict(self._row("lift/measured"))
        if base:
            speed, turn = math.hypot(base["vx"], base["vy"]), math.degrees(base["wz"])
            parts.append(f"Base {speed:.2f} m/s  {round(turn) or 0:+d}°/s")
        if lift:
            parts.append(f"Lift {lift['z']:.2f} m")
        return "    ".join(parts)

    def _row(self, stream: str) -> Iterator[tuple[str, float]]:
        setup, row = self._setups.get(stream), self._rows.get(stream)
        if setup is None or row is None or self._now() - row[0] > _SILENT_NS:
            return iter(())
        return zip(setup.values, row[1], strict=False)
