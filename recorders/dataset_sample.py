"""Samples of one episode: which pictures and values a row takes, and their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recorders.aligned import ACTION, STATE, AlignedFrames, CameraRows, camera_rows, pair_frames
from recorders.packet_times import packet_times
from recorders.reader import EpisodeReader
from recorders.schema import IntArray
from recorders.video_access import Images
from teleop_app.core.clock import NS_PER_S

Sample = dict[str, Any]
IMAGES_KEY = "observation.images."
_KEYS = {STATE: "observation.state", ACTION: "action"}


def stream_key(stream: str) -> str:
    """The entry of a stream in a sample."""
    return _KEYS.get(stream, "observation." + stream.replace("/", "."))


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """What a sample holds; see `EpisodeDataset`.

    Attributes:
        cameras: The first one gives the rows.
        streams: State and action first.
        delta_ns: By entry, instants relative to the row.
        rate_hz: Of the rows, None: each frame of the first camera.
        size: Of the pictures, None: as recorded.
        include_preroll: Rows before the record key too.
    """

    cameras: tuple[str, ...]
    streams: tuple[str, ...]
    delta_ns: Mapping[str, IntArray]
    rate_hz: float | None
    size: tuple[int, int] | None
    include_preroll: bool


@dataclass(frozen=True, slots=True)
class _Pictures:
    """What a camera shows at each instant of each sample asked for."""

    shown: CameraRows
    outside: NDArray[np.bool_]
    job: Future[Images]


@dataclass(frozen=True, slots=True)
class PendingSamples:
    """Samples whose pictures other threads decode."""

    rows: IntArray
    pictures: Mapping[str, _Pictures]


class SampleMaker:
    """Samples of one open episode, by row.

    Args:
        reader: Of the episode; closed with this.
        layout: What a sample holds.

    Raises:
        EpisodeError: The file is damaged, or lacks something that the layout names.

    Attributes:
        complete: Rows in which every camera has a frame of its own.
    """

    def __init__(self, reader: EpisodeReader, layout: SampleLayout) -> None:
        self._layout = layout
        self._reader = reader
        self._frames = AlignedFrames(
            reader,
            cameras=layout.cameras,
            streams=layout.streams,
            rate_hz=layout.rate_hz,
            include_preroll=layout.include_preroll,
            size=layout.size,
        )
        self._series = {
            stream: reader.series(stream)
            for stream in layout.streams
            if stream_key(stream) in layout.delta_ns
        }
        reader.forget()
        self.complete = _complete(self._frames.cameras)
        times = self._frames.time_ns
        self._span = int(times[0]), int(times[-1])
        half_row = int(np.median(np.diff(times))) // 2 if len(times) > 1 else 0
        self._text = {"task": self._reader.instruction}
        own = {camera.name: (camera.width, camera.height) for camera in reader.header.cameras}
        self._sizes = own if layout.size is None else dict.fromkeys(layout.cameras, layout.size)
        self._padded = self._span[0] - half_row, self._span[1] + half_row

    def request(self, rows: Sequence[int]) -> PendingSamples:
        """Read the packets of some rows' pictures, and have them decoded.

        Raises:
            EpisodeError: The file is damaged.
        """
        numbers = np.asarray(rows, np.int64)
        pictures: dict[str, _Pictures] = {}
        for camera in self._layout.cameras:
            shown, outside = self._shown(camera, numbers)
            wanted = shown.packet[~shown.missing]
            job = self._frames.access(camera).request(wanted.tolist())
            pictures[camera] = _Pictures(shown, outside, job)
        return PendingSamples(numbers, pictures)

    def _shown(self, camera: str, rows: IntArray) -> tuple[CameraRows, NDArray[np.bool_]]:
        """What a camera shows at the instants of each row (rows, deltas), and which lie outside."""
        if IMAGES_KEY + camera not in self._layout.delta_ns:
            shown = self._frames.cameras[camera]
            alone = CameraRows(shown.packet[rows, None], shown.error_ns[rows, None])
            return alone, np.zeros((len(rows), 1), np.bool_)
        query_ns, outside = self._instants(IMAGES_KEY + camera, rows)
        shown = pair_frames(self._reader.video(camera), query_ns.reshape(-1))
        shape = query_ns.shape
        return CameraRows(shown.packet.reshape(shape), shown.error_ns.reshape(shape)), outside

    def samples(self, pending: PendingSamples) -> list[Sample]:
        """The samples asked for, in that order; the file may be closed by then.

        Raises:
            EpisodeError: A picture cannot be decoded.
        """
        columns: dict[str, Any] = {}
        for camera, pictures in pending.pictures.items():
            columns |= self._pictures(IMAGES_KEY + camera, pictures)
        for stream in self._layout.streams:
            columns |= self._values(stream, pending.rows)
        time_ns = self._frames.time_ns[pending.rows]
        columns["time_ns"] = time_ns
        columns["timestamp"] = (time_ns - self._span[0]) / NS_PER_S
        columns["frame_index"] = pending.rows
        return [
            {name: column[number] for name, column in columns.items()} | self._text
            for number in range(len(pending.rows))
        ]

    def _instants(self, key: str, rows: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
        """Instants of an entry (rows, deltas), kept inside the episode, and which were outside."""
        wanted = self._frames.time_ns[rows][:, None] + self._layout.delta_ns[key]
        return np.clip(wanted, *self._span), (wanted < self._padded[0]) | (wanted > self._padded[1])

    def _pictures(self, key: str, pictures: _Pictures) -> dict[str, Any]:
        images, shown = pictures.job.result(), pictures.shown
        width, height = self._sizes[key.removeprefix(IMAGES_KEY)]
        make = np.zeros if shown.missing.any() else np.empty
        stacks = make((*shown.packet.shape, height, width, 3), np.uint8)
        for place in zip(*np.nonzero(~shown.missing), strict=True):
            stacks[place] = images[int(shown.packet[place])]
        return self._entries(key, stacks, shown.error_ns, pictures.outside | shown.missing)

    def _values(self, stream: str, rows: IntArray) -> dict[str, Any]:
        key = stream_key(stream)
        if key not in self._layout.delta_ns:
            column = self._frames.columns[stream]
            value = column.value[rows].astype(np.float32)
            return {key: value, f"{key}_error_ns": column.distance_ns[rows]}
        query_ns, outside = self._instants(key, rows)
        read = self._series[stream].at(query_ns.reshape(-1))
        value = read.value.astype(np.float32).reshape(*query_ns.shape, -1)
        return self._entries(key, value, read.distance_ns.reshape(query_ns.shape), outside)

    def _entries(
        self, key: str, value: NDArray[Any], error_ns: IntArray, is_pad: NDArray[np.bool_]
    ) -> dict[str, Any]:
        if key not in self._layout.delta_ns:
            return {key: value[:, 0], f"{key}_error_ns": error_ns[:, 0]}
        return {key: value, f"{key}_error_ns": error_ns, f"{key}_is_pad": is_pad}

    def rest(self) -> None:
        """Close the file until a sample is asked for; what is known of its rows is kept."""
        self._frames.rest()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._reader.close()


def complete_rows(reader: EpisodeReader, layout: SampleLayout) -> tuple[IntArray, int]:
    """Rows in which every camera has a frame of its own, and how many have not; little of the file is read.

    Raises:
        EpisodeError: The file is damaged, lacks something that the layout names, or has no row.
    """
    for stream in layout.streams:
        reader.series(stream, (0, 0))  # it is there
    cameras = [camera for camera in reader.header.cameras if camera.name in layout.cameras]
    tracks = packet_times(reader.container, cameras, reader.to_monotonic)
    in_order = {name: reader.video(name) if tracks is None else tracks[name] for name in layout.cameras}
    time_ns, shown = camera_rows(reader, in_order, layout.rate_hz, layout.include_preroll)
    complete = _complete(shown)
    return complete, len(time_ns) - len(complete)


def _complete(cameras: Mapping[str, CameraRows]) -> IntArray:
    return np.flatnonzero(~np.stack([rows.missing for rows in cameras.values()]).any(axis=0))
