"""A Universal Robots controller, as its clients see it: dashboard, script port and RTDE, byte by byte.

`python -m devices.emulators.ur --host 127.0.0.2` serves one e-Series arm on the controller's own ports until
standard input ends; words on it make faults: `protective`, `estop`, `clear`, `local`, `remote`, `mute`,
`speak`, `unplug`, `q J0 .. J5`. It runs in a process of its own, since the vendor's client holds Python's
lock while it connects.

Motion is that of a rate-limited follower of `servoj` targets; there are no dynamics. What a script does is
emulated for the control script that `ur_rtde` uploads, by its registers; any other script is refused.

Sources: Universal Robots' RTDE guide and dashboard server documentation for e-Series.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from devices.emulators import robotiq
from devices.emulators.tcp_robot import Controller, RobotSession
from devices.emulators.ur_arm import UrArm
from devices.emulators.ur_wire import Package, PackageReader, pack_values, package, unpack_values

logger = logging.getLogger(__name__)

DASHBOARD_PORT: Final = 29999
SCRIPT_PORT: Final = 30003
RTDE_PORT: Final = 30004
RATE_HZ: Final = 500.0
_VERSION: Final = (5, 12, 0, 1101319)


class _Dashboard(RobotSession):
    """Line by line, one answer each."""

    def handle(self) -> None:
        self.request.sendall(b"Connected: Universal Robots Dashboard Server\n")
        pending = b""
        while received := self.received():
            pending += received
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                self.request.sendall(self._answer(line.decode("ascii", "replace").strip()).encode() + b"\n")

    def _answer(self, asked: str) -> str:
        arm = self.server.robot
        match asked.lower():
            case "polyscopeversion":
                return "URSoftware 5.12.0.1101319 (Mar 22 2022)"
            case "get serial number":
                return arm.serial
            case "get robot model":
                return "UR5"
            case "is in remote control":
                return "true" if arm.remote else "false"
            case "robotmode":
                return "Robotmode: RUNNING"
            case "safetystatus":
                return f"Safetystatus: {arm.safety_status}"
            case "running":
                return f"Program running: {'true' if arm.running else 'false'}"
            case "stop":
                arm.stop_script()
                return "Stopped"
            case "unlock protective stop":
                arm.clear()
                return "Protective stop releasing"
            case _:
                return f"could not understand: '{asked}'"


class _Script(RobotSession):
    """Takes programs. Only the control script is run."""

    _MARK: ClassVar = b"def rtde_control"

    def handle(self) -> None:
        program = b""
        while received := self.received():
            program += received
            if program.endswith(b"\nend\n") or b"run program" in program:
                if self._MARK in program and self.server.robot.remote:
                    self.server.robot.run_script()
                program = b""


class _Rtde(RobotSession):
    """One RTDE client: recipes, then states at its rate and commands as they come."""

    def handle(self) -> None:
        self._reader = PackageReader()
        self._outputs: list[str] = []
        self._inputs: dict[int, list[str]] = {}
        self._rate_hz = RATE_HZ
        self._sending = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._stream, daemon=True).start()
        try:
            while received := self.received():
                for kind, body in self._reader.feed(received):
                    self._take(kind, body)
        except (OSError, ValueError) as error:
            logger.warning("an RTDE client is cut off: %s", error)
        finally:
            self._closed.set()

    def _send(self, kind: Package, body: bytes) -> None:
        with self._lock:
            self.request.sendall(package(kind, body))

    def _take(self, kind: int, body: bytes) -> None:
        arm = self.server.robot
        if kind == Package.REQUEST_PROTOCOL_VERSION:
            self._send(Package.REQUEST_PROTOCOL_VERSION, b"\x01" if body == b"\x00\x02" else b"\x00")
        elif kind == Package.GET_URCONTROL_VERSION:
            self._send(Package.GET_URCONTROL_VERSION, pack_values(["UINT32"] * 4, _VERSION))
        elif kind == Package.SETUP_OUTPUTS:
            (rate_hz,) = unpack_values(["DOUBLE"], body[:8])
            self._rate_hz = min(float(rate_hz), RATE_HZ)  # type: ignore[arg-type]
            self._outputs = _names(body[8:])
            self._send(Package.SETUP_OUTPUTS, b"\x01" + self._types(self._outputs).encode())
        elif kind == Package.SETUP_INPUTS:
            recipe = len(self._inputs) + 1
            self._inputs[recipe] = _names(body)
            self._send(Package.SETUP_INPUTS, bytes([recipe]) + self._types(self._inputs[recipe]).encode())
        elif kind in (Package.START, Package.PAUSE):
            self._send(Package(kind), b"\x01")
            (self._sending.set if kind == Package.START else self._sending.clear)()
        elif kind == Package.DATA:
            names = self._inputs[body[0]]
            values = unpack_values([arm.type_of(name) for name in names], body[1:])
            arm.write(dict(zip(names, values, strict=True)))

    def _types(self, names: Sequence[str]) -> str:
        return ",".join(self.server.robot.type_of(name) for name in names)

    def _stream(self) -> None:
        due = time.monotonic()
        while not self._closed.is_set():
            due = max(due + 1.0 / self._rate_hz, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))
            if not self._sending.is_set() or self.server.robot.mute:
                continue
            arm = self.server.robot
            values = arm.read(self._outputs)
            body = b"\x01" + pack_values([arm.type_of(name) for name in self._outputs], values)
            try:
                self._send(Package.DATA, body)
            except OSError:
                return


def _names(body: bytes) -> list[str]:
    """Names of a recipe; `ur_rtde` ends the list with a comma."""
    return [name for name in body.decode("ascii").split(",") if name]


_PORTS: Final = {
    DASHBOARD_PORT: _Dashboard,
    SCRIPT_PORT: _Script,
    RTDE_PORT: _Rtde,
    robotiq.PORT: robotiq.RobotiqSession,
}


def main() -> None:
    """Serve until standard input ends or a word `unplug` comes."""
    parser = argparse.ArgumentParser(prog="python -m devices.emulators.ur")
    parser.add_argument("--host", default="127.0.0.2")
    options = parser.parse_args()
    Controller(options.host, UrArm(), _PORTS).serve(f"UR5e at {options.host}")


if __name__ == "__main__":
    main()
