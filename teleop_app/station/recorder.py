"""The recorder process: sole writer of the open episode, and owner of the episode flow."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import zmq

from recorders.schema import AudioHeader
from sessions.repository import Catalog, open_catalog
from sessions.rows import Author
from teleop_app.core.bus import CommandServer, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import StorageError, TeleopError
from teleop_app.core.types import (
    AudioBlock,
    CameraSetup,
    Event,
    ForceBatch,
    PolicyStatus,
    ProcessState,
    RecorderState,
    StationStatus,
    StreamSetup,
    TaskStatus,
)
from teleop_app.station.episode_flow import EpisodeFlow
from teleop_app.station.episode_labels import EpisodeLabels
from teleop_app.station.episode_work import EpisodeWork
from teleop_app.station.process import Heartbeat, ProcessContext
from teleop_app.station.recorder_catalog import RecorderCatalog
from teleop_app.station.recorder_feed import SampleFeed, keyframe_span_ns
from teleop_app.station.recorder_requests import RecorderRequests
from teleop_app.station.recorder_status import recorder_status
from teleop_app.station.recorder_warmup import warm_up
from teleop_app.station.roster import sensor_process
from teleop_app.station.scene_preparation import ScenePreparation
from teleop_app.station.store_recovery import StoreRecovery, recover_store

logger = logging.getLogger(__name__)

_TOPICS = ("event", "task", "camera", "station", "stream", "policy")
_SOURCES = ("control", "simulation", "cameras", "station", "policy")
"""Publishers known from the start; the station's status names the others."""
_TURN_MS = 10
_TAKE_LIMIT = 200
"""Samples written a turn: about 15 ms of work, so that commands are never kept waiting."""
_STATUS_NS = NS_PER_S // 10


class RecorderProcess:
    """Records episodes on request; see the episode flow for what each request means.

    Args:
        context: Of the process.
        catalog: An open catalog (tests); the store's own by default.
        robot_model: MJCF text of the robot, attached to each episode.
    """

    def __init__(
        self, context: ProcessContext, catalog: Catalog | None = None, robot_model: str = ""
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._robot_model = robot_model
        self._given_catalog = catalog
        self._publisher: Publisher | None = None
        self._opened = False
        self._status_due_ns = 0
        self._last_status: tuple[object, ...] = ()
        self._turn_max_ms = 0.0

    def run(self) -> None:
        """Run until the context is stopping. Blocks. An open episode is closed and kept.

        Raises:
            StorageError: The store cannot be used; the status says so too.
        """
        try:
            self.open()
            while not self._context.stopping:
                self.turn()
        except StorageError as error:
            if self._publisher is not None:
                self._heartbeat.beat(ProcessState.FAULT, error.sentence)
            raise
        finally:
            self.close()

    def open(self) -> None:
        """Open sockets and the catalog, and recover what a crash left.

        Raises:
            StorageError: The store cannot be used.
        """
        context = self._context
        self._publisher = context.publisher()
        self._heartbeat = Heartbeat(context, self._publisher)
        self._heartbeat.beat(ProcessState.STARTING)
        context.data.create()
        catalog = self._given_catalog or open_catalog(context.data.root, Author.process("recorder"))
        recovered = self._recover(catalog)
        self._catalog = RecorderCatalog(catalog, context.data.root, context.config.station.name)
        self._catalog.close_stale_sessions()
        self._catalog.warm_up()
        simulated = any(arm.follower == "sim" for arm in context.config.arms)
        self._preparation = ScenePreparation(context.endpoints, simulated=simulated)
        self._station = Subscriber([context.endpoints.publish(name) for name in _SOURCES], _TOPICS)
        recording = context.config.recording
        self._feed = SampleFeed(context.endpoints, _SOURCES, self._span_ns(), self._meet)
        for sensor in context.config.sensors:  # heard from the start: an episode may begin at once
            self._listen_to(sensor_process(sensor.name))
        self._flow = EpisodeFlow(
            context.clock, recording.countdown_s, recording.autosave_s, recording.max_episode_s
        )
        self._work = EpisodeWork(
            context,
            self._flow,
            self._catalog,
            self._preparation,
            self._feed,
            publish=self._publish_event,
            robot_model=self._robot_model,
        )
        self._labels = EpisodeLabels(context, self._flow, self._work, self._catalog, self._publish_event)
        self._requests = RecorderRequests(
            self._flow, self._work, self._labels, self._catalog, self._preparation, self._pump
        )
        self._commands: CommandServer = context.commands(self._requests.handlers())
        self._poller = zmq.Poller()
        self._poller.register(self._station.socket, zmq.POLLIN)
        self._poller.register(self._commands.socket, zmq.POLLIN)
        self._opened = True
        for sentence in recovered.sentences():
            self._work.event("recorder.recovered", sentence)
        self._work.text = " ".join(recovered.sentences())

    def _recover(self, catalog: Catalog) -> StoreRecovery:
        """Recovery and warm-up in a thread, so that a large store does not silence this process."""
        with ThreadPoolExecutor(1, thread_name_prefix="recover") as worker:
            future = worker.submit(recover_store, self._context.data, catalog)
            warm = worker.submit(warm_up, self._context.config, self._robot_model)
            while not (future.done() and warm.done()):
                self._heartbeat.beat(ProcessState.STARTING, "The store is being checked.")
                time.sleep(_TURN_MS / 1e3)
            return future.result()

    def close(self) -> None:
        """Close the open episode, keep it, and release everything. May be called twice."""
        if self._publisher is None:
            return
        if self._opened:
            self._opened = False
            self._end_orderly()
            self._preparation.close()
            self._commands.close()
            self._station.close()
            self._feed.close()
            self._catalog.close()
        self._heartbeat.beat(ProcessState.STOPPED)
        self._publisher.close()
        self._publisher = None

    def _end_orderly(self) -> None:
        try:
            if self._work.recording is not None:
                self._work.end("", truncated="The station was stopped during the recording.")
        except TeleopError as error:
            logger.error("%s", error.sentence)
        try:
            self._work.close_session()
        except TeleopError as error:
            logger.error("%s", error.sentence)

    def turn(self) -> None:
        """Wait at most 10 ms for something, and deal with all that is due."""
        self._turn(serve=True)

    def _pump(self) -> bool:
        """A turn while a command waits for other processes; False when the process is stopping."""
        self._turn(serve=False)
        return not self._context.stopping

    def _turn(self, *, serve: bool) -> None:
        busy = self._feed.recording and self._feed.waiting > 0
        self._poller.poll(0 if busy else _TURN_MS)
        began = time.perf_counter()
        self._feed.collect(self._clock.now_ns())
        self._hear()
        self._work.take(_TAKE_LIMIT)
        if serve:
            self._commands.serve()
        now_ns = self._clock.now_ns()
        self._requests.follow()
        self._work.watch(now_ns)
        self._publish_status(now_ns)
        state = ProcessState.FAULT if self._flow.state is RecorderState.FAULT else ProcessState.RUNNING
        self._heartbeat.beat(state, self._flow.text, self._metrics)
        self._turn_max_ms = max(self._turn_max_ms, (time.perf_counter() - began) * 1e3)

    def _metrics(self) -> dict[str, float]:
        worst, self._turn_max_ms = self._turn_max_ms, 0.0
        malformed = self._feed.malformed + self._station.malformed
        return {"turn_max_ms": worst, "malformed": float(malformed)}

    # Messages.

    def _hear(self) -> None:
        """What is said about the station, and the buttons of input devices."""
        for _, value in self._station.drain():
            if isinstance(value, CameraSetup):
                self._work.sources.cameras[value.name] = value
                self._feed.span_ns = self._span_ns()
            elif isinstance(value, TaskStatus):
                self._work.task = value
            elif isinstance(value, StationStatus):
                for process in value.processes:
                    self._listen_to(process.process)
            elif isinstance(value, StreamSetup):
                self._work.introduce(value)
            elif isinstance(value, PolicyStatus):
                self._work.meet_policy(value)
            elif isinstance(value, Event):
                self._hear_event(value)

    def _listen_to(self, process: str) -> None:
        """A process that the station has besides those known from the start may bring streams of its own."""
        if process not in (*_SOURCES, self._context.name) and self._feed.connect(process):
            self._station.connect(self._context.endpoints.publish(process))

    def _hear_event(self, event: Event) -> None:
        self._preparation.see(event)
        if event.kind == "scene.reset" and not self._feed.recording:
            self._feed.forget(event.capture_ns)
        elif event.kind == "autonomy.reason":
            self._labels.explain_takeover(event)
        elif event.kind == "input.button":
            self._requests.press(str(event.fields.get("button")), event.capture_ns)

    def _meet(self, value: Any) -> None:
        """The first message of a topic tells what is to be recorded."""
        if isinstance(value, ForceBatch):
            self._work.sources.force_sensors = value.names
        elif isinstance(value, AudioBlock):
            header = AudioHeader(value.source, value.rate_hz, value.channels)
            self._work.sources.microphones[value.source] = header

    def _span_ns(self) -> int:
        """What is kept while nothing is recorded: the pre-roll, back to the keyframe before it."""
        recording = self._context.config.recording
        if recording.preroll_s <= 0:
            return 0
        rates = [setup.fps for setup in self._work.sources.cameras.values()] if self._opened else []
        keyframes_ns = keyframe_span_ns(recording.keyframe_frames, min(rates, default=30))
        return round(recording.preroll_s * NS_PER_S) + keyframes_ns

    def _publish_event(self, event: Event) -> None:
        if self._publisher is not None:
            self._publisher.send("event", event)
        self._status_due_ns = 0

    def _publish_status(self, now_ns: int) -> None:
        work = self._work
        key = (self._flow.state, work.session, work.episode, work.saved, work.text, self._flow.text)
        if self._publisher is None or (now_ns < self._status_due_ns and key == self._last_status):
            return
        self._status_due_ns = now_ns + _STATUS_NS
        self._last_status = key
        self._publisher.send("recorder", recorder_status(self._flow, work, now_ns))
