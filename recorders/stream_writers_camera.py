"""Writes what cameras deliver: encoded video, depth images, and the times of both."""

from __future__ import annotations

import struct

from recorders import message_bodies, messages
from recorders.message_sink import FUTURE, UNDECLARED, MessageSink
from recorders.picture_chain import PictureChain
from recorders.schema import (
    CameraHeader,
    EpisodeHeader,
    topic_calibration,
    topic_depth,
    topic_depth_stamps,
    topic_stamps,
    topic_video,
)
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import DepthPacket, VideoPacket

_PNG_HEAD = struct.Struct(">8sI4sIIBB")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY_16_BIT = (16, 0)
NO_PNG = "it was no 16-bit grey PNG of its size"
NEW_SIZE = "its size changed during the episode"
NEW_UNIT = "its unit is not the one that the episode began with"


class CameraWriter:
    """Frames and depth images of the cameras that the header names."""

    def __init__(self, sink: MessageSink, header: EpisodeHeader) -> None:
        self._sink = sink
        self._ledger = sink.ledger
        self._cameras = {camera.name: camera for camera in header.cameras}
        self._chains = {name: PictureChain() for name in self._cameras}
        self._frame_times = {name: sink.times[topic_video(name)] for name in self._cameras}
        self._depth_sizes: dict[str, tuple[int, int]] = {}

    def add_calibrations(self, at_ns: int) -> None:
        """Each camera's calibration, once."""
        for camera in self._cameras.values():
            payload = self._sink.stamp(at_ns) + message_bodies.calibration_body(camera)
            topic = topic_calibration(camera.name)
            self._sink.put(topic, messages.CAMERA_CALIBRATION, at_ns, payload, at_ns, 0)

    def frames(self, camera: str) -> int:
        """Frames of a camera written so far."""
        return self._ledger.counts[topic_video(camera)]

    def add_packet(self, packet: VideoPacket) -> bool:
        """An encoded frame; whether it was written."""
        topic = topic_video(packet.camera)
        camera = self._cameras.get(packet.camera)
        if camera is None:
            self._ledger.refuse(topic, UNDECLARED)
            return False
        lost = self._ledger.lost[topic]
        at_ns = packet.capture_ns
        seq = self._ledger.continued(topic, packet.seq, at_ns, NS_PER_S // camera.fps)
        if (packet.width, packet.height) != (camera.width, camera.height):
            self._ledger.refuse(topic, NEW_SIZE)
        elif packet.receive_ns and at_ns > packet.receive_ns + NS_PER_S:
            self._ledger.refuse(topic, FUTURE)
        elif self._sink.in_order(topic, at_ns):
            return self._add_frame(topic, packet, seq, self._ledger.lost[topic] - lost)
        return False

    def _add_frame(self, topic: str, packet: VideoPacket, seq: int, missing: int) -> bool:
        chain = self._chains[packet.camera]
        if not chain.accepts(packet.payload, missing):
            reason = "it builds on a frame that was lost" if chain.started else "no keyframe came before it"
            self._ledger.refuse(topic, reason)
            return False
        at_ns = packet.capture_ns
        payload = self._sink.stamp(at_ns) + message_bodies.video_body(packet.camera, packet.payload)
        if not self._sink.put(topic, messages.COMPRESSED_VIDEO, at_ns, payload, packet.encoded_ns, seq):
            return False
        self._add_stamps(topic_stamps(packet.camera), packet, seq)
        self._frame_times[packet.camera].append(at_ns)
        return True

    def add_depth(self, packet: DepthPacket) -> bool:
        """A depth image; whether it was written."""
        topic, at_ns = topic_depth(packet.camera), packet.capture_ns
        camera = self._cameras.get(packet.camera)
        if camera is None or not camera.depth_unit_m:
            self._ledger.refuse(topic, UNDECLARED)
            return False
        seq = self._ledger.continued(topic, packet.seq, at_ns, NS_PER_S // camera.fps)
        if reason := self._refusal(packet, camera):
            self._ledger.refuse(topic, reason)
        elif self._sink.in_order(topic, at_ns):
            payload = self._sink.stamp(at_ns) + message_bodies.depth_body(packet.camera, packet.payload)
            ready_ns = packet.encoded_ns
            if self._sink.put(topic, messages.COMPRESSED_IMAGE, at_ns, payload, ready_ns, seq):
                self._add_stamps(topic_depth_stamps(packet.camera), packet, seq)
                self._sink.times[topic].append(at_ns)
                return True
        return False

    def _refusal(self, packet: DepthPacket, camera: CameraHeader) -> str:
        size = packet.width, packet.height
        if packet.unit_m != camera.depth_unit_m:
            return NEW_UNIT
        if packet.receive_ns and packet.capture_ns > packet.receive_ns + NS_PER_S:
            return FUTURE
        if not _is_grey_png(packet.payload, size):
            return NO_PNG
        return "" if self._depth_sizes.setdefault(packet.camera, size) == size else NEW_SIZE

    def _add_stamps(self, topic: str, packet: VideoPacket | DepthPacket, seq: int) -> None:
        if packet.receive_ns or packet.device_ns or packet.exposure_ns:
            times = packet.device_ns, packet.receive_ns, packet.exposure_ns
            self._sink.put_stamps(topic, packet.capture_ns, seq, *times)


def _is_grey_png(payload: bytes, size: tuple[int, int]) -> bool:
    if len(payload) < _PNG_HEAD.size:
        return False
    signature, _, kind, width, height, *depth = _PNG_HEAD.unpack_from(payload)
    known = signature == _PNG_SIGNATURE and kind == b"IHDR"
    return known and (width, height) == size and tuple(depth) == _GREY_16_BIT
