"""Camera to page: from the instant that a picture shows, by its own barcode, to its being drawn there.

Run: python -m benchmarks.vr_glass_to_glass [--runs 3] [--seconds 10] [--markdown]
"""

from __future__ import annotations

import argparse
import base64
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser

from benchmarks.command import parser, run
from benchmarks.emulated_quest import browser, new_window
from benchmarks.figures import Figures
from benchmarks.rig import CAMERAS, BenchStation, bench_config, bench_station
from benchmarks.vr_latency import clock_offset, pairing
from devices.cameras.time_mark import MARK_WRAP_US, read_time_mark
from devices.sim.barcode import barcode_box
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.config import InputDeviceSection
from teleop_app.core.errors import StationError

P50_MS = 100.0
P99_MS = 200.0
_SOURCE = "headset"
_PROCESS = f"input-{_SOURCE}"
_SETTLE_S = 2.0
_WRAP_MS = MARK_WRAP_US / 1000
_LEFT, _TOP, _WIDTH, _HEIGHT = barcode_box(480, 640)
# Notes of every picture when it was drawn, and the red of the pixels of its barcode.
_WATCH = f"""
(() => {{
  window.seen = [];
  const last = new Map();
  const look = () => {{
    for (const canvas of document.querySelectorAll('canvas[data-camera]')) {{
      const {{ camera, captureMs, ageMs }} = canvas.dataset;
      if (!captureMs || last.get(camera) === captureMs) continue;
      const drawnMs = performance.now();
      last.set(camera, captureMs);
      const code = canvas.getContext('2d').getImageData({_LEFT}, {_TOP}, {_WIDTH}, {_HEIGHT}).data;
      window.seen.push({{ drawnMs, ageMs: Number(ageMs), red: code.filter((_, i) => i % 4 === 0) }});
    }}
    requestAnimationFrame(look);
  }};
  requestAnimationFrame(look);
}})()
"""
_TAKE = "window.seen.map((each) => ({ ...each, red: btoa(String.fromCharCode(...each.red)) }))"


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    return run("vr_glass_to_glass", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """One station with three cameras, one browser as monitor."""
    config = bench_config()
    config.inputs.devices = [
        InputDeviceSection(name=_SOURCE, driver="webxr", options={"host": "127.0.0.1", "port": 0})
    ]
    with bench_station(folder, config) as station, browser() as chromium:
        for _ in range(arguments.runs):
            _one(station, chromium, arguments.seconds, figures)
        station.check()
    figures.note(
        "From the picture's own time to the frame in which the page drew it; a display adds its own."
    )
    figures.note("The browser decodes and draws in software on the same processors; a headset does not.")
    return {"seconds": arguments.seconds, "runs": arguments.runs, "cameras": len(CAMERAS)}


def _one(station: BenchStation, chromium: Browser, seconds: float, figures: Figures) -> None:
    context, page = new_window(chromium, headset=False, size=(900, 900))
    try:
        card = pairing(station)
        page.pair(card["url"], card["pin"])
        page.page.wait_for_selector("canvas[data-capture-ms]", timeout=20_000)
        time.sleep(_SETTLE_S)
        offset_ns, uncertainty_ns = clock_offset(page)
        before = station.client.call(_PROCESS, "status")
        page.do(_WATCH)
        time.sleep(seconds)
        seen: list[dict[str, Any]] = page.do(_TAKE)
        status = station.client.call(_PROCESS, "status")
    finally:
        context.close()
    true, told, unread = _ages(seen, offset_ns / NS_PER_MS)
    if not true:
        raise StationError(
            "No picture of the cameras could be read in the browser", why=f"{unread} unreadable"
        )
    figures.add_spread("picture taken to drawn", "ms", true, {50: P50_MS, 99: P99_MS})
    figures.add("age shown minus true age, worst", "ms", float(np.abs(told).max()))
    figures.add(
        "pictures drawn of each camera",
        "1/s",
        len(seen) / len(CAMERAS) / ((seen[-1]["drawnMs"] - seen[0]["drawnMs"]) / 1e3),
    )
    figures.add("barcodes that could not be read", "", unread)
    figures.add("packets dropped for the page", "", status["video_dropped"] - before["video_dropped"])
    figures.add("uncertainty of the clocks", "ms", uncertainty_ns / NS_PER_MS)


def _ages(seen: list[dict[str, Any]], offset_ms: float) -> tuple[list[float], list[float], int]:
    """True ages by the barcodes, how far the page's own words are from them [ms], and pictures without."""
    true: list[float] = []
    apart: list[float] = []
    unread = 0
    for each in seen:
        grey = np.full((480, 640), 128, dtype=np.uint8)
        code = np.frombuffer(base64.b64decode(each["red"]), np.uint8)
        grey[_TOP : _TOP + _HEIGHT, _LEFT : _LEFT + _WIDTH] = code.reshape(_HEIGHT, _WIDTH)
        mark_us = read_time_mark(grey)
        if mark_us is None:
            unread += 1
            continue
        age_ms = (each["drawnMs"] + offset_ms - mark_us / 1000) % _WRAP_MS
        true.append(age_ms if age_ms < _WRAP_MS / 2 else age_ms - _WRAP_MS)
        apart.append(each["ageMs"] - true[-1])
    return true, apart, unread


if __name__ == "__main__":
    sys.exit(main())
