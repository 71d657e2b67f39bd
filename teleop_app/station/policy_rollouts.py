"""When rollouts begin and end: a rollout is a recording in which a policy drives."""

from __future__ import annotations


class RolloutWatch:
    """Sees the edges of recordings. One thread.

    Attributes:
        began: A recording began with what was seen last.
        ended_well: One ended in which the policy drove and the emergency stop was not pressed.
    """

    def __init__(self) -> None:
        self._recording: bool | None = None
        self._drove = self._stopped = False
        self.began = self.ended_well = False

    def see(self, *, recording: bool, drives: bool, stopped: bool) -> None:
        """The station now: whether it records, the policy drives, the emergency stop is latched."""
        was, self._recording = self._recording, recording
        self.began = recording and not was
        self.ended_well = bool(was) and not recording and self._drove and not self._stopped
        if not recording or self.began:
            self._drove = self._stopped = False
        if recording:
            self._drove |= drives
            self._stopped |= stopped
