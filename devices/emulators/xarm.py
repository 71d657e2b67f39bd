"""A UFACTORY xArm controller, as its SDK sees it: commands on port 502, reports on 30001 and 30003.

`python -m devices.emulators.xarm --host 127.0.0.3 --joints 6` serves one arm until standard input ends; words
on it make faults: `error CODE`, `clear`, `mute`, `speak`, `unplug`, `q J0 .. J5`.

A command is a Modbus-like frame (big endian: transaction, protocol, length) with a register as function; an
answer carries a state byte (0x40 error, 0x20 warning, 0x10 not ready to move) before its data. Numbers of
motion are little-endian floats. Source: UFACTORY, "xArm developer manual", private TCP protocol.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Final

from devices.emulators.tcp_robot import Controller, RobotSession

COMMAND_PORT: Final = 502
REPORT_PORTS: Final = (30001, 30003)
_FRAME: Final = struct.Struct(">HHHB")
_REPORT_S: Final = 0.02
_SPEED_RAD_S: Final = 3.14
_SERVO_GAIN_S: Final = 30.0
_STEP_S: Final = 0.004
_ERROR, _NOT_READY = 0x40, 0x10
_READY, _STOPPED = 2, 4

_VERSION, _SERIAL, _ENABLE, _SET_STATE, _STATE, _ERRORS = 1, 2, 11, 12, 13, 15
_CLEAN_ERROR, _CLEAN_WARNING, _MODE, _SERVO_J, _JOINTS = 16, 17, 19, 29, 42
_GRIPPER_BUS, _TOOL_READ = 124, 128
_TWO_MEGABAUD: Final = 11
_GRIPPER_GOAL, _GRIPPER_AT = 0x0700, 0x0702


class XArm:
    """Joints, modes and errors of the arm, and its gripper; safe to use from many threads.

    Args:
        joints: 5, 6 or 7.
    """

    def __init__(self, joints: int = 6) -> None:
        self.joints = joints
        self.mute = False
        self.sessions: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._q = [0.0] * 7
        self._qd = [0.0] * 7
        self._target: list[float] | None = None
        self._state, self._mode, self._error = _STOPPED, 0, 0
        self._gripper = self._gripper_goal = 850.0
        self._moved_s = time.monotonic()

    def execute(self, register: int, body: bytes) -> tuple[int, bytes]:
        """Answer of a command: its state byte and data."""
        with self._lock:
            self._advance()
            data = self._execute(register, body)
            ready = self._state == _READY and not self._error
            return (_ERROR if self._error else 0) | (0 if ready else _NOT_READY), data

    def report(self) -> bytes:
        """What the report ports send."""
        with self._lock:
            self._advance()
            body = bytes([self._state | self._mode << 4]) + struct.pack(">H", 0)
            body += struct.pack("<7f", *self._q) + struct.pack("<6f", 0.2, 0, 0.1, 3.14, 0, 0)
            body += struct.pack("<7f", *([0.0] * 7))
            body += bytes([0x7F, 0x7F, self._error, 0]) + bytes(54)
            return struct.pack(">I", len(body) + 4) + body

    def obey(self, words: Sequence[str]) -> bool:
        """A word of the command line; False ends the controller."""
        with self._lock:
            match list(words):
                case ["error", code]:
                    self._error, self._state, self._target = int(code), _STOPPED, None
                case ["clear"]:
                    self._error = 0
                case ["mute" | "speak" as word]:
                    self.mute = word == "mute"
                case ["q", *joints]:
                    self._q[: len(joints)] = [float(joint) for joint in joints]
                    self._target = None
                case ["unplug"]:
                    return False
        return True

    # Under the lock.

    def _execute(self, register: int, body: bytes) -> bytes:
        if register == _VERSION:
            return f"{self.joints},{self.joints},XI{self.joints}304,AC1303,v2.5.0".encode().ljust(40, b"\0")
        if register == _SERIAL:
            return b"XI130006B26L01\0AC130006B26L01".ljust(40, b"\0")
        if register == _ENABLE:
            return struct.pack(">H", self._state)
        if register == _SET_STATE and not self._error:
            self._state = {0: _READY}.get(body[0], body[0])
            self._target = None if self._state != _READY else self._target
        elif register == _MODE:
            self._mode, self._target = body[0], None
        elif register == _STATE:
            return bytes([self._state])
        elif register == _ERRORS:
            return bytes([self._error, 0])
        elif register in (_CLEAN_ERROR, _CLEAN_WARNING):
            self._error = 0 if register == _CLEAN_ERROR else self._error
        elif register == _SERVO_J and self._state == _READY and self._mode == 1:
            self._target = list(struct.unpack_from("<7f", body))
        elif register == _JOINTS:
            return struct.pack("<21f", *self._q, *self._qd, *([0.0] * 7))
        elif register == _TOOL_READ:
            return struct.pack(">i", _TWO_MEGABAUD)
        elif register == _GRIPPER_BUS:
            return self._ask_gripper(body)
        return bytes(40) if register not in (_SET_STATE, _MODE, _SERVO_J) else b""

    def _ask_gripper(self, body: bytes) -> bytes:
        """Modbus RTU less its checksum, which the arm's wrist adds and takes off."""
        host, servo, function, address, count = struct.unpack_from(">BBBHH", body)
        head = bytes([host, servo, function])
        if function == 0x10:
            if address == _GRIPPER_GOAL:
                (self._gripper_goal,) = map(float, struct.unpack_from(">i", body, 8))
            return head + struct.pack(">HH", address, count)
        if address == _GRIPPER_AT:
            return head + bytes([4]) + struct.pack(">i", round(self._gripper))
        return head + bytes([2 * count]) + bytes(2 * count)

    def _advance(self) -> None:
        now_s = time.monotonic()
        while self._moved_s + _STEP_S <= now_s:
            self._moved_s = max(self._moved_s + _STEP_S, now_s - 1.0)
            for joint in range(7):
                wanted = 0.0 if self._target is None else self._target[joint] - self._q[joint]
                self._qd[joint] = min(max(wanted * _SERVO_GAIN_S, -_SPEED_RAD_S), _SPEED_RAD_S)
                self._q[joint] += self._qd[joint] * _STEP_S
            step = 1500.0 * _STEP_S
            self._gripper += min(max(self._gripper_goal - self._gripper, -step), step)


class _Commands(RobotSession):
    """Frame by frame, one answer each."""

    def handle(self) -> None:
        """Serve until the client goes."""
        pending = b""
        with contextlib.suppress(OSError):
            while received := self.received():
                pending += received
                while len(pending) >= _FRAME.size:
                    transaction, protocol, length, register = _FRAME.unpack_from(pending)
                    if len(pending) < 6 + length:
                        break
                    body, pending = pending[_FRAME.size : 6 + length], pending[6 + length :]
                    state, data = self.server.robot.execute(register, body)
                    if not self.server.robot.mute:
                        head = _FRAME.pack(transaction, protocol, 2 + len(data), register)
                        self.request.sendall(head + bytes([state]) + data)


class _Reports(RobotSession):
    """The arm's state, again and again."""

    def handle(self) -> None:
        """Serve until the client goes."""
        with contextlib.suppress(OSError):
            while True:
                if not self.server.robot.mute:
                    self.request.sendall(self.server.robot.report())
                time.sleep(_REPORT_S)


def main() -> None:
    """Serve until standard input ends or a word `unplug` comes."""
    parser = argparse.ArgumentParser(prog="python -m devices.emulators.xarm")
    parser.add_argument("--host", default="127.0.0.3")
    parser.add_argument("--joints", type=int, choices=(6, 7), default=6)
    options = parser.parse_args()
    ports = {COMMAND_PORT: _Commands, **dict.fromkeys(REPORT_PORTS, _Reports)}
    Controller(options.host, XArm(options.joints), ports).serve(f"xArm{options.joints} at {options.host}")


if __name__ == "__main__":
    main()
