"""Decodes an episode's pictures on a thread of its own, so that the window never waits for one."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QCoreApplication, QObject, pyqtSignal
from PyQt6.QtGui import QImage

from recorders.reader import EpisodeReader
from teleop_app.core.errors import TeleopError
from ui.viewmodels.depth_colors import Range, depth_colors, depth_range
from ui.viewmodels.player_media import CameraLine, EpisodeMedia, media_of

log = logging.getLogger(__name__)

CACHE_BYTES = 192 << 20
"""Decoded pictures kept: about 50 sets of three cameras at 640x480."""
AHEAD = 16
"""Frames decoded ahead of the cursor a camera."""
_OPEN_EPISODES = 2
PREVIEW_WIDTH = 176


@dataclass(frozen=True, slots=True)
class Wanted:
    """Pictures to decode.

    Attributes:
        path: Of the episode.
        frames: Frame number by camera.
        direction: Where the cursor goes, 1 or -1.
        stride: Frames the cursor passes between two repaints, at least 1.
    """

    path: Path
    frames: Mapping[str, int]
    direction: int = 1
    stride: int = 1


@dataclass(frozen=True, slots=True)
class PreviewWanted:
    """A small picture for the pointer on the time line: episode, camera, keyframe, place [s]."""

    path: Path
    camera: str
    frame: int
    at_s: float


class PictureCache:
    """Decoded pictures by (path, camera, number), the least used dropped first. Any thread.

    Args:
        limit_bytes: Most to keep.
    """

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._images: OrderedDict[tuple[Path, str, int], QImage] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._images)

    @property
    def size_bytes(self) -> int:
        """What the pictures take."""
        return self._bytes

    def get(self, path: Path, camera: str, number: int) -> QImage | None:
        """Returns a picture if it is there."""
        with self._lock:
            image = self._images.get((path, camera, number))
            if image is not None:
                self._images.move_to_end((path, camera, number))
            return image

    def put(self, path: Path, camera: str, number: int, image: QImage) -> None:
        """Adds a picture, dropping the least used above the limit."""
        with self._lock:
            old = self._images.pop((path, camera, number), None)
            self._bytes += image.sizeInBytes() - (old.sizeInBytes() if old is not None else 0)
            self._images[path, camera, number] = image
            while self._bytes > self.limit_bytes and len(self._images) > 1:
                _, dropped = self._images.popitem(last=False)
                self._bytes -= dropped.sizeInBytes()

    def drop(self, path: Path) -> None:
        """Drops the pictures of an episode."""
        with self._lock:
            for key in [key for key in self._images if key[0] == path]:
                self._bytes -= self._images.pop(key).sizeInBytes()


class FrameWorker(QObject):
    """The decoding thread. Its methods return at once; the newest wish replaces the one before.

    Args:
        cache_bytes: Most to keep of decoded pictures.
        parent: Owner.
    """

    opened = pyqtSignal(object)
    """`EpisodeMedia` of the episode asked for."""
    preloaded = pyqtSignal(object)
    """`EpisodeMedia` of the next episode, whose first pictures are decoded."""
    failed = pyqtSignal(object, object)
    """Path and `TeleopError` of an episode that cannot be opened."""
    arrived = pyqtSignal(object, str, int)
    """Path, camera and number of a picture now in the cache."""
    undecodable = pyqtSignal(object, str, int, object)
    """Path, camera, number and `TeleopError` of a picture that cannot be decoded."""
    previewed = pyqtSignal(object, float, object)
    """Path, place [s] and small picture."""

    def __init__(self, cache_bytes: int = CACHE_BYTES, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cache = PictureCache(cache_bytes)
        self._changed = threading.Condition()
        self._to_open: Path | None = None
        self._to_preload: Path | None = None
        self._wanted: Wanted | None = None
        self._fresh = False
        self._preview: PreviewWanted | None = None
        self._closing = False
        self._readers: OrderedDict[Path, tuple[EpisodeReader, EpisodeMedia]] = OrderedDict()
        self._signatures: dict[Path, tuple[int, int] | None] = {}
        self._bad: set[tuple[Path, str, int]] = set()
        self._ranges: dict[tuple[Path, str], Range] = {}
        self._thread = threading.Thread(target=self._run, name="player-frames", daemon=True)
        self._thread.start()
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    def open(self, path: Path) -> None:
        """Opens an episode; `opened` or `failed` follows."""
        with self._changed:
            self._to_open, self._to_preload = path, None
            self._wanted, self._preview = None, None
            self._changed.notify()

    def preload(self, path: Path) -> None:
        """Opens the episode that will probably be next and decodes its first pictures."""
        with self._changed:
            self._to_preload = path
            self._changed.notify()

    def want(self, wanted: Wanted) -> None:
        """Decodes pictures, then some ahead of them."""
        with self._changed:
            self._wanted, self._fresh = wanted, True
            self._changed.notify()

    def preview(self, wanted: PreviewWanted) -> None:
        """Decodes a small picture."""
        with self._changed:
            self._preview = wanted
            self._changed.notify()

    def picture(self, path: Path, camera: str, number: int) -> QImage | None:
        """Returns a picture that is decoded already."""
        return self.cache.get(path, camera, number)

    def close(self) -> None:
        """Ends the thread and closes the files. Idempotent; waits for the picture under way."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        finally:
            for reader, _ in self._readers.values():
                reader.close()
            self._readers.clear()

    def _step(self) -> bool:
        """Does the most urgent piece of work, or waits for some; returns False at the end."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._closing:
                return False
            to_open, self._to_open = self._to_open, None
            wanted = self._wanted if self._fresh else None
            self._fresh = False
            preview = self._preview if to_open is None and wanted is None else None
            if preview is not None:
                self._preview = None
        if to_open is not None:
            media = self._open(to_open)
            if media is not None:
                self.opened.emit(media)
        elif wanted is not None:
            for camera, number in wanted.frames.items():
                self._decode(wanted.path, camera, number, wanted.direction)
        elif preview is not None:
            self._decode_preview(preview)
        elif (ahead := self._next_ahead()) is not None:
            self._decode(*ahead)
        else:
            self._preload_next()
        return True

    def _has_work(self) -> bool:
        return bool(
            self._closing
            or self._to_open is not None
            or self._fresh
            or self._preview is not None
            or self._to_preload is not None
            or self._next_ahead() is not None
        )

    def _next_ahead(self) -> tuple[Path, str, int, int] | None:
        """The nearest picture ahead of the cursor that is not decoded yet."""
        wanted = self._wanted
        if wanted is None or wanted.path not in self._readers:
            return None
        _, media = self._readers[wanted.path]
        lengths = {camera.name: len(camera.capture_ns) for camera in media.cameras}
        for distance in range(1, self._room(media) + 1):
            for camera, number in wanted.frames.items():
                ahead = number + wanted.direction * distance * wanted.stride
                key = (wanted.path, camera, ahead)
                if 0 <= ahead < lengths[camera] and key not in self._bad and self.cache.get(*key) is None:
                    return *key, wanted.direction
        return None

    def _room(self, media: EpisodeMedia) -> int:
        """Frames a camera that half the cache holds, so that work ahead never drops its own pictures."""
        set_bytes = sum(4 * line.width * line.height for line in media.cameras)
        return max(1, min(AHEAD, self.cache.limit_bytes // (2 * max(set_bytes, 1))))

    def _open(self, path: Path) -> EpisodeMedia | None:
        if path in self._readers and self._signatures.get(path) != signature(path):
            self._forget(path)
        if path in self._readers:
            self._readers.move_to_end(path)
            return self._readers[path][1]
        seen = signature(path)  # before reading: a change meanwhile must not look like the file read
        try:
            reader = EpisodeReader(path)
            try:
                media = media_of(reader)
            except TeleopError:
                reader.close()
                raise
        except TeleopError as error:
            self.failed.emit(path, error)
            return None
        self._readers[path] = (reader, media)
        self._signatures[path] = seen
        while len(self._readers) > _OPEN_EPISODES:
            self._forget(next(iter(self._readers)))
        return media

    def _forget(self, path: Path) -> None:
        """Closes an episode and drops what is known of its pictures."""
        self._readers.pop(path)[0].close()
        self._signatures.pop(path, None)
        self._bad = {key for key in self._bad if key[0] != path}
        self._ranges = {key: shown for key, shown in self._ranges.items() if key[0] != path}
        self.cache.drop(path)

    def _decode(self, path: Path, camera: str, number: int, direction: int) -> None:
        """Decodes one picture; going backwards, all from its keyframe on, as they will be asked for."""
        if path not in self._readers or number < 0 or (path, camera, number) in self._bad:
            return
        if self.cache.get(path, camera, number) is not None:
            return
        reader, media = self._readers[path]
        line = next(line for line in media.cameras if line.name == camera)
        first = number
        if direction < 0:
            before = line.keyframes[line.keyframes <= number]
            first = max(int(before[-1]) if len(before) else number, number - self._room(media) + 1)
        try:
            for each in range(first, number + 1):
                if self.cache.get(path, camera, each) is None:
                    self.cache.put(path, camera, each, image_of(self._pixels(reader, path, line, each)))
            self.arrived.emit(path, camera, number)
        except TeleopError as error:
            self._bad.add((path, camera, number))
            self.undecodable.emit(path, camera, number, error)

    def _pixels(self, reader: EpisodeReader, path: Path, line: CameraLine, number: int) -> NDArray[np.uint8]:
        if not line.depth_of:
            return reader.frame(line.name, number)
        key = path, line.name
        if key not in self._ranges:
            self._ranges[key] = depth_range(lambda n: reader.depth(line.depth_of, n), len(line.capture_ns))
        return depth_colors(reader.depth(line.depth_of, number), self._ranges[key])

    def _decode_preview(self, wanted: PreviewWanted) -> None:
        if wanted.path not in self._readers:
            return
        reader, _ = self._readers[wanted.path]
        try:
            # A decoder of its own: the pointer must not move the player's decoder off its place.
            for pixels in reader.frames(wanted.camera, wanted.frame, wanted.frame + 1):
                image = image_of(pixels).scaledToWidth(PREVIEW_WIDTH)
                self.previewed.emit(wanted.path, wanted.at_s, image)
        except TeleopError as error:
            log.info("no preview: %s", error)

    def _preload_next(self) -> None:
        with self._changed:
            path, self._to_preload = self._to_preload, None
        if path is None or path in self._readers:
            return
        seen = signature(path)
        try:
            reader = EpisodeReader(path)
        except TeleopError as error:
            log.info("the next episode cannot be prepared: %s", error)
            return
        try:
            media = media_of(reader)
        except TeleopError as error:
            reader.close()
            log.info("the next episode cannot be prepared: %s", error)
            return
        self._readers[path] = (reader, media)
        self._signatures[path] = seen
        self._readers.move_to_end(path, last=False)
        while len(self._readers) > _OPEN_EPISODES:
            # The one in front is the newcomer, the last the one on screen: drop what lies between.
            self._forget(list(self._readers)[1])
        for line in media.cameras:
            if len(line.capture_ns):
                self._decode(path, line.name, line.nearest(media.start_ns), 1)
        self.preloaded.emit(media)


def signature(path: Path) -> tuple[int, int] | None:
    """Returns size and time of change of a file, None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def image_of(pixels: NDArray[np.uint8]) -> QImage:
    """Returns a picture that owns its memory, in the format that paints fastest."""
    height, width, _ = pixels.shape
    data = np.ascontiguousarray(pixels).tobytes()
    view = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return view.convertToFormat(QImage.Format.Format_RGB32)
