"""An operator's hand that never rests: both controllers on a small circle, 100 samples a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from teleop_app.core.bus import Subscriber
from teleop_app.core.clock import NS_PER_S, MonotonicClock
from teleop_app.core.errors import StationError
from teleop_app.core.types import Actor, ArmInput, ControlTick, InputSample
from teleop_app.station.client import StationClient

SOURCE = "benchmark"
RATE_HZ = 100
_RADIUS_M = 0.04
_TURN_S = 5.0
_OPEN_NS = 300_000_000
_PATIENCE_NS = 700_000_000
"""Held so long without being given the arms, the hand opens and closes again, as a person's would."""
_ENGAGE_TIMEOUT_S = 10.0


@contextmanager
def waving_hand(client: StationClient, arms: tuple[str, ...]) -> Iterator[None]:
    """Drive all arms for the length of the block.

    Raises:
        StationError: Control does not give the arms to this hand, or it stopped moving.
    """
    hand = _Hand(client, arms)
    hand.start()
    try:
        if not hand.drives.wait(_ENGAGE_TIMEOUT_S):
            raise StationError(
                "Control did not give the arms to the benchmark's hand", why=hand.reason or "it did not say"
            )
        yield
        if not hand.is_alive():
            raise StationError("The benchmark's hand stopped moving during the measurement")
    finally:
        hand.done.set()
        hand.join()


class _Hand(threading.Thread):
    """The thread that moves.

    Attributes:
        drives: Set once all arms follow it.
        done: Set to make it let go and end.
        reason: What control said last about its state.
    """

    def __init__(self, client: StationClient, arms: tuple[str, ...]) -> None:
        super().__init__(name="hand", daemon=True)
        self._client = client
        self._arms = arms
        self.drives = threading.Event()
        self.done = threading.Event()
        self.reason = ""

    def run(self) -> None:
        """Move until told otherwise."""
        clock = MonotonicClock()
        feed = self._client.subscribe(["tick"], ["control"])
        began_ns = opened_ns = driven_ns = due_ns = clock.now_ns()
        seq = 0
        while not self.done.is_set():
            due_ns = max(due_ns + NS_PER_S // RATE_HZ, clock.now_ns())
            clock.sleep_until(due_ns)
            now_ns = clock.now_ns()
            if self._follows(feed):
                self.drives.set()
                driven_ns = now_ns
            if now_ns - max(opened_ns, driven_ns) > _PATIENCE_NS:
                opened_ns = now_ns
            held = now_ns - opened_ns > _OPEN_NS
            self._send(seq, now_ns, (now_ns - began_ns) / NS_PER_S, held=held)
            seq += 1
        self._send(seq, clock.now_ns(), 0.0, held=False)
        feed.close()

    def _follows(self, feed: Subscriber) -> bool:
        """Whether the newest tick that came since the last call is driven by this hand."""
        follows = False
        for _, tick in feed.drain():
            if isinstance(tick, ControlTick):
                follows = tick.source == SOURCE and all(tick.engaged)
                self.reason = tick.reason or self.reason
        return follows

    def _send(self, seq: int, now_ns: int, at_s: float, *, held: bool) -> None:
        angle = 2 * np.pi * at_s / _TURN_S
        x_m, z_m = _RADIUS_M * np.sin(angle), _RADIUS_M * (1 - np.cos(angle))
        arm = ArmInput(clutch=held, pose=np.array([x_m, 0.0, z_m, 1.0, 0.0, 0.0, 0.0]))
        sample = InputSample(SOURCE, Actor.SCRIPT, seq, now_ns, dict.fromkeys(self._arms, arm))
        self._client.send_input(sample)
