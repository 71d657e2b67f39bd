"""Sync reads of seven servos with the time that bytes take on the wire, and what a silent servo costs.

Run: python -m benchmarks.servo_bus [--seconds 3] [--runs 3] [--markdown]

The servos are emulated in a process of their own, on a pseudo-terminal; the bus is the product's, over the
vendor's SDK. A USB adapter would add its own delay, which is none of the figures here.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, run
from benchmarks.figures import Figures
from devices.emulators.dynamixel import DynamixelChain
from devices.emulators.feetech import FeetechChain
from devices.emulators.pty_port import PtyPort
from devices.servos.dynamixel_bus import DynamixelBus
from devices.servos.feetech_bus import FeetechBus
from teleop_app.core.clock import MonotonicClock

SERVOS = tuple(range(1, 8))
SILENT = 4
LOOP_HZ = 100.0
XL330, STS3215 = 1200, 777


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured.

    Attributes:
        name: For people.
        vendor: `dynamixel` or `feetech`.
        baud: Bit rate [bit/s].
        fast: Whether Fast Sync Read is used.
    """

    name: str
    vendor: str
    baud: int
    fast: bool = False


SETTINGS = (
    Setting("Dynamixel 1 Mbps", "dynamixel", 1_000_000),
    Setting("Dynamixel 1 Mbps, Fast Sync Read", "dynamixel", 1_000_000, fast=True),
    Setting("Dynamixel 4 Mbps", "dynamixel", 4_000_000),
    Setting("Dynamixel 4 Mbps, Fast Sync Read", "dynamixel", 4_000_000, fast=True),
    Setting("Feetech 1 Mbps", "feetech", 1_000_000),
)


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    return run("servo_bus", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Rates first, then the stalls beside a silent servo, then another bus at the same time."""
    figures.missing["Feetech 4 Mbps"] = "the servos and their SDK end at 1 Mbps"
    for _ in range(arguments.runs):
        for setting in SETTINGS:
            with emulated(setting) as (path, _):
                rates(setting, path, arguments.seconds, figures)
            with emulated(setting) as (path, silence):
                stalls(setting, path, silence, arguments.seconds, figures)
        neighbours(arguments.seconds, figures)
    return {"servos": len(SERVOS), "seconds": arguments.seconds, "loop_hz": LOOP_HZ, "runs": arguments.runs}


def rates(setting: Setting, path: str, seconds: float, figures: Figures) -> None:
    """How often a second the states of all servos can be read, one read after the other."""
    bus = open_bus(setting, path)
    cpu_s, durations, end = time.thread_time(), [], time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        states = bus.read(SERVOS)
        durations.append(time.monotonic() - started)
        figures.note(f"{setting.name}: {states.missing} did not answer" if states.missing else "")
    busy = (time.thread_time() - cpu_s) / seconds
    bus.close()
    figures.add(f"{setting.name}: sync reads", "Hz", len(durations) / seconds)
    figures.add_spread(f"{setting.name}: duration", "ms", np.array(durations) * 1e3)
    figures.add(f"{setting.name}: processor while reading", "cores", busy)


def stalls(setting: Setting, path: str, silence: Connection, seconds: float, figures: Figures) -> None:
    """A loop at 100 Hz in which one servo falls silent a third on its way."""
    bus = open_bus(setting, path)
    for _ in range(10):
        bus.read(SERVOS)
    durations, others_lost = [], 0
    started = time.monotonic()
    told = False
    for cycle in range(int(seconds * LOOP_HZ)):
        due = started + cycle / LOOP_HZ
        time.sleep(max(0.0, due - time.monotonic()))
        if not told and cycle >= seconds * LOOP_HZ / 3:
            silence.send(SILENT)
            silence.recv()
            told = True
        before = time.monotonic()
        states = bus.read(SERVOS)
        durations.append(time.monotonic() - before)
        others_lost += len(set(states.missing) - {SILENT})
    bus.close()
    spent_ms = np.array(durations) * 1e3
    head = f"{setting.name}, one servo silent"
    figures.add(f"{head}: longest stall", "ms", float(spent_ms.max()))
    figures.add(f"{head}: cycles beyond 10 ms", "%", float(100 * (spent_ms > 10.0).mean()))
    figures.add(f"{head}: readings of others lost", "", others_lost)


def neighbours(seconds: float, figures: Figures) -> None:
    """Two buses in two processes: cycle times of one while a servo of the other is silent."""
    mine, other = SETTINGS[0], SETTINGS[-1]
    context = multiprocessing.get_context("spawn")
    with emulated(mine) as (path, _), emulated(other) as (other_path, silence):
        silence.send(SILENT)
        silence.recv()
        neighbour = context.Process(target=_read_for, args=(other, other_path, seconds + 1.0))
        neighbour.start()
        time.sleep(0.5)
        bus = open_bus(mine, path)
        durations = []
        started = time.monotonic()
        for cycle in range(int(seconds * LOOP_HZ)):
            time.sleep(max(0.0, started + cycle / LOOP_HZ - time.monotonic()))
            before = time.monotonic()
            bus.read(SERVOS)
            durations.append(time.monotonic() - before)
        bus.close()
        neighbour.join()
    head = f"{mine.name} beside a bus with a silent servo"
    figures.add_spread(f"{head}: duration", "ms", np.array(durations) * 1e3)


def open_bus(setting: Setting, path: str) -> DynamixelBus | FeetechBus:
    """The product's bus on a port."""
    if setting.vendor == "feetech":
        bus: DynamixelBus | FeetechBus = FeetechBus(path, setting.baud, MonotonicClock())
    else:
        bus = DynamixelBus(path, setting.baud, MonotonicClock(), fast=setting.fast)
    bus.open()
    return bus


@contextmanager
def emulated(setting: Setting) -> Iterator[tuple[str, Connection]]:
    """A chain in a process of its own: its port, and where to send the ID of a servo to silence it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(setting, theirs))
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        ours.send(None)
        process.join()


def _serve(setting: Setting, orders: Connection) -> None:
    chain: DynamixelChain | FeetechChain
    if setting.vendor == "feetech":
        chain = FeetechChain(dict.fromkeys(SERVOS, STS3215), setting.baud)
    else:
        chain = DynamixelChain(dict.fromkeys(SERVOS, XL330), setting.baud, fast_sync_read=setting.fast)
    with PtyPort(chain, wire_time=True) as port:
        orders.send(port.path)
        while (servo := orders.recv()) is not None:
            with port.lock:
                chain.servos[servo].silent = True
            orders.send(True)


def _read_for(setting: Setting, path: str, seconds: float) -> None:
    bus = open_bus(setting, path)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        bus.read(SERVOS)
        time.sleep(1.0 / LOOP_HZ)
    bus.close()


if __name__ == "__main__":
    raise SystemExit(main())
