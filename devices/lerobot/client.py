"""A LeRobot device in its worker, seen from here. One thread; calls block until answer or time-out."""

from __future__ import annotations

import logging
from typing import Any, Final

from devices.lerobot.process import WorkerProcess
from teleop_app.core.errors import DeviceError

logger = logging.getLogger(__name__)

START_S: Final = 60.0
"""Importing LeRobot, and with it torch, takes 3 to 20 s."""


class LerobotWorker(WorkerProcess):
    """Starts the worker and talks to it; its errors are `DeviceError`.

    Args:
        name: Of the device, for sentences.
        python: Interpreter that has LeRobot.
        kind: `robot`, `teleoperator` or `camera`.
        type: LeRobot's name of the device, e.g. `so101_follower`.
        config: Its settings as LeRobot names them.
        watchdog_s: A robot that is not commanded for so long is held where it is [s].
    """

    def __init__(
        self,
        name: str,
        python: str,
        kind: str,
        type: str,
        config: dict[str, Any],
        watchdog_s: float = 0.0,
    ) -> None:
        super().__init__(python, f"LeRobot device {name!r}", f"LeRobot's {type!r} ({name!r})", DeviceError)
        self._name = name
        self._wanted = {"kind": kind, "type": type, "config": config, "watchdog_s": watchdog_s}
        self._made = False
        self.version = ""

    def start(self) -> None:
        """Start the worker and make the device there; nothing is connected.

        Where LeRobot refuses, the worker stays for the next try: importing LeRobot is the slow part.

        Raises:
            DeviceError: There is no such interpreter, it has no LeRobot, or LeRobot refuses the device.
        """
        if not self.running:
            self.spawn()
        if not self._made:
            made = self.ask("make", START_S, **self._wanted)
            self._made, self.version = True, str(made["version"])
            logger.info("%s: LeRobot %s, %s", self._name, self.version, made["class"])

    def stop(self) -> None:
        """End the worker; it holds and disconnects its device. May be called twice."""
        self._made = False
        super().stop()
