"""Whether episodes can share one dataset, told before any work is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.prepare import selected_cameras
from recorders.schema import EpisodeHeader
from teleop_app.core.errors import ExportError


def require_fitting(headers: Sequence[EpisodeHeader], options: LeRobotOptions) -> int:
    """Check that all episodes have the same cameras, rate and joints.

    Args:
        headers: At least one.
        options: The selected cameras.

    Returns:
        The common rate [frames/s].

    Raises:
        ExportError: They differ; the minority is named.
    """
    doubled = [uuid for uuid, times in Counter(header.uuid for header in headers).items() if times > 1]
    if doubled:
        raise ExportError(f"Episode {doubled[0]} is selected twice", next_step="Name each episode once")
    for header in headers:
        _require_cameras(header, options)
    for what, values in (
        ("cameras", [_cameras(header, options) for header in headers]),
        ("joints", [", ".join(header.joint_names) for header in headers]),
    ):
        (usual, _), *others = Counter(values).most_common()
        if others:
            odd = [header.uuid for header, value in zip(headers, values, strict=True) if value != usual]
            shown = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
            raise ExportError(
                f"{len(odd)} of {len(headers)} episodes have other {what} than the rest",
                why=f"{shown} with '{others[0][0]}', the rest with '{usual}'",
                next_step="Select episodes that fit together"
                + (", or only the cameras they share" if what == "cameras" else ""),
            )
    return next(c.fps for c in headers[0].cameras if c.name in selected_cameras(headers[0], options))


def _require_cameras(header: EpisodeHeader, options: LeRobotOptions) -> None:
    known = {camera.name: camera for camera in header.cameras}
    wanted = selected_cameras(header, options)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ExportError(
            f"Episode {header.uuid} has no camera '{missing[0]}'",
            why=f"it has {', '.join(known) or 'none'}",
            next_step="Select other cameras or other episodes",
        )
    foreign = [name for name in wanted if known[name].codec != "h264"]
    if foreign:
        raise ExportError(
            f"Camera '{foreign[0]}' of episode {header.uuid} is recorded as {known[foreign[0]].codec}",
            why="only H.264 is exported",
            next_step="Leave the camera or the episode out",
        )
    if not wanted:
        raise ExportError(f"Episode {header.uuid} has no camera", next_step="Leave it out")
    rates = {known[name].fps for name in wanted}
    if len(rates) > 1:
        raise ExportError(
            f"The cameras of episode {header.uuid} have different rates",
            why=", ".join(f"{name} {known[name].fps}" for name in wanted) + " frames a second",
            next_step="Select cameras of one rate",
        )


def _cameras(header: EpisodeHeader, options: LeRobotOptions) -> str:
    known = {camera.name: camera for camera in header.cameras}
    chosen = (known[name] for name in selected_cameras(header, options))
    return ", ".join(f"{c.name} {c.width}x{c.height}@{c.fps}" for c in chosen)
