"""The Robotiq gripper of a UR arm, as its URCap serves it: lines of text on port 63352.

Source: Robotiq, "2F-85/2F-140 instruction manual", section on the URCap's socket; positions are 0 open to 255
closed.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from devices.emulators.tcp_robot import RobotSession

PORT: Final = 63352
_SPEED_PER_S: Final = 255.0 / 0.6


class RobotiqHand:
    """Fingers that close and open at their one speed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._position = 3.0
        self._goal = 3.0
        self._moved_s = time.monotonic()
        self.active = False

    def answer(self, line: str) -> str:
        """Answer of the URCap to a line."""
        with self._lock:
            self._advance()
            match line.split():
                case ["SET", *pairs]:
                    for name, value in zip(pairs[::2], pairs[1::2], strict=False):
                        self._set(name, int(value))
                    return "ack"
                case ["GET", name]:
                    return f"{name} {self._get(name)}"
                case _:
                    return "?"

    def _set(self, name: str, value: int) -> None:
        if name == "ACT":
            self.active = value == 1
        elif name == "POS" and self.active:
            self._goal = float(min(max(value, 3), 230))

    def _get(self, name: str) -> str:
        known = {
            "POS": round(self._position),
            "PRE": round(self._goal),
            "ACT": int(self.active),
            "STA": 3 if self.active else 0,
            "FLT": 0,
            "OBJ": 3 if self._position == self._goal else 0,
            "GTO": 1,
        }
        return str(known[name]) if name in known else "?"

    def _advance(self) -> None:
        now_s = time.monotonic()
        step = (now_s - self._moved_s) * _SPEED_PER_S
        self._moved_s = now_s
        self._position += min(max(self._goal - self._position, -step), step)


class RobotiqSession(RobotSession):
    """One client of the URCap, answered line by line; the robot is the arm that carries the `hand`."""

    def handle(self) -> None:
        """Serve until the client goes."""
        pending = b""
        while received := self.received():
            pending += received
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                self.request.sendall(
                    self.server.robot.hand.answer(line.decode("ascii", "replace")).encode() + b"\n"
                )
