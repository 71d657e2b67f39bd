"""Columns of what moves beside the arms: mobile base, lift, dexterous hands."""

from __future__ import annotations

import numpy as np

from recorders.exporters.grid import FrameGrid
from recorders.exporters.source import EpisodeSource
from recorders.resample import interpolate, resample
from recorders.schema import Array, IntArray, StreamTrack
from teleop_app.core import planar
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Resampling

_MEASURED = "measured"
_ACTION = {"hand": "sent", "height": "sent", "odometry": "action"}
"""By the kind of what is measured of a body: which of its streams is its action."""


def body_columns(
    source: EpisodeSource, grid: FrameGrid
) -> tuple[dict[str, tuple[tuple[str, ...], Array]], dict[str, str]]:
    """Names and values, shape (rows, n), by feature; and features without samples, with the reason.

    `observation.<body>` is read off its measured stream at each row's instant. `action.<body>` is what was
    sent then; of a base it is the displacement commanded from the row's instant to the next row's, in the
    frame of the base at the row's: composed over the rows, it is the whole way that was commanded.
    """
    found: dict[str, tuple[tuple[str, ...], Array]] = {}
    absent: dict[str, str] = {}
    known = {stream.name for stream in source.header.streams}
    for stream in source.header.streams:
        body, _, role = stream.name.rpartition("/")
        action = f"{body}/{_ACTION.get(stream.kind, '')}"
        if role != _MEASURED or action not in known:
            continue
        feature = body.replace("/", ".")
        for name, prefix in ((stream.name, "observation"), (action, "action")):
            track = source.stream(name)
            if not len(track.capture_ns):
                absent[f"{prefix}.{feature}"] = f"no samples of {name}"
                continue
            if track.header.kind == "navigation":
                values = displacements(track, _with_end(grid))
            else:
                how = Resampling(track.header.resampling)
                values = resample(how, track.capture_ns, track.values, grid.instant_ns).value
            found[f"{prefix}.{feature}"] = (track.header.values, values)
    return found, absent


def displacements(track: StreamTrack, at_ns: IntArray) -> Array:
    """What the displacements of a stream add up to between successive instants, shape (instants - 1, 3).

    Each row (dx, dy, dtheta) of the stream leads from the instant of the row before to its own. Within a row
    the way is taken for straight.
    """
    poses = interpolate(track.capture_ns, planar.path(track.values), at_ns).value
    return planar.between(poses[:-1], poses[1:])


def _with_end(grid: FrameGrid) -> IntArray:
    """The rows' instants, and one frame after the last."""
    return np.append(grid.instant_ns, grid.instant_ns[-1] + round(NS_PER_S / grid.fps))
