"""Choices of a LeRobot export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from recorders.exporters.presets import PRESETS, WEIGHTED
from teleop_app.core.errors import ExportError

EXTRAS: dict[str, str] = {
    "velocity": "observation.velocity: measured joint velocity",
    "effort": "observation.effort: measured joint effort",
    "force": "observation.force: x, y, z of every force sensor [N]",
    "bodies": "observation.<body>, action.<body>: mobile base, lift and hands, where there are any",
    "skew": "capture_skew_s: each camera's frame capture minus the row's instant [s]",
    "grid": "grid_error_s: the row's instant minus its timestamp [s]",
    "intervention": "intervention: a person drives in an episode that a policy or script drives too",
    "actor": "actor: who drives (human, script, policy, none)",
    "commanded": "action.commanded: the joint vector before the safety supervisor",
    "outcome": "next.done, next.success, next.reward: the last row, and whether it ended in success",
    "autonomy": "action.policy, action.human, autonomy.*, outcome: proposal, authority, takeover, chunk",
}
"""Optional features by name."""

DEFAULT_EXTRAS = ("velocity", "effort", "force", "bodies", "skew", "intervention", "actor")
"""What is exported unless told otherwise.

`commanded` is left out because LeRobot takes every feature named `action*` for a policy's output.
"""

TASK_TEXTS = ("instruction", "task")
_PREPARING = ("extras", "cameras", "task_text", "with_preroll", "preset", "pre_intervention_s")
_MAX_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class LeRobotOptions:
    """How to export.

    Attributes:
        extras: Names of `EXTRAS` to include.
        cameras: Cameras to include, in this order; None for all.
        task_text: What LeRobot's task string is: the `instruction` as given, or the `task` name.
        robot_type: Written into info.json; empty for the episodes' own.
        overwrite: Replace a dataset that is already there.
        append: Add to a dataset that is already there; episodes it holds are passed over.
        preset: One of `PRESETS`, empty for all rows as they are.
        pre_intervention_s: With weights: how long before a takeover a sample counts as leading to it [s].
        with_preroll: Rows begin with what was kept before the record key, not with the key.
        chunks_size: Files a folder.
        data_files_size_in_mb: Limit of a data file.
        video_files_size_in_mb: Limit of a video file.
    """

    extras: tuple[str, ...] = DEFAULT_EXTRAS
    cameras: tuple[str, ...] | None = None
    task_text: str = "instruction"
    robot_type: str = ""
    overwrite: bool = False
    append: bool = False
    with_preroll: bool = False
    preset: str = ""
    pre_intervention_s: float = 1.0
    chunks_size: int = 1000
    data_files_size_in_mb: int = 100
    video_files_size_in_mb: int = 200

    def check(self) -> None:
        """Refuse what cannot be done.

        Raises:
            ExportError: An unknown extra or text, contradicting wishes, or a limit out of range.
        """
        _known("extra", self.extras, EXTRAS)
        _known("task text", (self.task_text,), TASK_TEXTS)
        if self.preset:
            _known("preset", (self.preset,), PRESETS)
        if not 0.0 <= self.pre_intervention_s <= _MAX_WINDOW_S:
            raise ExportError(
                f"{self.pre_intervention_s:g} s before a takeover are not possible",
                why=f"the limit is {_MAX_WINDOW_S:g} s",
            )
        if self.append and self.preset in WEIGHTED:
            raise ExportError(
                f"Episodes cannot be added with the preset '{self.preset}'",
                why="the weights of the rows that are there would change",
                next_step="Export all episodes together",
            )
        if self.overwrite and self.append:
            raise ExportError("A dataset cannot be both replaced and added to", next_step="Choose one")
        if self.cameras is not None and not self.cameras:
            raise ExportError("No camera is selected", next_step="Name at least one, or none for all")
        if not 1 <= self.chunks_size <= 1000:
            # LeRobot sorts file names as text, and file-1000 comes before file-999.
            raise ExportError(f"{self.chunks_size} files a folder are not possible", why="the limit is 1000")
        for name in ("data_files_size_in_mb", "video_files_size_in_mb"):
            if getattr(self, name) < 1:
                raise ExportError(f"{name} is {getattr(self, name)}", why="the least is 1")

    @property
    def staging_key(self) -> str:
        """Identity of the choices that change a prepared episode."""
        parts = {k: v for k, v in asdict(self).items() if k in _PREPARING}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _known(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            raise ExportError(f"The {kind} '{name}' is not known", next_step=f"Use one of {', '.join(known)}")
