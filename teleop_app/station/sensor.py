"""A sensor process: reads one sensor and publishes its numbers or sound, timed on the station's clock."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final

import numpy as np

from devices.protocols import SelfReporting, Sensor, Tareable
from teleop_app.core.bus import CommandServer, Publisher
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.device_clock import DeviceClock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array, AudioBlock, ProcessState, StreamBatch
from teleop_app.station.device_watch import DeviceWatch
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

READ_S: Final = 0.1
SILENT_NS: Final = 2 * NS_PER_S
"""A sensor that is open but delivers nothing for this long is said to be silent."""
_SETUP_NS: Final = NS_PER_S // 5
"""Often, since an episode that begins before the recorder has heard of a stream leaves it out."""


class SensorProcess:
    """Reads a sensor, blocking in it, and publishes what comes.

    `capture_ns` of what it delivers is an estimate from the arrival; where the device stamps its samples,
    they get the time that `DeviceClock` finds, and calibrated latencies are subtracted. A sensor that is
    lost is looked for every second.

    Args:
        context: The process's context.
        sensor: Owned by this process from here on.
        name: As in the station file.
        driver: Name of its driver.
    """

    def __init__(self, context: ProcessContext, sensor: Sensor, name: str, driver: str) -> None:
        self._context = context
        self._sensor = sensor
        self._name = name
        self._driver = driver
        self._watch = DeviceWatch()
        self._clocks: dict[str, DeviceClock] = {}
        self._values: dict[str, float] = {}
        self._publisher: Publisher | None = None
        self._setup_due_ns = 0
        self._heard_ns = 0
        self._refused = ""

    def run(self) -> None:
        """Run until the context is stopping. Blocks."""
        self.open()
        try:
            while not self._context.stopping:
                self.turn()
        finally:
            self.close()

    def open(self) -> None:
        """Open the sockets."""
        self._publisher = self._context.publisher()
        self._commands: CommandServer = self._context.commands({"status": self.status, "tare": self.tare})
        self._heartbeat = Heartbeat(self._context, self._publisher)
        self._heartbeat.beat(ProcessState.STARTING)

    def close(self) -> None:
        """Close the sensor and the sockets. May be called twice."""
        if self._publisher is None:
            return
        self._sensor.stop()
        self._heartbeat.beat(ProcessState.STOPPED)
        self._commands.close()
        self._publisher.close()
        self._publisher = None

    def turn(self) -> None:
        """Wait for something of the sensor, and publish it."""
        clock = self._context.clock
        now_ns = clock.now_ns()
        if self._watch.due(now_ns):
            self._start()
        if self._watch.there:
            self._read()
        else:
            clock.sleep_until(now_ns + round(READ_S * NS_PER_S))
        self._publish_setups(clock.now_ns())
        self._commands.serve()
        self._heartbeat.beat(ProcessState.RUNNING, self._sentence(), self._metrics)

    def status(self) -> dict[str, Any]:
        """The sensor and its last values."""
        return {
            "device": self._name,
            "driver": self._driver,
            "state": "running" if self._watch.there else "lost",
            "text": self._sentence(),
            "values": dict(self._values),
        } | self._metrics()

    def tare(self) -> dict[str, Any]:
        """Take the present reading for zero.

        Raises:
            DeviceError: This sensor has no zero to set.
        """
        if not isinstance(self._sensor, Tareable):
            raise DeviceError(f"The sensor '{self._name}' cannot be zeroed", why="it measures no load")
        self._sensor.tare()
        return {}

    # Inside.

    def _start(self) -> None:
        try:
            with self._heartbeat.kept_up(ProcessState.RUNNING, self._watch.fault):
                self._sensor.start()
        except DeviceError as error:
            self._watch.failed(error, self._context.clock.now_ns())
            return
        self._heard_ns = self._context.clock.now_ns()
        self._setup_due_ns = 0
        if self._watch.opened():
            self._event("sensor.back", f"The sensor '{self._name}' is back.")

    def _read(self) -> None:
        try:
            came = self._sensor.read(READ_S)
        except DeviceError as error:
            self._sensor.stop()
            if self._watch.failed(error, self._context.clock.now_ns()):
                self._event("sensor.lost", f"The sensor '{self._name}' is lost. {error.sentence}")
            return
        for each in came:
            if isinstance(each, AudioBlock):
                self._publish_audio(each)
            else:
                self._publish_batch(each)

    def _publish_batch(self, batch: StreamBatch) -> None:
        if not self._fits(batch):
            return
        now_ns = self._context.clock.now_ns()
        receive_ns = batch.receive_ns or now_ns
        clock = self._clock(batch.stream)
        if batch.device_ns is None:
            stamps = batch.capture_ns - clock.latency_ns
        else:
            # Each by the arrival that was estimated for it: samples that came together would share a time.
            pairs = zip(batch.device_ns.tolist(), batch.capture_ns.tolist(), strict=True)
            stamps = np.array([clock.stamp(device_ns, at_ns) for device_ns, at_ns in pairs], np.int64)
        self._send(f"batch/{batch.stream}", replace(batch, capture_ns=stamps, receive_ns=receive_ns))
        self._publish_fit(clock, now_ns)
        self._note(batch.stream, batch.values[-1], int(stamps[-1]))

    def _publish_audio(self, block: AudioBlock) -> None:
        now_ns = self._context.clock.now_ns()
        clock = self._clock(block.source)
        if block.device_ns:
            capture_ns = clock.stamp(block.device_ns, block.receive_ns or now_ns)
        else:
            capture_ns = block.capture_ns - clock.latency_ns
        self._send(f"audio/{block.source}", replace(block, capture_ns=capture_ns))
        self._publish_fit(clock, now_ns)
        sound = np.frombuffer(block.payload, "<i2").astype(float)
        level = float(np.sqrt(np.mean(sound**2))) / 32768.0 if sound.size else 0.0
        self._values["level"] = level
        self._heard(capture_ns)

    def _fits(self, batch: StreamBatch) -> bool:
        """Whether a batch is what its stream says; a recorder must not learn otherwise."""
        widths = {setup.name: len(setup.values) for setup in self._sensor.streams}
        shape = (len(batch.capture_ns), widths.get(batch.stream, -1))
        if batch.values.shape == shape and shape[0] > 0 and np.isfinite(batch.values).all():
            self._refused = ""
            return True
        self._watch.errors += 1
        sentence = (
            f"The sensor '{self._name}' delivers values of stream '{batch.stream}' that are not finite or "
            f"of shape {batch.values.shape} instead of {shape}; they are left out."
        )
        if sentence != self._refused:
            logger.warning("%s", sentence)
        self._refused = sentence
        return False

    def _note(self, stream: str, values: Array, capture_ns: int) -> None:
        setup = next(each for each in self._sensor.streams if each.name == stream)
        for name, value in zip(setup.values, values, strict=True):
            self._values[f"{stream}/{name}"] = float(value)
        self._heard(capture_ns)

    def _heard(self, capture_ns: int) -> None:
        self._heard_ns = self._context.clock.now_ns()
        self._watch.saw(self._heard_ns, capture_ns)

    def _clock(self, stream: str) -> DeviceClock:
        if stream not in self._clocks:
            self._clocks[stream] = DeviceClock(stream, self._context.config.latency_ns(stream))
        return self._clocks[stream]

    def _publish_fit(self, clock: DeviceClock, now_ns: int) -> None:
        fit = clock.take_fit(now_ns)
        if fit is not None:
            self._send(f"clock/{clock.stream}", fit)

    def _publish_setups(self, now_ns: int) -> None:
        if self._watch.there and now_ns >= self._setup_due_ns:
            self._setup_due_ns = now_ns + _SETUP_NS
            for setup in self._sensor.streams:
                self._send("stream", setup)

    def _send(self, topic: str, value: object) -> None:
        if self._publisher is not None:
            self._publisher.send(topic, value)

    def _event(self, kind: str, text: str) -> None:
        self._send("event", self._context.event(kind, text, sensor=self._name))

    def _sentence(self) -> str:
        if self._watch.fault or self._refused:
            return self._watch.fault or self._refused
        if self._watch.there and self._context.clock.now_ns() - self._heard_ns > SILENT_NS:
            return f"The sensor '{self._name}' is connected, but delivers nothing."
        return self._sensor.remark if isinstance(self._sensor, SelfReporting) else ""

    def _metrics(self) -> dict[str, float]:
        own = self._sensor.metrics if isinstance(self._sensor, SelfReporting) else {}
        return own | self._watch.metrics(self._context.clock.now_ns())
