"""An operator's hand that never rests: both controllers on a small circle, 100 samples a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from teleop_app.core.clock import NS_PER_S, MonotonicClock
from teleop_app.core.types import Actor, ArmInput, ControlTick, InputSample
from teleop_app.station.client import StationClient, wait_for

SOURCE = "benchmark"
RATE_HZ = 100
_RADIUS_M = 0.04
_TURN_S = 5.0
_OPEN_S = 0.3
_ENGAGE_TIMEOUT_S = 5.0


@contextmanager
def waving_hand(client: StationClient, arms: tuple[str, ...]) -> Iterator[None]:
    """Drive all arms for the length of the block.

    Raises:
        StationError: Control does not give the arms to this hand.
    """
    done = threading.Event()
    thread = threading.Thread(target=_wave, args=(client, arms, done), name="hand")
    feed = client.subscribe(["tick"], ["control"])
    thread.start()
    try:
        wait_for(feed, _drives, _ENGAGE_TIMEOUT_S, "control to give the arms to the benchmark's hand")
        yield
    finally:
        done.set()
        thread.join()
        feed.close()


def _drives(_: str, tick: object) -> bool:
    return isinstance(tick, ControlTick) and tick.source == SOURCE and all(tick.engaged)


def _wave(client: StationClient, arms: tuple[str, ...], done: threading.Event) -> None:
    clock = MonotonicClock()
    started_ns = due_ns = clock.now_ns()
    seq = 0
    while True:
        due_ns = max(due_ns + NS_PER_S // RATE_HZ, clock.now_ns())
        clock.sleep_until(due_ns)
        now_ns = clock.now_ns()
        held = now_ns - started_ns > _OPEN_S * NS_PER_S and not done.is_set()
        angle = 2 * np.pi * max(0.0, (now_ns - started_ns) / NS_PER_S - _OPEN_S) / _TURN_S
        pose = np.array([_RADIUS_M * np.sin(angle), 0.0, _RADIUS_M * (1 - np.cos(angle)), 1.0, 0.0, 0.0, 0.0])
        asked = {arm: ArmInput(clutch=held, pose=pose) for arm in arms}
        client.send_input(InputSample(SOURCE, Actor.SCRIPT, seq, now_ns, asked))
        seq += 1
        if done.is_set():
            return
