"""Mp4 files made of H.264 packets as they were recorded, on an exact frame grid, and their proof."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.error import FFmpegError

from recorders.exporters.h264_units import parameter_sets
from teleop_app.core.errors import ExportError


class Mp4Writer:
    """Puts access units of one camera, one after the other, into an mp4 without encoding them.

    Frame i gets the time i / fps exactly: ffmpeg's mp4 muxer doubles the rate until the time base is
    finer than 1/10000 s (15360 for 30), so it stays a multiple of the rate and no rounding happens.

    Args:
        path: File to write; replaced where it exists.
        fps: Frame rate.
        keyframe: The first access unit, which carries the parameter sets of all that follow.

    Raises:
        ExportError: The keyframe is not H.264.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, fps: int, keyframe: bytes) -> None:
        self.path = path
        self.frames = 0
        self._time_base = Fraction(1, fps)
        if not parameter_sets(keyframe).units:
            raise ExportError(
                f"The first packet for {path.name} is not H.264", why="it carries no parameter sets"
            )
        try:
            self._template = av.open(io.BytesIO(keyframe), format="h264")
        except FFmpegError as error:
            raise ExportError(f"The first packet for {path.name} is not H.264", why=str(error)) from error
        # faststart: the index comes before the pictures, so that the file can be read over a network.
        self._out = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self._stream = self._out.add_stream_from_template(self._template.streams.video[0])
        self._stream.time_base = self._time_base

    def write(self, payload: bytes, keyframe: bool) -> None:
        """Append one access unit as the next frame."""
        packet = av.Packet(payload)
        packet.stream = self._stream
        packet.time_base = self._time_base
        packet.pts = packet.dts = self.frames
        packet.duration = 1
        packet.is_keyframe = keyframe
        self._out.mux_one(packet)
        self.frames += 1

    def close(self) -> None:
        """Write the index and make the file durable. Idempotent."""
        self._out.close()
        self._template.close()
        with self.path.open("rb") as written:
            os.fsync(written.fileno())

    def abort(self) -> None:
        """Close without the promise of a readable file."""
        try:
            self._out.close()
        except (OSError, FFmpegError):  # the reason for the abort is what gets reported
            pass
        finally:
            self._template.close()

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def verify_mp4(path: Path, fps: int, lengths: Sequence[int]) -> None:
    """Prove that a file holds the frames it was written for, reading every packet.

    Args:
        path: The file.
        fps: Frame rate.
        lengths: Rows of the episodes in the file, in order.

    Raises:
        ExportError: A frame is missing, off the grid, or an episode does not start with a keyframe.
    """
    expected = sum(lengths)
    starts = {sum(lengths[:episode]) for episode in range(len(lengths))}
    count = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            base = stream.time_base
            if base is None or stream.average_rate != fps or (1 / base) % fps != 0:
                raise ExportError(
                    f"{path.name} was written with the rate {stream.average_rate} and time base {base}",
                    why=f"{fps} frames a second were due",
                )
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                if packet.pts is None or packet.pts * base * fps != count:
                    raise ExportError(f"Frame {count} of {path.name} is off the grid, at pts {packet.pts}")
                if count in starts and not packet.is_keyframe:
                    raise ExportError(f"Frame {count} of {path.name} starts an episode without a keyframe")
                count += 1
    except FFmpegError as error:
        raise ExportError(f"{path.name} cannot be read back", why=str(error)) from error
    if count != expected:
        raise ExportError(f"{path.name} holds {count} frames where {expected} rows were written")
