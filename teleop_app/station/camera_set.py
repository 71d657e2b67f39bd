"""Makes the cameras of a station: their size and rate, encoder, ring and description."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Final

import numpy as np

from devices.cameras.depth import DepthImage, DepthSource
from devices.cameras.source import CameraFormat, FrameSource, Image, RealCameras
from recorders.encoder_choice import EncoderChoice, choose_encoder
from recorders.schema import topic_depth, topic_video
from recorders.video import H264Encoder
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import CameraSection
from teleop_app.core.errors import ConfigError
from teleop_app.core.ring import RingWriter, camera_ring
from teleop_app.core.types import CameraSetup
from teleop_app.station.encoder_lane import DepthLane, Encoded, EncoderLane
from teleop_app.station.frame_stamps import FrameStamps
from teleop_app.station.process import ProcessContext

logger = logging.getLogger(__name__)
RING_SLOTS: Final = 4
_RATE_WINDOW_NS: Final = 2 * NS_PER_S


@dataclass(slots=True)
class CameraDepth:
    """Depth of one camera: where it comes from, its image, and what packs it."""

    source: DepthSource
    image: DepthImage
    lane: DepthLane


@dataclass(slots=True)
class StationCamera:
    """One camera at work.

    Attributes:
        name: Camera name.
        source: Where its frames come from.
        stamps: Takes its frames and times them.
        size: What it delivers.
        ring: Takes its raw frames.
        lane: Encodes them.
        setup: Its description.
        image: The frame that is being shared and encoded.
        depth: The depth that is being packed, None for a camera without.
        lost: Frames of the grid that were not delivered.
        untold: Those that were not announced yet, by topic and reason.
        delivered: At least one frame went out.
        fresh_ns: When its last frame was taken.
        taken_ns: When the frames of the last two seconds were encoded.
    """

    name: str
    source: FrameSource
    stamps: FrameStamps
    size: CameraFormat
    ring: RingWriter
    lane: EncoderLane
    setup: CameraSetup
    image: Image
    depth: CameraDepth | None = None
    lost: int = 0
    untold: Counter[tuple[str, str]] = field(default_factory=lambda: Counter[tuple[str, str]]())
    delivered: bool = False
    fresh_ns: int = 0
    taken_ns: deque[int] = field(default_factory=deque)

    def lose(self, count: int, reason: str, *, video: bool = True, depth: bool = True) -> None:
        """Frames that will not be delivered, and why, as the end of `missing because ...`."""
        if count and video:
            self.lost += count
            self.untold[topic_video(self.name), reason] += count
        if count and depth and self.depth is not None:
            self.untold[topic_depth(self.name), reason] += count

    def rate_hz(self, now_ns: int) -> float:
        """Frames a second over the last two seconds."""
        while self.taken_ns and self.taken_ns[0] < now_ns - _RATE_WINDOW_NS:
            self.taken_ns.popleft()
        return len(self.taken_ns) * NS_PER_S / _RATE_WINDOW_NS


def open_cameras(
    context: ProcessContext,
    sources: Mapping[str, FrameSource],
    executor: Executor,
    results: SimpleQueue[Encoded],
) -> dict[str, StationCamera]:
    """Choose sizes, open the sources, rings and encoders of all cameras of the station file, by name.

    Args:
        context: Of the cameras process.
        sources: By driver name.
        executor: Runs the encoders.
        results: Takes what they make.

    Raises:
        ConfigError: A camera or its driver does not exist, its size is out of range, or the encoder that
            the station file asks for does not work here.
        DeviceError: A source or an encoder cannot deliver.
    """
    sections = context.config.cameras
    formats = _choose_formats(sections, sources)
    for driver in dict.fromkeys(section.driver for section in sections):
        wanted = {each.name: formats[each.name] for each in sections if each.driver == driver}
        source = sources[driver]
        source.open(wanted)
        if isinstance(source, RealCameras):
            formats |= {name: source.delivered(name) for name in wanted}
    encoder = choose_encoder(context.config.recording.encoder)
    logger.info("encoder: %s", encoder.reason)
    cameras: dict[str, StationCamera] = {}
    for section in sections:
        name, source = section.name, sources[section.driver]
        cameras[name] = _open_camera(context, name, source, formats[name], encoder, executor, results)
    return cameras


def _choose_formats(
    sections: list[CameraSection], sources: Mapping[str, FrameSource]
) -> dict[str, CameraFormat]:
    suggested: dict[str, CameraFormat] = {}
    formats: dict[str, CameraFormat] = {}
    for section in sections:
        driver = section.driver
        if driver not in sources:
            raise ConfigError(
                f"The station file names an unknown camera driver '{driver}'",
                next_step=f"Choose one of: {', '.join(sorted(sources))}",
            )
        fixed = section.width > 0 and section.fps > 0
        if not fixed and driver not in suggested:
            suggested[driver] = sources[driver].suggest(sum(each.driver == driver for each in sections))
        formats[section.name] = replace(_format(section, suggested.get(driver)), depth=section.depth)
    return formats


def _open_camera(
    context: ProcessContext,
    name: str,
    source: FrameSource,
    size: CameraFormat,
    encoder: EncoderChoice,
    executor: Executor,
    results: SimpleQueue[Encoded],
) -> StationCamera:
    recording = context.config.recording

    def make(size: CameraFormat) -> H264Encoder:
        return H264Encoder(
            size.width,
            size.height,
            size.fps,
            recording.preset,
            recording.crf,
            recording.keyframe_frames,
            encoder.codec,
        )

    path = context.rings / camera_ring(name)
    lane = EncoderLane(name, size, make, executor, results, context.clock)
    parent, parent_T_camera = source.mount(name)
    unit_m = _depth_unit_m(name, source) if size.depth else 0.0
    setup = CameraSetup(
        name=name,
        width=size.width,
        height=size.height,
        fps=size.fps,
        encoder=lane.encoder_name,
        ring=str(path),
        intrinsics=source.intrinsics(name),
        parent=parent,
        parent_T_camera=parent_T_camera,
        reason=f"{size.reason} Encoder: {encoder.reason}",
        depth_unit_m=unit_m,
        latency_ns=context.config.latency_ns(name),
        distortion=tuple(source.distortion(name).tolist()) if isinstance(source, RealCameras) else (),
        serial=source.serial(name) if isinstance(source, RealCameras) else "",
    )
    depth = None
    if unit_m and isinstance(source, DepthSource):
        depth = CameraDepth(
            source,
            np.zeros((size.height, size.width), np.uint16),
            DepthLane(name, unit_m, executor, results, context.clock),
        )
    return StationCamera(
        name=name,
        source=source,
        stamps=FrameStamps(name, source, setup.latency_ns, context.clock),
        size=size,
        ring=RingWriter(path, size.width * size.height * 3, RING_SLOTS),
        lane=lane,
        setup=setup,
        image=np.zeros((size.height, size.width, 3), dtype=np.uint8),
        depth=depth,
    )


def _depth_unit_m(name: str, source: FrameSource) -> float:
    if not isinstance(source, DepthSource):
        raise ConfigError(
            f"Camera '{name}' is to record depth, which its driver does not deliver",
            next_step="Set depth = false for it in the station file",
        )
    return source.depth_unit_m(name)


def _format(section: CameraSection, suggested: CameraFormat | None) -> CameraFormat:
    """What the station file fixes, and the suggestion for what it leaves open."""
    if suggested is None:
        text = f"The station file asks for {section.width}x{section.height} at {section.fps}/s."
        return CameraFormat(section.width, section.height, section.fps, text)
    chosen = suggested
    if section.width > 0:
        text = f"The station file asks for {section.width}x{section.height}; the rate was measured. "
        chosen = replace(chosen, width=section.width, height=section.height, reason=text + suggested.reason)
    if section.fps > 0:
        text = f"The station file asks for {section.fps}/s; the size was measured. "
        chosen = replace(chosen, fps=section.fps, reason=text + suggested.reason)
    return chosen
