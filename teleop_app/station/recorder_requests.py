"""What people and programs may ask of the recorder, by command or by button."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from sessions.states import Outcome
from teleop_app.autonomy.interventions import TAKEOVER_OUTCOMES, TAKEOVER_REASONS
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import StationError, TeleopError
from teleop_app.core.types import RecorderState
from teleop_app.station.episode_flow import EpisodeFlow, Steps
from teleop_app.station.episode_labels import EpisodeLabels
from teleop_app.station.episode_rows import frames_of, lost_frames_of
from teleop_app.station.episode_work import EpisodeWork
from teleop_app.station.recorder_catalog import RecorderCatalog
from teleop_app.station.scene_preparation import ScenePreparation

logger = logging.getLogger(__name__)
CAMERA_PATIENCE_S = 2.5
"""How long `record` waits for cameras that were never heard of."""


class RecorderRequests:
    """The recorder's commands; each either does what it says or raises a sentence.

    Args:
        flow: Says what a request means now.
        work: Does it.
        labels: Says what people think of episodes.
        catalog: For sessions.
        preparation: Sets up scenes.
        pump: One turn of the process without commands: called while a command waits for other
            processes. False when the process is stopping.
    """

    def __init__(
        self,
        flow: EpisodeFlow,
        work: EpisodeWork,
        labels: EpisodeLabels,
        catalog: RecorderCatalog,
        preparation: ScenePreparation,
        pump: Callable[[], bool],
    ) -> None:
        self._flow = flow
        self._work = work
        self._labels = labels
        self._catalog = catalog
        self._preparation = preparation
        self._pump = pump
        self._failures: list[TeleopError] = []

    def handlers(self) -> dict[str, Callable[..., dict[str, Any] | None]]:
        """By command name."""
        return {
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
            "hold_verdict": self.hold_verdict,
            "set_outcome": self.set_outcome,
            "set_takeover": self.set_takeover,
            "status": self.status,
        }

    def press(self, button: str, at_ns: int = 0) -> None:
        """A button of an input device; what it cannot do is told to the operator.

        Args:
            button: Its name.
            at_ns: When it was pressed, 0 for now.
        """
        requests: dict[str, Callable[[], object]] = {
            "record": lambda: self._toggle(at_ns),
            "save": self.save,
            "discard": self.discard,
            "redo": self.redo,
            "undo": self.undo,
            "next": self.next,
        }
        request = requests.get(button)
        if request is not None:
            self.attempt(request)

    def attempt(self, request: Callable[[], object]) -> None:
        """Do something that nobody waits for; a failure becomes an event."""
        try:
            request()
        except TeleopError as error:
            if self._flow.state is not RecorderState.FAULT:  # a fault was told already
                self._work.refused(error)

    def follow(self) -> None:
        """Steps that are due by time, or because the scene is ready."""
        self.attempt(lambda: self._do(self._flow.poll()))
        self._failures += self._work.follow_preparation()

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
        session = self._catalog.open_session(operator, task, instruction, target, simulated)
        self._work.open_session(session, seed)
        return {"session": session.id}

    def close_session(self) -> None:
        """End the sitting; an episode that waits for a verdict is saved.

        Raises:
            StationError: An episode is being recorded.
        """
        self._refuse_while_recording("The session cannot be closed")
        if self._flow.state is RecorderState.REVIEW:
            self._do(self._flow.save())
        self._work.close_session()

    def prepare(self, seed: int | None = None) -> dict[str, Any]:
        """Arms home and a new scene; answers when it is ready.

        Raises:
            StationError: An episode is being recorded, or the arms do not come home.
        """
        self._refuse_while_recording("The scene cannot be set up")
        self._work.start_preparation(self._work.next_seed if seed is None else seed)
        self._failures.clear()
        while self._preparation.busy and self._pump():
            pass
        if self._failures:
            raise self._failures.pop()
        return {"seed": self._work.scene.seed, "instruction": self._work.current_scene().instruction}

    def record(self) -> dict[str, Any]:
        """Start an episode, after the countdown if there is one.

        Raises:
            StationError: No session is open, or one is being recorded.
            StorageError: The disk has too little space or refuses.
        """
        if self._preparation.busy:
            raise StationError("A recording cannot start", why="the scene is being set up")
        self._wait_for_cameras()
        self._work.check_can_start()
        steps = self._flow.record()
        self._work.upcoming = episode = str(uuid.uuid4())
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
        finished = self._work.finished.get(self._work.episode)
        if finished is None or self._flow.state is RecorderState.IDLE:  # only a countdown was stopped
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
        """Keep the reviewed episode.

        Raises:
            StationError: There is none.
        """
        self._do(self._flow.save())

    def discard(self, reason: str = "") -> None:
        """Put the reviewed episode into the trash.

        Raises:
            StationError: There is none.
        """
        self._do(self._flow.discard(), reason=reason)

    def redo(self) -> None:
        """Discard, set up the same scene, record again; answers at once.

        Raises:
            StationError: There is no episode to do again.
        """
        self._work.check_can_start()
        self._do(self._flow.redo())

    def undo(self) -> dict[str, Any]:
        """Take back the session's last verdict.

        Raises:
            StationError: There is none, or an episode is open.
        """
        self._do(self._flow.undo())
        return {"episode": self._work.episode, "state": self._flow.state.value}

    def next(self) -> None:
        """Set up the next scene; answers at once.

        Raises:
            StationError: No session is open, or an episode is being recorded.
        """
        if self._work.session is None:
            raise StationError("The next scene cannot be set up", why="no session is open")
        self._do(self._flow.next())

    def hold_verdict(self) -> None:
        """End the countdown to the automatic save.

        Raises:
            StationError: No episode waits for a verdict.
        """
        self._flow.hold_verdict()

    def set_outcome(self, outcome: str) -> None:
        """Say whether the open or the reviewed episode achieved its task.

        Args:
            outcome: `success`, `failure` or `unknown`.

        Raises:
            StationError: There is no such episode, or no such outcome.
            CatalogError: The catalog refuses it.
        """
        _require_one_of("outcome", outcome, [known.value for known in Outcome])
        self._labels.set_outcome(Outcome(outcome))

    def set_takeover(self, takeover: int = 0, reason: str = "", outcome: str = "") -> None:
        """Label a takeover of the open or the reviewed episode.

        Args:
            takeover: Its number, 0 for the last one.
            reason: One of `TAKEOVER_REASONS`; empty leaves it.
            outcome: `resumed`, `finished` or `aborted`; empty leaves it.

        Raises:
            StationError: There is no such episode, or no such reason or outcome.
            CatalogError: There is no such takeover, or the catalog refuses it.
        """
        _require_one_of("reason", reason, ["", *TAKEOVER_REASONS])
        _require_one_of("outcome", outcome, ["", *TAKEOVER_OUTCOMES])
        if takeover < 0:
            raise StationError(
                f"There is no takeover {takeover}", next_step="Count from 1; 0 is the last one"
            )
        self._labels.set_takeover(takeover, reason, outcome)

    def status(self) -> dict[str, Any]:
        """The flow in brief."""
        work = self._work
        return {
            "state": self._flow.state.value,
            "session": work.session.id if work.session else "",
            "episode": work.episode,
            "saved": work.saved,
            "text": self._flow.text or work.text,
        }

    def _toggle(self, at_ns: int) -> dict[str, Any]:
        if self._flow.state in (RecorderState.RECORDING, RecorderState.COUNTDOWN):
            return self.stop()
        self._work.key_ns = at_ns
        try:
            return self.record()
        finally:
            self._work.key_ns = 0

    def _do(self, steps: Steps, outcome: str = "", reason: str = "") -> None:
        self._work.do(steps, outcome, reason)

    def _refuse_while_recording(self, what: str) -> None:
        if self._flow.state in (RecorderState.RECORDING, RecorderState.COUNTDOWN):
            raise StationError(what, why="an episode is being recorded", next_step="Stop it first")

    def _wait_for_cameras(self) -> None:
        """A station that has just started may not have heard of its cameras, which speak up regularly."""
        deadline = time.monotonic() + CAMERA_PATIENCE_S
        while self._work.sources.missing_cameras() and time.monotonic() < deadline and self._pump():
            pass

    def _wait(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        """The answer of another process; empty when it does not answer."""
        while not future.done() and self._pump():
            pass
        try:
            return future.result(timeout=0) if future.done() else {}
        except TeleopError as error:
            logger.warning("%s", error.sentence)
            return {}


def _require_one_of(what: str, value: str, known: list[str]) -> None:
    if value not in known:
        listed = ", ".join(name for name in known if name)
        raise StationError(f"There is no {what} {value!r:.60}", next_step=f"Choose one of {listed}")
