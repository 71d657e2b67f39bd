"""What every sensor must do."""

from __future__ import annotations

import re
import time
from typing import Final

import numpy as np

from devices.driver import DriverKind
from devices.protocols import Sensor
from devices.testing.contract import PATIENCE_S, DriverContract, eventually, fail, refused, require
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import AudioBlock, StreamBatch, StreamSetup

_STREAM: Final = re.compile(r"[a-z][a-zA-Z0-9_/-]{0,63}")
_READ_S: Final = 0.1


class SensorContract(DriverContract):
    """Suite for `devices.protocols.Sensor`.

    Attributes:
        slack_s: How much longer than asked `read` may take [s].
        batches: How many batches or blocks are looked at.
    """

    kind = DriverKind.SENSOR
    slack_s: float = 0.5
    batches: int = 8

    def silence(self) -> None:
        """Make it deliver nothing while it stays connected. Without it that check is skipped."""
        self.unplug()

    def test_stopping_is_always_allowed(self) -> None:
        """Before the start, and twice."""
        sensor = self._make()
        sensor.stop()
        sensor.start()
        sensor.stop()
        sensor.stop()

    def test_starting_twice_is_starting_once(self) -> None:
        """The process may ask again."""
        sensor = self._make()
        sensor.start()
        sensor.start()
        self._take(sensor, 1)
        sensor.stop()

    def test_its_streams_are_described(self) -> None:
        """After the start: names, units, rates."""
        sensor = self._make()
        sensor.start()
        names = [setup.name for setup in sensor.streams]
        require(len(set(names)) == len(names), f"stream names must be unique: {names}")
        for setup in sensor.streams:
            _check_setup(setup)
        sensor.stop()

    def test_batches_are_sound(self) -> None:
        """Shapes, order, times, finite numbers; numbers go on after what was lost."""
        sensor = self._make()
        started_ns = time.monotonic_ns()
        sensor.start()
        came = self._take(sensor, self.batches)
        widths = {setup.name: len(setup.values) for setup in sensor.streams}
        ends: dict[str, tuple[int, int]] = {}
        for each in came:
            if isinstance(each, StreamBatch):
                count = _check_batch(each, widths)
                name, stamps = each.stream, each.capture_ns
            else:
                count = _check_block(each)
                name, stamps = each.source, np.array([each.capture_ns])
            seq, last_ns = ends.get(name, (each.seq, started_ns - 1_000_000_000))
            require(each.seq >= seq, f"{name}: seq went back from {seq} to {each.seq}")
            require(int(stamps[0]) > last_ns, f"{name}: capture_ns is not after that of the sample before")
            require(int(stamps[-1]) <= time.monotonic_ns(), f"{name}: capture_ns lies in the future")
            ends[name] = (each.seq + count, int(stamps[-1]))
        sensor.stop()

    def test_reading_returns_in_time(self) -> None:
        """Also when nothing comes; a sensor that is silent for long says so."""
        sensor = self._make()
        sensor.start()
        self._take(sensor, 1)
        self.silence()
        deadline = time.monotonic() + PATIENCE_S / 2
        while time.monotonic() < deadline:
            begun = time.monotonic()
            try:
                sensor.read(_READ_S)
            except DeviceError:
                break
            spent_s = time.monotonic() - begun
            require(
                spent_s <= _READ_S + self.slack_s,
                f"read({_READ_S:g}) took {spent_s:.2f} s; it may wait for as long as it is told",
            )
        sensor.stop()

    def test_a_stopped_sensor_is_not_read(self) -> None:
        """Reading it is a mistake of the caller, and says so."""
        sensor = self._make()
        sensor.start()
        sensor.stop()
        with refused("read after stop"):
            sensor.read(_READ_S)

    def test_unplugging_is_said_and_it_comes_back(self) -> None:
        """With a sentence; starting finds it again, and its numbers do not go back."""
        sensor = self._make()
        sensor.start()
        ends = {_name(each): each.seq for each in self._take(sensor, 2)}
        self.unplug()
        self._until_lost(sensor)
        with refused("start without the device"):
            sensor.start()
        self.plug()
        eventually(lambda: _starts(sensor), "the sensor does not start again after it was plugged in", 0.05)
        for each in self._take(sensor, 2):
            require(each.seq > ends.get(_name(each), -1), "seq went back when the sensor came back")
        sensor.stop()

    # Inside.

    def _make(self) -> Sensor:
        return self.make()

    def _take(self, sensor: Sensor, count: int) -> list[StreamBatch | AudioBlock]:
        came: list[StreamBatch | AudioBlock] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(came) < count:
            require(time.monotonic() < deadline, f"only {len(came)} of {count} batches came")
            came += sensor.read(_READ_S)
        return came

    def _until_lost(self, sensor: Sensor) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                sensor.read(_READ_S)
            except DeviceError:
                return
        fail("an unplugged sensor must raise a DeviceError from read")


def _check_setup(setup: StreamSetup) -> None:
    require(_STREAM.fullmatch(setup.name), f"the stream's name {setup.name!r} must be letters, digits, _ - /")
    require(setup.values, f"{setup.name}: name its values")
    require(
        len(set(setup.values)) == len(setup.values), f"{setup.name}: the names of its values are not unique"
    )
    require(setup.kind and setup.unit, f"{setup.name}: kind and unit must be filled in")
    require(0.0 < setup.rate_hz < 1e5, f"{setup.name}: its rate is {setup.rate_hz} Hz")


def _check_batch(batch: StreamBatch, widths: dict[str, int]) -> int:
    name = batch.stream
    require(name in widths, f"a batch names the stream {name!r}, which is not among its streams")
    count = len(batch.capture_ns)
    require(count > 0, f"{name}: a batch is empty")
    require(
        batch.values.shape == (count, widths[name]),
        f"{name}: values have the shape {batch.values.shape}, not {(count, widths[name])}",
    )
    require(np.all(np.isfinite(batch.values)), f"{name}: values hold numbers that are not finite")
    require(np.all(np.diff(batch.capture_ns) > 0), f"{name}: capture_ns must increase within a batch")
    if batch.device_ns is not None:
        require(len(batch.device_ns) == count, f"{name}: there must be as many device stamps as samples")
    return count


def _check_block(block: AudioBlock) -> int:
    width = 2 * block.channels
    require(block.payload and len(block.payload) % width == 0, "the sound is not whole 16-bit sample frames")
    require(block.rate_hz > 0, "the sample rate of the sound must be positive")
    return len(block.payload) // width


def _name(each: StreamBatch | AudioBlock) -> str:
    return each.stream if isinstance(each, StreamBatch) else each.source


def _starts(sensor: Sensor) -> bool | None:
    try:
        sensor.start()
    except DeviceError:
        return None
    return True
