"""Sensor streams made of arithmetic, each at its own rate and with a device clock that drifts."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from recorders.schema import AudioHeader, CameraHeader, EpisodeHeader, StreamHeader
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import AudioBlock, ClockFit, DepthPacket, Resampling, StreamBatch

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
WRENCH = StreamHeader(
    "left/wrench",
    "wrench",
    ("fx", "fy", "fz", "tx", "ty", "tz"),
    "N, N m",
    "left/gripper_link",
    1000.0,
    Resampling.LINEAR.value,
)
HEADSET = StreamHeader(
    "headset", "pose", ("x", "y", "z", "qw", "qx", "qy", "qz"), "m", "world", 90.0, Resampling.SLERP.value
)
MICROPHONE = AudioHeader("room", 16_000, 1)
DEPTH_UNIT_M = 0.001
DRIFT_PPM = 20.0
"""How much faster the host's clock runs than the devices'."""
_BATCH_S = 0.01
_BLOCK_FRAMES = 320
_TRANSPORT_NS = 2_000_000


def stream_values(stream: StreamHeader, seconds: Array) -> Array:
    """What a stream shows `seconds` after the start, shape (k, n); poses turn about z at 1 rad/s."""
    columns = np.arange(len(stream.values))
    values = np.sin(2.0 * seconds[:, None] + columns)
    if stream.kind == "pose":
        half = seconds / 2.0
        values[:, 3:] = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)
    return values


def device_time(capture_ns: IntArray, start_ns: int) -> IntArray:
    """The device's stamps of these instants: its clock began 7 s before the episode, and it is slow."""
    since = (capture_ns - start_ns).astype(np.float64)
    return 7 * NS_PER_S + np.rint(since / (1 + DRIFT_PPM * 1e-6)).astype(np.int64)


def synthetic_batches(stream: StreamHeader, seconds: float, start_ns: int) -> Iterator[StreamBatch]:
    """A stream at its rate, in batches of 10 ms or of one sample where that is less."""
    total = round(seconds * stream.rate_hz)
    size = max(1, round(stream.rate_hz * _BATCH_S))
    for first in range(0, total, size):
        seq = np.arange(first, min(first + size, total))
        times = start_ns + np.rint(seq * (NS_PER_S / stream.rate_hz)).astype(np.int64)
        yield StreamBatch(
            stream=stream.name,
            seq=first,
            capture_ns=times,
            values=stream_values(stream, (times - start_ns) / NS_PER_S),
            device_ns=device_time(times, start_ns),
            receive_ns=int(times[-1]) + _TRANSPORT_NS,
        )


def synthetic_sound(source: AudioHeader, seconds: float, start_ns: int) -> Iterator[AudioBlock]:
    """A tone of 440 Hz in blocks of 20 ms."""
    for first in range(0, round(seconds * source.rate_hz), _BLOCK_FRAMES):
        frames = np.arange(first, first + _BLOCK_FRAMES)
        tone = (8000 * np.sin(2 * np.pi * 440 * frames / source.rate_hz)).astype("<i2")
        at_ns = start_ns + first * NS_PER_S // source.rate_hz
        yield AudioBlock(
            source=source.name,
            seq=first,
            capture_ns=at_ns,
            receive_ns=at_ns + _BLOCK_FRAMES * NS_PER_S // source.rate_hz + _TRANSPORT_NS,
            rate_hz=source.rate_hz,
            channels=source.channels,
            payload=np.repeat(tone, source.channels).tobytes(),
        )


def depth_image(camera: CameraHeader, index: int) -> NDArray[np.uint16]:
    """A tilted plane that moves, with a patch of no reading, shape (height, width)."""
    y, x = np.mgrid[0 : camera.height, 0 : camera.width]
    depth = (600 + 4 * y + x // 4 + 10 * index).astype(np.uint16)
    depth[: camera.height // 8, : camera.width // 8] = 0
    return depth


def synthetic_depth(camera: CameraHeader, seconds: float, start_ns: int) -> Iterator[DepthPacket]:
    """Depth images of a camera, at the instants of its frames."""
    for index in range(round(seconds * camera.fps)):
        at_ns = start_ns + round(index * NS_PER_S / camera.fps)
        _, png = cv2.imencode(".png", depth_image(camera, index))
        yield DepthPacket(
            camera=camera.name,
            seq=index,
            capture_ns=at_ns,
            encoded_ns=at_ns + 5_000_000,
            width=camera.width,
            height=camera.height,
            unit_m=camera.depth_unit_m,
            payload=png.tobytes(),
            receive_ns=at_ns + _TRANSPORT_NS,
        )


def synthetic_clocks(header: EpisodeHeader, seconds: float, start_ns: int) -> Iterator[ClockFit]:
    """A fit a second of the clock of each numeric stream."""
    for second in range(int(seconds)):
        at_ns = start_ns + second * NS_PER_S
        for stream in header.streams:
            device_ns = int(device_time(np.array([at_ns], np.int64), start_ns)[0])
            yield ClockFit(stream.name, at_ns, device_ns, at_ns, DRIFT_PPM, 50_000, 100 * (second + 1))
