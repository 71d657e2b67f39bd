"""An input process: polls one input device and hands its samples to control."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from typing import Any, Final, Protocol, runtime_checkable

from devices.protocols import InputDevice
from teleop_app.core.bus import CommandServer, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.device_clock import DeviceClock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Event, InputSample, ProcessState, RecorderState, RecorderStatus
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

_RETRY_NS: Final = NS_PER_S
_CUES: Final = {
    "control.engaged": "clutch",
    "safety.hold": "stale",
    "safety.limit": "limit",
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
    """Polls an input device at a fixed rate and publishes what it reads.

    A device that stamps its samples by a clock of its own (`device_ns`) gives as `capture_ns` when the
    sample arrived; here it becomes the time at which it was true.

    A device that cannot be reached, or is lost, is tried again every second; until then the status
    says why. A `Worker` is told by the command `go` to work on the present or next recording, until the
    task is solved, the recording ends, or `halt`; a person's recordings are left to the person.

    Args:
        context: The process's context.
        device: What is polled.
        rate_hz: How often.
    """

    def __init__(self, context: ProcessContext, device: InputDevice, rate_hz: float = 100.0) -> None:
        self._context = context
        self._device = device
        self._worker = device if isinstance(device, Worker) else None
        self._clock = DeviceClock(device.name, context.config.latency_ns(device.name))
        self._period_ns = round(NS_PER_S / rate_hz)
        self._publisher: Publisher | None = None
        self._started = False
        self._retry_ns = 0
        self._fault = ""
        self._sent_ns: deque[int] = deque(maxlen=round(2 * rate_hz))
        self._capture_ns = 0
        self._due_ns = 0
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
        self._commands: CommandServer = self._context.commands(
            {"go": self.go, "halt": self.halt, "status": self.status}
        )
        peers = ("control", "recorder", "simulation")
        topics = ("event", "tick", "task", "recorder") if self._worker else ("event",)
        self._station = Subscriber([endpoints.publish(peer) for peer in peers], topics)
        self._heartbeat = Heartbeat(self._context, self._publisher)
        self._due_ns = self._context.clock.now_ns()

    def close(self) -> None:
        """Let go, close the device and the sockets. May be called twice."""
        if self._publisher is None:
            return
        self._device.stop()
        self._send()  # the last sample holds nothing
        self._heartbeat.beat(ProcessState.STOPPED)
        for socket in (self._station, self._commands, self._inputs, self._publisher):
            socket.close()
        self._publisher = None

    def turn(self) -> None:
        """Wait for the next poll, look at the station, poll, publish."""
        clock = self._context.clock
        clock.sleep_until(self._due_ns)
        now_ns = clock.now_ns()
        self._due_ns = max(self._due_ns + self._period_ns, now_ns)
        self._look()
        if not self._started and now_ns >= self._retry_ns:
            self._open_device(now_ns)
        if self._started:
            self._poll(now_ns)
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
        state, text = self._worker.report if self._worker else ("", "")
        state = "armed" if self._armed else state
        return {"device": self._device.name, "state": state, "text": self._fault or text} | self._metrics()

    def _told(self) -> Worker:
        if self._worker is None:
            raise DeviceError(
                f"The input '{self._device.name}' cannot be told to work", why="a person moves it"
            )
        return self._worker

    # Inside.

    def _open_device(self, now_ns: int) -> None:
        try:
            self._device.start()
        except DeviceError as error:
            self._lost(error, now_ns)
        else:
            self._started, self._fault = True, ""

    def _poll(self, now_ns: int) -> None:
        try:
            self._send()
        except DeviceError as error:
            self._lost(error, now_ns)

    def _send(self) -> None:
        sample = self._device.poll()
        if sample is not None:
            sample = self._timed(sample)
            self._inputs.send("input", sample)
            self._capture_ns = sample.capture_ns
            self._sent_ns.append(self._context.clock.now_ns())

    def _timed(self, sample: InputSample) -> InputSample:
        """The sample with the host time of its device's stamp, where it has one."""
        if sample.device_ns is None:
            return sample
        capture_ns = self._clock.stamp(sample.device_ns, sample.capture_ns)
        fit = self._clock.take_fit(sample.capture_ns)
        if fit is not None and self._publisher is not None:
            self._publisher.send(f"clock/{sample.source}", fit)
        return replace(sample, capture_ns=capture_ns)

    def _lost(self, error: DeviceError, now_ns: int) -> None:
        if error.sentence != self._fault:
            logger.warning("%s", error.sentence)
        self._started, self._fault = False, error.sentence
        self._retry_ns = now_ns + _RETRY_NS

    def _look(self) -> None:
        for _, value in self._station.drain(500):
            if isinstance(value, Event):
                if (cue := _CUES.get(value.kind)) is not None and self._started:
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
        return self._fault or (self._worker.report[1] if self._worker else "")

    def _metrics(self) -> dict[str, float]:
        now_ns = self._context.clock.now_ns()
        recent = [stamp for stamp in self._sent_ns if stamp > now_ns - NS_PER_S]
        metrics = {"rate_hz": float(len(recent))}
        if self._capture_ns:
            metrics["age_ms"] = (now_ns - self._capture_ns) / NS_PER_MS
        return metrics
