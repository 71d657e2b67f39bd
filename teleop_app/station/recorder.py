"""The recorder process: sole writer of the open episode, and owner of the episode flow."""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import zmq

from recorders.durability import Reserve
from recorders.writer import EpisodeWriter, FinishedEpisode
from sessions.repository import Catalog, open_catalog
from sessions.rows import Author
from sessions.states import EpisodeState
from teleop_app.core.bus import CommandServer, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import CatalogError, StationError, StorageError, TeleopError
from teleop_app.core.types import (
    CameraSetup,
    ControlTick,
    Event,
    ForceBatch,
    InputSample,
    ProcessState,
    RecorderState,
    RecorderStatus,
    TaskStatus,
    VideoPacket,
    WorldState,
)
from teleop_app.station.episode_flow import EpisodeFlow, Step, Steps
from teleop_app.station.episode_head import episode_attachments, episode_header
from teleop_app.station.episode_recording import Recording
from teleop_app.station.episode_rows import frames_of, lost_frames_of, verdict_reasons
from teleop_app.station.process import Heartbeat, ProcessContext
from teleop_app.station.recorder_catalog import OpenSession, RecorderCatalog
from teleop_app.station.scene_preparation import Scene, ScenePreparation
from teleop_app.station.store_recovery import recover_store

logger = logging.getLogger(__name__)

_ALWAYS = ("event", "task", "camera")
_REMEMBERED = 20
"""Episodes of which the review card can be shown again after an undo."""
_WHILE_RECORDING = ("tick", "input", "world", "force", "video/")
_SOURCES = ("control", "simulation", "cameras", "station")
_QUEUE = 20_000
"""Messages kept while the disk is slow: about 8 s of a whole station."""
_TURN_MS = 10
_DRAIN_LIMIT = 400
_STATUS_NS = NS_PER_S // 10
_DISK_CHECK_NS = NS_PER_S
_STOP_FREE_BYTES = 16 << 20
"""A recording stops by itself before it takes the last bytes of the disk."""


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
        self._robot_model = robot_model
        self._clock = context.clock
        self._data = context.data
        recording = context.config.recording
        self._flow = EpisodeFlow(
            context.clock, recording.countdown_s, recording.autosave_s, recording.max_episode_s
        )
        self._given_catalog = catalog
        self._publisher: Publisher | None = None
        self._cameras: dict[str, CameraSetup] = {}
        self._task: TaskStatus | None = None
        self._scene = Scene()
        self._next_seed = context.config.simulation.seed
        self._session: OpenSession | None = None
        self._recording: Recording | None = None
        self._episode = ""
        self._finished: OrderedDict[str, FinishedEpisode] = OrderedDict()
        self._saved = 0
        self._verdicts = 0
        self._last_saved = ""
        self._text = ""
        self._upcoming = ""
        self._force_sensors: tuple[str, ...] = ()
        self._opened = False
        self._episodes_left = -1
        self._status_due_ns = 0
        self._disk_due_ns = 0
        self._last_status: tuple[object, ...] = ()
        self._turn_max_ms = 0.0

    # Life.

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
        self._data.create()
        catalog = self._given_catalog or open_catalog(self._data.root, Author.process("recorder"))
        self._catalog = RecorderCatalog(catalog, self._data.root, context.config.station.name)
        self._reserve = Reserve(self._data.open)
        recovered = recover_store(self._data, catalog)
        self._catalog.close_stale_sessions()
        self._fill_reserve()
        simulated = any(arm.follower == "sim" for arm in context.config.arms)
        self._preparation = ScenePreparation(context.endpoints, simulated=simulated)
        self._feed = Subscriber(
            [context.endpoints.publish(name) for name in _SOURCES], (*_ALWAYS, "force"), queue=_QUEUE
        )
        self._commands: CommandServer = context.commands(
            {
                "open_session": self.open_session,
                "close_session": self.close_session,
                "prepare": self.prepare,
                "record": self.record,
                "stop": self.stop,
                "save": self.save,
                "discard": self.discard,
                "redo": self.redo,
                "undo": self.undo,
                "next": self.next,
                "status": self.status,
            }
        )
        self._poller = zmq.Poller()
        self._poller.register(self._feed.socket, zmq.POLLIN)
        self._poller.register(self._commands.socket, zmq.POLLIN)
        self._opened = True
        for sentence in recovered.sentences():
            self._event("recorder.recovered", sentence)
        self._text = " ".join(recovered.sentences())

    def close(self) -> None:
        """Close the open episode, keep it, and release everything. May be called twice."""
        if self._publisher is None:
            return
        try:
            if self._recording is not None:
                self._end("", truncated="The station was stopped during the recording.")
        except TeleopError as error:
            logger.error("%s", error.sentence)
        if self._opened:
            self._preparation.close()
            self._commands.close()
            self._feed.close()
            self._close_catalog()
        self._heartbeat.beat(ProcessState.STOPPED)
        self._publisher.close()
        self._publisher = None

    def _close_catalog(self) -> None:
        try:
            if self._session is not None:
                self._catalog.close_session(self._session)
        except StorageError as error:
            logger.error("%s", error.sentence)
        self._catalog.close()

    def turn(self, *, serve: bool = True) -> None:
        """Wait at most 10 ms for something, and deal with all that is due."""
        self._poller.poll(_TURN_MS)
        began = time.perf_counter()
        self._drain()
        if serve:
            self._commands.serve()
        self._attend()
        self._turn_max_ms = max(self._turn_max_ms, (time.perf_counter() - began) * 1e3)

    def _attend(self) -> None:
        now_ns = self._clock.now_ns()
        self._try(self._flow.poll)
        self._follow_preparation()
        if self._recording is not None:
            self._watch_recording(self._recording, now_ns)
        self._publish_status(now_ns)
        state = ProcessState.FAULT if self._flow.state is RecorderState.FAULT else ProcessState.RUNNING
        self._heartbeat.beat(state, self._flow.text, self._metrics)

    def _metrics(self) -> dict[str, float]:
        worst, self._turn_max_ms = self._turn_max_ms, 0.0
        return {"turn_max_ms": worst, "malformed": float(self._feed.malformed)}

    # Samples.

    def _drain(self) -> None:
        for _, value in self._feed.drain(_DRAIN_LIMIT):
            if isinstance(value, CameraSetup):
                self._cameras[value.name] = value
            elif isinstance(value, TaskStatus):
                self._task = value
            elif isinstance(value, Event):
                self._preparation.see(value)
                self._take(value)
                if value.kind == "input.button":
                    self._button(str(value.fields.get("button")))
            elif isinstance(value, ForceBatch):
                self._learn_force_sensors(value)
                self._take(value)
            elif isinstance(value, ControlTick | VideoPacket | InputSample | WorldState):
                self._take(value)

    def _learn_force_sensors(self, batch: ForceBatch) -> None:
        """The first batch names the sensors; until the next recording no more are wanted."""
        if not self._force_sensors:
            self._force_sensors = batch.names
            self._feed.socket.unsubscribe(b"force")

    def _take(
        self, sample: ControlTick | VideoPacket | InputSample | WorldState | ForceBatch | Event
    ) -> None:
        if self._recording is None:
            return
        try:
            self._recording.take(sample, self._clock.now_ns())
        except StorageError as error:
            self._storage_failed(error)

    def _watch_recording(self, recording: Recording, now_ns: int) -> None:
        try:
            for sentence in recording.poll(now_ns):
                event = self._event("recorder.gap", sentence)
                recording.take(event, now_ns)
            if now_ns >= self._disk_due_ns:
                self._disk_due_ns = now_ns + _DISK_CHECK_NS
                if shutil.disk_usage(self._data.root).free < _STOP_FREE_BYTES:
                    raise StorageError(
                        f"Less than {_STOP_FREE_BYTES >> 20} MB are free on the disk of {self._data.root}",
                        next_step="Free space on the disk",
                    )
        except StorageError as error:
            self._storage_failed(error)

    def _storage_failed(self, error: StorageError) -> None:
        """Close what there is as truncated, and say so."""
        recording = self._recording
        if recording is None:
            return
        text = f"The recording was cut short. {error.sentence}"
        logger.error("%s", text)
        try:
            self._end("", truncated=text)
            text += " The episode up to there is kept."
        except StorageError as second:
            text += f" {second.sentence} It is recovered when the station starts again."
        self._flow.failed(text)
        self._event("recorder.fault", text, episode=recording.uuid)

    # Requests.

    def open_session(
        self, operator: str, task: str, instruction: str = "", target: int = 0, seed: int | None = None
    ) -> dict[str, Any]:
        """Start a sitting; one that is open ends.

        Raises:
            StationError: An episode is being recorded.
            CatalogError: The catalog refuses a name, or cannot be written.
        """
        self._refuse_while_recording("A session cannot be opened")
        self.close_session()
        offered = self._wait(self._preparation.tasks())
        simulated = {str(item["name"]): item for item in offered.get("tasks", [])}
        self._session = self._catalog.open_session(operator, task, instruction, target, simulated)
        self._next_seed = self._context.config.simulation.seed if seed is None else seed
        self._saved = self._verdicts = 0
        self._text = ""
        return {"session": self._session.id}

    def close_session(self) -> None:
        """End the sitting; an episode that waits for a verdict is saved.

        Raises:
            StationError: An episode is being recorded.
        """
        self._refuse_while_recording("The session cannot be closed")
        if self._flow.state is RecorderState.REVIEW:
            self._do(self._flow.save())
        if self._session is not None:
            session, self._session = self._session, None
            self._catalog.close_session(session)

    def prepare(self, seed: int | None = None) -> dict[str, Any]:
        """Arms home and a new scene; answers when it is ready.

        Raises:
            StationError: An episode is being recorded, or the arms do not come home.
        """
        self._refuse_while_recording("The scene cannot be set up")
        self._start_preparation(self._next_seed if seed is None else seed)
        failure: list[TeleopError] = []
        while self._preparation.busy and not self._context.stopping:
            self._poller.poll(_TURN_MS)
            self._drain()
            failure += self._follow_preparation()
            self._publish_status(self._clock.now_ns())
            self._heartbeat.beat(ProcessState.RUNNING, self._flow.text)
        if failure:
            raise failure[0]
        return {"seed": self._scene.seed, "instruction": self._current_scene().instruction}

    def record(self) -> dict[str, Any]:
        """Start an episode, after the countdown if there is one.

        Raises:
            StationError: No session is open, or one is being recorded.
            StorageError: The disk has too little space or refuses.
        """
        if self._preparation.busy:
            raise StationError("A recording cannot start", why="the scene is being set up")
        self._check_can_start()
        steps = self._flow.record()
        self._upcoming = episode = str(uuid.uuid4())
        self._do(steps)
        return {"episode": episode}

    def stop(self, outcome: str = "") -> dict[str, Any]:
        """End the recording; answers when the episode is durable.

        Raises:
            StationError: Nothing is being recorded.
            StorageError: It could not be made durable.
        """
        if self._flow.state is not RecorderState.REVIEW:  # it may just have ended by itself
            self._do(self._flow.stop(), outcome)
        finished = self._finished.get(self._episode)
        if finished is None:
            return {"episode": "", "path": "", "stop_to_durable_ms": 0.0}
        return {
            "episode": finished.header.uuid,
            "path": str(finished.path),
            "stop_to_durable_ms": finished.finish_ms,
            "duration_s": finished.footer.duration_ns / NS_PER_S,
            "frames": frames_of(finished.header, finished.footer),
            "lost": lost_frames_of(finished.header, finished.footer),
        }

    def save(self) -> None:
        """Keep the reviewed episode."""
        self._do(self._flow.save())

    def discard(self, reason: str = "") -> None:
        """Put the reviewed episode into the trash."""
        self._do(self._flow.discard(), reason=reason)

    def redo(self) -> None:
        """Discard, set up the same scene, record again; answers at once."""
        self._check_can_start()
        self._do(self._flow.redo())

    def undo(self) -> dict[str, Any]:
        """Take back the session's last verdict."""
        self._do(self._flow.undo())
        return {"episode": self._episode, "state": self._flow.state.value}

    def next(self) -> None:
        """Set up the next scene; answers at once."""
        if self._session is None:
            raise StationError("The next scene cannot be set up", why="no session is open")
        self._do(self._flow.next())

    def status(self) -> dict[str, Any]:
        """The flow in brief."""
        return {
            "state": self._flow.state.value,
            "session": self._session.id if self._session else "",
            "episode": self._episode,
            "saved": self._saved,
            "text": self._flow.text or self._text,
        }

    def _button(self, button: str) -> None:
        requests: dict[str, Callable[[], Any]] = {
            "record": self._toggle,
            "save": self.save,
            "discard": self.discard,
            "redo": self.redo,
            "undo": self.undo,
            "next": self.next,
        }
        request = requests.get(button)
        if request is None:
            return
        try:
            request()
        except TeleopError as error:
            self._refused(error)

    def _toggle(self) -> dict[str, Any]:
        running = self._flow.state in (RecorderState.RECORDING, RecorderState.COUNTDOWN)
        return self.stop() if running else self.record()

    def _refused(self, error: TeleopError) -> None:
        self._text = error.sentence
        self._event("recorder.refused", error.sentence)

    def _refuse_while_recording(self, what: str) -> None:
        if self._flow.state in (RecorderState.RECORDING, RecorderState.COUNTDOWN):
            raise StationError(what, why="an episode is being recorded", next_step="Stop it first")

    def _check_can_start(self) -> None:
        """Refuse early what BEGIN would refuse, so that no countdown runs in vain."""
        if self._session is None:
            raise StationError(
                "A recording cannot start",
                why="no session is open",
                next_step="Choose operator and task first",
            )
        missing = [c.name for c in self._context.config.cameras if c.name not in self._cameras]
        if missing:
            raise StationError(
                "A recording cannot start",
                why=f"nothing has come from camera {', '.join(missing)} yet",
                next_step="See the status of the cameras process",
            )
        free = shutil.disk_usage(self._data.root).free
        headroom = self._context.config.recording.headroom_mb << 20
        if free < headroom:
            raise StorageError(
                "A recording cannot start",
                why=f"{free >> 20} MB are free for {self._data.root}, {headroom >> 20} MB are wanted",
                next_step="Free space, or lower recording.headroom_mb",
            )

    # Steps.

    def _try(self, request: Callable[[], Steps]) -> None:
        """Steps that nobody waits for; what fails is told as an event."""
        try:
            self._do(request())
        except TeleopError as error:
            if self._flow.state is RecorderState.FAULT:
                return  # told already
            self._refused(error)

    def _do(self, steps: Steps, outcome: str = "", reason: str = "") -> None:
        for step in steps:
            if step is Step.BEGIN:
                self._begin()
            elif step is Step.END:
                self._end_and_review(outcome)
            elif step is Step.UNDO:
                self._undo()
            elif step is Step.PREPARE_SAME:
                self._start_preparation(self._current_seed())
            elif step is Step.PREPARE_NEXT:
                self._start_preparation(self._current_seed() + 1 if self._task else self._next_seed)
            else:
                self._judge_or_go_on(step, reason, last=step is steps[-1])

    def _judge_or_go_on(self, step: Step, reason: str, *, last: bool) -> None:
        """A verdict that cannot be written must not keep the next episode from starting."""
        try:
            self._judge(step, reason)
        except CatalogError as error:
            if last:
                raise
            self._refused(error)

    def _begin(self) -> None:
        if self._session is None:
            raise StationError("A recording cannot start", why="no session is open")
        self._episode, self._upcoming = self._upcoming or str(uuid.uuid4()), ""
        config = self._context.config
        header = episode_header(
            self._episode,
            config,
            self._session,
            self._current_scene(),
            self._cameras,
            self._force_sensors,
        )
        try:
            self._fill_reserve()
            writer = EpisodeWriter(
                self._data.open / f"{header.uuid}.mcap",
                header,
                destination=self._data.episodes / f"{header.uuid}.mcap",
                attachments=episode_attachments(config, self._robot_model),
                flush_s=config.recording.flush_s,
                reserve=self._reserve,
            )
        except StorageError as error:
            self._flow.failed(error.sentence)
            self._event("recorder.fault", error.sentence, episode=header.uuid)
            raise
        for topic in _WHILE_RECORDING:
            self._feed.socket.subscribe(topic.encode())
        self._recording = Recording(writer, self._clock.now_ns())
        self._preparation.ask_keyframe(self._no_keyframe)
        event = self._event("recorder.started", "Recording.", episode=header.uuid)
        self._take(event)

    def _no_keyframe(self, error: BaseException) -> None:
        """Called in the worker thread: the video then starts at the cameras' next regular keyframe."""
        logger.warning("the cameras were not asked for a keyframe: %s", error)

    def _end_and_review(self, outcome: str) -> None:
        recording = self._recording
        if recording is None:
            raise StationError("There is nothing to stop", why="the recording ended by itself")
        try:
            self._end(outcome or self._outcome())
        except StorageError as error:
            self._flow.failed(error.sentence)
            self._event("recorder.fault", error.sentence, episode=recording.uuid)
            raise
        self._flow.stored()

    def _end(self, outcome: str, truncated: str = "") -> None:
        """Close the file and make the episode durable, whatever its verdict will be."""
        recording, self._recording = self._recording, None
        if recording is None or self._session is None:
            return
        for topic in _WHILE_RECORDING:
            self._feed.socket.unsubscribe(topic.encode())
        try:
            finished = recording.finish(outcome or "unknown", self._clock.now_ns(), truncated=truncated)
        finally:
            recording.writer.abandon()
        self._finished[recording.uuid] = finished
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)
        self._text = self._catalog.try_add(self._session, finished, recording.thumbnail.picture)
        self._event(
            "recorder.stopped",
            "The episode is stored.",
            episode=recording.uuid,
            path=str(finished.path),
            outcome=finished.footer.outcome,
            stop_to_durable_ms=finished.finish_ms,
        )
        self._estimate_room()

    def _judge(self, step: Step, reason: str) -> None:
        session, uuid_ = self._session, self._episode
        if session is None or not uuid_:
            raise StationError("There is no episode to judge")
        discarding = step is Step.DISCARD
        state = EpisodeState.DISCARDED if discarding else EpisodeState.SAVED
        try:
            self._catalog.judge(session, uuid_, state, reason, automatic=step is Step.AUTOSAVE)
            self._saved = self._catalog.saved(session)
        finally:
            self._flow.judged()
        self._verdicts += 1
        if not discarding:
            self._last_saved = uuid_
            self._next_seed = self._current_seed() + 1
        text = "Discarded. Undo brings it back." if discarding else "Saved."
        self._event("recorder.discarded" if discarding else "recorder.saved", text, episode=uuid_)

    def _undo(self) -> None:
        if self._session is None:
            raise StationError("There is nothing to undo", why="no session is open")
        row = self._catalog.undo(self._session)
        if row is None:
            raise StationError("There is nothing to undo", why="no verdict was given in this session")
        self._verdicts = max(0, self._verdicts - 1)
        self._saved = self._catalog.saved(self._session)
        self._episode = row.uuid
        if row.state is EpisodeState.PENDING:
            self._flow.reopened()
        self._event("recorder.restored", "The last verdict was taken back.", episode=row.uuid)

    def _start_preparation(self, seed: int) -> None:
        self._preparation.start(self._session.simulation_task if self._session else "", max(seed, 0))
        self._text = "The scene is being set up."

    def _follow_preparation(self) -> list[TeleopError]:
        if not self._preparation.busy:
            return []
        try:
            scene = self._preparation.result()
            if scene is None:
                return []
            self._scene = scene
            self._text = ""
            if scene.seed >= 0:
                self._next_seed = scene.seed
            self._do(self._flow.prepared())
        except TeleopError as error:
            self._refused(error)
            return [error]
        return []

    def _current_scene(self) -> Scene:
        """The scene as the simulation tells it, else as it was set up, with the instruction to be shown."""
        task, session = self._task, self._session
        seen = Scene(task.task, task.seed, task.instruction) if task is not None else self._scene
        said = (session.instruction if session else "") or seen.instruction or self._scene.instruction
        return replace(seen, instruction=said, paraphrases=self._scene.paraphrases)

    def _current_seed(self) -> int:
        return self._task.seed if self._task is not None else self._next_seed

    def _outcome(self) -> str:
        if self._task is None:
            return "unknown"
        return "success" if self._task.success else "failure" if self._task.failed else "unknown"

    # Status.

    def _event(self, kind: str, text: str, **fields: object) -> Event:
        event = self._context.event(kind, text, **fields)
        if self._publisher is not None:
            self._publisher.send("event", event)
        self._status_due_ns = 0
        return event

    def _fill_reserve(self) -> None:
        try:
            self._reserve.fill()
        except StorageError as error:
            logger.warning("%s", error.sentence)

    def _estimate_room(self) -> None:
        self._episodes_left = -1
        if self._session is None:
            return
        try:
            mean = self._catalog.mean_size_bytes(self._session)
            free = shutil.disk_usage(self._data.root).free
        except (StorageError, OSError) as error:
            logger.warning("no estimate of the room left: %s", error)
            return
        headroom = self._context.config.recording.headroom_mb << 20
        if mean > 0:
            self._episodes_left = max(0, int((free - headroom) / mean))

    def _publish_status(self, now_ns: int) -> None:
        session, recording, finished = self._session, self._recording, self._finished.get(self._episode)
        key = (self._flow.state, session, self._episode, self._saved, self._text, self._flow.text)
        if self._publisher is None or (now_ns < self._status_due_ns and key == self._last_status):
            return
        self._status_due_ns = now_ns + _STATUS_NS
        self._last_status = key
        frames: dict[str, int] = {}
        lost: dict[str, int] = {}
        size = 0
        reasons: tuple[str, ...] = ()
        if recording is not None:
            names = [camera.name for camera in recording.writer.header.cameras]
            frames = {name: recording.writer.frames(name) for name in names}
            lost = {name: recording.writer.lost_frames(name) for name in names}
            size = recording.writer.size_bytes
        elif finished is not None:
            frames = frames_of(finished.header, finished.footer)
            lost = lost_frames_of(finished.header, finished.footer)
            size = finished.size_bytes
            reasons = verdict_reasons(finished.header, finished.footer)
        silent = recording.silent(now_ns) if recording is not None else []
        silence = f"Nothing arrives from {', '.join(silent)}." if silent else ""
        self._publisher.send(
            "recorder",
            RecorderStatus(
                state=self._flow.state,
                capture_ns=now_ns,
                session=session.id if session else "",
                task=session.task if session else "",
                instruction=self._current_scene().instruction,
                episode=self._episode if self._flow.state is not RecorderState.IDLE else "",
                elapsed_s=self._flow.elapsed_s,
                countdown_s=self._flow.countdown_s,
                saved=self._saved,
                target=session.target if session else 0,
                frames=frames,
                lost=lost,
                size_bytes=size,
                episodes_left=self._episodes_left,
                last_saved=self._last_saved,
                verdict_reasons=reasons,
                can_undo=self._verdicts > 0 and self._flow.state in (RecorderState.IDLE, RecorderState.FAULT),
                text=self._flow.text or silence or self._text,
            ),
        )

    def _wait(self, future: Any) -> dict[str, Any]:
        """The answer of another process while this one's heart beats on; empty when it does not answer."""
        while not future.done() and not self._context.stopping:
            self._poller.poll(_TURN_MS)
            self._drain()
            self._heartbeat.beat(ProcessState.RUNNING, self._flow.text)
        try:
            return future.result(timeout=0) if future.done() else {}
        except TeleopError as error:
            logger.warning("%s", error.sentence)
            return {}
