"""Thumbnails, motion sparklines and preview strips of episodes: made when first shown, never waited for."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QImage

from recorders.reader import EpisodeReader
from sessions import Catalog, EpisodeRow, Thumbnail
from teleop_app.core.errors import TeleopError
from ui.viewmodels.background import Background
from ui.viewmodels.preview_strip import PreviewStrip, read_strip

log = logging.getLogger(__name__)

SPARK_POINTS = 48
_KEPT = 2000
_KEPT_STRIPS = 40
_LONGEST_QUEUE = 120
_EMPTY = np.zeros(0, np.float32)

Spark = NDArray[np.float32]


class EpisodeArt(QObject):
    """Pictures and sparklines by episode. GUI thread only.

    What was asked for last is made first, as that is what is on screen; what has been scrolled away
    is forgotten.

    Args:
        catalog: Has the thumbnails.
        cache_dir: Where sparklines are kept, as each costs a pass through an episode file.
        parent: Owner.
    """

    arrived = pyqtSignal(str)
    """UUID of an episode whose picture or sparkline is there now."""

    def __init__(self, catalog: Catalog, cache_dir: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._catalog = catalog
        self._cache_dir = cache_dir
        self._images: OrderedDict[str, QImage] = OrderedDict()
        self._sparks: OrderedDict[str, Spark] = OrderedDict()
        self._image_queue: OrderedDict[str, None] = OrderedDict()
        self._spark_queue: OrderedDict[str, Path] = OrderedDict()
        self._strips: OrderedDict[str, PreviewStrip | None] = OrderedDict()
        self._strip_wanted: tuple[str, Path] | None = None
        self._work = Background("episode-art", self)
        self._running = False

    def image(self, row: EpisodeRow) -> QImage | None:
        """Returns the thumbnail, null when the episode has none; None while it is fetched."""
        found = self._images.get(row.uuid)
        if found is None:
            _push(self._image_queue, row.uuid, None)
            self._next()
        return found

    def spark(self, row: EpisodeRow, path: Path) -> Spark | None:
        """Returns joint speed over the episode, 0..1 of its peak; empty when unreadable, None meanwhile."""
        found = self._sparks.get(row.uuid)
        if found is None:
            _push(self._spark_queue, row.uuid, path)
            self._next()
        return found

    def strip(self, row: EpisodeRow, path: Path) -> PreviewStrip | None:
        """Returns the small pictures of an episode; None while they are read and when it has none."""
        if row.uuid not in self._strips:
            self._strip_wanted = row.uuid, path
            self._next()
        return self._strips.get(row.uuid)

    def _next(self) -> None:
        if self._running:
            return
        if self._strip_wanted is not None:  # the pointer rests on it
            (uuid, path), self._strip_wanted = self._strip_wanted, None
            self._running = True
            self._work.run(lambda: read_strip(path), lambda strip: self._take_strip(uuid, strip))
        elif self._image_queue:
            uuid, _ = self._image_queue.popitem()
            self._running = True
            self._work.run(
                lambda: self._catalog.thumbnail(uuid),
                lambda thumbnail: self._take_image(uuid, thumbnail),
                lambda error: self._take_image(uuid, None),
            )
        elif self._spark_queue:
            uuid, path = self._spark_queue.popitem()
            self._running = True
            cached = self._cache_dir / f"{uuid}.npy"
            self._work.run(lambda: spark_of(path, cached), lambda spark: self._take_spark(uuid, spark))

    def _take_image(self, uuid: str, thumbnail: Thumbnail | None) -> None:
        image = QImage()
        if thumbnail is not None:
            image.loadFromData(thumbnail.image)
        self._images[uuid] = image
        if len(self._images) > _KEPT:
            self._images.popitem(last=False)
        self._done(uuid)

    def _take_strip(self, uuid: str, strip: PreviewStrip | None) -> None:
        self._strips[uuid] = strip
        if len(self._strips) > _KEPT_STRIPS:
            self._strips.popitem(last=False)
        self._done(uuid)

    def _take_spark(self, uuid: str, spark: Spark) -> None:
        self._sparks[uuid] = spark
        if len(self._sparks) > _KEPT:
            self._sparks.popitem(last=False)
        self._done(uuid)

    def _done(self, uuid: str) -> None:
        self._running = False
        self.arrived.emit(uuid)
        self._next()

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._image_queue.clear()
        self._spark_queue.clear()
        self._strip_wanted = None
        self._work.close()


def _push(queue: OrderedDict[str, Path] | OrderedDict[str, None], uuid: str, value: Path | None) -> None:
    queue[uuid] = value  # pyright: ignore[reportArgumentType]
    queue.move_to_end(uuid)
    while len(queue) > _LONGEST_QUEUE:
        queue.popitem(last=False)


def spark_of(path: Path, cached: Path) -> Spark:
    """Joint speed over an episode in `SPARK_POINTS` bins, 0..1 of its peak; empty when unreadable.

    Reads `cached` if it is there, else the episode file, and leaves the result in `cached`.
    """
    try:
        kept = np.load(cached)
        if kept.shape == (SPARK_POINTS,) and kept.dtype == np.float32:
            return kept
    except (OSError, ValueError, EOFError):
        log.debug("no sparkline kept for %s", path.name)
    try:
        with EpisodeReader(path) as reader:
            measured = reader.joints("measured")
    except TeleopError as error:
        log.info("no sparkline: %s", error)
        return _EMPTY
    spark = speed_spark(measured.capture_ns, measured.position)
    if len(spark):
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            np.save(cached, spark)
        except OSError as error:
            log.info("the sparkline of %s is not kept: %s", path.name, error)
    return spark


def speed_spark(capture_ns: NDArray[np.int64], position: NDArray[np.float64]) -> Spark:
    """Mean joint speed in `SPARK_POINTS` bins of time, 0..1 of its peak; empty for a standstill of data.

    Args:
        capture_ns: Shape (k,).
        position: [rad], shape (k, n).
    """
    if len(capture_ns) < SPARK_POINTS // 4 or not position.shape[1]:
        return _EMPTY
    steps_s = np.maximum(np.diff(capture_ns) / 1e9, 1e-6)
    speed = np.linalg.norm(np.diff(position, axis=0), axis=1) / steps_s
    middle = (capture_ns[1:] - capture_ns[0]) / max(int(capture_ns[-1] - capture_ns[0]), 1)
    bins = np.minimum((middle * SPARK_POINTS).astype(int), SPARK_POINTS - 1)
    counts = np.bincount(bins, minlength=SPARK_POINTS)
    sums = np.bincount(bins, weights=speed, minlength=SPARK_POINTS)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
    peak = means.max()
    return (means / peak if peak > 0 else means).astype(np.float32)
