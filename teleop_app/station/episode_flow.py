"""The episode flow: what record, stop, save, discard, redo, undo and next mean in each state.

It does nothing itself. Each request returns the steps that the recorder must take, in order.
"""

from __future__ import annotations

from enum import StrEnum

from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import StationError
from teleop_app.core.types import RecorderState

_STATE_NAMES = {
    RecorderState.IDLE: "nothing is being recorded",
    RecorderState.COUNTDOWN: "the countdown is running",
    RecorderState.RECORDING: "an episode is being recorded",
    RecorderState.FINALISING: "the episode is being stored",
    RecorderState.REVIEW: "an episode waits for a verdict",
    RecorderState.FAULT: "the recorder has a fault",
}


class Step(StrEnum):
    """What the recorder has to do.

    BEGIN: open the file. END: close it and make it durable. SAVE, DISCARD: verdict on the reviewed
    episode. AUTOSAVE: the same as SAVE, by nobody. UNDO: take back the last verdict. PREPARE_SAME,
    PREPARE_NEXT: set up the scene again, or the next one.
    """

    BEGIN = "begin"
    END = "end"
    SAVE = "save"
    AUTOSAVE = "autosave"
    DISCARD = "discard"
    UNDO = "undo"
    PREPARE_SAME = "prepare_same"
    PREPARE_NEXT = "prepare_next"


Steps = tuple[Step, ...]


class EpisodeFlow:
    """State machine of one recorder.

    Args:
        clock: Times countdowns.
        countdown_s: Between the request and the start of a recording.
        autosave_s: After which an unanswered verdict counts as save.
        max_episode_s: A recording ends by itself after this.

    Attributes:
        text: Why the recording stopped by itself or what is wrong, else empty.
    """

    def __init__(self, clock: Clock, countdown_s: float, autosave_s: float, max_episode_s: float) -> None:
        self._clock = clock
        self._countdown_ns = round(countdown_s * NS_PER_S)
        self._autosave_ns = round(autosave_s * NS_PER_S)
        self._max_ns = round(max_episode_s * NS_PER_S)
        self._state = RecorderState.IDLE
        self._entered_ns = clock.now_ns()
        self._begin_after_prepare = False
        self._verdict_held = False
        self.text = ""

    @property
    def state(self) -> RecorderState:
        """Where the flow stands."""
        return self._state

    @property
    def elapsed_s(self) -> float:
        """Length of the recording so far; 0 when none runs."""
        return self._since_s() if self._state is RecorderState.RECORDING else 0.0

    @property
    def countdown_s(self) -> float:
        """Until the start or the automatic save; -1 when nothing counts down."""
        if self._state is RecorderState.COUNTDOWN:
            return max(0.0, self._countdown_ns / NS_PER_S - self._since_s())
        if self._state is RecorderState.REVIEW and not self._verdict_held:
            return max(0.0, self._autosave_ns / NS_PER_S - self._since_s())
        return -1.0

    @property
    def begins_after_prepare(self) -> bool:
        """A redo waits for its scene."""
        return self._begin_after_prepare

    # Requests of people.

    def record(self) -> Steps:
        """Start an episode; one that still waits for a verdict is saved first.

        Raises:
            StationError: One is being recorded already.
        """
        self._allow("A recording cannot start", RecorderState.IDLE, RecorderState.REVIEW, RecorderState.FAULT)
        before = (Step.SAVE,) if self._state is RecorderState.REVIEW else ()
        self.text = ""
        self._begin_after_prepare = False
        return (*before, *self._count_down())

    def stop(self) -> Steps:
        """End the recording, or the countdown.

        Raises:
            StationError: Nothing is being recorded.
        """
        self._allow("There is nothing to stop", RecorderState.RECORDING, RecorderState.COUNTDOWN)
        if self._state is RecorderState.COUNTDOWN:
            self._enter(RecorderState.IDLE)
            return ()
        self._enter(RecorderState.FINALISING)
        return (Step.END,)

    def save(self) -> Steps:
        """Keep the reviewed episode; while recording, stop first.

        Raises:
            StationError: There is none.
        """
        return self._judge(Step.SAVE, "There is nothing to save")

    def discard(self, text: str = "There is nothing to discard") -> Steps:
        """Put the reviewed episode into the trash; while recording, stop first; a countdown ends.

        Raises:
            StationError: There is none.
        """
        if self._state is RecorderState.COUNTDOWN:
            self._enter(RecorderState.IDLE)
            return ()
        return self._judge(Step.DISCARD, text)

    def redo(self) -> Steps:
        """Discard, set up the same scene and record again.

        Raises:
            StationError: There is no episode to do again.
        """
        steps = self.discard("There is nothing to do again")
        self._begin_after_prepare = True
        return (*steps, Step.PREPARE_SAME)

    def undo(self) -> Steps:
        """Take back the last verdict.

        Raises:
            StationError: An episode is being recorded, or has no verdict yet.
        """
        self._allow("Undo is not possible now", RecorderState.IDLE, RecorderState.FAULT)
        return (Step.UNDO,)

    def next(self) -> Steps:
        """Set up the next scene; an episode that waits for a verdict is saved.

        Raises:
            StationError: An episode is being recorded.
        """
        self._allow(
            "The next scene cannot be set up", RecorderState.IDLE, RecorderState.REVIEW, RecorderState.FAULT
        )
        before = (Step.SAVE,) if self._state is RecorderState.REVIEW else ()
        if before:
            self._enter(RecorderState.IDLE)
        return (*before, Step.PREPARE_NEXT)

    def hold_verdict(self) -> None:
        """End the countdown to the automatic save: this episode waits until somebody decides.

        Raises:
            StationError: No episode waits for a verdict.
        """
        self._allow("There is no countdown to stop", RecorderState.REVIEW)
        self._verdict_held = True

    # What happened.

    def poll(self) -> Steps:
        """Steps that are due by time: start after the countdown, end at full length, automatic save."""
        since_ns = self._clock.now_ns() - self._entered_ns
        if self._state is RecorderState.COUNTDOWN and since_ns >= self._countdown_ns:
            self._enter(RecorderState.RECORDING)
            return (Step.BEGIN,)
        if self._state is RecorderState.RECORDING and since_ns >= self._max_ns:
            self.text = f"The recording ended by itself after {self._max_ns / NS_PER_S:g} s."
            self._enter(RecorderState.FINALISING)
            return (Step.END,)
        if self._state is RecorderState.REVIEW and not self._verdict_held and since_ns >= self._autosave_ns:
            self._enter(RecorderState.IDLE)
            return (Step.AUTOSAVE,)
        return ()

    def stored(self) -> None:
        """The episode is durable: it waits for a verdict."""
        self._enter(RecorderState.REVIEW)

    def judged(self) -> None:
        """A verdict was given; whatever was begun meanwhile goes on."""
        if self._state is RecorderState.REVIEW:
            self._enter(RecorderState.IDLE)

    def reopened(self) -> None:
        """A verdict was taken back: the episode waits again, with a new countdown."""
        self._enter(RecorderState.REVIEW)

    def prepared(self) -> Steps:
        """The scene is ready."""
        if not self._begin_after_prepare:
            return ()
        self._begin_after_prepare = False
        if self._state not in (RecorderState.IDLE, RecorderState.FAULT):
            return ()
        return self._count_down()

    def failed(self, text: str) -> None:
        """Something went wrong; `record` may be tried again."""
        self.text = text
        self._begin_after_prepare = False
        self._enter(RecorderState.FAULT)

    def _judge(self, step: Step, refusal: str) -> Steps:
        self._allow(refusal, RecorderState.REVIEW, RecorderState.RECORDING)
        if self._state is RecorderState.RECORDING:
            self._enter(RecorderState.FINALISING)
            return (Step.END, step)
        return (step,)

    def _count_down(self) -> Steps:
        if self._countdown_ns == 0:
            self._enter(RecorderState.RECORDING)
            return (Step.BEGIN,)
        self._enter(RecorderState.COUNTDOWN)
        return ()

    def _enter(self, state: RecorderState) -> None:
        self._state = state
        self._verdict_held = False
        self._entered_ns = self._clock.now_ns()

    def _since_s(self) -> float:
        return (self._clock.now_ns() - self._entered_ns) / NS_PER_S

    def _allow(self, refusal: str, *states: RecorderState) -> None:
        if self._state not in states:
            raise StationError(refusal, why=_STATE_NAMES[self._state])
