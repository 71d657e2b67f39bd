"""What the policy process sees of the station: the newest of everything, put together on demand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from teleop_app.autonomy.view import CameraView, StationView
from teleop_app.core.bus import Endpoints, Subscriber
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import BusError
from teleop_app.core.ring import RingReader, camera_ring
from teleop_app.core.types import (
    AuthorityMode,
    CameraSetup,
    ControlState,
    ControlTick,
    RecorderState,
    RecorderStatus,
    TaskStatus,
)

CameraSizes = dict[str, tuple[int, int]]
"""Size (width, height) [px] of cameras by name."""

_TICK: Final = b"tick"
_FRESH_NS: Final = 500 * NS_PER_MS
_PEERS: Final = ("control", "recorder", "simulation", "cameras")
_TOPICS: Final = ("tick", "task", "recorder", "camera")


class StationWatch:
    """Listens to the station while a policy is chosen. One thread.

    Of the ticks that wait, only the newest is decoded; pictures are read from the cameras' rings, and only
    when they are asked for.

    Args:
        endpoints: Of the station.
        rings: Folder of its shared-memory rings.

    Attributes:
        tick: The newest, None before the first.
        task: Likewise.
        recorder: Likewise.
    """

    def __init__(self, endpoints: Endpoints, rings: Path) -> None:
        self._subscriber = Subscriber([endpoints.publish(peer) for peer in _PEERS], _TOPICS)
        self._folder = rings
        self._cameras: dict[str, CameraSetup] = {}
        self._rings: dict[str, RingReader] = {}
        self._policy_ns = 0
        self.tick: ControlTick | None = None
        self.task: TaskStatus | None = None
        self.recorder: RecorderStatus | None = None

    def wait(self, timeout_s: float) -> None:
        """Block until something is there, at most for `timeout_s`."""
        self._subscriber.wait(timeout_s)

    def look(self) -> None:
        """Take what has come."""
        newest: list[bytes] | None = None
        for parts in self._subscriber.drain_encoded(2000):
            if parts[0] == _TICK:
                newest = parts
            else:
                self._see(parts)
        if newest is not None:
            self._see(newest)

    @property
    def mode(self) -> AuthorityMode:
        """Authority by the newest tick."""
        autonomy = self.tick.autonomy if self.tick else None
        return autonomy.mode if autonomy else AuthorityMode.MANUAL

    @property
    def policy_ns(self) -> int:
        """The policy's clock; control stops it, and does not tell it, while no policy is in use."""
        return self._policy_ns

    @property
    def recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self.recorder is not None and self.recorder.state is RecorderState.RECORDING

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is latched."""
        return self.tick is not None and self.tick.state is ControlState.ESTOP

    def is_fresh(self, now_ns: int) -> bool:
        """Whether control is alive."""
        return self.tick is not None and now_ns - self.tick.tick_ns < _FRESH_NS

    def sizes(self) -> CameraSizes:
        """Of the cameras heard of. From any thread."""
        return {name: (setup.width, setup.height) for name, setup in self._cameras.copy().items()}

    def view(self, cameras: Iterable[str]) -> StationView | None:
        """The station now, with the newest pictures of `cameras`; None before the first tick."""
        tick, task, recorder = self.tick, self.task, self.recorder
        if tick is None:
            return None
        seen = {name: picture for name in cameras if (picture := self._picture(name)) is not None}
        instruction = recorder.instruction if recorder else ""
        return StationView(
            capture_ns=min([tick.measured_ns, *(each.capture_ns for each in seen.values())]),
            policy_ns=self.policy_ns,
            measured=tick.measured,
            measured_velocity=tick.measured_velocity,
            sent=tick.sent,
            cameras=seen,
            instruction=instruction or (task.instruction if task else ""),
            task=task.task if task else recorder.task if recorder else "",
            truth=task.truth if task else {},
        )

    def close(self) -> None:
        """Close the socket and the rings."""
        self._subscriber.close()
        for ring in self._rings.values():
            ring.close()
        self._rings.clear()

    def _see(self, parts: list[bytes]) -> None:
        item = self._subscriber.read(parts)
        value = item[1] if item else None
        if isinstance(value, ControlTick):
            self.tick = value
            if value.autonomy is not None:
                self._policy_ns = value.autonomy.policy_ns
        elif isinstance(value, TaskStatus):
            self.task = value
        elif isinstance(value, RecorderStatus):
            self.recorder = value
        elif isinstance(value, CameraSetup):
            self._cameras[value.name] = value

    def _picture(self, name: str) -> CameraView | None:
        setup = self._cameras.get(name)
        if setup is None:
            return None
        if name not in self._rings:
            self._rings[name] = RingReader(self._folder / camera_ring(name))
        record = None
        with suppress(BusError):
            record = self._rings[name].latest()
        shape = (setup.height, setup.width, 3)
        if record is None or len(record.payload) != shape[0] * shape[1] * 3:
            return None
        pixels = np.frombuffer(record.payload, np.uint8).reshape(shape)
        return CameraView(pixels, record.stamp_ns)
