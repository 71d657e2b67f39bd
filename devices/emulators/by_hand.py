"""Runs an emulated arm in a terminal, so that the product can be tried without one."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from devices.emulators.pty_port import Chain, PtyPort

AnyChain = TypeVar("AnyChain", bound=Chain)

SWING_RAD = 0.3
SWING_S = 4.0
STEP_S = 0.01


def serve(
    description: str,
    arms: Mapping[str, Mapping[int, int]],
    make: Callable[[Mapping[int, int], int], AnyChain],
    turn: Callable[[AnyChain, float], None],
    arguments: list[str] | None = None,
) -> int:
    """Serve an arm until interrupted or terminated.

    Args:
        description: For the help.
        arms: Model number by ID, by the name of the arm.
        make: Makes the chain at a bit rate.
        turn: Turns every servo whose torque is off to its start plus an angle [rad].
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--arm", choices=sorted(arms), default=sorted(arms)[0])
    parser.add_argument("--baud", type=int, default=1_000_000)
    parser.add_argument("--link", type=Path, help="name to give the port, e.g. /tmp/leader")
    parser.add_argument("--wire-time", action="store_true", help="bytes take their time at the bit rate")
    parser.add_argument(
        "--swing", action="store_true", help="move the arm as a hand would, while torque is off"
    )
    options = parser.parse_args(arguments)
    chain = make(arms[options.arm], options.baud)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    started = time.monotonic()
    with PtyPort(chain, wire_time=options.wire_time, link=options.link) as port:
        sys.stdout.write(f"{port.path}\n")
        sys.stdout.flush()
        try:
            while not stop.wait(STEP_S):
                if options.swing:
                    phase = (time.monotonic() - started) * 2 * math.pi / SWING_S
                    with port.lock:
                        turn(chain, SWING_RAD * math.sin(phase))
        except KeyboardInterrupt:
            return 0
    return 0
