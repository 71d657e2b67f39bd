"""A Robotiq gripper on a UR arm, through the socket of its URCap. A thread of its own talks to it.

Positions on the wire are 0 open to 255 closed. Source: Robotiq, "2F-85/2F-140 instruction manual".
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final

from teleop_app.core.errors import DeviceError

PORT: Final = 63352
_TIMEOUT_S: Final = 1.0
_PERIOD_S: Final = 0.02
_CLOSED: Final = 228
_OPEN: Final = 3


class RobotiqGripper:
    """Follows an opening of 0 (closed) to 1 (open). Neither `move` nor `opening` blocks.

    Args:
        host: Address of the robot.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._goal: float | None = None
        self._opening = 1.0
        self._fault = ""

    def connect(self) -> None:
        """Open the socket; an inactive gripper is activated, which opens and closes it once.

        Raises:
            DeviceError: The URCap does not answer.
        """
        try:
            self._socket = socket.create_connection((self._host, PORT), _TIMEOUT_S)
            self._socket.settimeout(_TIMEOUT_S)
            if self._ask("GET ACT") != "ACT 1":
                self._ask("SET ACT 1")
            self._read()
        except (OSError, ValueError) as error:
            self.disconnect()
            raise DeviceError(
                f"The Robotiq gripper at {self._host} does not answer",
                why=str(error),
                next_step="Install its URCap and activate it on the pendant, or set `gripper` to none",
            ) from error
        self._goal, self._fault = None, ""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="gripper", daemon=True)
        self._thread.start()

    @property
    def opening(self) -> float:
        """Measured opening, 0 closed to 1 open.

        Raises:
            DeviceError: The gripper is lost.
        """
        if self._fault:
            raise DeviceError("The Robotiq gripper is lost", why=self._fault)
        return self._opening

    def move(self, opening: float) -> None:
        """Go to an opening, from now on."""
        self._goal = min(1.0, max(0.0, opening))

    def disconnect(self) -> None:
        """Close the socket; the fingers stay. May be called twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _work(self) -> None:
        sent: float | None = None
        while not self._stopping.wait(_PERIOD_S):
            try:
                if (goal := self._goal) is not None and goal != sent:
                    self._ask(f"SET POS {round(_CLOSED + goal * (_OPEN - _CLOSED))} GTO 1")
                    sent = goal
                self._read()
            except (OSError, ValueError) as error:
                self._fault = str(error) or type(error).__name__
                return

    def _read(self) -> None:
        name, _, value = self._ask("GET POS").partition(" ")
        if name != "POS":
            msg = f"answered {name[:40]!r} to GET POS"
            raise ValueError(msg)
        self._opening = min(1.0, max(0.0, (int(value) - _CLOSED) / (_OPEN - _CLOSED)))

    def _ask(self, line: str) -> str:
        if self._socket is None:
            raise OSError("not connected")
        self._socket.sendall(line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n") and answer != b"ack":
            received = self._socket.recv(256)
            if not received:
                raise OSError("the connection was closed")
            answer += received
            if len(answer) > 1024:
                raise ValueError("an answer without an end")
        return answer.decode("ascii", "replace").strip()


def close_quietly(gripper: RobotiqGripper | None) -> None:
    """Disconnect whatever there is."""
    if gripper is not None:
        with contextlib.suppress(OSError):
            gripper.disconnect()
