"""What is written at the start of an episode: who, what, where, and the station as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import teleop_app
from recorders.schema import AudioHeader, CameraHeader, EpisodeHeader, LatencyHeader, StreamHeader
from recorders.writer import Attachment
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import NS_PER_MS, ClockAnchor
from teleop_app.core.config import LatencySection, StationConfig, station_text
from teleop_app.core.types import CameraSetup, StreamSetup
from teleop_app.station.device_roster import calibrations_in_force, joint_names, robot_type, station_devices
from teleop_app.station.recorder_catalog import OpenSession
from teleop_app.station.scene_preparation import Scene

logger = logging.getLogger(__name__)


def episode_header(
    uuid: str,
    config: StationConfig,
    session: OpenSession,
    scene: Scene,
    cameras: Mapping[str, CameraSetup],
    force_sensors: tuple[str, ...],
    *,
    start_ns: int = 0,
    streams: Iterable[StreamSetup] = (),
    audio: Iterable[AudioHeader] = (),
) -> EpisodeHeader:
    """Header of an episode that starts about now.

    Args:
        uuid: Of the episode.
        config: The station.
        session: The sitting.
        scene: As it stands, with the instruction to be shown.
        cameras: What each camera delivers; configured ones that are not there are left out.
        force_sensors: Names of the force sensors.
        start_ns: The record key, CLOCK_MONOTONIC [ns].
        streams: Numeric streams that introduced themselves.
        audio: Microphones that were heard.
    """
    anchor = ClockAnchor.now()
    return EpisodeHeader(
        uuid=uuid,
        started_utc_ns=anchor.to_utc_ns(start_ns) if start_ns else anchor.utc_ns,
        anchor_monotonic_ns=anchor.monotonic_ns,
        anchor_utc_ns=anchor.utc_ns,
        station=config.station.name,
        embodiment=config.station.embodiment,
        operator=session.operator,
        session=session.id,
        task=session.task,
        instruction=scene.instruction,
        paraphrases=scene.paraphrases or session.paraphrases,
        seed=scene.seed,
        robot_type=robot_type(config),
        arms=tuple(arm.name for arm in config.arms),
        joint_names=joint_names(config),
        control_rate_hz=config.control.rate_hz,
        cameras=tuple(
            _camera_header(cameras[section.name]) for section in config.cameras if section.name in cameras
        ),
        force_sensors=force_sensors,
        software=teleop_app.__version__,
        start_ns=start_ns,
        streams=tuple(stream_header(setup) for setup in streams),
        audio=tuple(audio),
        latencies=tuple(_latency_header(section) for section in config.latencies),
        devices=station_devices(config),
    )


def _latency_header(section: LatencySection) -> LatencyHeader:
    return LatencyHeader(
        stream=section.stream,
        latency_ns=round(section.latency_ms * NS_PER_MS),
        spread_ns=round(section.spread_ms * NS_PER_MS),
        method=section.method,
        measured_utc=section.measured_utc,
    )


def stream_header(setup: StreamSetup) -> StreamHeader:
    """A numeric stream as an episode names it."""
    return StreamHeader(
        name=setup.name,
        kind=setup.kind,
        values=setup.values,
        unit=setup.unit,
        frame=setup.frame,
        rate_hz=setup.rate_hz,
        resampling=setup.resampling.value,
    )


def _camera_header(setup: CameraSetup) -> CameraHeader:
    return CameraHeader(
        name=setup.name,
        width=setup.width,
        height=setup.height,
        fps=setup.fps,
        codec="h264",
        encoder=setup.encoder,
        intrinsics=tuple(float(value) for value in setup.intrinsics.reshape(-1)),
        parent=setup.parent,
        parent_T_camera=tuple(float(value) for value in setup.parent_T_camera.reshape(-1)),
        depth_unit_m=setup.depth_unit_m,
        latency_ns=setup.latency_ns,
        distortion=setup.distortion,
    )


def episode_attachments(config: StationConfig, robot_model: str = "") -> tuple[Attachment, ...]:
    """The station file, and the MJCF text of the robot when there is one."""
    found = [Attachment("station.toml", "application/toml", station_text(config).encode())]
    if robot_model:
        found.append(Attachment("robot.xml", "application/xml", robot_model.encode()))
    return tuple(found)


def calibration_attachments(config: StationConfig, store: CalibrationStore) -> tuple[Attachment, ...]:
    """The calibrations in force, `calibrations/<folder>/<serial>.toml`; unreadable ones are left out."""
    found: list[Attachment] = []
    for path in calibrations_in_force(config, store.files()):
        try:
            text = path.read_bytes()
        except OSError as error:
            logger.warning("the calibration %s is not kept with the episode: %s", path, error)
            continue
        name = f"calibrations/{path.parent.name}/{path.name}"
        found.append(Attachment(name, "application/toml", text))
    return tuple(found)
