"""The columns of the table of episodes and the words in them."""

from __future__ import annotations

from datetime import datetime

from sessions import EpisodeRow, EpisodeState, Outcome
from ui.theme import Role


class Column:
    """Places of the columns."""

    EPISODE, VERDICT, MOTION, WHEN, DURATION, LOST, SYNC, SIZE, WHO = range(9)


TITLES = ("Episode", "Verdict", "Motion", "When", "Length", "Lost", "Sync p95", "Size", "Who")
TIPS = (
    "Picture, instruction and task",
    "What was decided, and whether the task was achieved",
    "Joint speed over the episode",
    "When it was recorded",
    "Length [min:s]",
    "Frames lost over all cameras",
    "95th percentile of the time between each frame and its nearest control sample [ms]; amber above 20",
    "File size",
    "Who drove",
)
WIDTHS = (216, 104, 96, 104, 72, 56, 76, 80, 128)
FIRST = (Column.EPISODE, Column.VERDICT, Column.SYNC, Column.LOST)
"""What is seen first from the left until the columns are moved."""
RIGHT = {Column.DURATION, Column.LOST, Column.SYNC, Column.SIZE}


def verdict_look(row: EpisodeRow) -> tuple[str, Role, str]:
    """Returns icon, colour and word of an episode's verdict."""
    if row.missing:
        return "file-question-outline", Role.FAULT, "No file"
    return {
        EpisodeState.SAVED: ("check-circle-outline", Role.GOOD, "Saved"),
        EpisodeState.PENDING: ("clock-outline", Role.WARNING, "Open"),
        EpisodeState.DISCARDED: ("trash-can-outline", Role.MUTED, "Discarded"),
    }[row.state]


def outcome_word(outcome: Outcome) -> str:
    """Returns the word for whether the task was achieved."""
    return {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.UNKNOWN: "not judged"}[outcome]


def cell_text(row: EpisodeRow, column: int) -> str:
    """Returns the text of a cell."""
    match column:
        case Column.EPISODE:
            return row.instruction or row.task
        case Column.VERDICT:
            return f"{verdict_look(row)[2]}, {outcome_word(row.outcome)}"
        case Column.DURATION:
            return length_text(row.duration_ns)
        case Column.LOST:
            return str(row.dropped_frames)
        case Column.SYNC:
            return "" if row.sync_p95_s is None else f"{row.sync_p95_s * 1e3:.1f} ms"
        case Column.SIZE:
            return size_text(row.size_bytes)
        case Column.WHEN:
            return when_text(row.started_utc_ns)
        case Column.WHO:
            return row.operator
        case _:
            return ""


def cell_tip(row: EpisodeRow, column: int) -> str:
    """Returns what the tooltip of a cell says, empty for none."""
    if column == Column.EPISODE:
        return f"{row.instruction or row.task}\n{row.uuid}"
    if column == Column.VERDICT:
        reasons = [text for text in (row.verdict_reason, row.recovery_loss) if text]
        if row.missing:
            reasons.append(f"The file {row.path} is not there. Put it back, or run `teleop recover`.")
        return "\n".join(reasons)
    return ""


def length_text(duration_ns: int) -> str:
    """Returns a length as m:ss.t."""
    tenths = round(duration_ns / 1e8)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def size_text(size_bytes: int) -> str:
    """Returns a file size in MB or GB, three figures."""
    megabytes = size_bytes / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.2f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 100 else f"{megabytes:.1f} MB"


def when_text(utc_ns: int) -> str:
    """Returns a time in the local zone: the clock alone today, with the date else."""
    at = datetime.fromtimestamp(utc_ns / 1e9)
    now = datetime.now()
    if at.date() == now.date():
        return at.strftime("today %H:%M")
    return at.strftime("%d %b %H:%M") if at.year == now.year else at.strftime("%d %b %Y")
