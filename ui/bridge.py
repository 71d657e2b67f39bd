"""The only place where the station meets Qt: messages become signals, clicks become commands.

Messages are drained on the GUI thread 60 times a second and coalesced, so that nothing queues up
without bound: of frames, world states and statuses only the newest is passed on; ticks are
counted one by one for the meters and handed on as one batch. What a stalled window could not take
is dropped by the socket's own limit. Operator samples go through a thread of their own, which
repeats them while this one is busy drawing. Commands can block for seconds and run on one worker
thread a process, so that a slow recorder never delays an e-stop.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QImage

from teleop_app.core.errors import TeleopError
from teleop_app.core.ring import RingRecord, camera_ring
from teleop_app.core.types import (
    CameraSetup,
    ClockFit,
    ControlTick,
    Event,
    ForceBatch,
    FrameNotice,
    InputSample,
    PolicyChunk,
    PolicyStatus,
    ProcessStatus,
    RecorderStatus,
    StationStatus,
    StreamBatch,
    StreamSetup,
    TaskStatus,
    WorldState,
)
from ui.sample_pump import SamplePump
from ui.viewmodels.background import deliver

log = logging.getLogger(__name__)

DRAIN_INTERVAL_MS = 16
DRAIN_LIMIT = 1500
TOPICS = (
    "tick",
    "world",
    "force",
    "task",
    "event",
    "camera",
    "frame/",
    "stream",
    "clock/",
    "status",
    "station",
    "recorder",
    "policy",
    "chunk",
)
"""Everything but encoded video, raw samples and echoed input, which a window has no use for."""

BODIES = ("base", "lift")
"""Streams of these names are followed all the time: few and slow."""

LINK_TIMEOUT_S = 2.0
_METER_SPAN_NS = 2_000_000_000
_CAMERA_SPAN_NS = 3_000_000_000
_BLOCKING_TIMEOUT_S = {"stop": 30.0, "prepare": 30.0, "redo": 30.0, "next": 30.0, "record": 30.0}


class MessageSource(Protocol):
    """What the bridge needs of a subscription."""

    def drain(self, limit: int = ...) -> Iterable[tuple[str, Any]]:
        """Yields the waiting messages."""
        ...

    def close(self) -> None:
        """Ends the subscription."""
        ...


class FrameRing(Protocol):
    """What the bridge needs of a camera's ring."""

    def next_new(self) -> RingRecord | None:
        """Returns the newest frame if it is new."""
        ...

    def close(self) -> None:
        """Releases the memory."""
        ...


class StationPort(Protocol):
    """What the bridge needs of the station's client (`teleop_app.station.client.StationClient`)."""

    def subscribe(self, topics: Iterable[str] = ..., processes: Iterable[str] | None = ...) -> MessageSource:
        """Opens a subscription to all processes, or some."""
        ...

    def call(self, process: str, command: str, /, *, timeout_s: float = ..., **args: Any) -> dict[str, Any]:
        """Runs a command of a process and waits for its answer."""
        ...

    def send_input(self, sample: InputSample) -> None:
        """Sends one operator sample to control."""
        ...

    def open_ring(self, name: str) -> FrameRing:
        """Opens a shared-memory ring for reading."""
        ...


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A picture to show.

    Attributes:
        camera: Name.
        seq: On the camera's frame grid.
        capture_ns: When the scene looked so.
        image: RGB888 over `pixels`, which it does not own.
        pixels: Kept so that the image stays valid.
    """

    camera: str
    seq: int
    capture_ns: int
    image: QImage
    pixels: bytes


class ControlMeter:
    """Rate and lateness of the control loop over the last two seconds, from every tick."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, int]] = deque(maxlen=4096)

    def add(self, tick: ControlTick) -> None:
        """Counts one tick."""
        self._ticks.append((tick.tick_ns, tick.tick_ns - tick.due_ns))
        while tick.tick_ns - self._ticks[0][0] > _METER_SPAN_NS:
            self._ticks.popleft()

    @property
    def rate_hz(self) -> float:
        """Ticks a second, 0 before two have come."""
        if len(self._ticks) < 2:
            return 0.0
        span_ns = self._ticks[-1][0] - self._ticks[0][0]
        return (len(self._ticks) - 1) * 1e9 / span_ns if span_ns > 0 else 0.0

    @property
    def late_p99_ms(self) -> float:
        """99th percentile of the lateness [ms]."""
        if not self._ticks:
            return 0.0
        return float(np.percentile([late for _, late in self._ticks], 99)) / 1e6


class CameraMeter:
    """Frame rate and loss of one camera over the last three seconds, from every notice."""

    def __init__(self) -> None:
        self._notices: deque[tuple[int, int]] = deque(maxlen=1024)
        self._newest: FrameNotice | None = None

    @property
    def age_ms(self) -> float | None:
        """How long after its capture the newest frame was available, None when that is not told."""
        newest = self._newest
        if newest is None or not newest.receive_ns:
            return None
        return (newest.receive_ns - newest.capture_ns) / 1e6

    def add(self, notice: FrameNotice) -> int:
        """Counts one frame and returns how many were lost before it.

        A number that goes back means the camera started anew.
        """
        self._newest = notice
        if self._notices and notice.seq <= self._notices[-1][0]:
            self._notices.clear()
        lost = notice.seq - self._notices[-1][0] - 1 if self._notices else 0
        self._notices.append((notice.seq, notice.capture_ns))
        while notice.capture_ns - self._notices[0][1] > _CAMERA_SPAN_NS:
            self._notices.popleft()
        return lost

    @property
    def fps(self) -> float:
        """Frames a second that arrived."""
        if len(self._notices) < 2:
            return 0.0
        span_ns = self._notices[-1][1] - self._notices[0][1]
        return (len(self._notices) - 1) * 1e9 / span_ns if span_ns > 0 else 0.0

    @property
    def lost_share(self) -> float:
        """Share of the frame grid that did not arrive, 0..1."""
        if len(self._notices) < 2:
            return 0.0
        due = self._notices[-1][0] - self._notices[0][0] + 1
        return 1.0 - len(self._notices) / due


class StationBridge(QObject):
    """Signals of a running station, and commands to it. Lives on the GUI thread.

    Args:
        port: The station's client; the bridge does not close it.
        parent: Owner.
        hands: Names of the station's hands.
    """

    ticksArrived = pyqtSignal(object)
    """List of `ControlTick`, all since the last time, oldest first."""
    worldChanged = pyqtSignal(object)
    frameArrived = pyqtSignal(object)
    """Newest `CameraFrame` of a camera."""
    framesLost = pyqtSignal(str, int, object)
    """Camera, frames of its grid that never came, and when; counted over all frames, shown or not."""
    forceArrived = pyqtSignal(object)
    """List of `ForceBatch`."""
    taskChanged = pyqtSignal(object)
    recorderChanged = pyqtSignal(object)
    stationChanged = pyqtSignal(object)
    processChanged = pyqtSignal(object)
    cameraChanged = pyqtSignal(object)
    streamChanged = pyqtSignal(object)
    clockFitted = pyqtSignal(object)
    policyChanged = pyqtSignal(object)
    """Newest `PolicyStatus`."""
    chunkArrived = pyqtSignal(object)
    """Each `PolicyChunk`, in order."""
    eventHappened = pyqtSignal(object)
    bodyMoved = pyqtSignal(object)
    """Newest `StreamBatch` of a stream of the base, the lift or a hand."""
    batchesArrived = pyqtSignal(object)
    """List of `StreamBatch` of the processes asked for by `watch_batches`."""
    linkChanged = pyqtSignal(bool)
    failed = pyqtSignal(object)
    """`TeleopError` of a command nobody waited for."""
    _finished = pyqtSignal(object)

    def __init__(self, port: StationPort, parent: QObject | None = None, hands: Iterable[str] = ()) -> None:
        super().__init__(parent)
        self._port = port
        self._topics = (*TOPICS, *(f"batch/{name}/" for name in (*BODIES, *hands)))
        self._source: MessageSource | None = None
        self._batches: MessageSource | None = None
        self._rings: dict[str, FrameRing] = {}
        self._workers: dict[str, ThreadPoolExecutor] = {}
        self._notices: dict[str, FrameNotice] = {}
        self._read_s: dict[str, float] = {}
        self._periods_s: dict[str, float] = {}
        self._divisors: dict[str, int] = {}
        self._noticed_s: dict[str, float] = {}
        self._linked = False
        self._was_linked = False
        self._last_message_s = 0.0
        self._pump = SamplePump(port.send_input)
        self.control = ControlMeter()
        self.cameras: dict[str, CameraMeter] = {}
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)  # pyright: ignore[reportCallIssue]
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(DRAIN_INTERVAL_MS)
        self._timer.timeout.connect(self.drain)

    @property
    def linked(self) -> bool:
        """Whether the station was heard within the last two seconds."""
        return self._linked

    @property
    def was_linked(self) -> bool:
        """Whether a station was ever heard."""
        return self._was_linked

    def set_frame_period(self, camera: str, period_s: float) -> None:
        """Passes on a camera's pictures no more often than this; infinite for none. Meters count all."""
        self._periods_s[camera] = period_s

    def set_frame_divisor(self, camera: str, divisor: int) -> None:
        """Passes on every `divisor`-th pixel of a camera's pictures, across and down."""
        self._divisors[camera] = divisor

    def start(self) -> None:
        """Subscribes and begins to drain."""
        if self._source is None:
            self._source = self._port.subscribe(self._topics)
        self._pump.start()
        self._timer.start()

    def stop(self) -> None:
        """Ends the subscription, and lets commands under way finish unheard."""
        self._timer.stop()
        self._pump.stop()
        for ring in self._rings.values():
            ring.close()
        self._rings.clear()
        self.watch_batches(())
        if self._source is not None:
            self._source.close()
            self._source = None
        for worker in self._workers.values():
            worker.shutdown(wait=False, cancel_futures=True)
        self._workers.clear()

    def watch_batches(self, processes: Iterable[str]) -> None:
        """Passes on the numeric streams of these processes from now on, none for an empty list."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None
        names = tuple(processes)
        if names:
            self._batches = self._port.subscribe(("batch/",), names)

    def drain(self) -> None:
        """Takes what waits and emits at most one signal of a kind (one a camera or process)."""
        if self._source is None:
            return
        ticks: list[ControlTick] = []
        forces: list[ForceBatch] = []
        latest: dict[tuple[type, str], Any] = {}
        events: list[Event] = []
        chunks: list[PolicyChunk] = []
        heard = False
        for _topic, value in self._source.drain(DRAIN_LIMIT):
            heard = True
            match value:
                case ControlTick():
                    self.control.add(value)
                    ticks.append(value)
                case FrameNotice():
                    lost = self.cameras.setdefault(value.camera, CameraMeter()).add(value)
                    if lost:
                        self.framesLost.emit(value.camera, lost, value.capture_ns)
                    self._notices[value.camera] = value
                    self._noticed_s[value.camera] = time.monotonic()
                case ForceBatch():
                    forces.append(value)
                case Event():
                    events.append(value)
                case PolicyChunk():
                    chunks.append(value)
                case ProcessStatus():
                    latest[(ProcessStatus, value.process)] = value
                case CameraSetup() | StreamSetup():
                    latest[(type(value), value.name)] = value
                case StreamBatch():
                    latest[(StreamBatch, value.stream)] = value
                case ClockFit():
                    latest[(ClockFit, value.stream)] = value
                case WorldState() | TaskStatus() | RecorderStatus() | StationStatus() | PolicyStatus():
                    latest[(type(value), "")] = value
        self._mark_link(heard)
        self._forget_silent()
        if ticks:
            self.ticksArrived.emit(ticks)
        if forces:
            self.forceArrived.emit(forces)
        for (kind, _), value in latest.items():
            self._signal_of(kind).emit(value)
        for chunk in chunks:
            self.chunkArrived.emit(chunk)
        for event in events:
            self.eventHappened.emit(event)
        self._drain_batches()
        self._read_frames()

    def _drain_batches(self) -> None:
        if self._batches is not None:
            values = (value for _, value in self._batches.drain(DRAIN_LIMIT))
            batches = [value for value in values if isinstance(value, StreamBatch)]
            if batches:
                self.batchesArrived.emit(batches)

    def _signal_of(self, kind: type) -> Any:
        return {
            WorldState: self.worldChanged,
            TaskStatus: self.taskChanged,
            RecorderStatus: self.recorderChanged,
            StationStatus: self.stationChanged,
            ProcessStatus: self.processChanged,
            CameraSetup: self.cameraChanged,
            StreamSetup: self.streamChanged,
            StreamBatch: self.bodyMoved,
            ClockFit: self.clockFitted,
            PolicyStatus: self.policyChanged,
        }[kind]

    def _mark_link(self, heard: bool) -> None:
        now_s = time.monotonic()
        if heard:
            self._last_message_s = now_s
        linked = heard or (self._linked and now_s - self._last_message_s < LINK_TIMEOUT_S)
        if linked != self._linked:
            self._linked = linked
            self._was_linked = True
            if not linked:
                self.control = ControlMeter()
            self.linkChanged.emit(linked)

    def _forget_silent(self) -> None:
        """A camera that has fallen silent has no rate."""
        now_s = time.monotonic()
        for camera, noticed_s in list(self._noticed_s.items()):
            if now_s - noticed_s > LINK_TIMEOUT_S:
                del self._noticed_s[camera]
                self.cameras[camera] = CameraMeter()

    def _read_frames(self) -> None:
        now_s = time.monotonic()
        for camera, notice in list(self._notices.items()):
            # Half a drain early is nearer to the wanted time than half a drain late.
            due_s = self._read_s.get(camera, 0.0) + self._periods_s.get(camera, 0.0)
            if now_s < due_s - DRAIN_INTERVAL_MS / 2000.0:
                continue
            del self._notices[camera]
            self._read_s[camera] = now_s
            ring = self._rings.get(camera)
            if ring is None:
                ring = self._rings[camera] = self._port.open_ring(camera_ring(camera))
            record = ring.next_new()
            if record is None or len(record.payload) != notice.width * notice.height * 3:
                continue
            payload, width, height = record.payload, notice.width, notice.height
            divisor = self._divisors.get(camera, 1)
            if divisor > 1:
                pixels = np.frombuffer(payload, np.uint8).reshape(height, width, 3)[::divisor, ::divisor]
                payload, (height, width) = pixels.tobytes(), pixels.shape[:2]
            image = QImage(payload, width, height, 3 * width, QImage.Format.Format_RGB888)
            self.frameArrived.emit(CameraFrame(camera, record.seq, record.stamp_ns, image, payload))

    def send_input(self, sample: InputSample) -> None:
        """Sends one operator sample, and repeats one that holds a clutch while this thread is busy.

        See `ui.sample_pump` for how long. A station that is away is told by `linkChanged`, not here.
        """
        try:
            self._pump.offer(sample)
        except TeleopError as error:
            self.failed.emit(error)

    def call(
        self,
        process: str,
        command: str,
        /,
        done: Callable[[dict[str, Any]], object] | None = None,
        failed: Callable[[TeleopError], object] | None = None,
        **args: Any,
    ) -> None:
        """Runs a command on the worker thread of its process.

        Args:
            process: Name of the station process.
            command: Name of the command.
            done: Called on the GUI thread with the answer.
            failed: Called on the GUI thread with the error; without it `failed` is emitted.
            args: Arguments of the command.
        """
        worker = self._workers.get(process)
        if worker is None:
            worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"call-{process}")
            self._workers[process] = worker
        timeout_s = _BLOCKING_TIMEOUT_S.get(command, 5.0)
        future = worker.submit(self._port.call, process, command, timeout_s=timeout_s, **args)
        future.add_done_callback(lambda f: self._hand_over(f, done, failed))

    def _hand_over(self, future: Future[Any], done: object, failed: object) -> None:
        try:
            self._finished.emit((future, done, failed))
        except RuntimeError:  # the window closed while the command ran
            log.info("an answer came after the window had closed")

    def _deliver(self, outcome: tuple[Future[Any], Any, Any]) -> None:
        future, done, failed = outcome
        if not future.cancelled():
            deliver(future, done, failed or self.failed.emit)
