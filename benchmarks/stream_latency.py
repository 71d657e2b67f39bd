"""How long after the last byte of a picture left an RTSP camera the decoded picture is there; JSON.

Run `python -m benchmarks.stream_latency [--seconds 8]`. The camera is our own RTSP server on this machine, so
network and the camera's own encoder are left out: what is measured is FFmpeg's receiving and decoding. FFmpeg
knows that a picture has ended only when the next one begins, so one frame period is always in it.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from devices.cameras.source import CameraFormat
from devices.cameras.stream import StreamCamera, StreamOptions
from devices.emulators.rtsp import RtspServer
from recorders.video import H264Encoder

FPS = 30


def units(width: int, height: int) -> list[bytes]:
    """A second of a moving pattern, encoded as cameras do."""
    encoder = H264Encoder(width, height, FPS, "superfast", 23, FPS)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    found = []
    for number in range(FPS):
        grey = ((x // 4 + y // 3 + 5 * number) % 256).astype(np.uint8)
        found.append(encoder.encode(np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=-1))))
    encoder.close()
    return found


def measure(width: int, height: int, low_latency: bool, seconds: float) -> dict[str, object]:
    """Latency of the steady state."""
    server = RtspServer(units(width, height), FPS)
    camera = StreamCamera("bench", StreamOptions(url=server.url, low_latency=low_latency))
    camera.open(CameraFormat(0, 0, 0, ""))
    arrived: list[tuple[int, int]] = []
    for _ in range(round(seconds * FPS)):
        frame = camera.read(1.0)
        if frame is not None:
            number = round((frame.device_ns - 1e9) * FPS / 1e9)
            arrived.append((number, frame.receive_ns))
    camera.close()
    server.close()
    settled = arrived[len(arrived) // 3 :]
    late_ms = [(at - server.sent_ns[number]) / 1e6 for number, at in settled if number in server.sent_ns]
    p50, p99 = np.percentile(late_ms, [50, 99])
    return {
        "size": f"{width}x{height}",
        "low_latency": low_latency,
        "pictures": len(late_ms),
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    seconds = parser.parse_args().seconds
    sizes = [(640, 480), (1280, 720)]
    found = [measure(*size, low, seconds) for size in sizes for low in (True, False)]
    print(json.dumps({"benchmark": "stream_latency", "results": found}))


if __name__ == "__main__":
    main()
