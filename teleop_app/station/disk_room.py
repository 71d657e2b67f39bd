"""The room on the disk of the store: for a start, during a recording, for how many episodes more."""

from __future__ import annotations

import shutil
from pathlib import Path

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import RecordingSection
from teleop_app.core.errors import StorageError

_CHECK_NS = NS_PER_S
_STOP_FREE_BYTES = 16 << 20
"""A recording stops by itself before it takes the last bytes of the disk."""


class DiskRoom:
    """Watches the free bytes of one disk.

    Args:
        root: The data directory.
        limits: `headroom_mb` must be free when a recording starts.
    """

    def __init__(self, root: Path, limits: RecordingSection) -> None:
        self._root = root
        self._limits = limits
        self._due_ns = 0

    @property
    def _headroom_bytes(self) -> int:
        return self._limits.headroom_mb << 20

    def check_can_start(self) -> None:
        """Refuse a recording that the disk has no room for.

        Raises:
            StorageError: Less than the headroom is free.
        """
        free = shutil.disk_usage(self._root).free
        if free < self._headroom_bytes:
            raise StorageError(
                "A recording cannot start",
                why=f"{free >> 20} MB are free for {self._root}, {self._headroom_bytes >> 20} MB are wanted",
                next_step="Free space, or lower recording.headroom_mb",
            )

    def check_goes_on(self, now_ns: int) -> None:
        """Look, about once a second, whether the recording that runs may go on.

        Raises:
            StorageError: The disk is all but full.
        """
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + _CHECK_NS
        if shutil.disk_usage(self._root).free < _STOP_FREE_BYTES:
            raise StorageError(
                f"Less than {_STOP_FREE_BYTES >> 20} MB are free on the disk of {self._root}",
                next_step="Free space on the disk",
            )

    def episodes_left(self, mean_bytes: float) -> int:
        """How many more episodes of that size fit above the headroom.

        Args:
            mean_bytes: Above 0.

        Raises:
            OSError: The disk does not tell.
        """
        free = shutil.disk_usage(self._root).free
        return max(0, int((free - self._headroom_bytes) / mean_bytes))
