"""Episodes made faster than real time: genuine x264 packets and every other stream of a station."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.camera_bank import BankFrameSource
from benchmarks.rig import CAMERAS
from devices.cameras.source import CameraFormat
from devices.cameras.synthetic import SyntheticFrameSource
from recorders.schema import EpisodeHeader
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.video import H264Encoder, is_keyframe
from recorders.writer import EpisodeWriter
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import ControlTick, VideoPacket

_ENCODED_NS = 4_000_000
_BEFORE_KEYFRAME = 3


@dataclass(frozen=True, slots=True)
class MadeEpisode:
    """An episode file and how long writing it took (without encoding)."""

    path: Path
    write_s: float


def encoded_cameras(header: EpisodeHeader, seconds: float, bank: Path | None = None) -> list[VideoPacket]:
    """Packets of all cameras of a header, in order of time.

    Args:
        header: Of the episode.
        seconds: Its length.
        bank: Pictures to encode, else those of the synthetic camera.
    """
    names = tuple(each.name for each in header.cameras)
    source = SyntheticFrameSource() if bank is None else BankFrameSource(bank, names)
    source.open({each.name: CameraFormat(each.width, each.height, each.fps, "") for each in header.cameras})
    encoders = {each.name: H264Encoder(each.width, each.height, each.fps) for each in header.cameras}
    packets: list[VideoPacket] = []
    fps = header.cameras[0].fps
    for index in range(round(seconds * fps)):
        capture_ns = header.anchor_monotonic_ns + round(index * NS_PER_S / fps)
        source.latch(capture_ns)
        for each in header.cameras:
            image = np.empty((each.height, each.width, 3), np.uint8)
            source.grab(each.name, image)
            payload = encoders[each.name].encode(image)
            key = is_keyframe(payload)
            ready_ns = capture_ns + _ENCODED_NS
            packets.append(
                VideoPacket(each.name, index, capture_ns, ready_ns, key, each.width, each.height, payload)
            )
    for encoder in encoders.values():
        encoder.close()
    return packets


def make_episodes(
    folder: Path,
    count: int,
    seconds: float,
    *,
    width: int = 640,
    height: int = 480,
    gap: bool = False,
    bank: Path | None = None,
) -> list[MadeEpisode]:
    """Finished episodes of three cameras at 30/s; each is written by the station's own writer.

    Args:
        folder: Must exist.
        count: How many; they show the same pictures.
        seconds: Length of each.
        width: Of the frames [px].
        height: Of the frames [px].
        gap: Leave out a packet of each camera half-way, and so the two frames that build on it: no video can
            be taken over as it is.
        bank: Pictures of that size to show, else those of the synthetic camera.

    Raises:
        StorageError: As the writer.
    """
    header = synthetic_header(CAMERAS, width, height)
    packets = encoded_cameras(header, seconds, bank)
    if gap:
        half_way = round(seconds * header.cameras[0].fps / 2)
        keyframe = max(packet.seq for packet in packets if packet.keyframe and packet.seq <= half_way)
        packets = [packet for packet in packets if packet.seq != keyframe - _BEFORE_KEYFRAME]
    made: list[MadeEpisode] = []
    for _ in range(count):
        header = dataclasses.replace(header, uuid=str(uuid.uuid4()))
        made.append(_write(folder, header, packets, seconds))
    return made


def _write(
    folder: Path, header: EpisodeHeader, packets: Sequence[VideoPacket], seconds: float
) -> MadeEpisode:
    others = list(
        synthetic_samples(dataclasses.replace(header, cameras=()), seconds, header.anchor_monotonic_ns)
    )
    began = time.perf_counter()
    destination = folder / f"{header.uuid}.mcap"
    writer = EpisodeWriter(folder / f".{header.uuid}.mcap", header, destination=destination)
    waiting = iter(packets)
    packet = next(waiting, None)
    for sample in others:
        while isinstance(sample, ControlTick) and packet is not None and packet.capture_ns <= sample.tick_ns:
            feed(writer, packet)
            packet = next(waiting, None)
        feed(writer, sample)
    while packet is not None:
        feed(writer, packet)
        packet = next(waiting, None)
    writer.finish("success")
    return MadeEpisode(destination, time.perf_counter() - began)
