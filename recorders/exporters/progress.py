"""Counts bytes and episodes of a long job and tells of them now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from recorders.exporters.report import ExportProgress, ProgressCallback

_INTERVAL_S = 0.1


class ProgressMeter:
    """Every video byte is handled twice: read to be prepared, and written.

    Args:
        callback: Told about ten times a second; None to count in silence.
        clock: Monotonic [s].
    """

    def __init__(
        self, callback: ProgressCallback | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._callback = callback
        self._clock = clock
        self._began = self._told = clock()
        self._stage = "read"
        self._sizes: list[int] = []
        self._done = 0
        self._skipped = 0
        self._episodes = 0

    def begin(self, stage: str, sizes: Sequence[int]) -> None:
        """Start with the expected video bytes of every episode."""
        self._stage = stage
        self._sizes = list(sizes)
        self._tell(force=True)

    def know(self, episode: int, size: int) -> None:
        """An episode's size is now exact."""
        self._sizes[episode] = size

    def add(self, size: int) -> None:
        """Bytes were handled."""
        self._done += size
        self._tell()

    def skip(self, size: int) -> None:
        """Bytes need no handling, an earlier run did it: they do not count for the speed."""
        self._done += size
        self._skipped += size
        self._tell()

    def episode(self) -> None:
        """An episode of this stage is finished."""
        self._episodes += 1
        self._tell(force=True)

    def stage(self, name: str) -> None:
        """The next stage begins."""
        self._stage, self._episodes = name, 0
        self._tell(force=True)

    def finish(self) -> None:
        """All is done."""
        self._done, self._episodes = 2 * sum(self._sizes), len(self._sizes)
        self._tell(force=True)

    def _tell(self, force: bool = False) -> None:
        now = self._clock()
        if self._callback is None or (not force and now - self._told < _INTERVAL_S):
            return
        self._told = now
        total = 2 * sum(self._sizes)
        elapsed = now - self._began
        worked = self._done - self._skipped
        remaining = elapsed * max(total - self._done, 0) / worked if worked > 0 else None
        self._callback(
            ExportProgress(
                stage=self._stage,
                episodes_done=self._episodes,
                episodes_total=len(self._sizes),
                bytes_done=min(self._done, total),
                bytes_total=total,
                elapsed_s=elapsed,
                remaining_s=remaining,
            )
        )
