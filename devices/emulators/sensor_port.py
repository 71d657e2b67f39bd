"""A pseudo-terminal with a sensor behind it that talks by itself."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from devices.emulators.pty_port import Chain, PtyPort


class SensorPort(PtyPort):
    """A `PtyPort` whose device also sends without being asked.

    Args:
        device: What answers.
        link: A symbolic link to keep on the port.
        seed: Of the random damage (`corrupt_rate`).
    """

    def __init__(self, device: Chain, *, link: Path | None = None, seed: int = 0) -> None:
        super().__init__(device, link=link, seed=seed)
        self._streaming: threading.Event | None = None
        self._streamer: threading.Thread | None = None

    def push(self, data: bytes) -> None:
        """Bytes that the device sends now; like a wire, a full line that nobody reads loses them."""
        if select.select([], [self._master], [], 0)[1]:
            os.write(self._master, self._damage(data))

    def stream(self, frame: Callable[[], bytes], rate_hz: float) -> None:
        """Send frames at a rate from a thread, until `halt` or `close`. Empty frames are left out."""
        self.halt()
        stopped = self._streaming = threading.Event()

        def run() -> None:
            due = time.monotonic()
            while not stopped.wait(max(0.0, due - time.monotonic())):
                with self.lock:
                    data = frame()
                if data:
                    self.push(data)
                due += 1.0 / rate_hz

        self._streamer = threading.Thread(target=run, name="emulated sensor", daemon=True)
        self._streamer.start()

    def halt(self) -> None:
        """Fall silent."""
        stopped, self._streaming = self._streaming, None
        if stopped is not None and self._streamer is not None:
            stopped.set()
            self._streamer.join()

    def close(self) -> None:
        """Unplug. May be called twice."""
        self.halt()
        super().close()
