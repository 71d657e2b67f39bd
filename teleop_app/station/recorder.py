"""The recorder process: sole writer of the open episode, and owner of the episode flow."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import zmq

from sessions.repository import Catalog, open_catalog
from sessions.rows import Author
from teleop_app.core.bus import CommandServer, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import StorageError, TeleopError
from teleop_app.core.types import (
    CameraSetup,
    Event,
    ForceBatch,
    ProcessState,
    RecorderState,
    TaskStatus,
)
from teleop_app.station.episode_flow import EpisodeFlow
from teleop_app.station.episode_recording import Recording, Sample
from teleop_app.station.episode_work import EpisodeWork
from teleop_app.station.process import Heartbeat, ProcessContext
from teleop_app.station.recorder_catalog import RecorderCatalog
from teleop_app.station.recorder_requests import RecorderRequests
from teleop_app.station.recorder_status import recorder_status
from teleop_app.station.scene_preparation import ScenePreparation
from teleop_app.station.store_recovery import StoreRecovery, recover_store

logger = logging.getLogger(__name__)

_ALWAYS = ("event", "task", "camera")
_WHILE_RECORDING = ("tick", "input", "world", "force", "video/")
_SOURCES = ("control", "simulation", "cameras", "station")
_QUEUE = 20_000
"""Messages kept while the disk is slow: about 8 s of a whole station."""
_TURN_MS = 10
_DRAIN_LIMIT = 400
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
        self._late_buttons: list[str] = []
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
        simulated = any(arm.follower == "sim" for arm in context.config.arms)
        self._preparation = ScenePreparation(context.endpoints, simulated=simulated)
        self._feed = Subscriber(
            [context.endpoints.publish(name) for name in _SOURCES], (*_ALWAYS, "force"), queue=_QUEUE
        )
        recording = context.config.recording
        self._flow = EpisodeFlow(
            context.clock, recording.countdown_s, recording.autosave_s, recording.max_episode_s
        )
        self._work = EpisodeWork(
            context,
            self._flow,
            self._catalog,
            self._preparation,
            publish=self._publish_event,
            want_samples=self._want_samples,
            take_waiting=self._take_waiting,
            robot_model=self._robot_model,
        )
        self._requests = RecorderRequests(
            self._flow, self._work, self._catalog, self._preparation, self._pump
        )
        self._commands: CommandServer = context.commands(self._requests.handlers())
        self._poller = zmq.Poller()
        self._poller.register(self._feed.socket, zmq.POLLIN)
        self._poller.register(self._commands.socket, zmq.POLLIN)
        self._opened = True
        for sentence in recovered.sentences():
            self._work.event("recorder.recovered", sentence)
        self._work.text = " ".join(recovered.sentences())

    def _recover(self, catalog: Catalog) -> StoreRecovery:
        """Recovery in a thread, so that a large store does not silence this process."""
        with ThreadPoolExecutor(1, thread_name_prefix="recover") as worker:
            future = worker.submit(recover_store, self._context.data, catalog)
            while not future.done():
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
        self._poller.poll(_TURN_MS)
        began = time.perf_counter()
        self._drain()
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
        return {"turn_max_ms": worst, "malformed": float(self._feed.malformed)}

    # Messages.

    def _drain(self) -> None:
        buttons, self._late_buttons = self._late_buttons, []
        for button in buttons:
            self._requests.press(button)
        for _, value in self._feed.drain(_DRAIN_LIMIT):
            button = self._see(value)
            if isinstance(value, Sample):
                self._work.take(value)
            if button:
                self._requests.press(button)

    def _take_waiting(self, recording: Recording) -> None:
        """Samples that arrived before the episode ends; buttons among them are pressed afterwards.

        Raises:
            StorageError: The disk is full or broken.
        """
        for _, value in self._feed.drain(_QUEUE):
            button = self._see(value)
            if isinstance(value, Sample):
                recording.take(value, self._clock.now_ns())
            if button:
                self._late_buttons.append(button)

    def _see(self, value: object) -> str:
        """Keep what a message says about the station; the button that it reports, if any."""
        if isinstance(value, CameraSetup):
            self._work.cameras[value.name] = value
        elif isinstance(value, TaskStatus):
            self._work.task = value
        elif isinstance(value, ForceBatch) and not self._work.force_sensors:
            self._work.force_sensors = value.names
            self._feed.socket.unsubscribe(b"force")  # until the next recording no more are wanted
        elif isinstance(value, Event):
            self._preparation.see(value)
            if value.kind == "input.button":
                return str(value.fields.get("button"))
        return ""

    def _want_samples(self, wanted: bool) -> None:
        change = self._feed.socket.subscribe if wanted else self._feed.socket.unsubscribe
        for topic in _WHILE_RECORDING:
            change(topic.encode())

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
