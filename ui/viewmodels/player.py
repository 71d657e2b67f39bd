"""What the player shows: one cursor on one time line, a picture of every camera, curves and lanes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QImage

from recorders.reader import EpisodeReader
from teleop_app.core.errors import TeleopError
from ui.viewmodels.background import Background
from ui.viewmodels.player_frames import CACHE_BYTES, PREVIEW_WIDTH, FrameWorker, PreviewWanted, Wanted
from ui.viewmodels.player_media import CameraLine, EpisodeMedia, EpisodeTracks, joints_of, tracks_of

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
TICK_MS = 16
_LONGEST_TICK_S = 0.1
_KEPT_TRACKS = 3
_MIN_VIEW_S = 0.1
_FRAME_S = 1 / 30
_SMOOTH = Qt.TransformationMode.SmoothTransformation


@dataclass(frozen=True, slots=True)
class Picture:
    """What one camera shows.

    Attributes:
        camera: Name.
        number: Frame number, -1 when the camera has none.
        count: Frames it has.
        skew_ms: Capture time less cursor time.
        image: The picture, None while it is decoded.
        problem: Why there is none, as a sentence, else empty.
    """

    camera: str
    number: int
    count: int
    skew_ms: float
    image: QImage | None = None
    problem: str = ""


class TimeAxis(QObject):
    """The stretch of time that ruler, lanes and plots show together."""

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.duration_s = 1.0
        self.start_s = 0.0
        self.end_s = 1.0

    @property
    def span_s(self) -> float:
        """Length of what is shown."""
        return self.end_s - self.start_s

    @property
    def zoomed(self) -> bool:
        """Whether less than everything is shown."""
        return self.span_s < self.duration_s - 1e-9

    def reset(self, duration_s: float) -> None:
        """Shows all of a time line of another length."""
        self.duration_s = max(duration_s, 1e-3)
        self._set(0.0, self.duration_s)

    def zoom(self, factor: float, about_s: float) -> None:
        """Shows `factor` times less (below 1: more), keeping a place where it is."""
        span = min(max(self.span_s / factor, min(_MIN_VIEW_S, self.duration_s)), self.duration_s)
        share = (about_s - self.start_s) / self.span_s
        self._set(about_s - share * span, about_s - share * span + span)

    def pan(self, by_s: float) -> None:
        """Shows a later stretch of the same length."""
        self._set(self.start_s + by_s, self.end_s + by_s)

    def reveal(self, at_s: float) -> None:
        """Turns the page when a place has left the stretch shown."""
        if self.zoomed and not self.start_s <= at_s <= self.end_s:
            start = at_s if at_s > self.end_s else at_s - self.span_s
            self._set(start, start + self.span_s)

    def _set(self, start_s: float, end_s: float) -> None:
        span = end_s - start_s
        start_s = min(max(start_s, 0.0), self.duration_s - span)
        if (start_s, start_s + span) != (self.start_s, self.end_s):
            self.start_s, self.end_s = start_s, start_s + span
            self.changed.emit()


class PlayerModel(QObject):
    """Opens episodes and moves the cursor. GUI thread only; files are read and decoded elsewhere.

    Args:
        clock_s: Seconds that only go forward; tests pass their own.
        cache_bytes: Most to keep of decoded pictures.
        parent: Owner.
    """

    mediaChanged = pyqtSignal()
    """Another episode, or none, is open."""
    tracksChanged = pyqtSignal()
    problemChanged = pyqtSignal()
    cursorMoved = pyqtSignal(float)
    picturesChanged = pyqtSignal()
    playingChanged = pyqtSignal()
    _jointsRead = pyqtSignal(object)
    previewReady = pyqtSignal(float, object)
    """Place [s] and small picture for the pointer on the time line."""

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        cache_bytes: int = CACHE_BYTES,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.axis = TimeAxis(self)
        self._clock_s = clock_s
        self._frames = FrameWorker(cache_bytes, self)
        self._reading = Background("player-tracks", self)
        self._path: Path | None = None
        self._media: EpisodeMedia | None = None
        self._tracks: EpisodeTracks | None = None
        self._problem: TeleopError | None = None
        self._kept_tracks: OrderedDict[Path, EpisodeTracks] = OrderedDict()
        self._cursor_s = 0.0
        self._direction = 0
        self._speed = 1.0
        self._reference = ""
        self._in_s: float | None = None
        self._out_s: float | None = None
        self._pictures: dict[str, Picture] = {}
        self._last_tick_s = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._jointsRead.connect(self._take_joints)
        self._frames.opened.connect(self._on_opened)
        self._frames.preloaded.connect(self._load_tracks)
        self._frames.failed.connect(self._on_failed)
        self._frames.arrived.connect(self._on_arrived)
        self._frames.undecodable.connect(self._on_undecodable)
        self._frames.previewed.connect(self._on_previewed)

    # What is shown

    @property
    def media(self) -> EpisodeMedia | None:
        """The open episode, None while there is none or it is being opened."""
        return self._media

    @property
    def opening(self) -> bool:
        """An episode was asked for and is not there yet."""
        return self._path is not None and self._media is None and self._problem is None

    @property
    def tracks(self) -> EpisodeTracks | None:
        """Curves and lanes of the open episode, None until they are read; the joints come first."""
        return self._tracks

    @property
    def problem(self) -> TeleopError | None:
        """Why the episode cannot be shown."""
        return self._problem

    @property
    def cursor_s(self) -> float:
        """Place on the time line."""
        return self._cursor_s

    @property
    def playing(self) -> bool:
        """Whether the cursor runs."""
        return self._direction != 0

    @property
    def direction(self) -> int:
        """1 forwards, -1 backwards, 0 paused."""
        return self._direction

    @property
    def speed(self) -> float:
        """One of `SPEEDS`."""
        return self._speed

    @property
    def span(self) -> tuple[float | None, float | None]:
        """In and out point, between which playing goes round."""
        return self._in_s, self._out_s

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """What each camera shows, in the order recorded."""
        return tuple(self._pictures.values())

    @property
    def reference(self) -> str:
        """Camera whose frames the arrow keys step through."""
        return self._reference

    def set_reference(self, camera: str) -> None:
        """Lets the arrow keys step through another camera's frames."""
        if self._media is not None and any(line.name == camera for line in self._media.cameras):
            self._reference = camera

    # Opening

    def open(self, path: Path | None) -> None:
        """Shows another episode; None shows none."""
        if path is not None and path == self._path and self._problem is None:
            return
        self.pause()
        self._path, self._media, self._tracks, self._problem = path, None, None, None
        self._pictures = {}
        self._in_s = self._out_s = None
        self._cursor_s = 0.0
        if path is not None:
            self._frames.open(path)
        self.mediaChanged.emit()
        self.tracksChanged.emit()
        self.problemChanged.emit()

    def preload(self, path: Path) -> None:
        """Prepares the episode that will probably be opened next."""
        if path != self._path:
            self._frames.preload(path)

    def _on_opened(self, media: EpisodeMedia) -> None:
        if media.path != self._path:
            return
        self._media = media
        self.axis.reset(media.duration_s)
        names = [line.name for line in media.cameras]
        if self._reference not in names:
            self._reference = names[0] if names else ""
        self.mediaChanged.emit()
        self._load_tracks(media)
        self._move(0.0)

    def _on_failed(self, path: Path, error: TeleopError) -> None:
        if path == self._path:
            self._problem = error
            self.mediaChanged.emit()
            self.problemChanged.emit()

    def _load_tracks(self, media: EpisodeMedia) -> None:
        kept = self._kept_tracks.get(media.path)
        if kept is not None:
            self._take_tracks(kept)
            return

        def read() -> EpisodeTracks:
            with EpisodeReader(media.path) as reader:
                self._jointsRead.emit(joints_of(reader, media))
                return tracks_of(reader, media)

        self._reading.run(read, self._take_tracks, lambda error: self._on_failed(media.path, error))

    def _take_joints(self, tracks: EpisodeTracks) -> None:
        """Shows the joints while the rest is being read."""
        if tracks.path == self._path and self._tracks is None:
            self._tracks = tracks
            self.tracksChanged.emit()

    def _take_tracks(self, tracks: EpisodeTracks) -> None:
        self._kept_tracks[tracks.path] = tracks
        self._kept_tracks.move_to_end(tracks.path)
        while len(self._kept_tracks) > _KEPT_TRACKS:
            self._kept_tracks.popitem(last=False)
        if tracks.path == self._path and (self._tracks is None or not self._tracks.whole):
            self._tracks = tracks
            self.tracksChanged.emit()

    # Moving

    def seek(self, at_s: float) -> None:
        """Moves the cursor, clamped to the time line."""
        if self._media is not None:
            self._move(at_s)

    def step(self, frames: int) -> None:
        """Pauses and moves by whole frames of the reference camera."""
        if self._media is None:
            return
        self.pause()
        line = self._reference_line()
        if line is None or not len(line.capture_ns):
            self._move(self._cursor_s + frames * _FRAME_S)
            return
        number = line.nearest(self._media.to_ns(self._cursor_s)) + frames
        number = min(max(number, 0), len(line.capture_ns) - 1)
        self._move(self._media.to_s(int(line.capture_ns[number])))

    def skip(self, seconds: float) -> None:
        """Moves by seconds, playing or not."""
        self.seek(self._cursor_s + seconds)

    def to_start(self) -> None:
        """Moves to the start."""
        self.seek(0.0)

    def to_end(self) -> None:
        """Moves to the end."""
        if self._media is not None:
            self.seek(self._media.duration_s)

    def toggle(self) -> None:
        """Plays or pauses; at the end, plays from the start."""
        if self.playing:
            self.pause()
        else:
            self._play(1)

    def pause(self) -> None:
        """Stops the cursor."""
        if self._direction:
            self._direction = 0
            self._timer.stop()
            self.playingChanged.emit()

    def shuttle(self, direction: int) -> None:
        """J, K and L: plays backwards, pauses, plays forwards; the same again doubles the speed."""
        if direction == 0:
            self.pause()
        elif direction == self._direction:
            self.set_speed(SPEEDS[min(SPEEDS.index(self._speed) + 1, len(SPEEDS) - 1)])
        else:
            if self._direction == -direction:
                self.set_speed(1.0)
            self._play(direction)

    def set_speed(self, speed: float) -> None:
        """Plays at the nearest of `SPEEDS`."""
        nearest = min(SPEEDS, key=lambda each: abs(each - speed))
        if nearest != self._speed:
            self._speed = nearest
            self.playingChanged.emit()

    def mark_in(self) -> None:
        """Starts the stretch to go round at the cursor; there again, clears it."""
        self._in_s = None if self._in_s == self._cursor_s else self._cursor_s
        if self._in_s is not None and self._out_s is not None and self._out_s <= self._in_s:
            self._out_s = None
        self.cursorMoved.emit(self._cursor_s)

    def mark_out(self) -> None:
        """Ends the stretch to go round at the cursor; there again, clears it."""
        self._out_s = None if self._out_s == self._cursor_s else self._cursor_s
        if self._in_s is not None and self._out_s is not None and self._out_s <= self._in_s:
            self._in_s = None
        self.cursorMoved.emit(self._cursor_s)

    def _play(self, direction: int) -> None:
        if self._media is None:
            return
        start, end = self._bounds()
        if direction > 0 and self._cursor_s >= end - 1e-9:
            self._move(start)
        elif direction < 0 and self._cursor_s <= start + 1e-9:
            self._move(end)
        self._direction = direction
        self._last_tick_s = self._clock_s()
        self._timer.start()
        self.playingChanged.emit()

    def _tick(self) -> None:
        now_s = self._clock_s()
        passed_s, self._last_tick_s = now_s - self._last_tick_s, now_s
        self.advance(min(passed_s, _LONGEST_TICK_S))

    def advance(self, seconds: float) -> None:
        """Lets time pass for a running cursor."""
        if self._media is None or not self._direction:
            return
        start, end = self._bounds()
        goal = self._cursor_s + seconds * self._speed * self._direction
        around = None not in self.span
        if goal >= end or goal <= start:
            over = goal >= end if self._direction > 0 else goal <= start
            if over and around:
                goal = start if self._direction > 0 else end
            elif over:
                self._move(end if self._direction > 0 else start)
                self.pause()
                return
        self._move(goal)
        self.axis.reveal(self._cursor_s)

    def _bounds(self) -> tuple[float, float]:
        duration_s = self._media.duration_s if self._media is not None else 0.0
        start, end = self.span
        return (start or 0.0), (duration_s if end is None else end)

    def _move(self, at_s: float) -> None:
        if self._media is None:
            return
        self._cursor_s = min(max(at_s, 0.0), self._media.duration_s)
        self._show_pictures()
        self.cursorMoved.emit(self._cursor_s)

    def _reference_line(self) -> CameraLine | None:
        lines = self._media.cameras if self._media is not None else ()
        return next((line for line in lines if line.name == self._reference), None)

    # Pictures

    def _show_pictures(self) -> None:
        if self._media is None:
            return
        at_ns = self._media.to_ns(self._cursor_s)
        frames: dict[str, int] = {}
        for line in self._media.cameras:
            number = line.nearest(at_ns)
            before = self._pictures.get(line.name)
            skew_ms = (int(line.capture_ns[number]) - at_ns) / 1e6 if number >= 0 else 0.0
            image = self._frames.picture(self._media.path, line.name, number) if number >= 0 else None
            problem = "" if number >= 0 else "This camera recorded no picture."
            if number >= 0:
                frames[line.name] = number
            if before is not None and before.number == number and image is None:
                image, problem = before.image, before.problem
            elif image is None and before is not None:
                image = before.image  # the old picture stays until the new one is there
            self._pictures[line.name] = Picture(
                line.name, number, len(line.capture_ns), skew_ms, image, problem
            )
        fps = max((line.fps for line in self._media.cameras), default=1)
        stride = max(1, round(self._speed * fps * TICK_MS / 1e3))
        self._frames.want(Wanted(self._media.path, frames, self._direction or 1, stride))
        self.picturesChanged.emit()

    def _on_arrived(self, path: Path, camera: str, number: int) -> None:
        shown = self._pictures.get(camera)
        if path != self._path or shown is None or shown.number != number:
            return
        image = self._frames.picture(path, camera, number)
        if image is not None and image is not shown.image:
            self._pictures[camera] = Picture(camera, number, shown.count, shown.skew_ms, image)
            self.picturesChanged.emit()

    def _on_undecodable(self, path: Path, camera: str, number: int, error: TeleopError) -> None:
        shown = self._pictures.get(camera)
        if path == self._path and shown is not None and shown.number == number:
            self._pictures[camera] = Picture(camera, number, shown.count, shown.skew_ms, None, error.sentence)
            self.picturesChanged.emit()

    def preview(self, at_s: float) -> None:
        """Asks for a small picture of a place on the time line; `previewReady` follows."""
        line = self._reference_line()
        if self._media is None or line is None:
            return
        if line.depth_of:  # of a depth image the camera's own picture tells more when it is small
            line = next(each for each in self._media.cameras if each.name == line.depth_of)
        strip = self._media.strip
        if strip is not None and strip.camera == line.name:  # at once; the keyframe itself follows
            tile = strip.tile(self._media.strip_share(at_s))
            self.previewReady.emit(at_s, tile.scaledToWidth(PREVIEW_WIDTH, _SMOOTH))
        keyframe = line.keyframe_near(self._media.to_ns(at_s))
        if keyframe >= 0:
            self._frames.preview(PreviewWanted(self._media.path, line.name, keyframe, at_s))

    def _on_previewed(self, path: Path, at_s: float, image: QImage) -> None:
        if path == self._path:
            self.previewReady.emit(at_s, image)

    def close(self) -> None:
        """Ends the threads. Idempotent."""
        self.pause()
        self._frames.close()
        self._reading.close()
