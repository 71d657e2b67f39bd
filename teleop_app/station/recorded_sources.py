"""What an episode would be made of: the cameras, sensors and streams that were heard of."""

from __future__ import annotations

from collections.abc import Iterable

from recorders.schema import AudioHeader
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import CameraSetup, StreamSetup
from teleop_app.station.joining_streams import is_recorded

_STREAM_GONE_NS = 5 * NS_PER_S
"""A sensor introduces itself about once a second; one that no longer does is not there."""


class RecordedSources:
    """Remembers what each source said of itself.

    Args:
        cameras: Names of the station file's cameras.

    Attributes:
        cameras: What each camera delivers.
        force_sensors: Names, empty until the first batch was seen.
        streams: Numeric streams that introduced themselves, by name, and when they last did.
        microphones: By name, once heard.
    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self._wanted_cameras = tuple(cameras)
        self.streams: dict[str, tuple[StreamSetup, int]] = {}
        self.cameras: dict[str, CameraSetup] = {}
        self.force_sensors: tuple[str, ...] = ()
        self.microphones: dict[str, AudioHeader] = {}

    def introduce(self, setup: StreamSetup, now_ns: int) -> None:
        """A numeric stream says what it measures, `now_ns`."""
        self.streams[setup.name] = (setup, now_ns)

    def missing_cameras(self) -> list[str]:
        """Cameras of the station file that were never heard of."""
        return [name for name in self._wanted_cameras if name not in self.cameras]

    def recorded_streams(self, start_ns: int) -> list[StreamSetup]:
        """Numeric streams that an episode from `start_ns` on begins with."""
        return [
            setup
            for setup, heard_ns in self.streams.values()
            if start_ns - heard_ns < _STREAM_GONE_NS and is_recorded(setup)
        ]

    def watched_streams(self) -> list[StreamSetup]:
        """Numeric streams that are published for those who look, and are no part of an episode."""
        return [setup for setup, _ in self.streams.values() if not is_recorded(setup)]
