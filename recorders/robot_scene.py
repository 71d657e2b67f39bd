"""The robot as viewers draw it: its links as shapes, once, and where links and cameras are, as transforms."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recorders import messages, wire
from recorders.message_sink import MessageSink
from recorders.robot_description import robot_description
from recorders.robot_kinematics import RobotKinematics
from recorders.robot_shapes import scene_update
from recorders.schema import TOPIC_DESCRIPTION, TOPIC_ROBOT, TOPIC_TRANSFORMS, EpisodeHeader
from teleop_app.core.clock import NS_PER_S

Array = NDArray[np.float64]
_PERIOD_NS = NS_PER_S // 30


class RobotScene:
    """Writes `/robot/scene`, `/robot_description` and `/tf` of one episode.

    Args:
        sink: The open file.
        header: Names the joints and the cameras with their mounts.
        mjcf: The robot's model, empty when there is none: then only fixed cameras are placed.

    Raises:
        EpisodeError: The model cannot be used.
    """

    def __init__(self, sink: MessageSink, header: EpisodeHeader, mjcf: str) -> None:
        self._sink = sink
        mounted = [camera for camera in header.cameras if len(camera.parent_T_camera) == 7]
        self._cameras = np.array([camera.parent_T_camera for camera in mounted]).reshape(-1, 7)
        self._cameras = self._cameras[:, [0, 1, 2, 4, 5, 6, 3]]
        camera_frames = [(camera.parent, camera.name) for camera in mounted]
        parents = [camera.parent for camera in mounted]
        self._kinematics: RobotKinematics | None = None
        self._description = b""
        if mjcf:
            self._kinematics, self._description = _robot(mjcf, header.joint_names, tuple(parents))
        link_frames = (
            zip(self._kinematics.parents, self._kinematics.links, strict=True) if self._kinematics else ()
        )
        self._template = _TransformsTemplate([*camera_frames, *link_frames])
        self._due_ns = 0

    def begin(self, at_ns: int) -> None:
        """The robot's shapes; or the cameras, when no robot will place them."""
        if self._kinematics is not None:
            payload = scene_update(self._kinematics, at_ns + self._sink.offset_ns)
            self._sink.put(TOPIC_ROBOT, messages.SCENE_UPDATE, at_ns, payload, at_ns, 0)
            payload = self._description
            self._sink.put(TOPIC_DESCRIPTION, messages.ROS_STRING, at_ns, payload, at_ns, 0)
        elif len(self._cameras):
            self._put(at_ns, at_ns, self._cameras)

    def add_measured(self, vector: Array, at_ns: int, ready_ns: int) -> None:
        """Place everything for a measured joint vector, at most 30 times a second.

        Raises:
            StorageError: The disk refused an earlier chunk.
        """
        if self._kinematics is None or at_ns < self._due_ns:
            return
        self._due_ns = max(self._due_ns, at_ns - _PERIOD_NS) + _PERIOD_NS
        self._put(at_ns, ready_ns, np.concatenate([self._cameras, self._kinematics.poses(vector)]))

    def _put(self, at_ns: int, ready_ns: int, poses: Array) -> None:
        seq = self._sink.ledger.counts[TOPIC_TRANSFORMS]
        payload = self._template.fill(self._sink.stamp(at_ns), poses)
        self._sink.put(TOPIC_TRANSFORMS, messages.FRAME_TRANSFORMS, at_ns, payload, ready_ns, seq)


@lru_cache(maxsize=4)
def _robot(mjcf: str, joint_names: tuple[str, ...], also: tuple[str, ...]) -> tuple[RobotKinematics, bytes]:
    """The compiled robot and its description, made once for all episodes and files of a process.

    Raises:
        EpisodeError: The model cannot be used.
    """
    kinematics = RobotKinematics(mjcf, joint_names, also)
    return kinematics, robot_description(kinematics)


class _TransformsTemplate:
    """foxglove.FrameTransforms between fixed pairs of frames; only times and poses change."""

    def __init__(self, frames: list[tuple[str, str]]) -> None:
        pose = wire.pose_fields(4, 5)
        body = bytearray()
        stamps: list[int] = []
        numbers: list[int] = []
        for parent, child in frames:
            names = wire.field_text(2, parent) + wire.field_text(3, child)
            length = wire.STAMP_BYTES + len(names) + sum(8 if part is None else len(part) for part in pose)
            body += wire.tag(1, 2) + wire.varint(length)
            stamps.append(len(body))
            body += bytes(wire.STAMP_BYTES) + names
            for part in pose:
                if part is None:
                    numbers.append(len(body))
                body += part or bytes(8)
        self._body = np.frombuffer(bytes(body), np.uint8)
        self._stamps = np.array(stamps, np.intp)[:, None] + np.arange(wire.STAMP_BYTES)
        self._numbers = (np.array(numbers, np.intp)[:, None] + np.arange(8)).reshape(-1)

    def fill(self, stamp: bytes, poses: Array) -> bytes:
        """The message: every transform at `stamp`, poses x y z, quat_xyzw, shape (frames, 7)."""
        body = self._body.copy()
        body[self._stamps] = np.frombuffer(stamp, np.uint8)
        body[self._numbers] = np.ascontiguousarray(poses, "<f8").reshape(-1).view(np.uint8)
        return body.tobytes()
