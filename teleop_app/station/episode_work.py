"""Takes the steps of the episode flow: opens, feeds and closes episodes, gives verdicts, sets up scenes."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from recorders.durability import Reserve
from recorders.rollout_watch import EVENT_POLICY
from recorders.writer import EpisodeWriter, FinishedEpisode
from sessions.states import EpisodeState
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import CatalogError, StationError, StorageError, TeleopError
from teleop_app.core.types import (
    Event,
    PolicyState,
    PolicyStatus,
    Sample,
    StreamSetup,
    TaskStatus,
)
from teleop_app.station.disk_room import DiskRoom
from teleop_app.station.episode_flow import EpisodeFlow, Step, Steps
from teleop_app.station.episode_head import calibration_attachments, episode_attachments, episode_header
from teleop_app.station.episode_recording import Preroll, Recording
from teleop_app.station.process import ProcessContext
from teleop_app.station.recorded_sources import RecordedSources
from teleop_app.station.recorder_catalog import OpenSession, RecorderCatalog
from teleop_app.station.recorder_feed import SampleFeed
from teleop_app.station.recorder_losses import LossWatch
from teleop_app.station.scene_preparation import Scene, ScenePreparation

logger = logging.getLogger(__name__)

_REMEMBERED = 20
"""Episodes of which the review card can be shown again after an undo."""
_KEY_AGE_NS = NS_PER_S
"""A key press is acted on within this time; an older stamp is not believed."""


class EpisodeWork:
    """What the recorder has in its hands: session, scene, open episode, last episodes.

    Args:
        context: Of the recorder process.
        flow: Says which steps to take.
        catalog: For rows and verdicts.
        preparation: Sets up scenes.
        feed: Where samples come from.
        publish: Publishes an event.
        robot_model: MJCF text of the robot, attached to each episode.

    Attributes:
        sources: What an episode would be made of.
        task: The simulation's last word on the task.
        policy: What the policy process told of the policy in use, None for none.
        session: The sitting, None when none is open.
        recording: The open episode.
        episode: UUID of the open or last episode.
        upcoming: UUID promised to whoever asked for the next recording.
        key_ns: When the record key was pressed for the next recording, 0 for the moment it begins.
        finished: Last episodes by UUID.
        saved: Kept episodes of the session.
        verdicts: How many can be undone.
        last_saved: UUID.
        next_seed: Scene seed of the next preparation.
        episodes_left: How many more fit on the disk, -1 unknown.
        text: A sentence for the operator, else empty.
    """

    def __init__(
        self,
        context: ProcessContext,
        flow: EpisodeFlow,
        catalog: RecorderCatalog,
        preparation: ScenePreparation,
        feed: SampleFeed,
        *,
        publish: Callable[[Event], None],
        robot_model: str = "",
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._data = context.data
        self._flow = flow
        self._catalog = catalog
        self._preparation = preparation
        self._feed = feed
        self._publish = publish
        self._attachments = episode_attachments(context.config, robot_model)
        self._calibrations = CalibrationStore(context.data.calibrations)
        self._reserve = Reserve(context.data.open)
        self._disk = DiskRoom(context.data.root, context.config.recording)
        self.sources = RecordedSources(camera.name for camera in context.config.cameras)
        self.task: TaskStatus | None = None
        self.scene = Scene()
        self.policy: dict[str, object] | None = None
        self.session: OpenSession | None = None
        self.recording: Recording | None = None
        self._losses: LossWatch | None = None
        self.episode = ""
        self.upcoming = ""
        self.key_ns = 0
        self.finished: OrderedDict[str, FinishedEpisode] = OrderedDict()
        self.saved = 0
        self.verdicts = 0
        self.last_saved = ""
        self.next_seed = context.config.simulation.seed
        self.episodes_left = -1
        self._room_known = True
        self.text = ""
        self._fill_reserve()

    def event(self, kind: str, text: str, **fields: object) -> Event:
        """Publish an event of the recorder."""
        event = self._context.event(kind, text, **fields)
        self._publish(event)
        return event

    def open_session(self, session: OpenSession, seed: int | None) -> None:
        """A new sitting; its first scene has `seed`, the station's own by default."""
        self.session = session
        self._feed.want(True)
        self.next_seed = self._context.config.simulation.seed if seed is None else seed
        self.saved = self.verdicts = 0
        self.text = ""

    def close_session(self) -> None:
        """End the sitting, if there is one.

        Raises:
            CatalogError: It could not be written; the sitting is over all the same.
        """
        if self.session is not None:
            session, self.session = self.session, None
            self._feed.want(False)
            self._catalog.close_session(session)

    def take(self, limit: int) -> None:
        """Give samples that wait to the open episode. A disk that fails ends the recording."""
        recording = self.recording
        if recording is None or recording.writer.would_wait:
            return
        try:
            self._give(recording, limit)
        except StorageError as error:
            self._storage_failed(error)

    def take_arrived(self) -> None:
        """Give all that has arrived by now to the open episode."""
        self._feed.collect(self._clock.now_ns())
        self.take(self._feed.waiting)

    def _give(self, recording: Recording, limit: int) -> None:
        for value, arrived_ns in self._feed.take(limit):
            if isinstance(value, Sample):
                recording.take(value, arrived_ns)

    def introduce(self, setup: StreamSetup) -> None:
        """A numeric stream says what it measures; one that is new joins the open episode."""
        now_ns = self._clock.now_ns()
        self.sources.introduce(setup, now_ns)
        if self.recording is None:
            return
        try:
            self.recording.introduce(setup, now_ns)
        except StorageError as error:
            self._storage_failed(error)

    def meet_policy(self, status: PolicyStatus) -> None:
        """The policy process tells of the policy in use; a change is noted in the open episode."""
        told: dict[str, object] | None = None
        if status.state is not PolicyState.NONE:
            told = {name: getattr(status, name) for name in ("policy", "version", "label", "execution")}
        if told == self.policy:
            return
        self.policy = told
        self._note_policy()

    def _note_policy(self) -> None:
        if self.policy is not None and self.recording is not None:
            self.note(self._context.event(EVENT_POLICY, "", **self.policy))

    @property
    def backlog(self) -> float:
        """How full the queues to the open episode are, that in memory or that to the disk, 0..1."""
        if self.recording is None:
            return 0.0
        return max(self._feed.fill, self.recording.writer.backlog)

    def preroll_s(self, now_ns: int) -> float:
        """What a recording that starts now would keep from before."""
        if self.session is None or self._preparation.busy:
            return 0.0
        kept_s = self._feed.available_ns(now_ns) / NS_PER_S
        return min(kept_s, self._context.config.recording.preroll_s)

    def heard_ns(self, now_ns: int) -> int:
        """Until when the open episode has what arrived: what still waits is no silence."""
        return self._feed.taken_until_ns(now_ns)

    def watch(self, now_ns: int) -> None:
        """Look after the open episode: silent streams, full disk; without one, the room for the next."""
        recording = self.recording
        if recording is None:
            self._estimate_room()
            return
        try:
            for sentence in recording.poll(self.heard_ns(now_ns)):
                event = self.event("recorder.gap", sentence)
                recording.take(event, now_ns)
            for sentence in self._stalls(recording, now_ns):
                recording.take(self.event("recorder.stalled", sentence), now_ns)
            self._disk.check_goes_on(now_ns)
        except StorageError as error:
            self._storage_failed(error)

    def _stalls(self, recording: Recording, now_ns: int) -> list[str]:
        """Sentences on a recorder that stood still, or a disk that does."""
        if self._losses is None:
            return []
        writer = recording.writer
        said = [
            self._losses.see_disk(writer.stalled_s, full=writer.would_wait),
            self._losses.observe(now_ns),
        ]
        return [sentence for sentence in said if sentence]

    def _storage_failed(self, error: StorageError) -> None:
        """Close what there is as truncated, and say so."""
        recording = self.recording
        if recording is None:
            return
        text = f"The recording was cut short. {error.sentence}"
        logger.error("%s", text)
        try:
            self.end("", truncated=text)
            text += " The episode up to there is kept."
        except StorageError as second:
            text += f" {second.sentence} It is recovered when the station starts again."
        self._flow.failed(text)
        self.event("recorder.fault", text, episode=recording.uuid)

    def check_can_start(self) -> None:
        """Refuse early what BEGIN would refuse, so that no countdown runs in vain.

        Raises:
            StationError: No session is open, or a camera has never been heard of.
            StorageError: The disk has too little space.
        """
        if self.session is None:
            raise StationError(
                "A recording cannot start",
                why="no session is open",
                next_step="Choose operator and task first",
            )
        missing = self.sources.missing_cameras()
        if missing:
            raise StationError(
                "A recording cannot start",
                why=f"nothing has come from camera {', '.join(missing)} yet",
                next_step="See the status of the cameras process",
            )
        self._disk.check_can_start()

    def refused(self, error: TeleopError) -> None:
        """Tell the operator of something that nobody waits for."""
        self.text = error.sentence
        self.event("recorder.refused", error.sentence)

    def do(self, steps: Steps, outcome: str = "", reason: str = "") -> None:
        """Take steps in order.

        Args:
            steps: From the flow.
            outcome: Of the episode that ends; the simulation's word by default.
            reason: Of a verdict.

        Raises:
            TeleopError: A step failed; those after it are not taken.
        """
        for step in steps:
            if step is Step.BEGIN:
                self._begin()
            elif step is Step.END:
                self._end_and_review(outcome)
            elif step is Step.UNDO:
                self._undo()
            elif step is Step.PREPARE_SAME:
                self.start_preparation(self._current_seed())
            elif step is Step.PREPARE_NEXT:
                self.start_preparation(self._current_seed() + 1 if self.task else self.next_seed)
            else:
                self._judge_or_go_on(step, reason, last=step is steps[-1])

    def _judge_or_go_on(self, step: Step, reason: str, *, last: bool) -> None:
        """A verdict that cannot be written must not keep the next episode from starting."""
        try:
            self._judge(step, reason)
        except CatalogError as error:
            if last:
                raise
            self.refused(error)

    def _begin(self) -> None:
        if self.session is None:
            self._flow.failed("A recording cannot start: no session is open.")
            raise StationError("A recording cannot start", why="no session is open")
        self.episode, self.upcoming = self.upcoming or str(uuid.uuid4()), ""
        config = self._context.config
        chunk_in_force = self._feed.chunk_in_force()
        key_ns, preroll = self._take_key()
        header = episode_header(
            self.episode,
            config,
            self.session,
            self.current_scene(),
            self.sources.cameras,
            self.sources.force_sensors,
            start_ns=key_ns,
            streams=self.sources.recorded_streams(key_ns),
            audio=self.sources.microphones.values(),
        )
        try:
            self._fill_reserve()
            writer = EpisodeWriter(
                self._data.open / f"{header.uuid}.mcap",
                header,
                destination=self._data.episodes / f"{header.uuid}.mcap",
                attachments=(*self._attachments, *calibration_attachments(config, self._calibrations)),
                flush_s=config.recording.flush_s,
                reserve=self._reserve,
                segment_s=config.recording.segment_s,
                want_keyframe=self._want_keyframe,
            )
        except StorageError as error:
            self._flow.failed(error.sentence)
            self.event("recorder.fault", error.sentence, episode=header.uuid)
            raise
        self.recording = Recording(writer, key_ns, preroll, self._clock.now_ns(), chunk_in_force)
        for setup in self.sources.watched_streams():
            self.recording.introduce(setup, self._clock.now_ns())
        self._feed.recording = True
        self._losses = LossWatch(writer.ledger, self._feed, self._clock.now_ns())
        self._want_keyframe()
        event = self._context.event("recorder.started", "Recording.", episode=header.uuid)
        event = replace(event, capture_ns=key_ns)
        self._publish(event)
        self.note(event)
        self._note_policy()

    def _take_key(self) -> tuple[int, Preroll | None]:
        """When the episode begins, and what was kept before that."""
        now_ns = self._clock.now_ns()
        self._feed.collect(now_ns)
        key_ns, self.key_ns = self.key_ns or now_ns, 0
        span_ns = round(self.preroll_s(now_ns) * NS_PER_S)
        floor_ns = max(self._feed.floor_ns, now_ns - _KEY_AGE_NS)
        key_ns = min(max(key_ns, floor_ns), now_ns) if span_ns else now_ns
        if span_ns == 0:
            self._feed.forget(now_ns)
            return key_ns, None
        wanted_ns = max(key_ns - span_ns, self._feed.floor_ns)
        return key_ns, Preroll(wanted_ns, self._feed.floor_ns, self._feed.packets())

    def note(self, event: Event) -> None:
        """Put an event of the recorder itself into the open episode."""
        if self.recording is None:
            return
        try:
            self.recording.take(event, event.capture_ns)
        except StorageError as error:
            self._storage_failed(error)

    def _want_keyframe(self) -> None:
        self._preparation.ask_keyframe(self._no_keyframe)

    def _no_keyframe(self, error: BaseException) -> None:
        """Called in the worker thread: the video then starts at the cameras' next regular keyframe."""
        logger.warning("the cameras were not asked for a keyframe: %s", error)

    def _end_and_review(self, outcome: str) -> None:
        recording = self.recording
        if recording is None:
            raise StationError("There is nothing to stop", why="the recording ended by itself")
        try:
            self.end(outcome or recording.said_outcome or self._achieved())
        except StorageError as error:
            self._flow.failed(error.sentence)
            self.event("recorder.fault", error.sentence, episode=recording.uuid)
            raise
        self._flow.stored()

    def end(self, outcome: str, truncated: str = "") -> None:
        """Close the file and make the episode durable, whatever its verdict will be.

        Args:
            outcome: `success`, `failure` or `unknown`.
            truncated: Why it ends early, empty for a normal stop.

        Raises:
            StorageError: It could not be made durable; the sentence says where the file lies.
        """
        recording, self.recording = self.recording, None
        if recording is None or self.session is None:
            return
        ended_ns = self._clock.now_ns()
        try:
            if not truncated:
                self._take_rest(recording, ended_ns)
            finished = recording.finish(outcome or "unknown", ended_ns, truncated=truncated)
        finally:
            self._feed.recording = False
            self._feed.forget(self._clock.now_ns())
            recording.writer.abandon()
        self.finished[recording.uuid] = finished
        if len(self.finished) > _REMEMBERED:
            self.finished.popitem(last=False)
        self.text = self._catalog.try_add(self.session, finished, recording.thumbnail.picture)
        self.event(
            "recorder.stopped",
            "The episode is stored.",
            episode=recording.uuid,
            path=str(finished.path),
            outcome=finished.footer.outcome,
            stop_to_durable_ms=finished.finish_ms,
        )
        self._room_known = False

    def _take_rest(self, recording: Recording, ended_ns: int) -> None:
        """Everything that arrived before the stop.

        Raises:
            StorageError: The disk is full or broken.
        """
        self._feed.collect(ended_ns)
        self._give(recording, self._feed.waiting)
        if self._losses is not None:
            self._losses.observe(self._clock.now_ns())

    def _judge(self, step: Step, reason: str) -> None:
        session, uuid_ = self.session, self.episode
        if session is None or not uuid_:
            raise StationError("There is no episode to judge")
        discarding = step is Step.DISCARD
        state = EpisodeState.DISCARDED if discarding else EpisodeState.SAVED
        try:
            self._catalog.judge(session, uuid_, state, reason, automatic=step is Step.AUTOSAVE)
            self.saved = self._catalog.saved(session)
        finally:
            self._flow.judged()
        self.verdicts += 1
        if not discarding:
            self.last_saved = uuid_
            self.next_seed = self._current_seed() + 1
        text = "Discarded. Undo brings it back." if discarding else "Saved."
        self.event("recorder.discarded" if discarding else "recorder.saved", text, episode=uuid_)

    def _undo(self) -> None:
        if self.session is None:
            raise StationError("There is nothing to undo", why="no session is open")
        row = self._catalog.undo(self.session)
        if row is None:
            raise StationError("There is nothing to undo", why="no verdict was given in this session")
        self.verdicts = max(0, self.verdicts - 1)
        self.saved = self._catalog.saved(self.session)
        self.episode = row.uuid
        if row.state is EpisodeState.PENDING:
            self._flow.reopened()
        self.event("recorder.restored", "The last verdict was taken back.", episode=row.uuid)

    def start_preparation(self, seed: int) -> None:
        """Begin to set up the scene of `seed` for the session's task.

        Raises:
            StationError: One is being set up already.
        """
        self._preparation.start(self.session.simulation_task if self.session else "", max(seed, 0))
        self.text = "The scene is being set up."

    def follow_preparation(self) -> list[TeleopError]:
        """Go on when the scene is ready; what failed is told to the operator and given back."""
        if not self._preparation.busy:
            return []
        try:
            scene = self._preparation.result()
            if scene is None:
                self._feed.forget(self._clock.now_ns())
                return []
            self.scene = scene
            self._feed.forget(self._clock.now_ns())
            self.text = ""
            if scene.seed >= 0:
                self.next_seed = scene.seed
            self.do(self._flow.prepared())
        except TeleopError as error:
            self.refused(error)
            return [error]
        return []

    def current_scene(self) -> Scene:
        """The scene as the simulation tells it, else as it was set up, with the instruction to be shown."""
        task, session = self.task, self.session
        seen = Scene(task.task, task.seed, task.instruction) if task is not None else self.scene
        said = (session.instruction if session else "") or seen.instruction or self.scene.instruction
        return replace(seen, instruction=said, paraphrases=self.scene.paraphrases)

    def _current_seed(self) -> int:
        return self.task.seed if self.task is not None else self.next_seed

    def _achieved(self) -> str:
        """The simulation's word."""
        if self.task is None:
            return "unknown"
        return "success" if self.task.success else "failure" if self.task.failed else "unknown"

    def _fill_reserve(self) -> None:
        try:
            self._reserve.fill()
        except StorageError as error:
            logger.warning("%s", error.sentence)

    def _estimate_room(self) -> None:
        """After a stop, but not before its answer."""
        if self._room_known or self.session is None:
            return
        self._room_known = True
        self.episodes_left = -1
        try:
            mean = self._catalog.mean_size_bytes(self.session)
            if mean > 0:
                self.episodes_left = self._disk.episodes_left(mean)
        except (StorageError, OSError) as error:
            logger.warning("no estimate of the room left: %s", error)
