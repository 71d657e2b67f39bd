"""The table of an episode on its frame grid: state, action and the extras asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recorders.exporters.authority_rows import RowAuthority, row_authority, sample_classes
from recorders.exporters.autonomy_rows import Values, autonomy_columns, end_columns
from recorders.exporters.body_rows import body_columns
from recorders.exporters.grid import FrameGrid
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.presets import WEIGHTED
from recorders.exporters.source import EpisodeSource, Judgement
from recorders.resample import hold, interpolate, to_seconds
from recorders.schema import Array, JointTrack
from teleop_app.core.errors import ExportError

STATE = "observation.state"
ACTION = "action"
SAMPLE_CLASS = "sample_class"
_RECAP = ("autonomy.policy", "autonomy.version", "autonomy.phase", "autonomy.takeover", "outcome")
_AUTHORITY = frozenset({"intervention", "actor", "autonomy"})
_LEROBOT = {"f": "float32", "b": "bool", "i": "int64"}
"""LeRobot's name by NumPy's kind of number."""


@dataclass(frozen=True, slots=True)
class Column:
    """One feature of the table.

    Attributes:
        dtype: LeRobot's name: `float32`, `int64`, `bool` or `string`.
        names: Of the elements; None for a scalar.
        values: Shape (rows, n) for vectors, (rows,) for scalars; a list for strings.
    """

    dtype: str
    names: tuple[str, ...] | None
    values: NDArray[np.generic] | list[str]

    @property
    def width(self) -> int:
        """Elements a row."""
        return 1 if self.names is None else len(self.names)


@dataclass(frozen=True, slots=True)
class EpisodeRows:
    """An episode's table.

    Attributes:
        columns: By feature name.
        absent: Extras asked for that the episode does not hold, with the reason.
        state_error_max_s: Largest distance to the nearest measured sample [s].
        action_age_max_s: Largest age of a row's sent command [s].
    """

    columns: dict[str, Column]
    absent: dict[str, str]
    state_error_max_s: float
    action_age_max_s: float


def episode_rows(
    source: EpisodeSource,
    grid: FrameGrid,
    options: LeRobotOptions,
    judgement: Judgement,
    *,
    to_end: bool = True,
) -> EpisodeRows:
    """Read an episode off at its rows' instants.

    Measured streams are interpolated linearly. The action is the sent command in force at the instant,
    that is the last one sent at or before it: nothing from the future leaks into a row.

    Args:
        source: The episode.
        grid: Its rows.
        options: Choices.
        judgement: What people said of it.
        to_end: The last row is the last one of the recording.

    Raises:
        ExportError: No measured or sent samples, or a value that is not finite.
    """
    uuid = source.header.uuid
    measured, sent = _stream(source, "measured"), _stream(source, "sent")
    state = interpolate(measured.capture_ns, measured.position, grid.instant_ns)
    action = hold(sent.capture_ns, sent.position, grid.instant_ns)
    columns = {
        STATE: _vector(uuid, STATE, measured.names, state.value),
        ACTION: _vector(uuid, ACTION, sent.names, action.value),
    }
    absent: dict[str, str] = {}
    wanted = set(options.extras)
    for extra, raw in (("velocity", measured.velocity), ("effort", measured.effort)):
        if extra in wanted:
            name = f"observation.{extra}"
            if np.isfinite(raw).all():
                value = interpolate(measured.capture_ns, raw, grid.instant_ns).value
                columns[name] = _vector(uuid, name, measured.names, value)
            else:
                absent[name] = f"the followers reported no joint {extra}"
    if "force" in wanted:
        _force(source, grid, columns, absent)
    if wanted & {"commanded", "autonomy"}:
        track = source.joints("commanded")
        if len(track.capture_ns):
            value = hold(track.capture_ns, track.position, grid.instant_ns).value
            columns["action.commanded"] = _vector(uuid, "action.commanded", track.names, value)
        else:
            absent["action.commanded"] = "no commanded stream was recorded"
    if "bodies" in wanted:
        found, without = body_columns(source, grid)
        columns |= {name: _vector(uuid, name, *parts) for name, parts in found.items()}
        absent |= without
    _timing(grid, wanted, columns)
    if wanted & _AUTHORITY or options.preset:
        authority = row_authority(source, grid.instant_ns)
        if authority is None:
            absent |= dict.fromkeys(wanted & _AUTHORITY, "no control ticks were recorded")
        else:
            columns |= _authority(authority, wanted, options, grid.fps)
            if "autonomy" in wanted or options.preset == "recap":
                found = autonomy_columns(source, authority, grid.instant_ns, action.value, judgement)
                chosen = found if "autonomy" in wanted else {name: found[name] for name in _RECAP}
                columns |= {name: _column(uuid, name, *parts) for name, parts in chosen.items()}
    if wanted & {"outcome", "autonomy"} or options.preset == "recap":
        ends = end_columns(grid.rows, judgement.outcome, whole=to_end)
        columns |= {name: _column(uuid, name, None, values) for name, values in ends.items()}
    return EpisodeRows(
        columns,
        absent,
        float(to_seconds(state.distance_ns).max()),
        float(to_seconds(action.distance_ns).max()),
    )


def _stream(source: EpisodeSource, kind: str) -> JointTrack:
    track = source.joints(kind)
    if len(track.capture_ns) == 0:
        raise ExportError(
            f"Episode {source.header.uuid} has no {kind} joint samples",
            why="a dataset needs the measured state and the sent action",
            next_step="Leave the episode out",
        )
    return track


def _vector(uuid: str, feature: str, names: tuple[str, ...], values: Array) -> Column:
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ExportError(
            f"Episode {uuid} has a value that is not finite in '{feature}', row {row}, '{names[column]}'",
            next_step="Leave the episode out",
        )
    return _floats(names, values)


def _force(
    source: EpisodeSource, grid: FrameGrid, columns: dict[str, Column], absent: dict[str, str]
) -> None:
    feature = "observation.force"
    tracks = [source.force(name) for name in source.header.force_sensors]
    silent = [track.name for track in tracks if len(track.capture_ns) == 0]
    if not tracks or silent:
        absent[feature] = f"no samples of {', '.join(silent)}" if silent else "no force sensor was recorded"
        return
    values = [interpolate(track.capture_ns, track.force, grid.instant_ns).value for track in tracks]
    names = tuple(f"{track.name}/{axis}" for track in tracks for axis in "xyz")
    columns[feature] = _vector(source.header.uuid, feature, names, np.concatenate(values, axis=1))


def _timing(grid: FrameGrid, wanted: set[str], columns: dict[str, Column]) -> None:
    if "skew" in wanted:
        skew = np.stack([to_seconds(camera.capture_ns - grid.instant_ns) for camera in grid.cameras], axis=1)
        names = tuple(camera.name for camera in grid.cameras)
        columns["capture_skew_s"] = _floats(names, skew)
    if "grid" in wanted:
        columns["grid_error_s"] = Column("float32", None, to_seconds(grid.grid_error_ns).astype(np.float32))


def _floats(names: tuple[str, ...], values: Array) -> Column:
    narrow = values.astype(np.float32)
    # LeRobot reads shape [1] as a scalar; a list of one is fatal to its loader. The name is kept.
    return Column("float32", names, narrow[:, 0] if len(names) == 1 else narrow)


def _authority(
    authority: RowAuthority, wanted: set[str], options: LeRobotOptions, fps: int
) -> dict[str, Column]:
    found: dict[str, Column] = {}
    if wanted & {"actor", "autonomy"}:
        found["actor"] = Column("string", None, authority.actor)
    if wanted & {"intervention", "autonomy"} or options.preset == "recap":
        found["intervention"] = Column("bool", None, authority.intervention)
    if options.preset == "recap":
        found["intervention_forced_positive"] = Column("bool", None, authority.intervention)
    if options.preset in WEIGHTED:
        classes = sample_classes(authority, fps, options.pre_intervention_s)
        found[SAMPLE_CLASS] = Column("string", None, classes)
    return found


def _column(uuid: str, feature: str, names: tuple[str, ...] | None, values: Values) -> Column:
    if isinstance(values, list):
        return Column("string", names, values)
    if names is not None:
        return _vector(uuid, feature, names, values)
    dtype = _LEROBOT[values.dtype.kind]
    return Column(dtype, None, values.astype(dtype))
