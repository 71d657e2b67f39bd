"""Tries an H.264 encoder as the cameras would use it, and says whether it can be trusted.

Run: python -m recorders.encoder_probe MODULE:NAME

Prints a JSON line. NAME is one of `recorders.video.CODECS`, or a callable of MODULE that makes an encoder
from width, height, rate and keyframe distance. Meant for a process of its own: drivers hang and crash.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from recorders.exporters.h264_units import parameter_sets
from recorders.video import CODECS, H264Decoder, H264Encoder, is_keyframe
from teleop_app.core.errors import TeleopError

WIDTH, HEIGHT, FPS, KEYFRAMES = 640, 480, 30, 15
FRAMES: Final = 30
FORCED: Final = 7
"""This frame is asked to be a keyframe; the next one by itself comes `KEYFRAMES` later."""
MIN_PSNR_DB: Final = 30.0
WORTH: Final = 0.8
"""Hardware is used when it takes at most this share of x264's processor time."""

Image = NDArray[np.uint8]


class Encoder(Protocol):
    """What is tried."""

    def encode(self, rgb: Image, force_keyframe: bool = False) -> bytes:
        """The access unit of one frame."""
        ...


Make = Callable[[int, int, int, int], Encoder]


def fault_of(make: Make) -> tuple[str, float]:
    """What is wrong with an encoder, as the end of a sentence, empty when nothing; its CPU time [ms]."""
    images = _images()
    try:
        encoder = make(WIDTH, HEIGHT, FPS, KEYFRAMES)
        encoder.encode(images[0])  # the first frame starts the driver; it is not timed
        encoder = make(WIDTH, HEIGHT, FPS, KEYFRAMES)
        began = time.process_time()
        packets = [encoder.encode(image, number == FORCED) for number, image in enumerate(images)]
        cost_ms = (time.process_time() - began) / FRAMES * 1e3
        return _fault_of_packets(packets) or _fault_of_pictures(packets, images), cost_ms
    except TeleopError as error:
        return f"failed ({error.sentence.rstrip('.')})", 0.0


def _fault_of_packets(packets: Sequence[bytes]) -> str:
    for number, payload in enumerate(packets):
        wanted = number in (0, FORCED, FORCED + KEYFRAMES)
        if is_keyframe(payload) != wanted:
            return f"made frame {number} {'no' if wanted else 'a'} keyframe"
        if wanted and len(parameter_sets(payload).units) < 2:
            return f"left the parameter sets out of keyframe {number}"
        if not payload.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01")):
            return "does not write Annex B"
    return ""


def _fault_of_pictures(packets: Sequence[bytes], images: Sequence[Image]) -> str:
    decoder = H264Decoder(WIDTH, HEIGHT)
    for number, (payload, image) in enumerate(zip(packets, images, strict=True)):
        error = decoder.decode(payload).astype(np.float64) - image
        psnr_db = 10.0 * np.log10(255.0**2 / max(float((error**2).mean()), 1e-9))
        if psnr_db < MIN_PSNR_DB:  # a picture of another instant is far below
            return f"gave frame {number} back at {psnr_db:.0f} dB, below {MIN_PSNR_DB:.0f} dB"
    return ""


def _images() -> list[Image]:
    """Smooth ground with a bright square that moves, so that frames in another order are told apart."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    ground = np.stack([x * 200 // WIDTH, y * 200 // HEIGHT, (x + y) * 200 // (WIDTH + HEIGHT)], -1)
    images = []
    for number in range(FRAMES):
        image = ground.astype(np.uint8)
        left = 8 + number * 16
        image[80:400, left : left + 120] = (240, 220, 60)
        images.append(image)
    return images


def _maker(encoder: str) -> Make:
    module, _, name = encoder.partition(":")
    if name in CODECS:
        return lambda width, height, fps, keyframes: H264Encoder(
            width, height, fps, keyframe_frames=keyframes, codec=name
        )
    return getattr(importlib.import_module(module), name)


def main(arguments: Sequence[str]) -> int:
    """Try the encoder that is named, and x264 for comparison."""
    fault, cost_ms = fault_of(_maker(arguments[0]))
    works, reason = not fault, fault
    if works:
        _, x264_ms = fault_of(_maker("recorders.video:x264"))
        works = cost_ms <= WORTH * x264_ms
        reason = f"takes {cost_ms:.1f} ms of the processor a frame, x264 {x264_ms:.1f} ms"
    print(json.dumps({"works": works, "reason": reason}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
