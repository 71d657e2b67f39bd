"""Why samples did not get into the open episode: what the queues to the recorder dropped."""

from __future__ import annotations

from collections import Counter
from typing import Final

from recorders.ledger import Ledger
from recorders.schema import (
    TOPIC_EVENT,
    TOPIC_INPUT,
    TOPIC_TICK,
    TOPIC_WORLD,
    topic_audio,
    topic_depth,
    topic_stream,
    topic_video,
)
from teleop_app.core.clock import NS_PER_S
from teleop_app.station.recorder_feed import SampleFeed

STALL_NS: Final = NS_PER_S
"""A recorder or a disk that does nothing for this long stands still."""
NO_ROOM: Final = "the recorder did not keep up and its queue was full"
DISK_TOO_SLOW: Final = "the disk was too slow and the recorder's queues were full"
STOOD_STILL: Final = "the recorder stood still and its queues overflowed"

_TOPICS = {"tick": TOPIC_TICK, "input": TOPIC_INPUT, "world": TOPIC_WORLD}
_NAMED = {"video": topic_video, "depth": topic_depth, "audio": topic_audio, "batch": topic_stream}


class LossWatch:
    """Books what the recorder itself lost of one episode, as gaps in the numbers show it.

    Args:
        ledger: Of the episode.
        feed: Where its samples come from.
        now_ns: The episode is opened.
    """

    def __init__(self, ledger: Ledger, feed: SampleFeed, now_ns: int) -> None:
        self._ledger = ledger
        self._feed = feed
        self._seen_ns = now_ns
        self._settled_ns = now_ns
        self._calm: Counter[str] = ledger.lost.copy()
        self._stood_still = self._disk_waited = self._disk_told = False
        self._dropping: set[str] = set()
        feed.dropped.clear()

    def see_disk(self, stalled_s: float, *, full: bool) -> str:
        """Call once a turn; a sentence when the disk has just been found to stand still.

        Args:
            stalled_s: For how long it has taken nothing.
            full: Whether nothing more is given to it until it does.
        """
        self._disk_waited |= full
        stands_still = stalled_s * NS_PER_S > STALL_NS
        told, self._disk_told = self._disk_told, stands_still
        if told or not stands_still:
            return ""
        return f"The disk has taken nothing for {stalled_s:.1f} s. What is recorded waits in memory."

    def observe(self, now_ns: int) -> str:
        """Call once a turn, after samples were taken; a sentence when the recorder stood still just now."""
        waited_ns, self._seen_ns = now_ns - self._seen_ns, now_ns
        self._see_dropped()
        if waited_ns > STALL_NS:
            self._stood_still = True
            return (
                f"The recorder stood still for {waited_ns / NS_PER_S:.1f} s because the machine was busy. "
                "What is lost by that is counted."
            )
        calm = self._feed.waiting == 0
        if calm or (self._dropping and now_ns - self._settled_ns > NS_PER_S):
            self._settle(now_ns, calm=calm)
        return ""

    def _settle(self, now_ns: int, *, calm: bool) -> None:
        """What is missing since the last time was lost in the queues, where these lost something."""
        self._settled_ns = now_ns
        if self._stood_still or self._dropping:
            for topic, count in (self._ledger.lost - self._calm).items():
                if topic in self._dropping or (topic.startswith("/force/") and "/force" in self._dropping):
                    self._ledger.explain(topic, self._why_no_room, count)
                elif self._stood_still and calm:
                    self._ledger.explain(topic, STOOD_STILL, count)
        self._calm = self._ledger.lost.copy()
        if calm:
            self._stood_still = self._disk_waited = False
            self._dropping.clear()

    @property
    def _why_no_room(self) -> str:
        return DISK_TOO_SLOW if self._disk_waited else NO_ROOM

    def _see_dropped(self) -> None:
        for name, count in self._feed.dropped.items():
            kind, _, stream = name.partition("/")
            if name == "event":  # events have no numbers: nobody else would notice
                self._ledger.lose(TOPIC_EVENT, count, f"Events are missing because {self._why_no_room}.")
            elif kind in _NAMED:
                self._dropping.add(_NAMED[kind](stream))
            else:
                self._dropping.add(_TOPICS.get(name, f"/{name}"))
        self._feed.dropped.clear()
