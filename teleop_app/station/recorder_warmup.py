"""Does once, at the start, what would else make the first record or stop of a station slow."""

from __future__ import annotations

import logging
import tempfile
import uuid
from pathlib import Path
from typing import Final

import numpy as np

from recorders.video import H264Encoder
from recorders.writer import EpisodeWriter
from teleop_app.core.config import StationConfig
from teleop_app.core.types import CameraSetup, VideoPacket
from teleop_app.station.episode_head import episode_attachments, episode_header
from teleop_app.station.episode_recording import Recording
from teleop_app.station.recorder_catalog import OpenSession
from teleop_app.station.scene_preparation import Scene

logger = logging.getLogger(__name__)
_WIDTH: Final = 64
_HEIGHT: Final = 48
_SESSION: Final = OpenSession("", "", "", "", "", (), 0)


def warm_up(config: StationConfig, robot_model: str) -> None:
    """Write a small episode into a temporary folder: imports, the robot's model, codecs, schemas.

    Args:
        config: The station's.
        robot_model: MJCF text of the robot.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="teleop-warm-up") as folder:
            _write_episode(Path(folder), config, robot_model)
    except Exception:  # what fails here fails at the first recording too, and is told there
        logger.exception("the recorder could not be warmed up")


def _write_episode(folder: Path, config: StationConfig, robot_model: str) -> None:
    camera = CameraSetup(
        name=config.cameras[0].name if config.cameras else "camera",
        width=_WIDTH,
        height=_HEIGHT,
        fps=30,
        encoder="",
        ring="",
        intrinsics=np.eye(3),
        parent="world",
        parent_T_camera=np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
    )
    header = episode_header(str(uuid.uuid4()), config, _SESSION, Scene(), {camera.name: camera}, ())
    writer = EpisodeWriter(
        folder / "open.mcap",
        header,
        destination=folder / "kept.mcap",
        attachments=episode_attachments(config, robot_model),
    )
    start_ns = header.anchor_monotonic_ns
    recording = Recording(writer, start_ns)
    if header.cameras:
        payload = H264Encoder(_WIDTH, _HEIGHT, 30).encode(np.zeros((_HEIGHT, _WIDTH, 3), np.uint8))
        packet = VideoPacket(camera.name, 0, start_ns, start_ns, True, _WIDTH, _HEIGHT, payload)
        recording.take(packet, start_ns)
    recording.finish("unknown", start_ns)
