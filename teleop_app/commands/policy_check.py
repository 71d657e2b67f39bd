"""What `teleop policy check` asks with: the beginning of the newest episode, or made-up measurements."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from recorders.reader import EpisodeReader
from teleop_app.autonomy.view import CameraView, CellLayout, StationView
from teleop_app.core.errors import EpisodeError

logger = logging.getLogger(__name__)

_GREY = 128
_INSTRUCTION = "pick up the cube"


def camera_sizes(episodes: Path) -> dict[str, tuple[int, int]]:
    """Sizes (width, height) [px] of the cameras as of the newest episode; empty when there is none."""
    path = _newest(episodes)
    if path is None:
        return {}
    try:
        with EpisodeReader(path, open_truncated=True) as reader:
            return {camera.name: (camera.width, camera.height) for camera in reader.header.cameras}
    except EpisodeError as error:
        logger.info("the newest episode tells no sizes: %s", error.sentence)
        return {}


def trial_view(episodes: Path, layout: CellLayout) -> tuple[StationView, str]:
    """The station as a policy may see it without one running, and in words where that is from.

    Args:
        episodes: Folder of the store.
        layout: Of the station.
    """
    path, seen = _newest(episodes), None
    if path is not None:
        try:
            seen = _seen(path, layout)
        except EpisodeError as error:
            logger.info("the newest episode is not asked with: %s", error.sentence)
    if path is None or seen is None:
        return _made_up(layout), "made-up measurements and grey pictures"
    return seen, f"the beginning of episode {path.stem[:8]}"


def _newest(episodes: Path) -> Path | None:
    return max(episodes.glob("*.mcap"), key=lambda path: path.stat().st_mtime, default=None)


def _seen(path: Path, layout: CellLayout) -> StationView | None:
    """First moment of an episode at which everything is known; None when it is of another robot or camera."""
    with EpisodeReader(path, open_truncated=True) as reader:
        joints = reader.joints("measured")
        known = np.flatnonzero(np.isfinite(joints.position).all(axis=1))
        if joints.names != layout.joint_names or not len(known):
            return None
        if not set(layout.cameras) <= {camera.name for camera in reader.header.cameras}:
            return None
        now_ns = int(joints.capture_ns[known[0]])
        cameras: dict[str, CameraView] = {}
        for name in layout.cameras:
            number = reader.frame_number(name, at_ns=now_ns)
            if number is None:
                return None
            cameras[name] = CameraView(reader.frame(name, number), now_ns)
        measured = joints.position[known[0]]
        return StationView(
            capture_ns=now_ns,
            policy_ns=0,
            measured=measured,
            measured_velocity=np.zeros_like(measured),
            sent=measured,
            cameras=cameras,
            instruction=reader.header.instruction,
            task=reader.header.task,
        )


def _made_up(layout: CellLayout) -> StationView:
    """Every joint in the middle of its range, grippers open, grey pictures."""
    measured = (layout.lower + layout.upper) / 2.0
    measured[list(layout.gripper_of.values())] = 1.0
    pictures = {
        name: np.full((height, width, 3), _GREY, np.uint8) for name, (width, height) in layout.cameras.items()
    }
    return StationView(
        capture_ns=1,
        policy_ns=0,
        measured=measured,
        measured_velocity=np.zeros_like(measured),
        sent=measured,
        cameras={name: CameraView(picture, 1) for name, picture in pictures.items()},
        instruction=_INSTRUCTION,
    )
