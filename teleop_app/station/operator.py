"""An input process: polls one input device and hands its samples to control."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import Any, Final, Protocol, runtime_checkable

from devices.protocols import Companions, Epochs, InputDevice, Reporting, StationObserver, Waiting
from teleop_app.core.bus import CommandServer, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.device_clock import DeviceClock
from teleop_app.core.errors import DeviceError, StorageError
from teleop_app.core.types import Event, InputSample, ProcessState, RecorderState, RecorderStatus
from teleop_app.station.device_watch import DeviceWatch
from teleop_app.station.input_values import live_values
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

_SAMPLES_A_TURN: Final = 64
_CUES: Final = {
    "control.engaged": "clutch",
    "control.aligned": "aligned",
    "safety.hold": "stale",
    "safety.limit": "limit",
    "safety.estop": "estop",
    "autonomy.help": "help",
    "recorder.started": "record",
    "recorder.stopped": "record",
}


@runtime_checkable
class Worker(Protocol):
    """An input device that works by itself: it looks at the station, and is told when to work."""

    def observe(self, value: object) -> None:
        """See a message of the station."""
        ...

    def go(self) -> None:
        """Start to work on the present task."""
        ...

    def halt(self) -> None:
        """Let go of the arms."""
        ...

    @property
    def report(self) -> tuple[str, str]:
        """State, and a sentence when something is off, else empty."""
        ...


class InputProcess:
    """Polls an input device and publishes what it reads: at a fixed rate, or as it comes (`Waiting`).

    A device that stamps its samples by a clock of its own (`device_ns`) gives as `capture_ns` when the
    sample arrived; here it becomes the time at which it was true.

    A device that cannot be reached, or is lost, is tried again every second; until then the status
    says why. One that is `waiting` for a person says so by the metric of that name: that is no fault. A
    `Worker` is told by the command `go` to work on the present or next recording, until the
    task is solved, the recording ends, or `halt`; a person's recordings are left to the person.

    Args:
        context: The process's context.
        device: What is polled.
        rate_hz: How often; a device that is waited for is still looked after so often.
        driver: Name of its driver.
    """

    def __init__(
        self, context: ProcessContext, device: InputDevice, rate_hz: float = 100.0, driver: str = ""
    ) -> None:
        self._context = context
        self._device = device
        self._driver = driver
        self._worker = device if isinstance(device, Worker) else None
        self._observer = device if isinstance(device, StationObserver) else None
        self._waiting = device if isinstance(device, Waiting) else None
        self._reporting = device if isinstance(device, Reporting) else None
        self._companions = device if isinstance(device, Companions) else None
        self._epochs = device if isinstance(device, Epochs) else None
        self._epoch: int | None = None
        self._clock = self._new_clock()
        self._period_ns = round(NS_PER_S / rate_hz)
        self._publisher: Publisher | None = None
        self._watch = DeviceWatch()
        self._last: InputSample | None = None
        self._due_ns = 0
        self._introduce_ns = 0
        self._armed = False
        self._recording = False

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
        endpoints = self._context.endpoints
        self._publisher = self._context.publisher()
        self._inputs = Publisher(endpoints.inputs(), connect=True, queue=200)
        own = self._reporting.commands if self._reporting else {}
        self._commands: CommandServer = self._context.commands(
            {**own, "go": self.go, "halt": self.halt, "status": self.status}
        )
        peers = ("control", "recorder", "simulation", "cameras", "policy")
        topics = ("event", "tick", "task", "recorder") if self._worker else ("event",)
        topics = tuple({*topics, *self._observer.topics}) if self._observer else topics
        self._station = Subscriber([endpoints.publish(peer) for peer in peers], topics)
        self._heartbeat = Heartbeat(self._context, self._publisher)
        self._due_ns = self._context.clock.now_ns()

    def close(self) -> None:
        """Let go, close the device and the sockets. May be called twice."""
        if self._publisher is None:
            return
        self._device.stop()
        with contextlib.suppress(DeviceError):
            self._send_all()  # the last sample holds nothing
        self._heartbeat.beat(ProcessState.STOPPED)
        for socket in (self._station, self._commands, self._inputs, self._publisher):
            socket.close()
        self._publisher = None

    def turn(self) -> None:
        """Wait for the next poll, look at the station, poll, publish."""
        self._wait()
        now_ns = self._context.clock.now_ns()
        self._look()
        if self._watch.due(now_ns):
            self._open_device(now_ns)
        if self._watch.there:
            self._poll(now_ns)
        self._introduce(now_ns)
        self._commands.serve()
        self._heartbeat.beat(ProcessState.RUNNING, self._sentence(), self._metrics)

    # Commands.

    def go(self, now: bool = False) -> dict[str, Any]:
        """Tell a worker to work as long as the present recording, or the next one, goes on.

        Args:
            now: Work at once, whether or not anything is recorded.

        Raises:
            DeviceError: The device is moved by a person.
        """
        worker = self._told()
        self._armed = not (now or self._recording)
        if not self._armed:
            worker.go()
        return {}

    def halt(self) -> dict[str, Any]:
        """Tell a worker to let go.

        Raises:
            DeviceError: The device is moved by a person.
        """
        worker = self._told()
        self._armed = False
        worker.halt()
        return {}

    def status(self) -> dict[str, Any]:
        """The device, and what it does."""
        state = self._worker.report[0] if self._worker else self._reporting.state if self._reporting else ""
        return {
            "device": self._device.name,
            "driver": self._driver,
            "state": "armed" if self._armed else state,
            "text": self._sentence(),
            "values": live_values(self._last),
        } | self._metrics()

    def _told(self) -> Worker:
        if self._worker is None:
            raise DeviceError(
                f"The input '{self._device.name}' cannot be told to work", why="a person moves it"
            )
        return self._worker

    # Inside.

    def _new_clock(self) -> DeviceClock:
        return DeviceClock(self._device.name, self._context.config.latency_ns(self._device.name))

    def _wait(self) -> None:
        clock = self._context.clock
        if self._waiting is None or not self._watch.there:
            clock.sleep_until(self._due_ns)
        else:
            self._waiting.wait(max(0, self._due_ns - clock.now_ns()) / NS_PER_S)
        now_ns = clock.now_ns()
        if now_ns >= self._due_ns:
            self._due_ns = max(self._due_ns + self._period_ns, now_ns)

    def _open_device(self, now_ns: int) -> None:
        try:
            self._device.start()
        except (DeviceError, StorageError) as error:
            self._watch.failed(error, now_ns)
        else:
            self._watch.opened()

    def _poll(self, now_ns: int) -> None:
        try:
            self._send_all()
        except DeviceError as error:
            self._watch.failed(error, now_ns)

    def _send_all(self) -> None:
        """One sample of a device that is polled; of one that is waited for, all that came."""
        for _ in range(_SAMPLES_A_TURN if self._waiting else 1):
            sample = self._device.poll()
            if sample is None:
                return
            self._send(self._timed(sample))

    def _send(self, sample: InputSample) -> None:
        self._inputs.send("input", sample)
        self._last = sample
        self._watch.saw(self._context.clock.now_ns(), sample.capture_ns)
        if self._companions is not None and self._publisher is not None:
            for batch in self._companions.batches(sample):
                self._publisher.send(f"batch/{batch.stream}", batch)

    def _introduce(self, now_ns: int) -> None:
        """Say about once a second what else the device measures."""
        if self._companions is None or self._publisher is None or now_ns < self._introduce_ns:
            return
        self._introduce_ns = now_ns + NS_PER_S
        for stream in self._companions.streams:
            self._publisher.send("stream", stream)

    def _timed(self, sample: InputSample) -> InputSample:
        """The sample with the host time of its device's stamp, where it has one."""
        if sample.device_ns is None:
            return sample
        if self._epochs is not None and self._epochs.clock_epoch != self._epoch:
            self._epoch, self._clock = self._epochs.clock_epoch, self._new_clock()
        capture_ns = self._clock.stamp(sample.device_ns, sample.capture_ns)
        fit = self._clock.take_fit(sample.capture_ns)
        if fit is not None and self._publisher is not None:
            self._publisher.send(f"clock/{sample.source}", fit)
        return replace(sample, capture_ns=capture_ns)

    def _look(self) -> None:
        for _, value in self._station.drain(500):
            if self._observer is not None:
                self._observer.observe(value)
            if isinstance(value, Event):
                if (cue := _CUES.get(value.kind)) is not None and self._watch.there:
                    self._device.cue(cue)
            elif self._worker is not None:
                self._worker.observe(value)
                if isinstance(value, RecorderStatus):
                    self._follow_recorder(value)

    def _follow_recorder(self, recorder: RecorderStatus) -> None:
        if self._worker is None:
            return
        was, self._recording = self._recording, recorder.state is RecorderState.RECORDING
        if self._recording and self._armed:
            self._armed = False
            self._worker.go()
        elif was and not self._recording:
            self._worker.halt()

    def _sentence(self) -> str:
        if self._watch.fault:
            return self._watch.fault
        if self._worker is not None:
            return self._worker.report[1]
        return self._reporting.sentence if self._reporting else ""

    def _metrics(self) -> dict[str, float]:
        found = self._watch.metrics(self._context.clock.now_ns())
        if self._reporting is None:
            return found
        waiting = float(self._reporting.state == "waiting" and self._watch.there)
        return {**found, **self._reporting.metrics, "waiting": waiting}
