"""The arm behind the emulated UR controller: its joints, registers, modes and the control script's work."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from devices.emulators.robotiq import RobotiqHand
from devices.emulators.ur_wire import Value

_SPEED_RAD_S: Final = 3.14
_SERVO_GAIN_S: Final = 20.0
_STEP_S: Final = 0.002
_HOME: Final = (0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0)
_ZERO6: Final = (0.0,) * 6

# Commands of ur_rtde's control script, in its first integer register.
_SERVO_J, _SERVO_STOP, _STOP_J, _SET_WATCHDOG, _STOP_SCRIPT = 11, 16, 34, 35, 255
_STATE: Final = "output_int_register_0"
_READY, _DONE = 1, 2

_NORMAL, _PROTECTIVE, _ESTOP = 1, 3, 7
_STATUS: Final = {_NORMAL: "NORMAL", _PROTECTIVE: "PROTECTIVE_STOP", _ESTOP: "ROBOT_EMERGENCY_STOP"}
_TYPES: Final = {
    "timestamp": "DOUBLE",
    "robot_mode": "INT32",
    "joint_mode": "VECTOR6INT32",
    "safety_mode": "INT32",
    "safety_status": "INT32",
    "runtime_state": "UINT32",
    "robot_status_bits": "UINT32",
    "safety_status_bits": "UINT32",
    "actual_digital_input_bits": "UINT64",
    "actual_digital_output_bits": "UINT64",
    "actual_tool_accelerometer": "VECTOR3D",
    "payload_cog": "VECTOR3D",
    "elbow_position": "VECTOR3D",
    "elbow_velocity": "VECTOR3D",
    "speed_slider_mask": "UINT32",
    "tool_analog_input_types": "UINT32",
    "tool_output_voltage": "INT32",
    "tool_mode": "UINT32",
    "standard_digital_output_mask": "UINT8",
    "standard_digital_output": "UINT8",
    "configurable_digital_output_mask": "UINT8",
    "configurable_digital_output": "UINT8",
    "tool_digital_output_mask": "UINT8",
    "tool_digital_output": "UINT8",
    "standard_analog_output_mask": "UINT8",
    "standard_analog_output_type": "UINT8",
}
_SIX: Final = (
    "target_q",
    "target_qd",
    "target_qdd",
    "target_current",
    "target_moment",
    "actual_q",
    "actual_qd",
)
_SIX_PREFIXES: Final = (
    "actual_current", "joint_control_output", "actual_TCP", "target_TCP", "joint_temperatures",
    "actual_joint_voltage", "ft_raw_wrench", "payload_inertia", "external_force_torque", "actual_qdd",
)  # fmt: skip


class UrArm:
    """Joints that follow servo targets; safe to use from many threads.

    Attributes:
        serial: Serial number.
        remote: Remote control is allowed on the pendant.
        mute: States are no longer sent, the connection stands.
        running: The control script runs.
        sessions: Open connections.
        hand: The gripper.
    """

    def __init__(self, serial: str = "20225500001", q: Sequence[float] = _HOME) -> None:
        self.serial = serial
        self.remote = True
        self.mute = False
        self.running = False
        self.sessions: set[socket.socket] = set()
        self.hand = RobotiqHand()
        self._lock = threading.Lock()
        self._q = list(q)
        self._qd = [0.0] * 6
        self._target: list[float] | None = None
        self._safety = _NORMAL
        self._registers: dict[str, Value] = {}
        self._moved_s = time.monotonic()
        self._started_s = self._moved_s
        self._executing = False
        self._watchdog_s = 0.0
        self._kicked_s = 0.0

    @property
    def safety_status(self) -> str:
        """As the dashboard says it."""
        return _STATUS[self._safety]

    def type_of(self, name: str) -> str:
        """RTDE type of a variable, NOT_FOUND for none of the controller's."""
        if name in _TYPES:
            return _TYPES[name]
        if "_register_" in name or "_registers" in name:
            for part, kind in (("bit_registers", "UINT32"), ("bit_register", "BOOL"), ("int_", "INT32")):
                if part in name:
                    return kind
            return "DOUBLE"
        if name in _SIX or name.startswith(_SIX_PREFIXES):
            return "DOUBLE" if name == "actual_TCP_force_scalar" else "VECTOR6D"
        return "DOUBLE"

    def read(self, names: Sequence[str]) -> list[Value]:
        """Values of output variables now."""
        with self._lock:
            self._advance()
            return [self._value(name) for name in names]

    def write(self, values: Mapping[str, Value]) -> None:
        """Take input registers; the control script sees them at once."""
        with self._lock:
            self._advance()
            self._registers.update(values)
            command = values.get("input_int_register_0")
            if command is not None and self.running:
                self._script(int(command))  # type: ignore[arg-type]

    def run_script(self) -> None:
        """The control script starts."""
        with self._lock:
            if self._safety == _NORMAL:
                self.running = True
                self._executing = False
                self._registers[_STATE] = _READY

    def stop_script(self) -> None:
        """The control script ends; the arm stops."""
        with self._lock:
            self._stop()

    def clear(self) -> None:
        """End a stop."""
        with self._lock:
            self._safety = _NORMAL

    def fault(self, safety: int) -> None:
        """A protective or an emergency stop."""
        with self._lock:
            self._safety = safety
            self._stop()

    def obey(self, words: Sequence[str]) -> bool:
        """A word of the command line; False ends the controller."""
        actions: dict[str, Callable[[], None]] = {
            "protective": lambda: self.fault(_PROTECTIVE),
            "estop": lambda: self.fault(_ESTOP),
            "clear": self.clear,
        }
        match list(words):
            case ["local" | "remote" as word]:
                self.remote = word == "remote"
            case ["mute" | "speak" as word]:
                self.mute = word == "mute"
            case ["q", *joints] if len(joints) == 6:
                with self._lock:
                    self._q = [float(joint) for joint in joints]
            case ["unplug"]:
                return False
            case [word] if word in actions:
                actions[word]()
        return True

    # Under the lock.

    def _script(self, command: int) -> None:
        """One turn of the control script's loop: real-time commands are always taken, others once."""
        self._kicked_s = time.monotonic()
        if command == 0:
            self._executing = False
            self._registers[_STATE] = _READY
        elif command == _SERVO_J:
            self._target = [self._input(index) for index in range(6)]
            self._registers[_STATE] = _READY
        elif not self._executing:
            self._executing = True
            self._process(command)

    def _process(self, command: int) -> None:
        if command in (_SERVO_STOP, _STOP_J):
            self._target = None
        elif command == _SET_WATCHDOG:
            frequency_hz = self._input(0)
            self._watchdog_s = 1.0 / frequency_hz if frequency_hz > 0 else 0.0
        elif command == _STOP_SCRIPT:
            self._stop()
            return
        self._registers[_STATE] = _DONE

    def _input(self, index: int) -> float:
        return float(self._registers.get(f"input_double_register_{index}", 0.0))  # type: ignore[arg-type]

    def _stop(self) -> None:
        self.running = False
        self._target = None
        self._watchdog_s = 0.0
        self._registers[_STATE] = 0

    def _advance(self) -> None:
        """Move up to now, in the controller's steps."""
        now_s = time.monotonic()
        if self._watchdog_s and now_s - self._kicked_s > self._watchdog_s:
            self._stop()  # the controller ends a program whose watchdog is not kicked
        while self._moved_s + _STEP_S <= now_s:
            self._moved_s = max(self._moved_s + _STEP_S, now_s - 1.0)
            for joint in range(6):
                wanted = 0.0 if self._target is None else self._target[joint] - self._q[joint]
                self._qd[joint] = min(max(wanted * _SERVO_GAIN_S, -_SPEED_RAD_S), _SPEED_RAD_S)
                self._q[joint] += self._qd[joint] * _STEP_S

    def _value(self, name: str) -> Value:
        kind = self.type_of(name)
        known: dict[str, Value] = {
            "timestamp": self._moved_s - self._started_s,
            "actual_q": tuple(self._q),
            "target_q": tuple(self._target or self._q),
            "actual_qd": tuple(self._qd),
            "robot_mode": 7,
            "safety_mode": self._safety,
            "safety_status": self._safety,
            "runtime_state": 2 if self.running else 1,
            "robot_status_bits": 1 | (2 if self.running else 0),
            "safety_status_bits": {_NORMAL: 1, _PROTECTIVE: 4, _ESTOP: 64 | 128 | 1024}[self._safety],
            "speed_scaling": 1.0,
            "target_speed_fraction": 1.0,
        }
        if name in known:
            return known[name]
        empty: dict[str, Value] = {"VECTOR6D": _ZERO6, "VECTOR3D": (0.0,) * 3, "VECTOR6INT32": (253,) * 6}
        return self._registers.get(name, empty.get(kind, 0))
