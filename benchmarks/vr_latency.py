"""Controller to robot: from the headset's frame in the browser to the command that control sends for it.

Run: python -m benchmarks.vr_latency [--runs 3] [--seconds 10] [--hz 72 90 120] [--cameras] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from benchmarks.command import parser, run
from benchmarks.emulated_quest import EmulatedQuest, browser, new_window
from benchmarks.figures import Figures
from benchmarks.rig import BenchStation, bench_config, bench_station
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.config import InputDeviceSection
from teleop_app.core.errors import StationError, TeleopError
from teleop_app.core.types import ControlTick, Event, InputSample

P50_MS = 10.0
P99_MS = 25.0
_SOURCE = "headset"
_PROCESS = f"input-{_SOURCE}"
_CLOCK_TRIES = 200
_START_S = 20.0
_ATTEMPTS = 3
_RELEASES = ("control.released", "safety.released", "safety.hold", "safety.fault")
_WAVE = """
(() => {
  const session = quest.activeSession;
  const wave = (time) => {
    const turn = time / 1000 * 1.2;
    quest.controllers.right.position.set(0.2 + 0.04 * Math.cos(turn), 1.2 + 0.04 * Math.sin(turn), -0.4);
    session.requestAnimationFrame(wave);
  };
  session.requestAnimationFrame(wave);
})()
"""


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    options.add_argument("--hz", type=float, nargs="+", default=[72.0, 90.0, 120.0], help="headset's rates")
    options.add_argument("--cameras", action="store_true", help="the page decodes and draws the cameras too")
    return run("vr_latency", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """One station and one browser; every rate in a window of its own."""
    config = bench_config()
    # A browser that stalls while it draws in software shall show in the figures, not end the measurement.
    config.safety.stale_release_ms, config.safety.stale_hold_ms = 10_000.0, 1000.0
    options = {"host": "127.0.0.1", "port": 0, "asleep_s": 5.0}
    config.inputs.devices = [InputDeviceSection(name=_SOURCE, driver="webxr", options=options)]
    with bench_station(folder, config) as station, browser() as chromium:
        for _ in range(arguments.runs):
            for hz in arguments.hz:
                _one(station, chromium, hz, arguments, figures)
        station.check()
    figures.note("The browser draws in software on the same processors; a headset does not.")
    if not arguments.cameras:
        figures.note("The page shows no cameras (--cameras): drawing them in software takes the processors.")
    return {"seconds": arguments.seconds, "hz": arguments.hz, "runs": arguments.runs}


def _one(
    station: BenchStation, chromium: Browser, hz: float, arguments: argparse.Namespace, figures: Figures
) -> None:
    context, quest = new_window(chromium, hz, cameras=arguments.cameras)
    seconds = arguments.seconds
    try:
        card = pairing(station)
        quest.pair(card["url"], card["pin"])
        quest.enter()
        quest.do(_WAVE)
        offset_ns, uncertainty_ns = clock_offset(quest)
        for attempt in range(1, _ATTEMPTS + 1):
            _engage(station, quest)
            ticks, samples, why = _listen(station, seconds)
            if 2 * sum(tick.source == _SOURCE for tick in ticks) > len(ticks):
                break
            figures.note(f"{hz:g} Hz: the arm was let go of in attempt {attempt}. {why}")
        else:
            raise StationError("The emulated headset did not keep the arm", why=figures.notes[-1])
        status = station.client.call(_PROCESS, "status")
    finally:
        context.close()
    at = {sample.capture_ns: sample.device_ns for sample in samples if sample.device_ns is not None}
    used: dict[int, int] = {}  # the first tick that goes by a frame
    for tick in ticks:
        if tick.source == _SOURCE and tick.input_capture_ns in at:
            used.setdefault(tick.input_capture_ns, tick.sent_ns)
    latencies = [(sent_ns - at[capture] - offset_ns) / NS_PER_MS for capture, sent_ns in used.items()]
    head = f"{hz:g} Hz: "
    figures.add_spread(f"{head}frame to command sent", "ms", latencies, {50: P50_MS, 99: P99_MS})
    figures.add(f"{head}frames that arrived", "1/s", len(at) / seconds, at_least=0.95 * hz)
    figures.add(f"{head}half a round trip", "ms", status.get("latency_ms", float("nan")))
    figures.add(f"{head}uncertainty of the clocks", "ms", uncertainty_ns / NS_PER_MS)


def _engage(station: BenchStation, quest: EmulatedQuest) -> None:
    """Squeeze, again and again as a person would, until the arm follows."""
    heard = station.client.subscribe(("tick",), ("control",))
    deadline, last = time.monotonic() + _START_S, None
    try:
        while time.monotonic() < deadline:
            quest.press("right", "squeeze", 0.0)
            quest.press("right", "squeeze", 1.0)
            time.sleep(1.0)
            last = next((value for _, value in reversed(list(heard.drain()))), None)
            if isinstance(last, ControlTick) and last.source == _SOURCE and any(last.engaged):
                return
    finally:
        heard.close()
    status = station.client.call(_PROCESS, "status")
    reason = last.reason if isinstance(last, ControlTick) else "control is silent"
    raise StationError("The emulated headset was not given the arm", why=f"{reason} {status}")


def pairing(station: BenchStation) -> dict[str, Any]:
    """How to pair, once the page runs."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            return station.client.call(_PROCESS, "pairing")
        except TeleopError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def clock_offset(quest: EmulatedQuest) -> tuple[int, int]:
    """Host time minus page time, and how far off that may be, by the quickest of many answers [ns]."""
    best, offset_ns = 10**12, 0
    for _ in range(_CLOCK_TRIES):
        asked_ns = time.monotonic_ns()
        page_ms = quest.do("performance.now()")
        answered_ns = time.monotonic_ns()
        if answered_ns - asked_ns < best:
            best = answered_ns - asked_ns
            offset_ns = (asked_ns + answered_ns) // 2 - round(page_ms * NS_PER_MS)
    return offset_ns, best // 2


def _listen(station: BenchStation, seconds: float) -> tuple[list[ControlTick], list[InputSample], str]:
    """Ticks and the headset's samples of a while, and why the arm was last let go of."""
    heard = station.client.subscribe(("tick", "input", "event"), ("control",))
    why = ""
    ticks: list[ControlTick] = []
    samples: list[InputSample] = []
    deadline = time.monotonic() + seconds
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            heard.wait(min(left_s, 0.1))
            for _, value in heard.drain():
                if isinstance(value, ControlTick):
                    ticks.append(value)
                elif isinstance(value, InputSample) and value.source == _SOURCE:
                    samples.append(value)
                elif isinstance(value, Event) and value.kind in _RELEASES:
                    why = value.text
    finally:
        heard.close()
    return ticks, samples, why


if __name__ == "__main__":
    sys.exit(main())
