"""What the Autonomy page shows and does, without widgets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    ControlTick,
    Event,
    PolicyState,
    PolicyStatus,
    RecorderState,
    RecorderStatus,
)
from ui.sounds import Cue
from ui.viewmodels.autonomy_policy import PolicyDesk
from ui.viewmodels.autonomy_state import Situation, WhoView, who_view
from ui.viewmodels.autonomy_takeovers import REASONS, Takeover, TakeoverLog
from ui.viewmodels.collect import CollectModel, CommandPort

BLEND_STEP = 0.1
SLOWEST = 0.05
_MOST_UNDO = 20
_ROLLOUT_PATIENCE_NS = 30 * NS_PER_S
"""The scene is set up and the countdown runs within this."""

_POLICY_DRIVES = frozenset(
    {AutonomyPhase.POLICY, AutonomyPhase.BLEND, AutonomyPhase.RETURN, AutonomyPhase.REWIND}
)
_NOT_WHILE_RECORDING = frozenset({RecorderState.FINALISING, RecorderState.COUNTDOWN})
_OUTCOME_WORDS = {"success": "Success", "failure": "Failure", "unknown": "No outcome"}


@dataclass(frozen=True, slots=True)
class AutonomyView:
    """Everything beside the policy and the pictures, compared as a whole to repaint only what changed.

    Attributes:
        who: Who drives.
        mode: Authority in force.
        blend: Weight of the policy asked for, 0..1.
        alpha: Weight of the policy in what is commanded, 0..1; NaN is never.
        speed: Of the policy's clock, 1 for full speed.
        ready: The policy may move the robot.
        driving: The next press of the policy's key pauses it.
        held: Keys or mouse hold an arm.
        recovering: A takeover brings the robot back first, and a key says when the correction begins.
        rollout: A rollout was started and has not ended.
        starting: It waits for the recording to begin.
        outcome: `success`, `failure` or empty, of the open or reviewed episode.
        can_judge: There is an episode to judge.
        takeovers: Newest first.
        unexplained: The newest takeover has no reason: its number, else 0.
        help_text: The policy's call for help, empty without one.
    """

    who: WhoView
    mode: AuthorityMode = AuthorityMode.MANUAL
    blend: float = 0.5
    alpha: float = 1.0
    speed: float = 1.0
    ready: bool = False
    driving: bool = False
    held: bool = False
    recovering: bool = False
    rollout: bool = False
    starting: bool = False
    outcome: str = ""
    can_judge: bool = False
    takeovers: tuple[Takeover, ...] = ()
    unexplained: int = 0
    help_text: str = ""


class AutonomyModel(QObject):
    """Follows policy, authority and takeovers, and turns keys into commands. GUI thread only.

    Driving by keys and the episode flow are Collect's: its model is shared.

    Args:
        port: Where commands go.
        collect: The model of Collect, connected to the bridge.
        key_label: Returns the label of an action's key, for sentences.
        parent: Owner.
        now_ns: Monotonic clock.
    """

    cue = pyqtSignal(object)
    """A `Cue` to play."""
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    helpCalled = pyqtSignal(str)
    """The policy asks for help: its sentence. Empty when the call is answered."""

    def __init__(
        self,
        port: CommandPort,
        collect: CollectModel,
        key_label: Callable[[str], str],
        parent: QObject | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(parent)
        self._port = port
        self._key = key_label
        self._now_ns = now_ns
        self.collect = collect
        self.desk = PolicyDesk(port, self)
        self.desk.told.connect(lambda text: self.told.emit(text, None))
        self.takeovers = TakeoverLog()
        self._linked = False
        self._was_linked = False
        self._starting = False
        self._tick: ControlTick | None = None
        self._recorder: RecorderStatus | None = None
        self._help_text = ""
        self._outcome = ""
        self._blend = collect.config.autonomy.blend
        self._speed_asked: float | None = None
        self._policy_mode = AuthorityMode.SUPERVISED
        self._undo: deque[Callable[[], object]] = deque(maxlen=_MOST_UNDO)
        self._rollout = False
        self._rollout_asked_ns: int | None = None

    # What comes in

    def on_link(self, linked: bool) -> None:
        """The station was found or lost; what was known of it is forgotten."""
        self._linked = linked
        self._was_linked = True
        self._tick = None
        self._recorder = None
        self._outcome = ""
        self._speed_asked = None
        self._undo.clear()
        self._end_rollout()
        self._answer_help()
        self.takeovers.clear()
        self.desk.on_link(linked)

    def set_starting(self, starting: bool) -> None:
        """Tells that the station's processes run or are being started, heard or not."""
        self._starting = starting

    def on_ticks(self, ticks: Sequence[ControlTick]) -> None:
        """New control ticks, oldest first."""
        self._tick = tick = ticks[-1]
        self.takeovers.on_ticks(ticks, self._recorded_s())
        if self._help_text and tick.actor is Actor.HUMAN and any(tick.engaged):
            self._answer_help()
        asked = self._rollout_asked_ns
        if asked is not None and self._now_ns() - asked > _ROLLOUT_PATIENCE_NS:
            self._rollout_asked_ns = None

    def on_policy(self, status: PolicyStatus) -> None:
        """The newest word of the policy process."""
        before = self.desk.status
        if before is None or (before.policy, before.label, before.version) != (
            status.policy,
            status.label,
            status.version,
        ):
            self._speed_asked = None
        self.desk.on_status(status)
        if status.state in (PolicyState.NONE, PolicyState.FAULT):
            self._answer_help()

    def on_recorder(self, status: RecorderStatus) -> None:
        """The recorder's state."""
        before, self._recorder = self._recorder, status
        was = before.state if before is not None else None
        if status.state is was:
            return
        if status.state is RecorderState.RECORDING:
            self._outcome = ""
            self._undo.clear()
            if self._rollout_asked_ns is not None:
                self._rollout_asked_ns = None
                self._rollout = True
                self._give()
        elif self._rollout and was is RecorderState.RECORDING:
            self._end_rollout()
            self.pause()
        elif status.state is RecorderState.IDLE:
            self._outcome = ""
            if was is RecorderState.REVIEW:
                self._undo.clear()

    def on_event(self, event: Event) -> None:
        """Something that happened once."""
        kind = event.kind
        self.takeovers.on_event(event, self._recorded_s())
        if kind == "autonomy.takeover":
            self._answer_help()
            self.cue.emit(Cue.SEIZE)
        elif kind == "autonomy.returned" and event.fields.get("outcome") == "resumed":
            self.cue.emit(Cue.RETURN)
        elif kind == "autonomy.resumed":
            self._answer_help()
        elif kind == "autonomy.help":
            self._call_help(event.text or "The policy asks for help.")
        elif kind in ("policy.fault", "policy.refused") and event.text:
            self.told.emit(event.text, None)
            self.cue.emit(Cue.HOLD)

    def _call_help(self, text: str) -> None:
        if text != self._help_text:
            self._help_text = text
            self.cue.emit(Cue.HELP)
            self.helpCalled.emit(text)

    def _answer_help(self) -> None:
        if self._help_text:
            self._help_text = ""
            self.helpCalled.emit("")

    def _recorded_s(self) -> float | None:
        recorder = self._recorder
        recording = recorder is not None and recorder.state is RecorderState.RECORDING
        return recorder.elapsed_s if recorder is not None and recording else None

    # What is shown

    def view(self) -> AutonomyView:
        """Returns what to show now."""
        tick = self._tick
        autonomy = tick.autonomy if tick is not None else None
        last = self.takeovers.last
        recorder = self._recorder.state if self._recorder is not None else RecorderState.IDLE
        return AutonomyView(
            who=who_view(self._situation(), self._key),
            mode=self.mode,
            blend=self._blend,
            alpha=round(autonomy.alpha, 2) if autonomy is not None else 1.0,
            speed=self.speed,
            ready=self.desk.ready and self._linked,
            driving=self._policy_drives,
            held=self.held,
            recovering=autonomy is not None and autonomy.phase is AutonomyPhase.RECOVER,
            rollout=self._rollout,
            starting=self._rollout_asked_ns is not None,
            outcome=self._outcome,
            can_judge=recorder in (RecorderState.RECORDING, RecorderState.FINALISING, RecorderState.REVIEW),
            takeovers=self.takeovers.newest_first,
            unexplained=last.number if last is not None and not last.reason else 0,
            help_text=self._help_text,
        )

    def _situation(self) -> Situation:
        return Situation(
            linked=self._linked,
            was_linked=self._was_linked,
            starting=self._starting,
            tick=self._tick,
            policy=self.desk.status,
            shown_name=self.desk.shown_name,
            ready=self.desk.ready,
            why_not=self.desk.why_not,
            help_text=self._help_text,
        )

    @property
    def mode(self) -> AuthorityMode:
        """Authority in force; manual while there is no policy."""
        autonomy = self._tick.autonomy if self._tick is not None else None
        return autonomy.mode if autonomy is not None else AuthorityMode.MANUAL

    @property
    def held(self) -> bool:
        """Whether keys or mouse hold an arm."""
        return self.collect.driving.engaged is not None or self.collect.driving.dragging is not None

    @property
    def speed(self) -> float:
        """Share of full speed at which the policy moves: asked for, else what control says."""
        if self._speed_asked is not None:
            return self._speed_asked
        autonomy = self._tick.autonomy if self._tick is not None else None
        return autonomy.speed if autonomy is not None else self.collect.config.autonomy.speed

    @property
    def _policy_drives(self) -> bool:
        tick = self._tick
        if tick is None or tick.autonomy is None or tick.autonomy.mode is AuthorityMode.PAUSED:
            return False
        return tick.actor in (Actor.POLICY, Actor.BLEND) or tick.autonomy.phase in _POLICY_DRIVES

    # Who drives

    def toggle_policy(self) -> None:
        """Gives the robot to the policy, or pauses it while it drives."""
        if self._policy_drives:
            self.pause()
        elif not self.desk.ready:
            self.told.emit(f"{self.desk.why_not} Nothing moves.", None)
        else:
            self._give()

    def _give(self) -> None:
        """Lets go of the arms first: what a hand holds is not the policy's to have."""
        self.let_go()
        if self.mode is AuthorityMode.MANUAL:
            self._control("authority", mode=str(self._policy_mode))
        else:
            self._control("resume")

    def let_go(self) -> None:
        """Releases what keys and mouse hold, at once."""
        self.collect.driving.release_all()
        while self.collect.send_sample(self._now_ns()):
            pass

    def pause(self) -> None:
        """Lets the arms hold until the policy is given them again."""
        self._control("pause")

    def set_mode(self, mode: AuthorityMode) -> None:
        """Sets what the policy may do."""
        if mode is AuthorityMode.PAUSED:
            self.pause()
            return
        if mode is not AuthorityMode.MANUAL:
            if not self.desk.ready:
                self.told.emit(f"{self.desk.why_not} Nothing moves.", None)
                return
            self._policy_mode = mode
        self._control("authority", mode=str(mode))

    def rewind(self) -> None:
        """Takes the robot back along the path that it came."""
        self.let_go()
        self._control("rewind")

    def set_blend(self, weight: float) -> None:
        """Sets the weight of the policy while both drive, 0..1."""
        self._blend = min(max(round(weight, 2), 0.0), 1.0)
        self._control("set_blend", alpha=self._blend)

    def step_blend(self, sign: int) -> None:
        """Gives the policy a little more weight, or less."""
        self.set_blend(self._blend + sign * BLEND_STEP)

    def set_speed(self, speed: float) -> None:
        """Sets the share of full speed at which the policy moves."""
        self._speed_asked = min(max(round(speed, 2), SLOWEST), 1.0)
        self._control("set_policy_speed", speed=self._speed_asked)

    # Rollouts

    def toggle_rollout(self) -> None:
        """Starts to record and gives the robot to the policy once it records; the second time ends both."""
        if self._rollout_asked_ns is not None or self._rollout:
            self._stop_rollout()
            return
        if not self.desk.ready:
            self.told.emit(f"{self.desk.why_not} No rollout was started.", None)
            return
        recorder = self._recorder
        if recorder is None or not recorder.session:
            self.told.emit("A rollout is recorded in a session. Start one on Home.", None)
            return
        if recorder.state in _NOT_WHILE_RECORDING:
            return
        if recorder.state is RecorderState.RECORDING:
            self._rollout = True
            self._give()
            return
        self._rollout_asked_ns = self._now_ns()
        self._port.call("recorder", "record", failed=self._rollout_refused)

    def _stop_rollout(self) -> None:
        self._end_rollout()
        self.pause()
        self._port.call("recorder", "stop", failed=self._say)

    def _end_rollout(self) -> None:
        self._rollout = False
        self._rollout_asked_ns = None

    def _rollout_refused(self, error: TeleopError) -> None:
        self._end_rollout()
        self._say(error)

    # Labels

    def explain(self, reason: str, number: int = 0) -> None:
        """Gives a takeover its reason, the newest one by default; one given before is replaced."""
        takeover = self.takeovers.get(number) if number else self.takeovers.last
        if takeover is None:
            self.told.emit("Nobody has taken over yet. The reason belongs to a takeover.", None)
            return
        before = takeover.reason
        if before == reason:
            return
        self._set_reason(takeover.number, reason)
        undo = None
        if before:
            undo = self._remember(lambda: self._set_reason(takeover.number, before))
        self.told.emit(f"Takeover {takeover.number}: {REASONS[reason].lower()}", undo)

    def _set_reason(self, number: int, reason: str) -> None:
        before = self.takeovers.set_reason(number, reason)

        def failed(error: TeleopError) -> None:
            self.takeovers.set_reason(number, before)
            self._say(error)

        self._port.call("control", "takeover_reason", failed=failed, reason=reason, takeover=number)

    def teach(self) -> None:
        """Says that the robot is back where the policy knows its way: what follows shows how to go on."""
        self._control("mark_phase", phase="correct")

    def judge(self, outcome: str) -> None:
        """Says how the open or reviewed episode ended; the same outcome again takes it away.

        Args:
            outcome: `success` or `failure`.
        """
        if not self.view().can_judge:
            self.told.emit("There is no episode to judge. Record one first.", None)
            return
        before = self._outcome
        self._set_outcome("" if outcome == before else outcome)
        undo = self._remember(lambda: self._set_outcome(before))
        self.told.emit(_OUTCOME_WORDS[self._outcome or "unknown"], undo)

    def _set_outcome(self, outcome: str) -> None:
        before, self._outcome = self._outcome, outcome

        def failed(error: TeleopError) -> None:
            self._outcome = before
            self._say(error)

        self._port.call("recorder", "set_outcome", failed=failed, outcome=outcome or "unknown")

    def _remember(self, step: Callable[[], object]) -> Callable[[], object]:
        self._undo.append(step)

        def take_back() -> None:
            if step in self._undo:
                self._undo.remove(step)
                step()

        return take_back

    def undo(self) -> None:
        """Takes back the last label given to this episode, else the last verdict."""
        if self._undo:
            self._undo.pop()()
        else:
            self.collect.undo()

    def _control(self, command: str, **args: Any) -> None:
        self._port.call("control", command, failed=self._say, **args)

    def _say(self, error: TeleopError) -> None:
        self.told.emit(error.sentence, None)
