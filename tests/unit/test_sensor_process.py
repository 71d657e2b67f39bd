"""The sensor process over its real sockets, turned by hand on a fake clock."""

from __future__ import annotations

import numpy as np
import pytest

from teleop_app.core.bus import Endpoints, Subscriber
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import LatencySection, StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import AudioBlock, ClockFit, Event, StreamBatch, StreamSetup
from teleop_app.station.process import ProcessContext
from teleop_app.station.sensor import SensorProcess

STREAM = StreamSetup("wrist/wrench", "wrench", ("fx", "fz"), "N", "left/tcp", 100.0)
DEVICE_START_NS = 5_000_000_000


class Scale:
    """A sensor that delivers ten samples a read, stamped by its own clock, until told otherwise."""

    streams = (STREAM,)

    def __init__(self, clock, *, stamped):
        self.clock, self.stamped = clock, stamped
        self.fault: DeviceError | None = None
        self.values = np.ones((10, 2))
        self.seq = self.starts = self.stops = 0
        self.silent = False
        self.sound: AudioBlock | None = None

    def start(self):
        self.starts += 1
        if self.fault is not None:
            raise self.fault

    def read(self, timeout_s):
        if self.fault is not None:
            raise self.fault
        self.clock.advance(0.1)
        if self.silent:
            return []
        now_ns = self.clock.now_ns()
        stamps = now_ns - 10_000_000 * np.arange(len(self.values))[::-1]
        device_ns = stamps - stamps[0] + DEVICE_START_NS + 10_000_000 * self.seq if self.stamped else None
        batch = StreamBatch(STREAM.name, self.seq, stamps, self.values, device_ns, now_ns)
        self.seq += len(self.values)
        return [batch, *([self.sound] if self.sound else [])]

    def stop(self):
        self.stops += 1


class Bench:
    def __init__(self, folder, *, stamped=False, latency_ms=0.0):
        self.clock = FakeClock()
        config = StationConfig(latencies=[LatencySection(stream=STREAM.name, latency_ms=latency_ms)])
        endpoints = Endpoints(folder)
        context = ProcessContext("sensor-wrist", config, DataDir(folder), endpoints, folder, self.clock)
        self.sensor = Scale(self.clock, stamped=stamped)
        self.process = SensorProcess(context, self.sensor, "wrist", "scale")
        self.process.open()
        self.subscriber = Subscriber([endpoints.publish("sensor-wrist")])
        self.heard: list[object] = []
        for _ in range(200):  # sockets need a moment to find each other
            self.turn()
            if self.of(StreamBatch):
                break
        self.heard.clear()

    def turn(self, count=1):
        for _ in range(count):
            self.process.turn()
            self.subscriber.wait(0.005)
            self.heard += [value for _, value in self.subscriber.drain()]

    def of(self, kind):
        return [value for value in self.heard if isinstance(value, kind)]

    def close(self):
        self.process.close()
        self.subscriber.close()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


def test_streams_introduce_themselves_and_keep_their_numbers(bench):
    bench.turn(25)
    batches = bench.of(StreamBatch)
    seqs = [batch.seq for batch in batches]
    assert seqs == list(range(seqs[0], seqs[0] + 10 * len(seqs), 10))
    assert 10 <= len(bench.of(StreamSetup)) <= 15, "five times a second"
    status = bench.process.status()
    assert status["values"] == {"wrist/wrench/fx": 1.0, "wrist/wrench/fz": 1.0}
    assert status["state"] == "running" and status["rate_hz"] == pytest.approx(10, abs=1)


def test_the_device_clock_gives_the_times_and_the_fit_is_published(tmp_path):
    bench = Bench(tmp_path, stamped=True, latency_ms=4.0)
    bench.turn(40)
    last = bench.of(StreamBatch)[-1]
    assert np.allclose(np.diff(last.capture_ns), 1e7, atol=2e5)
    assert (last.receive_ns - last.capture_ns >= 4e6).all(), "the calibrated latency is subtracted"
    assert bench.of(ClockFit)[-1].stream == STREAM.name
    bench.close()


def test_a_lost_sensor_is_looked_for_every_second_and_said_to_be_back(bench):
    bench.sensor.fault = DeviceError("The sensor on /dev/ttyUSB1 was unplugged", next_step="Plug it in")
    bench.turn(25)
    assert bench.process.status()["text"] == "The sensor on /dev/ttyUSB1 was unplugged. Plug it in."
    assert 2 <= bench.sensor.starts <= 5
    bench.sensor.fault = None
    bench.turn(25)
    assert bench.process.status()["text"] == ""
    assert [event.kind for event in bench.of(Event)] == ["sensor.lost", "sensor.back"]


def test_a_silent_sensor_is_told(bench):
    bench.sensor.silent = True
    bench.turn(25)
    assert bench.process.status()["text"] == "The sensor 'wrist' is connected, but delivers nothing."


@pytest.mark.parametrize("values", [np.full((10, 2), np.nan), np.ones((10, 3)), np.ones((0, 2))])
def test_values_that_make_no_sense_are_left_out_with_a_sentence(bench, values):
    bench.sensor.values = values
    bench.turn(3)
    assert not bench.of(StreamBatch)
    assert "are not finite or of shape" in bench.process.status()["text"]
    bench.sensor.values = np.ones((10, 2))
    bench.turn(3)
    assert bench.process.status()["text"] == ""


def test_sound_goes_its_way(bench):
    payload = (np.ones(480) * 3277).astype("<i2").tobytes()
    bench.sensor.sound = AudioBlock("wrist", 0, bench.clock.now_ns(), bench.clock.now_ns(), 48000, 1, payload)
    bench.turn(2)
    assert bench.of(AudioBlock)[0].payload == payload
    assert bench.process.status()["values"]["level"] == pytest.approx(0.1, abs=1e-3)
