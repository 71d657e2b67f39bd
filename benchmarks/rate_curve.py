"""Size and quality of a bank's pictures at several settings of our encoder: for comparisons at equal size."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np

from benchmarks.pictures import Pictures
from benchmarks.quality import psnr_db, ssim
from recorders.video import H264Decoder, H264Encoder

CRFS = (17, 20, 23, 26, 29, 32, 35, 38)
_EVERY = 12


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Points (crf, bytes a frame, PSNR, SSIM) of the first camera."""
    pictures = Pictures(settings["pictures"])
    return {"points": [_point(pictures, crf, settings["frames"]) for crf in CRFS]}


def _point(pictures: Pictures, crf: int, frames: int) -> tuple[float, float, float, float]:
    height, width, _ = pictures.shape
    encoder, decoder = H264Encoder(width, height, 30, crf=crf), H264Decoder(width, height)
    image = np.empty(pictures.shape, np.uint8)
    size, quality = 0, []
    for instant in range(frames):
        pictures.draw(0, instant, instant * 33_333, image)
        payload = encoder.encode(image)
        size += len(payload)
        decoded = decoder.decode(payload)
        if instant % _EVERY == 0:
            source = pictures.plain(0, instant)
            quality.append((psnr_db(decoded, source), ssim(decoded, source)))
    encoder.close()
    psnr, likeness = np.median(quality, axis=0).tolist()
    return crf, size / frames, psnr, likeness


def at_size(points: list[list[float]], frame_bytes: float) -> tuple[float, float] | None:
    """PSNR [dB] and SSIM at so many bytes a frame, between the points; None outside of them."""
    ordered = sorted(points, key=lambda point: point[1])
    if not ordered or not ordered[0][1] <= frame_bytes <= ordered[-1][1]:
        return None
    sizes = [math.log(point[1]) for point in ordered]
    at = math.log(frame_bytes)
    psnr = np.interp(at, sizes, [point[2] for point in ordered])
    likeness = np.interp(at, sizes, [point[3] for point in ordered])
    return float(psnr), float(likeness)


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
