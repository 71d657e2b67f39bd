"""Keeps an operator's samples coming while the GUI thread is busy drawing.

Control holds an arm whose input is older than `stale_hold_ms` (100 ms). A window that draws in
software blocks its GUI thread for longer than that now and then, though the hand has not let go.
A thread of its own therefore repeats the newest sample at 60 Hz, stamped anew, as long as the GUI
thread has offered one within the last 300 ms.

The bound: a window that freezes while a key or the mouse is held goes on asking for the same
motion for at most 300 ms more; then nothing is sent, and control holds `stale_hold_ms` later. With
the defaults the robot begins to stop at the latest 420 ms after the freeze began, having gone on
for at most 6 cm at the default key speed of 0.15 m/s. A key that is let go during the freeze
counts from the moment the GUI thread learns of it, so it may act that much later than it was let
go. A window that dies or is stopped sends nothing from that moment on. The e-stop button on the
desk, of a gamepad or of another process does not pass through here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock, MonotonicClock
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import InputSample
from teleop_app.station.realtime import schedule_fifo

log = logging.getLogger(__name__)

PERIOD_NS = NS_PER_S // 60
ALIVE_NS = 300 * NS_PER_MS
"""How long the newest sample is repeated after the GUI thread offered it."""

_PRIORITY = 1
"""Lowest of the real-time ones, where they are allowed: it works for microseconds 60 times a second."""


class SamplePump:
    """Sends what is offered at once, and repeats it between offers.

    Only a sample that holds a clutch is repeated; any other, such as a release, goes out once and
    ends the repetition. Samples are numbered and stamped here, under one lock, so that a repeat
    never overtakes a release.

    Args:
        send: Takes a sample; may be called from two threads, never at the same time.
        clock: Stamps the samples.
    """

    def __init__(self, send: Callable[[InputSample], object], clock: Clock | None = None) -> None:
        self._send = send
        self._clock = clock or MonotonicClock()
        self._wake = threading.Condition()
        self._standing: InputSample | None = None
        self._offered_ns = 0
        self._sent_ns = 0
        self._seq = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.repeats = 0

    def start(self) -> None:
        """Begin to repeat. Without it, what is offered is sent and nothing more."""
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="sample-pump", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the repetition and the thread."""
        with self._wake:
            self._stopping = True
            self._standing = None
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def offer(self, sample: InputSample) -> None:
        """Send a sample now; it stands until the next one, or for 300 ms. GUI thread.

        Raises:
            TeleopError: It cannot be sent.
        """
        with self._wake:
            held = any(arm.clutch for arm in sample.arms.values())
            self._standing = sample if held else None
            self._offered_ns = self._clock.now_ns()
            self._pass_on(sample)
            if held:
                self._wake.notify()

    def turn(self) -> float | None:
        """Repeat the standing sample if it is due; the seconds until the next turn, None for no need."""
        with self._wake:
            return self._turn()

    def _turn(self) -> float | None:
        now_ns = self._clock.now_ns()
        standing = self._standing
        if standing is None:
            return None
        if now_ns - self._offered_ns > ALIVE_NS:
            log.info("The window was busy for more than %d ms; its input ends.", ALIVE_NS // NS_PER_MS)
            self._standing = None
            return None
        wait_ns = self._sent_ns + PERIOD_NS - now_ns
        if wait_ns <= 0:
            self.repeats += 1
            self._pass_on(standing)
            wait_ns = PERIOD_NS
        return wait_ns / NS_PER_S

    def _pass_on(self, sample: InputSample) -> None:
        self._seq += 1
        self._sent_ns = self._clock.now_ns()
        self._send(replace(sample, seq=self._seq, capture_ns=self._sent_ns))

    def _run(self) -> None:
        if refusal := schedule_fifo(_PRIORITY):
            log.debug("%s", refusal)
        with self._wake:
            while not self._stopping:
                try:
                    wait_s = self._turn()
                except TeleopError as error:
                    log.warning("%s", error.sentence)  # the next offer tells it to the person
                    self._standing = wait_s = None
                self._wake.wait(wait_s)
