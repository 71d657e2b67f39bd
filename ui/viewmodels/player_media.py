"""An episode as the player needs it: pictures by time, and curves thin enough to draw."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recorders.reader import EpisodeReader
from recorders.schema import CameraHeader, EpisodeFooter, EpisodeHeader, EventRecord, topic_joints
from recorders.series import series_names
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError
from ui.viewmodels.preview_strip import PreviewStrip, strip_of
from ui.viewmodels.sound_level import level_of

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CameraLine:
    """When each frame of a camera was captured.

    Attributes:
        name: Camera name.
        width: [px].
        height: [px].
        fps: Of its grid.
        capture_ns: Shape (k,), increasing.
        keyframes: Indices of keyframes, increasing.
        lost: Frames of the grid that were not recorded, as times [s] since the episode's start.
        depth_of: Camera whose depth images these are, empty for a camera's own pictures.
    """

    name: str
    width: int
    height: int
    fps: int
    capture_ns: IntArray
    keyframes: IntArray
    lost: Array
    depth_of: str = ""

    def nearest(self, at_ns: int) -> int:
        """Number of the frame captured nearest to a time, -1 when the camera has none."""
        return nearest_index(self.capture_ns, at_ns)

    def keyframe_near(self, at_ns: int) -> int:
        """Number of the keyframe captured nearest to a time, -1 when the camera has none."""
        if not len(self.keyframes):
            return -1
        return int(self.keyframes[nearest_index(self.capture_ns[self.keyframes], at_ns)])


@dataclass(frozen=True, slots=True)
class EpisodeMedia:
    """What is known of an episode once its file is open.

    Attributes:
        path: The file.
        header: Who, what, where.
        footer: How it ended, None for a file that a crash cut off.
        start_ns: Of the common time line, monotonic.
        duration_s: Length of the time line.
        cameras: In the order recorded.
        key_s: Where the record key was pressed; what lies before is pre-roll. 0 without pre-roll.
        strip: Small pictures of the whole, None when the file has none.
    """

    path: Path
    header: EpisodeHeader
    footer: EpisodeFooter | None
    start_ns: int
    duration_s: float
    cameras: tuple[CameraLine, ...]
    key_s: float = 0.0
    strip: PreviewStrip | None = None

    def to_ns(self, at_s: float) -> int:
        """Monotonic time of a place on the time line."""
        return self.start_ns + round(at_s * NS_PER_S)

    def strip_share(self, at_s: float) -> float:
        """Place on the strip of small pictures, 0..1: it begins at the record key."""
        return min(max((at_s - self.key_s) / max(self.duration_s - self.key_s, 1e-3), 0.0), 1.0)

    def to_s(self, at_ns: int) -> float:
        """Place on the time line of a monotonic time [s]."""
        return (at_ns - self.start_ns) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the time line in which a word holds: start [s], end [s], the word."""

    start_s: float
    end_s: float
    word: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on the time line: when [s], its kind, who reports it, its sentence."""

    at_s: float
    kind: str
    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class StreamCurves:
    """A numeric stream on the time line: unit, names of its values, times [s] (k,), values (k, n)."""

    unit: str
    names: tuple[str, ...]
    at_s: Array
    values: Array


@dataclass(frozen=True, slots=True)
class EpisodeTracks:
    """Curves and lanes of an episode on its time line.

    Attributes:
        path: The file.
        joint_names: Names of the joint vector.
        measured_s: Times of `measured`, shape (k,).
        measured: [rad], grippers 0..1, shape (k, n).
        sent_s: Times of `sent`, shape (m,).
        sent: As `measured`, shape (m, n).
        forces: Magnitude [N] by finger: times [s] and values, shape (j,) each.
        streams: Numeric streams by name, at their own rates.
        levels: Loudness by microphone: times [s] and peaks 0..1.
        states: Control state.
        actors: Who drives.
        marks: Events.
        whole: False while only the joints are read.
    """

    path: Path
    joint_names: tuple[str, ...]
    measured_s: Array
    measured: Array
    sent_s: Array
    sent: Array
    forces: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    streams: dict[str, StreamCurves] = field(default_factory=dict)
    levels: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    states: tuple[Span, ...] = ()
    actors: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    whole: bool = False


def nearest_index(times: IntArray, at: int) -> int:
    """Index of the entry of an increasing array nearest to `at`, the earlier on a tie; -1 if empty."""
    if not len(times):
        return -1
    after = int(np.searchsorted(times, at))
    if after == 0:
        return 0
    if after == len(times):
        return after - 1
    return after if times[after] - at < at - times[after - 1] else after - 1


def media_of(reader: EpisodeReader) -> EpisodeMedia:
    """Reads the frame times of an open episode; blocks for a pass through its index.

    Raises:
        EpisodeError: The file is damaged, or holds neither pictures nor control ticks.
    """
    tracks = [reader.video(camera.name) for camera in reader.header.cameras]
    starts = [int(track.capture_ns[0]) for track in tracks if len(track.capture_ns)]
    ends = [int(track.capture_ns[-1]) for track in tracks if len(track.capture_ns)]
    extent = _extent_ns(reader, topic_joints("measured"))
    if extent is not None:
        starts.append(extent[0])
        ends.append(extent[1])
    if not starts:
        raise EpisodeError(
            f"Episode {reader.path.name} is empty",
            why="it holds neither a picture nor a control tick",
            next_step="Discard it; nothing can be recovered from it",
        )
    start_ns = min(starts)
    cameras = []
    for track in tracks:
        cameras.append(
            CameraLine(
                name=track.camera.name,
                width=track.camera.width,
                height=track.camera.height,
                fps=track.camera.fps,
                capture_ns=track.capture_ns,
                keyframes=np.flatnonzero(track.keyframe).astype(np.int64),
                lost=_lost_times(track.seq, track.capture_ns, start_ns, track.camera.fps),
            )
        )
    cameras += [line for camera in reader.header.cameras if (line := _depth_line(reader, camera))]
    return EpisodeMedia(
        path=reader.path,
        header=reader.header,
        footer=reader.footer,
        start_ns=start_ns,
        duration_s=max((max(ends) - start_ns) / NS_PER_S, 1e-3),
        cameras=tuple(cameras),
        key_s=max((reader.header.start_ns - start_ns) / NS_PER_S, 0.0) if reader.header.start_ns else 0.0,
        strip=strip_of(reader),
    )


def _depth_line(reader: EpisodeReader, camera: CameraHeader) -> CameraLine | None:
    """The depth images of a camera as pictures of their own; None when it has none."""
    if not camera.depth_unit_m:
        return None
    capture_ns = reader.depth_track(camera.name).capture_ns
    if not len(capture_ns):
        return None
    return CameraLine(
        name=f"{camera.name} depth",
        width=camera.width,
        height=camera.height,
        fps=camera.fps,
        capture_ns=capture_ns,
        keyframes=np.arange(len(capture_ns)),
        lost=np.zeros(0),
        depth_of=camera.name,
    )


def _extent_ns(reader: EpisodeReader, topic: str) -> tuple[int, int] | None:
    """First and last time of a topic from its first and last chunk alone; None when it has no message."""
    container = reader.container
    channel = container.channel(topic)
    places = [place for place in container.contents.chunks if channel and channel.id in place.channels]
    if channel is None or not places:
        return None
    first = container.block(places[0], channel.id).log_utc_ns
    last = container.block(places[-1], channel.id).log_utc_ns
    if not len(first) or not len(last):
        return None
    start, end = reader.to_monotonic(np.array([first.min(), last.max()], np.int64)).tolist()
    return int(start), int(end)


def _lost_times(seq: IntArray, capture_ns: IntArray, start_ns: int, fps: int) -> Array:
    """Times of the gaps in a frame grid; one a gap, so that a dead camera costs one mark."""
    if len(seq) < 2:
        return np.zeros(0)
    gaps = np.flatnonzero(np.diff(seq) > 1)
    return (capture_ns[gaps] - start_ns) / NS_PER_S + 1.0 / fps


def joints_of(reader: EpisodeReader, media: EpisodeMedia) -> EpisodeTracks:
    """Reads the joint curves alone: a tenth of the time of the whole, which decodes every message.

    Raises:
        EpisodeError: The file is damaged.
    """
    measured, sent = reader.joints("measured"), reader.joints("sent")
    return EpisodeTracks(
        path=media.path,
        joint_names=reader.header.joint_names,
        measured_s=(measured.capture_ns - media.start_ns) / NS_PER_S,
        measured=measured.position,
        sent_s=(sent.capture_ns - media.start_ns) / NS_PER_S,
        sent=sent.position,
    )


def tracks_of(reader: EpisodeReader, media: EpisodeMedia) -> EpisodeTracks:
    """Reads curves, lanes and events of an open episode; blocks for passes through the file.

    Raises:
        EpisodeError: The file is damaged.
    """
    reader.load()
    joints = joints_of(reader, media)
    ticks = reader.ticks()
    tick_s = (ticks.capture_ns - media.start_ns) / NS_PER_S
    forces: dict[str, tuple[Array, Array]] = {}
    for name in reader.header.force_sensors:
        track = reader.force(name)
        if len(track.capture_ns):
            magnitude = np.linalg.norm(track.force, axis=1)
            forces[name] = ((track.capture_ns - media.start_ns) / NS_PER_S, magnitude)
    return dataclasses.replace(
        joints,
        forces=forces,
        streams=_streams(reader, media),
        levels={
            source.name: level_of(reader, source.name, media.start_ns, media.to_ns(media.duration_s))
            for source in reader.header.audio
        },
        states=spans_of(tick_s, ticks.state, media.duration_s),
        actors=spans_of(tick_s, ticks.actor, media.duration_s),
        marks=tuple(_mark(event, media) for event in reader.events()),
        whole=True,
    )


def _streams(reader: EpisodeReader, media: EpisodeMedia) -> dict[str, StreamCurves]:
    known = series_names(reader.header)
    found = {}
    for header in reader.header.streams:
        if header.name in known and len((series := reader.series(header.name)).capture_ns):
            at_s = (series.capture_ns - media.start_ns) / NS_PER_S
            found[header.name] = StreamCurves(header.unit, series.names, at_s, series.value)
    return found


def _mark(event: EventRecord, media: EpisodeMedia) -> Mark:
    return Mark(media.to_s(event.capture_ns), event.kind, event.origin, event.text)


def spans_of(at_s: Array, words: tuple[str, ...], end_s: float) -> tuple[Span, ...]:
    """Runs of equal words as stretches of the time line; the last ends at `end_s`."""
    if not words:
        return ()
    values = np.array(words)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    ends = [*(float(at_s[i]) for i in starts[1:]), max(end_s, float(at_s[-1]))]
    return tuple(
        Span(float(at_s[i]), end, str(values[i])) for i, end in zip(starts.tolist(), ends, strict=True)
    )


def min_max_thinned(at_s: Array, values: Array, bins: int) -> tuple[Array, Array]:
    """A curve of at most `2 * bins` points that shows every peak of the whole one.

    Args:
        at_s: Times, increasing, shape (k,).
        values: Shape (k,).
        bins: Columns to draw.

    Returns:
        Times and values; lowest and highest value of each bin in the order they occur.
    """
    count = len(values)
    if count <= 2 * bins or bins < 1:
        return at_s, values
    size = -(-count // bins)
    padded = np.concatenate([values, np.full(size * bins - count, values[-1])]).reshape(bins, size)
    low, high = padded.argmin(axis=1), padded.argmax(axis=1)
    base = np.arange(bins) * size
    order = np.sort(np.stack([low, high], axis=1), axis=1) + base[:, None]
    chosen = np.unique(np.minimum(order.ravel(), count - 1))
    return at_s[chosen], values[chosen]
