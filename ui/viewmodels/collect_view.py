"""What the right column of Collect shows, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleop_app.core.types import RecorderState, RecorderStatus
from ui.theme import Role
from ui.viewmodels.state_word import StateWord
from ui.viewmodels.trust import TrustView
from ui.viewmodels.verdict_remarks import Remark
from ui.widgets.alignment_bars import JointOffset


class Chip(StateWord):
    """The big state: word, icon and colour together."""

    STANDBY = ("Not started", "power-standby", Role.MUTED)
    STARTING = ("Starting", "timer-sand", Role.MUTED)
    OFFLINE = ("Station lost", "lan-disconnect", Role.FAULT)
    IDLE = ("Idle", "circle-outline", Role.MUTED)
    ALIGNING = ("Aligning", "vector-link", Role.WARNING)
    ENGAGED = ("Engaged", "hand-back-right", Role.HUMAN)
    SCRIPT = ("The script drives", "robot", Role.POLICY)
    POLICY = ("The policy drives", "robot", Role.POLICY)
    RECORDING = ("Recording", "record-circle", Role.RECORDING)
    HOLD = ("Hold", "pause-octagon", Role.WARNING)
    DEADMAN = ("Not enabled", "foot-print", Role.WARNING)
    SINGULARITY = ("Singularity", "axis-arrow-lock", Role.WARNING)
    COLLISION = ("Too near", "vector-intersection", Role.WARNING)
    LIMIT = ("At a limit", "arrow-collapse-right", Role.WARNING)
    FAULT = ("Fault", "alert", Role.FAULT)
    ESTOP = ("E-stop", "octagon", Role.FAULT)


@dataclass(frozen=True, slots=True)
class CollectView:
    """Everything the right column shows, compared as a whole to repaint only what changed.

    Attributes:
        chip: The big state.
        explanation: Line under it: who drives, or what is held and how to resume.
        driver: "human", "script", "policy" or None; colours the camera frames.
        instruction: What to show next.
        task: Task name.
        saved: Episodes saved in this session.
        target: Wanted, 0 for no target.
        session: A session is open.
        recorder: State of the flow.
        recording: An episode is being written.
        elapsed_s: Of the recording, in tenths.
        countdown_s: To the start or the automatic save, negative when none runs.
        remarks: What is said of the reviewed episode, concerns first.
        succeeded: The task's check: True, False, or None when it says neither.
        summary: Length, size and losses of the reviewed episode.
        figures: Frames and size of the episode being recorded.
        can_undo: A verdict can be taken back.
        selected: Arm of the keys.
        estop: The stop is latched.
        can_demonstrate: The station has a scripted operator.
        demonstrating: The scripted operator was asked to show the task.
        trust: Whether all of the open episode is there.
        preroll_s: Seconds before the record key that would be kept now, in tenths.
        alignment: How far each joint of a leader is from its follower, while they are being matched.
    """

    chip: Chip = Chip.STANDBY
    explanation: str = ""
    driver: str | None = None
    instruction: str = ""
    task: str = ""
    saved: int = 0
    target: int = 0
    session: bool = False
    recorder: RecorderState = RecorderState.IDLE
    recording: bool = False
    elapsed_s: float = 0.0
    countdown_s: float = -1.0
    remarks: tuple[Remark, ...] = ()
    succeeded: bool | None = None
    summary: str = ""
    figures: str = ""
    can_undo: bool = False
    selected: str = ""
    estop: bool = False
    can_demonstrate: bool = False
    demonstrating: bool = False
    trust: TrustView = field(default_factory=TrustView)
    preroll_s: float = 0.0
    alignment: tuple[JointOffset, ...] = ()


def summary_of(recorder: RecorderStatus) -> str:
    """Returns one line on the reviewed episode: length, size, frames lost."""
    frames = sum(recorder.frames.values())
    lost = sum(recorder.lost.values())
    losses = "no frame lost" if not lost else f"{lost} of {frames + lost} frames lost"
    length = f"{recorder.elapsed_s:.1f} s, " if recorder.elapsed_s > 0 else ""
    return f"{length}{recorder.size_bytes / 1e6:.1f} MB, {losses}"


def figures_of(recorder: RecorderStatus) -> str:
    """Returns frames and size of the episode being written; how many more fit when none is."""
    if recorder.state is RecorderState.RECORDING:
        return f"{sum(recorder.frames.values())} frames, {recorder.size_bytes / 1e6:.1f} MB"
    if recorder.episodes_left >= 0:
        return f"Room for {recorder.episodes_left:,} more".replace(",", " ")
    return ""
