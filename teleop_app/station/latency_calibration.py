"""Measures the latencies of a running station, for the command line and for a page of the window.

    calibration = LatencyCalibration(client, progress=show, cancelled=stop.is_set)
    result = calibration.camera("front", display_period_ms=1000 / 60)     # blocks: use a thread
    if result is not None:                                                # None: cancelled
        store_latencies(station_file, [result])                           # in force from the next start

A camera must see the present time while it is measured. Synthetic cameras carry it in their frames; any
other looks at a display on which a page draws `devices.cameras.time_code.TimeCodePainter().paint(now_ns)`
anew at each refresh. An arm must move, to and fro at changing speeds, in view of a camera whose latency
has been measured before. Refusals are `TeleopError`s: show `error.sentence`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.cameras.time_code import TimeCodeReader
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.config import latencies_text, load_station
from teleop_app.core.errors import ConfigError, DeviceError, StationError
from teleop_app.core.ring import RingRecord, camera_ring
from teleop_app.core.types import CameraSetup, ControlTick
from teleop_app.station.client import StationClient, wait_for
from teleop_app.station.latency_codes import LatencyResult, latency_of_codes, now_utc
from teleop_app.station.latency_motion import motion_lag, path_lengths

_SETUP_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.004
_SMALL_PX: Final = 160
_Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CalibrationProgress:
    """How a measurement goes on; comes some ten times a second, from the thread that measures.

    Attributes:
        stream: What is measured.
        done: 0..1.
        looked_at: Pictures so far.
        read: Pictures in which the time could be read; for arms, samples of the motion.
        text: A sentence for people.
    """

    stream: str
    done: float
    looked_at: int
    read: int
    text: str


def camera_setup(client: StationClient, camera: str) -> CameraSetup:
    """The description of a camera of a running station.

    Raises:
        StationError: It has none of that name; the sentence names those that it has.
    """
    known: set[str] = set()

    def is_it(_: str, value: object) -> bool:
        if isinstance(value, CameraSetup):
            known.add(value.name)
            return value.name == camera
        return False

    with closing(client.subscribe(["camera"], ["cameras"])) as setups:
        try:
            _, setup = wait_for(setups, is_it, _SETUP_TIMEOUT_S, f"the camera {camera}")
        except StationError as error:
            listed = ", ".join(sorted(known)) or "none; see `teleop station status`"
            raise StationError(
                f"The station has no camera {camera!r}", next_step=f"Its cameras: {listed}"
            ) from error
    return setup


class LatencyCalibration:
    """Measures cameras and arms of a running station. Not thread-safe; the methods block for seconds.

    Args:
        client: Of the station.
        progress: Is told how it goes on.
        cancelled: Is asked now and then; a measurement that was cancelled gives None.
    """

    def __init__(
        self,
        client: StationClient,
        progress: Callable[[CalibrationProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._client = client
        self._progress = progress or (lambda _: None)
        self._cancelled = cancelled or (lambda: False)

    def camera(self, name: str, seconds: float = 6.0, display_period_ms: float = 0.0) -> LatencyResult | None:
        """Latency of a camera that sees the time.

        Args:
            name: Camera name.
            seconds: How long to look.
            display_period_ms: How long the display shows each code; 0 for the barcode of synthetic cameras.

        Raises:
            TeleopError: The camera does not deliver, or what it shows does not give a latency.
        """
        setup = camera_setup(self._client, name)
        reader = TimeCodeReader()
        readings: list[tuple[int, int]] = []
        looked_at = 0

        def look(record: RingRecord, done: float) -> None:
            nonlocal looked_at
            looked_at += 1
            shown = reader.read(_picture(record, setup))
            if shown is not None:
                readings.append((record.stamp_ns, shown.near_ns(record.stamp_ns)))
            text = f"{name}: the time was read in {len(readings)} of {looked_at} pictures."
            self._progress(CalibrationProgress(name, done, looked_at, len(readings), text))

        if not self._watch(setup, seconds, look):
            return None
        return latency_of_codes(
            name,
            readings,
            looked_at,
            applied_ms=setup.latency_ns / NS_PER_MS,
            display_period_ms=display_period_ms,
        )

    def arm(self, name: str, camera: str, seconds: float = 20.0) -> LatencyResult | None:
        """Latency of an arm's measured joints, by its motion in the picture of a camera.

        Args:
            name: Arm name.
            camera: Sees the arm move and little else; its own latency must have been measured.
            seconds: How long to look while the arm moves.

        Raises:
            TeleopError: The arm moves too little, or the picture does not show its motion.
        """
        setup = camera_setup(self._client, camera)
        measured: list[tuple[int, NDArray[np.float64]]] = []
        motion = _PictureMotion(setup)
        with closing(self._client.subscribe(["tick"], ["control"])) as ticks:

            def look(record: RingRecord, done: float) -> None:
                for _, tick in ticks.drain(2000):
                    if isinstance(tick, ControlTick):
                        measured.append((tick.measured_ns, tick.measured))
                motion.add(record)
                text = f"Move {name} to and fro at changing speeds, in view of {camera}."
                self._progress(CalibrationProgress(name, done, motion.count, len(measured), text))

            if not self._watch(setup, seconds, look):
                return None
        return self._arm_result(name, camera, measured, motion)

    def _arm_result(
        self,
        name: str,
        camera: str,
        measured: list[tuple[int, NDArray[np.float64]]],
        motion: _PictureMotion,
    ) -> LatencyResult:
        if not measured:
            raise StationError("Control publishes no ticks", next_step="See `teleop station status`")
        stamps = np.array([stamp for stamp, _ in measured], np.int64)
        fresh = np.concatenate([[True], np.diff(stamps) > 0])
        joints = np.stack([vector for _, vector in measured])[fresh][:, self._columns(name, measured[0][1])]
        lag = motion_lag(stamps[fresh], path_lengths(joints), motion.stamps_ns, motion.path)
        # The picture is the reference: what the arm shows later than it is the arm's latency.
        latency_ms = -lag.lag_ms
        if latency_ms < -lag.spread_ms - 1e3 / 30:
            raise DeviceError(
                f"The joints of {name} are {-latency_ms:.0f} ms ahead of the picture of {camera}",
                why="the camera's own latency has not been measured, or is wrong",
                next_step=f"Measure the latency of {camera} first",
            )
        return LatencyResult(
            stream=name,
            latency_ms=max(latency_ms, 0.0),
            spread_ms=lag.spread_ms,
            method="motion",
            used=lag.samples,
            rejected=0,
            measured_utc=now_utc(),
            note=f"Against {camera}, correlation {lag.confidence:.2f}.",
        )

    def _columns(self, arm: str, vector: NDArray[np.float64]) -> slice:
        """The arm's joints in a joint vector, without its gripper."""
        card = self._client.card()
        names = [each.name for each in load_station(Path(card.station_file)).arms] if card else []
        if arm not in names:
            raise ConfigError(f"There is no arm {arm!r}", next_step=f"Choose one of: {', '.join(names)}")
        each = len(vector) // len(names)
        start = names.index(arm) * each
        return slice(start, start + each - 1)

    def _watch(self, setup: CameraSetup, seconds: float, look: Callable[[RingRecord, float], None]) -> bool:
        """Give each new frame to `look`; False when cancelled."""
        ring = self._client.open_ring(camera_ring(setup.name))
        began = time.monotonic()
        try:
            ring.next_new()  # it may be old
            while (elapsed := time.monotonic() - began) < seconds:
                if self._cancelled():
                    return False
                record = ring.next_new()
                if record is None:
                    time.sleep(_POLL_S)
                else:
                    look(record, min(elapsed / seconds, 1.0))
        finally:
            ring.close()
        return not self._cancelled()


class _PictureMotion:
    """How much a camera's picture changes, summed up."""

    def __init__(self, setup: CameraSetup) -> None:
        self._setup = setup
        self._step = max(1, setup.width // _SMALL_PX)
        self._before: _Picture | None = None
        self._stamps: list[int] = []
        self._sums: list[float] = []

    @property
    def count(self) -> int:
        """Frames so far."""
        return len(self._stamps)

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Of the frames, shape (m,)."""
        return np.array(self._stamps, np.int64)

    @property
    def path(self) -> NDArray[np.float64]:
        """Change so far, shape (m, 1)."""
        return np.array(self._sums)[:, None]

    def add(self, record: RingRecord) -> None:
        """See a frame; one that is not later than the one before is passed over."""
        if self._stamps and record.stamp_ns <= self._stamps[-1]:
            return
        small = _picture(record, self._setup)[:: self._step, :: self._step, 1]
        change = 0.0
        if self._before is not None:
            change = float(np.abs(small.astype(np.int16) - self._before).mean())
        self._before = small
        self._stamps.append(record.stamp_ns)
        self._sums.append((self._sums[-1] if self._sums else 0.0) + change)


def store_latencies(station_file: Path, results: Iterable[LatencyResult]) -> None:
    """Put measured latencies into a station file; others, comments and order stay. In force from a start on.

    Raises:
        ConfigError: The file cannot be read or written.
    """
    config = load_station(station_file)
    sections = {each.stream: each for each in config.latencies}
    sections |= {result.stream: result.section for result in results}
    new = station_file.with_name(f"{station_file.name}.new")
    try:
        text = latencies_text(list(sections.values()), station_file.read_text(encoding="utf-8"))
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        load_station(new)
        new.replace(station_file)
    except OSError as error:
        raise ConfigError(f"The station file {station_file} cannot be written", why=str(error)) from error


def _picture(record: RingRecord, setup: CameraSetup) -> _Picture:
    wanted = setup.width * setup.height * 3
    if len(record.payload) != wanted:
        raise DeviceError(
            f"A frame of {setup.name} has {len(record.payload)} bytes, not {wanted}",
            why="the camera has changed its size",
            next_step="Measure again",
        )
    return np.frombuffer(record.payload, np.uint8).reshape(setup.height, setup.width, 3)
