"""What an export is made of: whole episodes, or stretches of them that a preset keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.presets import Span
from recorders.exporters.source import Judgement


@dataclass(frozen=True, slots=True)
class ExportUnit:
    """What becomes one episode of the dataset.

    Attributes:
        path: The file.
        uuid: Of the recording.
        judgement: What people said of it.
        span: Rows of it; None for all.
        number: Among the units of the recording, from 0.
    """

    path: Path
    uuid: str
    judgement: Judgement
    span: Span | None = None
    number: int = 0

    @property
    def key(self) -> str:
        """Name that no other unit has."""
        return self.uuid if self.span is None else f"{self.uuid}.{self.number:04d}"

    def staging_key(self, options: LeRobotOptions) -> str:
        """Identity of all that changes the prepared unit."""
        return f"{options.staging_key}-{self.judgement.key}-{self.span}"


def units_of(path: Path, uuid: str, judgement: Judgement, spans: Sequence[Span] | None) -> list[ExportUnit]:
    """Units of one recording.

    Args:
        path: Its file.
        uuid: Of it.
        judgement: What people said of it.
        spans: Rows that are kept; None for the whole.
    """
    if spans is None:
        return [ExportUnit(path, uuid, judgement)]
    return [ExportUnit(path, uuid, judgement, span, number) for number, span in enumerate(spans)]
