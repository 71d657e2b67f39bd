"""Tracks of sensors beside cameras and control: numeric streams, frame stamps, depth, sound, clock fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recorders import wire
from recorders.message_blocks import Block
from recorders.schema import AudioHeader, AudioTrack, FrameStamps, IntArray, StreamHeader, StreamTrack
from recorders.tracks import Decoder, as_its_schema, concatenated, doubles, joined, signed
from recorders.video import MAX_SIDE_PX
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import ClockFit

ToMonotonic = Callable[[IntArray], IntArray]
DepthImage = NDArray[np.uint16]
_PNG_SIZE = slice(16, 24)


@dataclass(frozen=True, slots=True)
class DepthTrack:
    """Index of a camera's depth images; pixels are fetched by `EpisodeReader.depth`.

    Attributes:
        unit_m: Metres of one count; count 0 means no reading.
        capture_ns: Shape (k,).
        receive_ns: When the packet was ready, shape (k,).
        seq: Grid index, shape (k,).
    """

    unit_m: float
    capture_ns: IntArray
    receive_ns: IntArray
    seq: IntArray


def stream_track(
    header: StreamHeader, blocks: Iterable[Block], decoder: Callable[[], Decoder], monotonic: ToMonotonic
) -> StreamTrack:
    """A numeric stream from its messages (teleop.Sample).

    Raises:
        EpisodeError: A message has another number of values than the header names.
    """
    width = len(header.values)
    capture, receive, device, values = [], [], [], [np.zeros((0, width))]
    for block in joined(blocks):
        capture.append(block.log_utc_ns)
        receive.append(block.publish_utc_ns)
        found, stamps = _samples(block, width, decoder)
        values.append(found)
        device.append(stamps)
    return StreamTrack(
        header=header,
        capture_ns=monotonic(concatenated(capture)),
        device_ns=concatenated(device),
        receive_ns=monotonic(concatenated(receive)),
        values=np.concatenate(values),
    )


def _samples(
    block: Block, width: int, decoder: Callable[[], Decoder]
) -> tuple[NDArray[np.float64], IntArray]:
    for with_device in (False, True):
        template = wire.sample_template(width, with_device)
        if (block.lengths == template.length).all():
            words = template.extract_words(block.data, block.starts)
            if words is not None:
                stamps = words[:, width] if with_device else np.zeros(len(words), np.int64)
                return np.ascontiguousarray(words[:, :width]).view(np.float64), stamps
    with as_its_schema():
        messages = [decoder().decode(payload) for payload in block.payloads()]
        if any(len(message.values) != width for message in messages):
            raise EpisodeError("A sample has another number of values than the header names")
        values = np.array([list(message.values) for message in messages], np.float64).reshape(-1, width)
        return values, np.array([message.device_ns for message in messages], np.int64)


def frame_stamps(
    capture_ns: IntArray, blocks: Iterable[Block], decoder: Callable[[], Decoder], monotonic: ToMonotonic
) -> FrameStamps:
    """Stamps of the frames captured at these times, 0 where there are none."""
    at, rows = [], [np.zeros((0, 3), np.int64)]
    for block in joined(blocks):
        at.append(block.log_utc_ns)
        template = wire.frame_stamp_template()
        same = bool((block.lengths == template.length).all())
        words = template.extract_words(block.data, block.starts) if same else None
        if words is None:
            with as_its_schema():
                messages = [decoder().decode(payload) for payload in block.payloads()]
                found = [(m.device_ns, m.receive_utc_ns, m.exposure_ns) for m in messages]
                rows.append(np.array(found, np.int64).reshape(-1, 3))
        else:
            rows.append(words[:, 1:])
    times, stamps = monotonic(concatenated(at)), np.concatenate(rows)
    out = np.zeros((len(capture_ns), 3), np.int64)
    if len(times) and len(capture_ns):
        place = np.minimum(np.searchsorted(times, capture_ns), len(times) - 1)
        same_frame = times[place] == capture_ns
        out[same_frame] = stamps[place[same_frame]]
    receive_ns = np.where(out[:, 1] != 0, monotonic(out[:, 1]), 0)
    return FrameStamps(device_ns=out[:, 0], receive_ns=receive_ns, exposure_ns=out[:, 2])


def audio_track(header: AudioHeader, blocks: Iterable[Block], monotonic: ToMonotonic) -> AudioTrack:
    """Sound from its blocks (foxglove.RawAudio, pcm-s16).

    Raises:
        EpisodeError: A block is no whole number of sample frames.
    """
    times: list[IntArray] = []
    samples = [np.zeros((0, header.channels), np.int16)]
    for block in blocks:
        for at_ns, payload in zip(block.log_utc_ns.tolist(), block.payloads(), strict=True):
            raw = dict(wire.fields(payload)).get(2)
            if not isinstance(raw, bytes) or len(raw) % (2 * header.channels):
                raise EpisodeError(f"A sound block of {header.name} is cut off")
            heard = np.frombuffer(raw, "<i2").astype(np.int16).reshape(-1, header.channels)
            times.append(at_ns + np.arange(len(heard), dtype=np.int64) * NS_PER_S // header.rate_hz)
            samples.append(heard)
    return AudioTrack(header, monotonic(concatenated(times)), np.concatenate(samples))


def clock_fits(blocks: Iterable[Block], stream: str, monotonic: ToMonotonic) -> tuple[ClockFit, ...]:
    """How a device's clock mapped to the host's, as fitted over the episode."""
    found: list[ClockFit] = []
    for block in blocks:
        for at_ns, payload in zip(block.log_utc_ns.tolist(), block.payloads(), strict=True):
            values = dict(wire.fields(payload))
            drift = doubles(values.get(5))
            at, host = monotonic(np.array([at_ns, signed(values.get(4))], np.int64)).tolist()
            found.append(
                ClockFit(
                    stream=stream,
                    capture_ns=at,
                    device_ref_ns=signed(values.get(3)),
                    host_ref_ns=host,
                    drift_ppm=float(drift[0]) if len(drift) else 0.0,
                    spread_ns=signed(values.get(6)),
                    samples=signed(values.get(7)),
                )
            )
    return tuple(found)


def depth_image(message: bytes) -> DepthImage:
    """The depth image in a foxglove.CompressedImage, shape (height, width), counts.

    Raises:
        EpisodeError: It is no 16-bit PNG, or too large.
    """
    png = dict(wire.fields(message)).get(2)
    if not isinstance(png, bytes) or not png.startswith(b"\x89PNG"):
        raise EpisodeError("A depth message holds no PNG")
    width, height = np.frombuffer(png[_PNG_SIZE].ljust(8, b"\0"), ">u4").tolist()
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise EpisodeError(
            f"A depth image of {width}x{height} is not read", why=f"the limit is {MAX_SIDE_PX}"
        )
    try:
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise EpisodeError("A depth image cannot be decoded", why=str(error)) from error
    if image is None or image.dtype != np.uint16 or image.shape != (height, width):
        raise EpisodeError("A depth image is damaged", why="it is no whole 16-bit grey PNG")
    return np.asarray(image, np.uint16)
