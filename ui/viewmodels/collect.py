"""What the Collect page shows and does, without widgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from teleop_app.core.config import MappingSection, StationConfig
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import (
    Actor,
    ControlState,
    ControlTick,
    Event,
    ForceBatch,
    InputSample,
    ProcessState,
    ProcessStatus,
    RecorderState,
    RecorderStatus,
    SafetyFlag,
    StationStatus,
    TaskStatus,
)
from ui.sounds import Cue
from ui.viewmodels.alignment import alignment_of
from ui.viewmodels.collect_view import Chip, CollectView, figures_of, summary_of
from ui.viewmodels.demonstration import Demonstration
from ui.viewmodels.driving import NUDGES, SOURCE, KeyDriver
from ui.viewmodels.input_health import InputHealth, InputWatch
from ui.viewmodels.interventions import Intervention, InterventionWatch
from ui.viewmodels.key_bodies import key_bodies
from ui.viewmodels.leaders import LeaderClutches
from ui.viewmodels.strip_history import StripHistory
from ui.viewmodels.trust import TrustView, TrustWatch
from ui.viewmodels.verdict_remarks import remarks
from ui.widgets.alignment_bars import JointOffset

log = logging.getLogger(__name__)

OPERATOR = "operator"
"""The station process that can show a task by itself."""


class CommandPort(Protocol):
    """What the page needs to act: the bridge has it."""

    def call(
        self,
        process: str,
        command: str,
        /,
        done: Callable[[dict[str, Any]], object] | None = None,
        failed: Callable[[TeleopError], object] | None = None,
        **args: Any,
    ) -> None:
        """Runs a command without blocking."""
        ...

    def send_input(self, sample: InputSample) -> None:
        """Sends one operator sample."""
        ...


_DRIVERS = {Actor.HUMAN: "human", Actor.SCRIPT: "script", Actor.POLICY: "policy"}
_DRIVING_CHIPS = {"human": Chip.ENGAGED, "script": Chip.SCRIPT, "policy": Chip.POLICY}
_LIMIT_CHIPS = {SafetyFlag.SINGULARITY: Chip.SINGULARITY, SafetyFlag.COLLISION: Chip.COLLISION}
_DRIVER_WORDS = {"human": "You drive", "script": "The script drives", "policy": "The policy drives"}
_SOUNDED = {ControlState.HOLD: Cue.HOLD, ControlState.FAULT: Cue.FAULT, ControlState.ESTOP: Cue.FAULT}
_ENGAGE_PATIENCE_NS = 1_500_000_000
"""Control answers a clutch within a few ticks, unless it refuses."""

_NOTE_INTERVAL_NS = 20_000_000
_REST_INTERVAL_NS = 100_000_000
_RESUME = "Press {key} to resume."


class CollectModel(QObject):
    """Follows the station's messages and turns keys into commands. GUI thread only.

    Args:
        port: Where commands and input samples go.
        config: The station file.
        key_label: Returns the label of an action's key, for sentences.
        parent: Owner.
    """

    cue = pyqtSignal(object)
    """A `Cue` to play."""
    told = pyqtSignal(str, bool)
    """A note for a toast, and whether it can be undone."""
    outdated = pyqtSignal(str)
    """A note told before that no longer holds."""
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""
    sceneChanged = pyqtSignal()
    """The cell was set up anew."""

    def __init__(
        self,
        port: CommandPort,
        config: StationConfig,
        key_label: Callable[[str], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._port = port
        self._key = key_label
        self.config = config
        self.driving = KeyDriver([arm.name for arm in config.arms], config.mapping, key_bodies(config))
        self.history = StripHistory(len(config.arms))
        self._linked = False
        self._was_linked = False
        self._starting = False
        self._has_operator = False
        self._demonstration: Demonstration | None = None
        self._operator_text = ""
        self._tick: ControlTick | None = None
        self._noted_ns = 0
        self._rested_ns = 0
        self._was_engaged: str | None = None
        self._asked_ns: int | None = None
        self._recorder: RecorderStatus | None = None
        self._task: TaskStatus | None = None
        self._control_state: ControlState | None = None
        self._recorder_state: RecorderState | None = None
        self._scene: tuple[str, int, int] | None = None
        self._task_result: bool | None = None
        self.symmetry = config.mapping.symmetry
        self.interventions = InterventionWatch()
        self._inputs = InputWatch(config)
        self.leaders = LeaderClutches(port, config, lambda text: self.told.emit(text, False))
        self._trust_watch = TrustWatch()
        self._trust = TrustView()

    @property
    def tick(self) -> ControlTick | None:
        """The newest control tick."""
        return self._tick

    @property
    def recorder(self) -> RecorderStatus | None:
        """The newest word of the recorder."""
        return self._recorder

    def on_mapping(self, mapping: MappingSection) -> None:
        """The running station was given another mapping."""
        self.symmetry = mapping.symmetry
        self.driving.configure(mapping)

    def on_link(self, linked: bool) -> None:
        """The station was found or lost; what was known of it is forgotten when lost."""
        self._linked = linked
        self._was_linked = True
        self._inputs.on_link(linked)
        if not linked:
            self.interventions.clear()
            self.symmetry = self.config.mapping.symmetry  # a new station starts with the file
            self._recorder = None
            self._recorder_state = None
            self._demonstration = None
            self.driving.release_all()
            self._tick = None
            self._control_state = None
            self.cue.emit(Cue.FAULT)

    def set_starting(self, starting: bool) -> None:
        """Tells that the station's processes run or are being started, heard or not."""
        self._starting = starting

    def on_station(self, status: StationStatus) -> None:
        """The station's processes: how the inputs do, whether a scripted operator is among them."""
        self._inputs.on_station(status)
        self._has_operator = any(
            p.process == OPERATOR and p.state is ProcessState.RUNNING for p in status.processes
        )

    def on_process(self, status: ProcessStatus) -> None:
        """The scripted operator's sentence, when it gives up."""
        if status.process != OPERATOR:
            return
        before, self._operator_text = self._operator_text, status.text
        if self._demonstration is not None and status.text and status.text != before:
            self._demonstration = None
            self.told.emit(status.text, False)

    def on_ticks(self, ticks: Sequence[ControlTick]) -> None:
        """New control ticks, oldest first."""
        per_arm = max(len(ticks[-1].measured) // max(len(self.driving.arms), 1), 1)
        for tick in ticks:
            if tick.measured_ns - self._noted_ns >= _NOTE_INTERVAL_NS:
                self._noted_ns = tick.measured_ns
                self.history.add_tick(tick.measured_ns, tick.measured[per_arm - 1 :: per_arm], tick.actor)
        self._tick = tick = ticks[-1]
        for arm, opening in zip(self.driving.arms, tick.measured[per_arm - 1 :: per_arm], strict=False):
            self.driving.set_measured_gripper(arm, float(opening))
        if tick.state != self._control_state:
            if self._control_state is not None and tick.state in _SOUNDED:
                self.cue.emit(_SOUNDED[tick.state])
            self._control_state = tick.state
            if tick.state in (ControlState.ESTOP, ControlState.FAULT):
                self.driving.release_all()
        self.interventions.on_ticks(ticks)
        self._follow_engagement(tick)
        if self._demonstration is not None and self._demonstration.is_over(tick):
            self._demonstration = None

    def _follow_engagement(self, tick: ControlTick) -> None:
        """Lets go when control has revoked the clutch or never took it, so that one press engages anew.

        A short hold keeps it: control goes on by itself when the samples come back.
        """
        mine = self.driving.engaged or self.driving.dragging
        now_engaged = mine is not None and any(
            arm == mine and on for arm, on in zip(self.driving.arms, tick.engaged, strict=False)
        )
        if mine is not None and self._was_engaged == mine and not now_engaged:
            self.driving.release_all()
        self._was_engaged = mine if now_engaged else None
        if mine is None or now_engaged:
            self._asked_ns = None
        elif self._asked_ns is None:
            self._asked_ns = tick.tick_ns
        elif tick.tick_ns - self._asked_ns > _ENGAGE_PATIENCE_NS:
            self._asked_ns = None
            self.driving.release_all()
            self.told.emit(tick.reason or f"The {mine} arm could not be engaged. Try again.", False)

    def toggle_clutch(self) -> None:
        """Engages the selected arm, or releases; refused with a sentence while a stop is latched."""
        if self.driving.engaged is None and self._is_stopped():
            return
        self.driving.toggle_clutch()

    def toggle_leader(self) -> None:
        """Engages the leader of the selected arm, or lets go of the one that drives."""
        if not self.leaders:
            return
        if not self.leaders.driving(self._tick):
            if self._is_stopped():
                return
            self.driving.release_all()
        self.leaders.toggle(self._tick, self.driving.selected)

    @property
    def can_mirror(self) -> bool:
        """Whether there are two arms, one of which can mirror the other."""
        return len(self.config.arms) == 2

    def toggle_symmetry(self) -> None:
        """Lets the second arm mirror the first until the station ends, or not; nobody may drive meanwhile."""
        if not self.can_mirror:
            return
        if self._tick is not None and any(self._tick.engaged):
            self.told.emit("Let go of the arms first, then switch mirroring.", False)
            return
        self._port.call(
            "control",
            "set_mapping",
            done=self._on_symmetry,
            failed=lambda error: self.told.emit(error.sentence, False),
            symmetry=not self.symmetry,
        )

    def _on_symmetry(self, mapping: dict[str, Any]) -> None:
        self.symmetry = bool(mapping.get("symmetry"))

    def _is_stopped(self) -> bool:
        """Whether a stop is latched; then that is told."""
        stopped = self._tick is not None and self._tick.state is ControlState.ESTOP
        if stopped:
            self.told.emit("The e-stop is latched. Reset it at the top right, then engage.", False)
        return stopped

    def on_recorder(self, status: RecorderStatus) -> None:
        """The recorder's state."""
        before, self._recorder_state = self._recorder_state, status.state
        self._recorder = status
        self._trust = self._trust_watch.observe(status, self._key("redo"))
        if before is None or before is status.state:
            return
        if status.state is RecorderState.RECORDING:
            self._task_result = None
            self.cue.emit(Cue.RECORD)
        elif before is RecorderState.RECORDING:
            self.cue.emit(Cue.STOP)
            self.outdated.emit(self._solved_note)
        if status.state is RecorderState.FAULT:
            self.cue.emit(Cue.FAULT)

    def on_task(self, status: TaskStatus) -> None:
        """The task in the cell."""
        scene = (status.task, status.seed, status.scene)
        self._task = status
        if self._recorder_state is RecorderState.RECORDING or self._recorder_state is None:
            self._task_result = True if status.success else False if status.failed else None
        if scene != self._scene:
            self._scene = scene
            self.sceneChanged.emit()

    def on_force(self, batches: Sequence[ForceBatch]) -> None:
        """Contact forces; the greatest of each batch is kept."""
        for batch in batches:
            if batch.force.size:
                greatest = float(np.linalg.norm(batch.force, axis=2).max())
                self.history.add_force(int(batch.capture_ns[-1]), greatest)

    def on_lost(self, _camera: str, frames: int, capture_ns: int) -> None:
        """Frames of a camera that never came."""
        self.history.add_lost(capture_ns, frames)

    def on_event(self, event: Event) -> None:
        """Something that happened once."""
        sound = self.interventions.on_event(event)
        if sound is not None:
            self.cue.emit(sound)
        if event.kind == "control.aligned":
            self.cue.emit(Cue.ALIGNED)
        elif event.kind in ("control.align_refused", "control.refused"):
            self.cue.emit(Cue.DEADMAN)
            self.told.emit(event.text, False)
        elif event.kind == "recorder.saved":
            self.cue.emit(Cue.SAVED)
            self.told.emit("Episode saved", True)
        elif event.kind == "recorder.discarded":
            self.cue.emit(Cue.DISCARDED)
            self.told.emit("Episode discarded", True)
        elif event.kind == "recorder.restored":
            self.told.emit("Verdict taken back", False)
        elif event.kind == "process.died":
            self.cue.emit(Cue.FAULT)
            self.told.emit(event.text or "A station process died and is started anew", False)
        elif event.kind == "task.success" and self._recorder_state is RecorderState.RECORDING:
            self.told.emit(self._solved_note, False)

    @property
    def _solved_note(self) -> str:
        return f"Task solved. Stop with {self._key('record')}."

    def view(self) -> CollectView:
        """Returns what to show now."""
        recorder, tick = self._recorder, self._tick
        chip, explanation, driver = self._state()
        instruction = recorder.instruction if recorder is not None and recorder.instruction else ""
        if not instruction and self._task is not None:
            instruction = self._task.instruction
        if recorder is None:
            return CollectView(
                chip=chip,
                explanation=explanation,
                driver=driver,
                instruction=instruction,
                selected=self.driving.selected,
                estop=tick is not None and tick.state is ControlState.ESTOP,
                can_demonstrate=self._can_demonstrate,
                demonstrating=self._demonstration is not None,
                alignment=self._alignment(),
            )
        return CollectView(
            chip=chip,
            explanation=explanation,
            driver=driver,
            instruction=instruction,
            task=recorder.task or (self._task.task if self._task is not None else ""),
            saved=recorder.saved,
            target=recorder.target,
            session=bool(recorder.session),
            recorder=recorder.state,
            recording=recorder.state is RecorderState.RECORDING,
            elapsed_s=int(recorder.elapsed_s * 10) / 10,
            countdown_s=recorder.countdown_s if recorder.countdown_s < 0 else round(recorder.countdown_s, 1),
            remarks=remarks(recorder.verdict_reasons),
            succeeded=self._task_result,
            summary=summary_of(recorder),
            figures=figures_of(recorder),
            can_undo=recorder.can_undo,
            selected=self.driving.selected,
            estop=tick is not None and tick.state is ControlState.ESTOP,
            can_demonstrate=self._can_demonstrate,
            demonstrating=self._demonstration is not None,
            trust=self._trust,
            preroll_s=int(recorder.preroll_s * 10) / 10,
            alignment=self._alignment(),
        )

    def _alignment(self) -> tuple[JointOffset, ...]:
        tick = self._tick
        if tick is None or tick.state is not ControlState.ALIGNING:
            return ()
        return alignment_of(tick, self.driving.arms, self.config.mapping)

    def input_health(self) -> tuple[InputHealth, ...]:
        """Returns how every input does now."""
        tick = self._tick
        driver = tick.source if tick is not None and any(tick.engaged) else ""
        return self._inputs.view(driver, self.driving.active)

    @property
    def _can_demonstrate(self) -> bool:
        return self._linked and self._has_operator

    def _state(self) -> tuple[Chip, str, str | None]:
        """Returns the chip, the line under it, and who drives."""
        tick, recorder = self._tick, self._recorder
        if not self._linked:
            if self._was_linked:
                return Chip.OFFLINE, "The station is not heard. The arms hold by themselves.", None
            if self._starting:
                return Chip.STARTING, "The station is being started. This takes a few seconds.", None
            return Chip.STANDBY, "The station starts with the first session.", None
        if tick is None:
            return Chip.IDLE, "Waiting for the control process.", None
        driver = _DRIVERS.get(tick.actor) if any(tick.engaged) else None
        recording = recorder is not None and recorder.state is RecorderState.RECORDING
        match tick.state:
            case ControlState.ESTOP:
                return (
                    Chip.ESTOP,
                    tick.reason or "Stopped. Reset it at the top right, then engage anew.",
                    None,
                )
            case ControlState.FAULT:
                return (
                    Chip.FAULT,
                    tick.reason or "An arm does not answer. See the pre-flight list on Setup.",
                    None,
                )
            case ControlState.HOLD | ControlState.IDLE if self._not_enabled is not None:
                said = f"{self._not_enabled.text} Hold it, then engage anew."
                return Chip.DEADMAN, tick.reason or said, None
            case ControlState.HOLD:
                resume = _RESUME.format(key=self._key("clutch"))
                reason = tick.reason or "The input is missing or was refused."
                return Chip.HOLD, reason if "engage" in reason.lower() else f"{reason} {resume}", None
            case ControlState.ALIGNING:
                return Chip.ALIGNING, tick.reason or "Bring the leader to the arm's posture.", None
            case ControlState.ENGAGED:
                line = self._driving_line(tick, driver)
                if driver in ("script", "policy"):
                    line += f". {self._key('clutch')} takes over."
                limit = next(iter(self.interventions.active), None)
                if limit is not None:
                    line = limit.sentence
                    if limit.grave or not recording:
                        return _LIMIT_CHIPS.get(limit.flag, Chip.LIMIT), line, driver
                if recording:
                    return Chip.RECORDING, line, driver
                return _DRIVING_CHIPS.get(driver or "", Chip.ENGAGED), line, driver
            case _:
                line = f"Press {self._key('clutch')} to drive the {self.driving.selected} arm."
                return (
                    (Chip.RECORDING, f"Nobody drives. {line}", None) if recording else (Chip.IDLE, line, None)
                )

    @property
    def _not_enabled(self) -> Intervention | None:
        active = self.interventions.active
        return next((each for each in active if each.flag is SafetyFlag.DEADMAN), None)

    def _driving_line(self, tick: ControlTick, driver: str | None) -> str:
        arms = [arm for arm, on in zip(self.driving.arms, tick.engaged, strict=False) if on]
        words = _DRIVER_WORDS.get(driver or "", "Engaged")
        which = " and ".join(arms)
        source = f" by {tick.source}" if tick.source and driver == "human" else ""
        if not which:
            return words
        how = ", precisely" if self.driving.precise and tick.source == SOURCE else ""
        return f"{words}: {which}{source}{how}{', mirrored' if self.symmetry else ''}"

    def record_or_stop(self) -> None:
        """Starts an episode, or stops it; stops the countdown of one that is about to start."""
        state = self._recorder.state if self._recorder is not None else RecorderState.IDLE
        if state in (RecorderState.RECORDING, RecorderState.COUNTDOWN):
            self._recorder_call("stop")
        elif state is not RecorderState.FINALISING:
            self._recorder_call("record")

    def save(self) -> None:
        """Keeps the reviewed episode now."""
        if self._reviewing():
            self._recorder_call("save")

    def discard(self) -> None:
        """Puts the episode into the trash; one that is still being recorded is stopped first."""
        if self._reviewing() or self._recorder_state is RecorderState.RECORDING:
            self._recorder_call("discard")

    def redo(self) -> None:
        """Discards the episode and starts again with the same scene."""
        if self._reviewing() or self._recorder_state is RecorderState.RECORDING:
            self._recorder_call("redo")

    def undo(self) -> None:
        """Takes the last verdict back."""
        self._recorder_call("undo")

    def next_instruction(self) -> None:
        """Sets up the next scene and instruction."""
        if self._recorder_state in (RecorderState.IDLE, RecorderState.REVIEW, None):
            self._recorder_call("next")

    def demonstrate(self) -> None:
        """Lets the scripted operator show the task, recorded or not; the second time lets it stop."""
        if not self._can_demonstrate:
            return
        driven = self._tick is not None and self._tick.actor is Actor.SCRIPT and any(self._tick.engaged)
        if self._demonstration is not None or driven:
            self._demonstration = None
            self._port.call(OPERATOR, "halt", failed=self.refused.emit)
        else:
            self.driving.release_all()
            self._demonstration = Demonstration()
            self._port.call(OPERATOR, "go", failed=self._on_demonstration_refused, now=True)

    def _on_demonstration_refused(self, error: TeleopError) -> None:
        self._demonstration = None
        self.refused.emit(error)

    def nudge(self, action: str) -> None:
        """Moves the selected arm by one small step."""
        axis, sign = NUDGES[action]
        self._port.call(
            "control",
            "nudge",
            failed=lambda error: self.told.emit(error.sentence, False),
            arm=self.driving.selected,
            axis=axis,
            sign=sign,
        )

    def stop_autosave(self) -> bool:
        """Stops the countdown to the automatic save; returns whether one ran."""
        recorder = self._recorder
        if recorder is None or not self._reviewing() or recorder.countdown_s < 0:
            return False
        self._port.call("recorder", "hold_verdict", failed=_note)
        return True

    def _reviewing(self) -> bool:
        return self._recorder_state is RecorderState.REVIEW

    def _recorder_call(self, command: str) -> None:
        self._port.call("recorder", command, failed=self.refused.emit)

    def estop(self) -> None:
        """Stops everything and lets go of the controls."""
        self.driving.release_all()
        self._port.call("control", "estop", failed=self.refused.emit, reason="pressed in the window")

    def reset_estop(self) -> None:
        """Ends the latched stop; nothing moves by it."""
        self._port.call("control", "reset_estop", failed=self.refused.emit)

    def send_sample(self, now_ns: int) -> bool:
        """Sends what the keys and mouse ask now; returns whether they ask anything.

        While they do not, a resting sample goes out ten times a second.
        """
        sample = self.driving.sample(now_ns)
        if sample is not None:
            self._port.send_input(sample)
            self._rested_ns = now_ns
            return True
        if self._linked and now_ns - self._rested_ns >= _REST_INTERVAL_NS:
            self._rested_ns = now_ns
            self._port.send_input(self.driving.resting(now_ns))
        return False


def _note(error: TeleopError) -> None:
    """A countdown that could not be stopped goes on visibly; the episode is kept either way."""
    log.warning("%s", error.sentence)
