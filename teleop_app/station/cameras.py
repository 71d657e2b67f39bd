"""The cameras process: frames on a common grid, stamped, shared as pixels and as H.264."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from devices.cameras.source import FrameSource, RealCameras
from recorders.picture_chain import MAX_GAP
from teleop_app.core.bus import CommandServer, Publisher
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import DepthPacket, FrameNotice, ProcessState
from teleop_app.station.camera_set import StationCamera, open_cameras
from teleop_app.station.encoder_lane import Encoded
from teleop_app.station.frame_grid import FrameGrid
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

_POLL_S: Final = 0.02
_SETUP_PERIOD_NS: Final = NS_PER_S // 5
"""A recorder that has just started can record as soon as it has heard of all cameras."""
_SILENT_NS: Final = NS_PER_S // 2
_TELL_PERIOD_NS: Final = NS_PER_S // 2

ENCODER_PATIENCE_S: Final = 5.0
TOO_SLOW: Final = "the machine was too slow for the cameras"
NOTHING_NEW: Final = "the camera had nothing new"
NOT_DELIVERED: Final = "the camera did not deliver"
ENCODER_FAILED: Final = "the encoder failed"
LATE_S = 0.25
"""How late an instant may still be taken; the simulation keeps half a second of states."""


@dataclass(slots=True)
class _Group:
    """The cameras of one frame rate, which take their frames together."""

    grid: FrameGrid
    cameras: list[StationCamera]


class CamerasProcess:
    """Takes, stamps, shares and encodes the frames of all cameras of the station.

    All cameras of a rate show the same instants and have the same frame indices. An instant starts only
    when everything of the instant before is encoded. A machine that is busy for a moment takes the
    instants late, as they were when they were due; one that is too slow loses whole instants, which
    are counted (`FrameGrid`).

    Args:
        context: The process's context; its station file names the cameras.
        sources: By driver name of the station file.
    """

    def __init__(self, context: ProcessContext, sources: Mapping[str, FrameSource]) -> None:
        self._context = context
        self._sources = dict(sources)
        self._publisher: Publisher | None = None
        self._groups: list[_Group] = []
        self._cameras: dict[str, StationCamera] = {}
        self._results: queue.SimpleQueue[Encoded] = queue.SimpleQueue()
        self._in_flight = 0
        self._setup_due_ns = 0
        self._fault = ""
        self._failing: dict[str, str] = {}
        self._tell_due_ns = 0
        self._waited_s = 0.0
        self._busy_since = (0.0, 1)
        self._figures = {"render_ms": 0.0, "ring_ms": 0.0, "encode_ms": 0.0, "load": 0.0}
        self._cpu = (time.process_time(), time.monotonic())

    def run(self) -> None:
        """Run until the context is stopping. Blocks.

        Raises:
            ConfigError: A camera of the station file cannot be had.
            DeviceError: A source cannot deliver; the status says so too.
        """
        try:
            self.open()
            while not self._context.stopping:
                self.turn()
        except (ConfigError, DeviceError) as error:
            if self._publisher is not None:
                self._heartbeat.beat(ProcessState.FAULT, error.sentence)
            raise
        finally:
            self.close()

    def open(self) -> None:
        """Open sockets, choose sizes, open sources, rings and encoders. May take some seconds."""
        self._executor: Executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="encode")
        self._commands: CommandServer = self._context.commands(
            {"keyframe": self.keyframe, "status": self.status}
        )
        self._publisher = self._context.publisher()
        self._heartbeat = Heartbeat(self._context, self._publisher)
        with self._heartbeat.kept_up(ProcessState.STARTING):
            self._open_cameras()

    def _open_cameras(self) -> None:
        self._cameras = open_cameras(self._context, self._sources, self._executor, self._results)
        now_ns = self._context.clock.now_ns()
        for camera in self._cameras.values():
            camera.fresh_ns = now_ns
        for fps in sorted({camera.size.fps for camera in self._cameras.values()}, reverse=True):
            members = [camera for camera in self._cameras.values() if camera.size.fps == fps]
            self._groups.append(_Group(FrameGrid(fps, now_ns, slack=LATE_S * fps), members))

    def close(self) -> None:
        """Finish what is being encoded and release everything. May be called twice."""
        if self._publisher is None:
            return
        hung = self._waited_s > ENCODER_PATIENCE_S
        self._executor.shutdown(wait=not hung)
        self._heartbeat.beat(ProcessState.STOPPED, self._fault)
        for camera in self._cameras.values():
            if not hung:
                camera.lane.close()
            camera.ring.close()
        for source in self._sources.values():
            source.close()
        self._cameras.clear()
        self._groups.clear()
        self._commands.close()
        self._publisher.close()
        self._publisher = None

    def turn(self) -> None:
        """Publish what the encoders finish until the next instant is due, then take its frames."""
        group = min(self._groups, key=lambda each: each.grid.due_ns, default=None)
        clock = self._context.clock
        self._collect(group.grid.due_ns if group is not None else clock.now_ns() + NS_PER_S // 20)
        if group is None or self._context.stopping:
            return
        taken = group.grid.take(clock.now_ns())
        if taken is not None:
            self._take(group, *taken)

    # Commands.

    def keyframe(self) -> dict[str, Any]:
        """Make the next frame of every camera an IDR; answers the first grid index it can have."""
        for camera in self._cameras.values():
            camera.lane.force_keyframe = True
        return {"seq": {camera.name: group.grid.index for group in self._groups for camera in group.cameras}}

    def status(self) -> dict[str, Any]:
        """What every camera delivers, and why."""
        now_ns = self._context.clock.now_ns()
        return {
            "cameras": [
                {
                    "name": camera.name,
                    "width": camera.size.width,
                    "height": camera.size.height,
                    "fps": camera.size.fps,
                    "encoder": camera.setup.encoder,
                    "reason": camera.size.reason,
                    "rate_hz": camera.rate_hz(now_ns),
                    "lost": camera.lost,
                }
                for camera in self._cameras.values()
            ]
        }

    # One instant.

    def _take(self, group: _Group, seq: int, skipped: int) -> None:
        sources = {id(camera.source): camera.source for camera in group.cameras}
        due_ns = group.grid.instant_ns(seq)
        fresh = {key: source.latch(due_ns) for key, source in sources.items()}
        self._busy_since = (time.perf_counter(), group.grid.fps)
        for camera in group.cameras:
            camera.lose(skipped, TOO_SLOW)
            if skipped > MAX_GAP:
                camera.lane.force_keyframe = True
            missing = self._take_frame(camera, seq) if fresh[id(camera.source)] else NOTHING_NEW
            if missing:
                camera.lose(1, missing)
                camera.lane.force_keyframe = True  # it may stand still for long

    def _take_frame(self, camera: StationCamera, seq: int) -> str:
        """Why there was no frame to take, empty when there was one."""
        if self._publisher is None:
            return NOTHING_NEW
        started = time.perf_counter()
        try:
            times = camera.stamps.grab(camera.image)
        except DeviceError as error:  # the other cameras go on
            self._failing[camera.name] = error.sentence
            return NOT_DELIVERED
        self._failing.pop(camera.name, None)
        if times is None:
            return NOTHING_NEW
        drawn = time.perf_counter()
        camera.ring.write(camera.image.data, times.capture_ns, seq)
        self._average("render_ms", (drawn - started) * 1e3)
        self._average("ring_ms", (time.perf_counter() - drawn) * 1e3)
        notice = FrameNotice(
            camera.name,
            seq,
            times.capture_ns,
            camera.size.width,
            camera.size.height,
            times.receive_ns,
            times.device_ns,
            times.exposure_ns,
        )
        self._publisher.send(f"frame/{camera.name}", notice)
        camera.fresh_ns = self._context.clock.now_ns()
        if (fit := camera.stamps.take_fit(camera.fresh_ns)) is not None:
            self._publisher.send(f"clock/{camera.name}", fit)
        camera.lane.submit(camera.image, seq, times)
        self._in_flight += 1
        if camera.depth is not None:
            camera.depth.source.grab_depth(camera.name, camera.depth.image)
            camera.depth.lane.submit(camera.depth.image, seq, times)
            self._in_flight += 1
        return ""

    def _collect(self, deadline_ns: int) -> None:
        clock = self._context.clock
        while not self._context.stopping:
            remaining_s = (deadline_ns - clock.now_ns()) / NS_PER_S
            if remaining_s <= 0 and self._in_flight == 0:
                return
            wait_s = _POLL_S if remaining_s <= 0 else min(remaining_s, _POLL_S)
            try:
                self._finish(self._results.get(timeout=wait_s))
                self._waited_s = 0.0
            except queue.Empty:
                self._waited_s += wait_s if self._in_flight else 0.0
                if self._waited_s > ENCODER_PATIENCE_S:
                    raise DeviceError(
                        f"A video encoder has not answered for {ENCODER_PATIENCE_S:g} s",
                        next_step="If it happens again, set recording.encoder to x264",
                    ) from None
            self._attend()

    def _finish(self, encoded: Encoded) -> None:
        self._in_flight -= 1
        camera = self._cameras[encoded.camera]
        if self._in_flight == 0:
            since, fps = self._busy_since
            self._average("load", (time.perf_counter() - since) * fps)
        if encoded.error or not encoded.depth:
            self._fault = encoded.error
        if encoded.packet is None:
            camera.lose(1, ENCODER_FAILED, video=not encoded.depth, depth=encoded.depth)
            logger.error("%s", encoded.error)
        elif isinstance(encoded.packet, DepthPacket):
            self._average("depth_ms", encoded.cpu_ms)
            if self._publisher is not None:
                self._publisher.send(f"depth/{encoded.camera}", encoded.packet)
        elif self._publisher is not None:
            self._average("encode_ms", encoded.cpu_ms)
            camera.delivered = True
            camera.taken_ns.append(encoded.packet.encoded_ns)
            self._publisher.send(f"video/{encoded.camera}", encoded.packet)

    def _attend(self) -> None:
        """Commands, camera descriptions and the heartbeat."""
        self._commands.serve()
        now_ns = self._context.clock.now_ns()
        if self._publisher is not None and now_ns >= self._setup_due_ns:
            self._setup_due_ns = now_ns + _SETUP_PERIOD_NS
            for camera in self._cameras.values():
                self._publisher.send("camera", camera.setup)
        if now_ns >= self._tell_due_ns:
            self._tell_due_ns = now_ns + _TELL_PERIOD_NS
            self._tell_losses()
        # Whoever waits for the cameras waits for pictures, not for a process.
        # One that says why it has none is not waited for.
        known = self._failing.keys()
        delivering = all(camera.delivered or camera.name in known for camera in self._cameras.values())
        state = ProcessState.RUNNING if delivering else ProcessState.STARTING
        self._heartbeat.beat(state, self._sentence(now_ns), self._metrics)

    def _tell_losses(self) -> None:
        """Why frames are missing: whoever records them sees only that they are."""
        if self._publisher is None:
            return
        for camera in self._cameras.values():
            for (topic, reason), count in camera.untold.items():
                text = f"{camera.name}: {count} frame{'s' if count > 1 else ''} missing because {reason}."
                event = self._context.event("stream.lost", text, topic=topic, reason=reason, count=count)
                self._publisher.send("event", event)
            camera.untold.clear()

    # Status.

    def _sentence(self, now_ns: int) -> str:
        if self._fault or self._failing:
            return self._fault or " ".join(self._failing.values())
        blind = [name for name, each in self._cameras.items() if now_ns - each.fresh_ns > _SILENT_NS]
        if blind:
            return f"{', '.join(blind)}: nothing new to see. Is the simulation running?"
        odd = [
            each.source.remark(name)
            for name, each in self._cameras.items()
            if isinstance(each.source, RealCameras)
        ]
        if any(odd):
            return " ".join(filter(None, odd))
        dear = [camera.size.reason for camera in self._cameras.values() if not camera.size.affordable]
        return dear[0] if dear else ""

    def _metrics(self) -> dict[str, float]:
        now_ns = self._context.clock.now_ns()
        cpu, wall = time.process_time(), time.monotonic()
        elapsed_s = wall - self._cpu[1]
        metrics = dict(self._figures)
        if elapsed_s > 0:
            metrics["cpu_cores"] = (cpu - self._cpu[0]) / elapsed_s
        self._cpu = (cpu, wall)
        for camera in self._cameras.values():
            metrics[f"fps_{camera.name}"] = camera.rate_hz(now_ns)
            metrics[f"lost_{camera.name}"] = float(camera.lost)
            if isinstance(camera.source, RealCameras):
                for what, count in camera.source.counts(camera.name).items():
                    metrics[f"{what}_{camera.name}"] = float(count)
        return metrics

    def _average(self, name: str, value: float) -> None:
        before = self._figures.get(name, 0.0)
        self._figures[name] = value if before == 0.0 else before + 0.05 * (value - before)
