"""One process of the recording path: the station's cameras process on a bank, or a stand-in for control.

Run by benchmarks.path_rig: python -m benchmarks.path_process cameras|control --data-dir DIR --bank FILE
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.camera_bank import DRIVER, BankFrameSource
from devices.cameras.source import FrameSource
from devices.cameras.synthetic import SyntheticFrameSource
from recorders.synthetic import synthetic_header, synthetic_tick
from teleop_app.core.bus import Endpoints
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import CameraSection, load_station
from teleop_app.core.errors import TeleopError
from teleop_app.core.paths import DataDir, make_private, shared_memory_dir
from teleop_app.core.types import ControlTick
from teleop_app.station.cameras import CamerasProcess
from teleop_app.station.process import (
    Heartbeat,
    ProcessContext,
    ask_for_share,
    leave_last_words,
    log_to_file,
    stop_on_signals,
)

NICENESS = -5
"""What the station gives its cameras and its recorder; the peer gets the same."""
PICTURE_NS = NS_PER_S // 30


class StandInControl:
    """Publishes a control tick 200 times a second and times what that costs the loop.

    The first measured joint of each tick holds its time, so that a reader can tell whether a row is true.
    """

    def __init__(self, context: ProcessContext) -> None:
        self._context = context
        self._rate_hz = context.config.control.rate_hz
        self._header = synthetic_header()
        self._costs_ns: list[tuple[int, int]] = []
        self._missed = 0

    def run(self) -> None:
        """Run until the context is stopping. Blocks."""
        context, clock = self._context, self._context.clock
        commands = context.commands({"begin": self.begin, "costs": self.costs, "status": self.costs})
        publisher = context.publisher()
        heartbeat = Heartbeat(context, publisher)
        index = clock.now_ns() * self._rate_hz // NS_PER_S + 1
        while not context.stopping:
            due_ns = index * NS_PER_S // self._rate_hz
            clock.sleep_until(due_ns)
            tick = self._tick(index, due_ns, clock.now_ns())
            began = time.perf_counter_ns()
            publisher.send("tick", tick)
            self._costs_ns.append((due_ns, time.perf_counter_ns() - began))
            commands.serve()
            heartbeat.beat()
            following = max(index + 1, clock.now_ns() * self._rate_hz // NS_PER_S)
            self._missed += following - index - 1
            index = following
        commands.close()
        publisher.close()

    def _tick(self, index: int, due_ns: int, now_ns: int) -> ControlTick:
        tick = synthetic_tick(self._header, index, 0)
        measured = tick.measured.copy()
        measured[0] = now_ns / NS_PER_S
        return dataclasses.replace(
            tick,
            tick_ns=now_ns,
            due_ns=due_ns,
            input_capture_ns=0,
            sent_ns=now_ns,
            measured=measured,
            measured_ns=now_ns,
        )

    def begin(self) -> None:
        """Forget the costs so far."""
        self._costs_ns.clear()
        self._missed = 0

    def costs(self) -> dict[str, Any]:
        """Since `begin`: p50, p99, max of the cost of a tick, and of the ticks of a picture period [ms]."""
        if not self._costs_ns:
            return {"ticks": 0, "missed": self._missed}
        due_ns, spent_ns = np.array(self._costs_ns).T
        _, period = np.unique(due_ns // PICTURE_NS, return_inverse=True)
        periods = np.bincount(period, weights=spent_ns.astype(float))
        return {
            "ticks": len(spent_ns),
            "missed": self._missed,
            "tick_ms": (np.percentile(spent_ns, (50, 99, 100)) / 1e6).tolist(),
            "period_ms": (np.percentile(periods, (50, 99, 100)) / 1e6).tolist(),
        }


def _sources(cameras: list[CameraSection], bank: Path) -> dict[str, FrameSource]:
    """By driver: the bank, and synthetic cameras that may deliver late."""
    late = {each.name: each.emulated_latency_ms for each in cameras if each.emulated_latency_ms}
    return {
        DRIVER: BankFrameSource(bank, tuple(each.name for each in cameras)),
        "synthetic": SyntheticFrameSource(late),
    }


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser()
    options.add_argument("process", choices=("cameras", "control"))
    options.add_argument("--data-dir", type=Path, required=True)
    options.add_argument("--bank", type=Path, required=True)
    arguments = options.parse_args(argv)
    data = DataDir.choose(arguments.data_dir)
    run_dir = make_private(data.run_dir())
    context = ProcessContext(
        name=arguments.process,
        config=load_station(data.station_file),
        data=data,
        endpoints=Endpoints(run_dir),
        rings=shared_memory_dir(run_dir),
    )
    stop_on_signals(context)
    log_to_file(data, arguments.process)
    ask_for_share(NICENESS)
    try:
        if arguments.process == "control":
            StandInControl(context).run()
        else:
            CamerasProcess(context, _sources(context.config.cameras, arguments.bank)).run()
    except TeleopError as error:
        leave_last_words(run_dir, arguments.process, error.sentence)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
