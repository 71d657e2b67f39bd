"""From bytes on a serial line to an episode: driver by name, sensor process, bus, recorder, reader."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.emulators.sensor_port import SensorPort
from devices.emulators.tactile import EmulatedTactile
from devices.emulators.wrench import EmulatedBota
from devices.registry import make_device
from recorders.reader import EpisodeReader
from recorders.schema import AudioHeader, StreamHeader
from recorders.synthetic import synthetic_header
from recorders.writer import EpisodeWriter
from teleop_app.core.bus import Endpoints, Subscriber
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import ClockAnchor, MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir
from teleop_app.core.types import AudioBlock, ClockFit, StreamBatch, StreamSetup
from teleop_app.station.process import ProcessContext
from teleop_app.station.sensor import SensorProcess

WRENCH = (1.0, -2.0, 30.0, 0.25, -0.5, 0.125)


@pytest.fixture
def folder() -> Iterator[Path]:
    short = Path(tempfile.mkdtemp())  # socket names are limited to 107 characters
    yield short
    shutil.rmtree(short)


class Listener:
    """A sensor process with a subscriber, turned by hand."""

    def __init__(self, folder: Path, name: str, driver: str, **options: Any) -> None:
        config = StationConfig()
        endpoints = Endpoints(folder)
        context = ProcessContext(f"sensor-{name}", config, DataDir(folder / "data"), endpoints, folder)
        made = DeviceContext(name, (), config, CalibrationStore(folder / "calibrations"), MonotonicClock())
        sensor = make_device(DriverKind.SENSOR, driver, made, options)
        self.process = SensorProcess(context, sensor, name, driver)
        self.process.open()
        self._feed = Subscriber([endpoints.publish(context.name)])
        self.came: list[Any] = []
        time.sleep(0.05)  # the subscription travels

    def turn(self) -> None:
        self.process.turn()
        self.came += [value for _, value in self._feed.drain(500)]

    def of(self, kind: type) -> list[Any]:
        return [value for value in self.came if isinstance(value, kind)]

    @property
    def count(self) -> int:
        blocks = sum(len(each.payload) // 2 for each in self.of(AudioBlock))
        return blocks + sum(len(each.values) for each in self.of(StreamBatch))

    def close(self) -> None:
        self.process.close()
        self._feed.close()


def until(listeners: list[Listener], samples: list[int]) -> None:
    """Turn them all until each has so many samples."""
    deadline = time.monotonic() + 15
    while any(one.count < wanted for one, wanted in zip(listeners, samples, strict=True)):
        assert time.monotonic() < deadline, [one.process.status() for one in listeners]
        for one in listeners:
            one.turn()


def record(listeners: list[Listener], folder: Path, since_ns: int) -> EpisodeReader:
    """Write what they published as the recorder does."""
    anchor = ClockAnchor(since_ns, 1_790_000_000_000_000_000)
    setups = {each.name: each for one in listeners for each in one.of(StreamSetup)}
    sounds = {each.source: each for one in listeners for each in one.of(AudioBlock)}
    plain = synthetic_header(("overhead",), 64, 48, anchor=anchor)
    header = type(plain)(
        **{name: getattr(plain, name) for name in plain.__slots__}
        | {
            "streams": tuple(
                StreamHeader(s.name, s.kind, s.values, s.unit, s.frame, s.rate_hz, s.resampling.value)
                for s in setups.values()
            ),
            "audio": tuple(AudioHeader(s.source, s.rate_hz, s.channels) for s in sounds.values()),
        }
    )
    path = folder / f"{header.uuid}.mcap"
    writer = EpisodeWriter(folder / "open.mcap", header, destination=path)
    for one in listeners:
        for value in one.came:
            if isinstance(value, StreamBatch):
                writer.add_stream(value)
            elif isinstance(value, AudioBlock):
                writer.add_audio(value)
            elif isinstance(value, ClockFit):
                writer.add_clock(value)
    return EpisodeReader(writer.finish().path)


def test_sensors_are_recorded_with_units_times_and_counted_gaps(folder: Path) -> None:
    since_ns = time.monotonic_ns()
    bota, pad = EmulatedBota(), EmulatedTactile(2, 3)
    bota.wrench = WRENCH
    pad.pressures[:] = np.arange(6).reshape(2, 3)
    with SensorPort(bota) as bota_port, SensorPort(pad) as pad_port:
        bota_port.stream(bota.frame, 200.0)
        pad_port.stream(pad.frame, 100.0)
        wrench = Listener(folder, "tool", "serial-wrench", port=bota_port.path, protocol="bota")
        tactile = Listener(folder, "pad", "serial-tactile", port=pad_port.path, unit="kPa", scale=0.5)
        mic = Listener(folder, "mic", "microphone", backend="null", rate_hz=16000)
        everyone = [wrench, tactile, mic]
        until(everyone, [60, 20, 3200])
        with bota_port.lock:
            bota.skip(9)
        with pad_port.lock:
            pad.skip(4)
        until(everyone, [200, 40, 3200])
        status = wrench.process.status()
        assert status["text"] == "" and status["values"]["tool/wrench/fz"] == 30.0
        assert status["missed"] == 9.0
        assert wrench.process.tare() == {}
        episode = record(everyone, folder, since_ns)
        for each in everyone:
            each.close()

    found = {header.name: header for header in episode.header.streams}
    assert (found["tool/wrench"].unit, found["tool/wrench"].kind) == ("N, N m", "wrench")
    assert (found["pad/tactile"].unit, found["pad/tactile"].values[-1]) == ("kPa", "r1c2")
    assert episode.footer.lost == {"/stream/tool/wrench": 9, "/stream/pad/tactile": 4}
    forces = episode.stream("tool/wrench")
    assert forces.values == pytest.approx(np.tile(WRENCH, (len(forces.values), 1)))
    pressures = episode.stream("pad/tactile")
    assert pressures.values == pytest.approx(np.tile(0.5 * np.arange(6), (len(pressures.values), 1)))
    assert episode.footer.counts["/audio/mic"] > 0
    assert episode.footer.counts["/clock/tool/wrench"] >= 1
    assert set(np.diff(forces.device_ns)) == {5_000_000, 10 * 5_000_000}
    episode.close()


def test_zeroing_is_refused_where_there_is_no_load(folder: Path) -> None:
    mic = Listener(folder, "mic", "microphone", backend="null")
    with pytest.raises(Exception, match="The sensor 'mic' cannot be zeroed: it measures no load"):
        mic.process.tare()
    mic.close()


def test_an_unknown_setting_is_named(folder: Path) -> None:
    with pytest.raises(Exception, match="The options of the sensor 'tool' are wrong: bord: "):
        Listener(folder, "tool", "serial-wrench", port="/dev/ttyUSB0", protocol="bota", bord=9600)
