"""What the frames of synthetic cameras say of their own stamps: the barcode against the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import NotMeasuredError
from devices.cameras.time_code import TimeCodeReader
from recorders import tracks, wire
from recorders.reader import EpisodeReader
from recorders.schema import topic_stamps
from teleop_app.core.clock import NS_PER_MS, NS_PER_S

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrueTimes:
    """The frames of one camera whose barcode could be read.

    Attributes:
        true_ns: When the picture was exposed, by its barcode, shape (k,).
        capture_ns: When the file says so.
        receive_ns: When the frame had arrived on the host.
        unreadable: Frames left out.
    """

    true_ns: IntArray
    capture_ns: IntArray
    receive_ns: IntArray
    unreadable: int

    @property
    def stamp_ms(self) -> Array:
        """Capture time minus the true one."""
        return (self.capture_ns - self.true_ns) / NS_PER_MS

    @property
    def arrival_ms(self) -> Array:
        """Arrival minus the true time."""
        return (self.receive_ns - self.true_ns) / NS_PER_MS

    def row_ms(self, row_ns: IntArray) -> Array:
        """True distance of rows from the pictures that were captured nearest to them, by the file."""
        nearest = np.abs(self.capture_ns[None, :] - row_ns[:, None]).argmin(axis=1)
        return (row_ns - self.true_ns[nearest]) / NS_PER_MS

    def latest_ms(self, row_ns: IntArray) -> Array:
        """The same where each row takes the picture that had arrived last, as most recorders do."""
        latest = np.searchsorted(self.receive_ns, row_ns, side="right") - 1
        return (row_ns - self.true_ns[np.maximum(latest, 0)]) / NS_PER_MS


def true_times(reader: EpisodeReader, camera: str) -> TrueTimes:
    """Decode every frame of a synthetic camera.

    Raises:
        NotMeasuredError: The file does not say when the frames arrived, or no frame can be read.
    """
    capture_ns, receive_ns = reader.video(camera).capture_ns, _received(reader, camera)
    if len(receive_ns) != len(capture_ns):
        raise NotMeasuredError(f"The file does not say when each frame of {camera} arrived")
    code_reader = TimeCodeReader()
    shown = [code_reader.read(image) for image in reader.frames(camera)]
    read = np.array([each is not None for each in shown])
    if not read.any():
        raise NotMeasuredError(f"No frame of {camera} shows its time")
    true_ns = [
        each.near_ns(stamp)
        for each, stamp in zip(shown, capture_ns.tolist(), strict=True)
        if each is not None
    ]
    return TrueTimes(np.array(true_ns, np.int64), capture_ns[read], receive_ns[read], int((~read).sum()))


def rows(times: list[TrueTimes], fps: int = 30, margin_s: float = 1.0) -> IntArray:
    """Instants of a dataset's rows where all cameras have pictures [ns]."""
    first = max(int(each.receive_ns[0]) for each in times) + round(margin_s * NS_PER_S)
    last = min(int(each.capture_ns[-1]) for each in times)
    return np.arange(first, last, NS_PER_S // fps, dtype=np.int64)


def _received(reader: EpisodeReader, camera: str) -> IntArray:
    received_utc: list[int] = []
    for block in reader.container.blocks(topic_stamps(camera)):
        for payload in block.payloads():
            received_utc += tracks.integers(dict(wire.fields(payload)).get(4)).tolist()
    return reader.to_monotonic(np.array(received_utc, np.int64))
