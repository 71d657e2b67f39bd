"""What an exporter tells while it works and when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recorders.schema import SyncPair


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an export has come.

    Attributes:
        stage: `read` (rows and statistics), `write` (videos and tables) or `verify`.
        episodes_done: Episodes of this stage that are finished.
        episodes_total: Episodes to export.
        bytes_done: Video bytes handled in all stages so far.
        bytes_total: Video bytes to handle in all stages; an estimate while episodes are still read.
        elapsed_s: Since the start.
        remaining_s: Estimated from the bytes, None until there is something to go by.
    """

    stage: str
    episodes_done: int
    episodes_total: int
    bytes_done: int
    bytes_total: int
    elapsed_s: float
    remaining_s: float | None


ProgressCallback = Callable[[ExportProgress], None]


@dataclass(frozen=True, slots=True)
class CameraReport:
    """One camera of one exported episode.

    Attributes:
        camera: Its name.
        remuxed: The packets went over as they were recorded.
        reason: Why it was encoded again, empty when remuxed.
        repeated: Rows that show the frame before, because theirs was lost or is damaged.
        repeated_rows: Their frame indices.
        skew_max_s: Largest distance between a row's instant and its frame's capture [s].
    """

    camera: str
    remuxed: bool
    reason: str
    repeated: int
    repeated_rows: tuple[int, ...]
    skew_max_s: float


@dataclass(frozen=True, slots=True)
class EpisodeReport:
    """One exported episode.

    Attributes:
        uuid: The episode.
        index: Its number in the dataset.
        rows: Frames.
        trimmed: Frames outside the span that all cameras share, left out (summed over the cameras).
        state_error_max_s: Largest distance between a row's instant and the nearest measured sample [s].
        action_age_max_s: Largest age of the sent command of a row [s].
        grid_error_max_s: Largest distance between a row's instant and frame_index / fps [s].
        cameras: Each camera.
        sync: How far apart the samples of every two recorded streams are.
    """

    uuid: str
    index: int
    rows: int
    trimmed: int
    state_error_max_s: float
    action_age_max_s: float
    grid_error_max_s: float
    cameras: tuple[CameraReport, ...]
    sync: tuple[SyncPair, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A finished export.

    Attributes:
        path: The dataset.
        episodes: Those added by this run, in order.
        rows: Frames added.
        seconds: Recorded time added [s].
        bytes_written: Size of the files added.
        elapsed_s: Time taken [s].
        resumed: Episodes that an interrupted run had prepared.
        left_out: Features that the episodes do not hold throughout, with the reason.
        notes: Sentences worth reading, e.g. which videos were encoded again.
    """

    path: Path
    episodes: tuple[EpisodeReport, ...]
    rows: int
    seconds: float
    bytes_written: int
    elapsed_s: float
    resumed: int
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def speed(self) -> float:
        """Multiples of real time."""
        return self.seconds / self.elapsed_s if self.elapsed_s > 0 else 0.0
