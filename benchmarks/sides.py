"""The two sides of a comparison: what they are called, and how long their parts take."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rig import CAMERAS
from benchmarks.subruns import Kept, SubRun, part
from teleop_app.station.cameras import LATE_S

OURS, STATION = "ours", "station"
OWN = (OURS, STATION)
TITLES = {
    OURS: "ours",
    STATION: "ours, the whole simulated station",
    "stream-h264": "LeRobot, streaming h264",
    "png-av1": "LeRobot, PNG then AV1 (its default)",
    "stream-av1": "LeRobot, streaming AV1",
}
FPS = 30
NICENESS = -5
"""What our cameras and recorder ask for; the peer's process gets the same."""
_START_S = 20.0
_EACH_S = {OURS: 1.3, STATION: 1.3, "png-av1": 6.0, "stream-av1": 2.0, "stream-h264": 1.5}
"""Time of a part for each recorded second, saving and checking included, on two cores."""
_PATIENCE = 4.0
_WHOLE_S = 30.0
"""Recordings longer than this are made less often."""


@dataclass(frozen=True, slots=True)
class Take:
    """One recording to be made: who, how long, beside how many busy processes, which run."""

    side: str
    seconds: float
    load: int
    number: int

    @property
    def head(self) -> str:
        """Of the names of its figures."""
        beside = f", {self.load} busy processes" if self.load else ""
        return f"{self.seconds:g} s{beside}, {TITLES[self.side]}: "

    @property
    def expected_s(self) -> float:
        """About how long it takes."""
        crowd = 1.0 + self.load / (os.cpu_count() or 1)
        return _START_S * crowd + self.seconds * (1.0 + (_EACH_S[self.side] - 1.0) * crowd)

    @property
    def timeout_s(self) -> float:
        """When to give it up."""
        return 120.0 + _PATIENCE * self.expected_s


def runs_of(seconds: float, load: int, runs: int) -> int:
    """How often something is recorded: all runs of the short ones, fewer of what takes long."""
    wanted = math.ceil(runs * min(1.0, _WHOLE_S / seconds))
    return math.ceil(wanted / 2) if load else wanted


def takes(sides: list[str], seconds: list[float], loads: list[int], runs: int) -> Iterator[Take]:
    """All recordings, the short ones first; the sides take turns, so that a slow hour touches all of them.

    Beside busy processes only the shortest length is recorded, after the second shortest without them.
    """
    lengths, quiet = sorted(seconds), min(loads)
    settings = [(length, quiet) for length in lengths]
    settings[2:2] = [(lengths[0], load) for load in sorted(loads) if load != quiet]
    for length, load in settings:
        for number in range(runs_of(length, load, runs)):
            for side in sides:
                yield Take(side, length, load, number)


def peer_settings(root: Path, bank: Path, mode: str) -> dict[str, Any]:
    """What every program of benchmarks.lerobot wants to know."""
    return {
        "root": str(root),
        "pictures": str(bank),
        "cameras": list(CAMERAS),
        "mode": mode,
        "slack": LATE_S * FPS,
    }


def kept_part(
    kept: Kept, name: str, module: str, settings: dict[str, Any], places: dict[str, Any], **options: Any
) -> SubRun:
    """A part, or its result from an earlier start.

    Args:
        kept: Earlier results.
        name: Of this part, with the number of the run.
        module: See `part`.
        settings: What decides about the result.
        places: Files and folders, which differ from start to start.
        **options: Of `part`.
    """
    return kept.get(name, settings) or kept.put(name, settings, part(module, settings | places, **options))
