"""What an episode of the recording path says when every frame is decoded and compared with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.camera_bank import instant_of
from benchmarks.episode_figures import frame_loss, tick_loss
from benchmarks.pictures import Pictures
from benchmarks.quality import psnr_db, ssim
from devices.sim.barcode import WRAP_US, read_barcode
from recorders.reader import EpisodeReader
from recorders.schema import topic_video
from teleop_app.core.clock import NS_PER_MS, NS_PER_S


def look(path: Path, bank: Path | str, graded: int) -> dict[str, Any]:
    """Every frame: its picture against its stamp. Every joint sample: its value against its stamp.

    Args:
        path: The episode.
        bank: The pictures that its cameras showed.
        graded: Frames a camera whose quality is measured.
    """
    pictures = Pictures(bank)
    with EpisodeReader(path) as reader:
        loss = frame_loss(reader)
        counted = sum(reader.footer.lost.get(topic_video(name), 0) for name in loss)
        lost = sum(each.lost for each in loss.values())
        found: dict[str, Any] = {
            "due": sum(each.due for each in loss.values()),
            "lost": lost,
            "counted": counted,
            "lost_by_reason": reader.footer.lost_by_reason,
            "ticks": tick_loss(reader).due,
            "ticks_lost": tick_loss(reader).lost,
            "joints_off_ms": _joints_off_ms(reader),
            "wrong": 0,
            "illegible": 0,
            "frames": 0,
        }
        quality: list[tuple[float, float]] = []
        for number, camera in enumerate(reader.header.cameras):
            quality += _look_at(reader, camera.name, number, pictures, graded, found)
    return found | {
        "psnr": float(np.median([each[0] for each in quality])),
        "ssim": float(np.median([each[1] for each in quality])),
        "bytes": path.stat().st_size,
    }


def _look_at(
    reader: EpisodeReader, camera: str, number: int, pictures: Pictures, graded: int, found: dict[str, Any]
) -> list[tuple[float, float]]:
    track = reader.video(camera)
    every = max(1, len(track.seq) // graded)
    quality: list[tuple[float, float]] = []
    for index, image in enumerate(reader.frames(camera)):
        capture_ns = int(track.capture_ns[index])
        code = read_barcode(image)
        found["frames"] += 1
        found["illegible"] += code is None
        found["wrong"] += code is not None and code != capture_ns // 1000 % WRAP_US
        if index % every == 0:
            source = pictures.plain(number, instant_of(capture_ns, track.camera.fps))
            quality.append((psnr_db(image, source), ssim(image, source)))
    return quality


def _joints_off_ms(reader: EpisodeReader) -> float:
    """Largest distance between the time that a joint sample holds and its stamp."""
    measured = reader.joints("measured")
    held_ns = np.round(measured.position[:, 0] * NS_PER_S)
    return float(np.max(np.abs(held_ns - measured.capture_ns))) / NS_PER_MS
