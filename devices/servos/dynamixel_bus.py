"""DYNAMIXEL X servos on one line, by the vendor's `dynamixel_sdk`.

Source: ROBOTIS e-manual, control tables of the X series; the addresses used here are the same from XL330 to
XM540.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np

from devices.servos.bus import Array, ServoMode
from devices.servos.dynamixel_models import amperes_per_unit, has_current_sensor, model_name
from devices.servos.dynamixel_packets import DynamixelPackets
from devices.servos.packet_bus import PacketBus, RefusedError
from devices.servos.packets import Status
from devices.servos.serial_line import SerialLine
from teleop_app.core.clock import Clock, MonotonicClock
from teleop_app.core.errors import DeviceError

RAD_PER_TICK = 2 * math.pi / 4096
RAD_S_PER_UNIT = 0.229 * 2 * math.pi / 60
MODE, LIMITS, TORQUE, HARDWARE_ERROR = 11, 48, 64, 70
GOAL_CURRENT, GOAL_POSITION, STATE = 102, 116, 126
STATE_LENGTH = 10
STATUS_BYTES = 11
EXTENDED_TICKS = 1_048_575
ALERT = 0x80
PROBATION = 3

REFUSALS = {
    1: "it could not do it",
    2: "it does not know the instruction",
    3: "the request arrived damaged",
    4: "the value is out of range",
    5: "the value is too short",
    6: "the value is beyond its limit registers",
    7: "the register is locked while its torque is on",
}
ALARMS = {
    0x01: "input voltage out of its limits",
    0x04: "overheating",
    0x08: "encoder failure",
    0x10: "electrical shock or not enough power",
    0x20: "overload",
}


class OperatingMode(IntEnum):
    """Value of the register Operating Mode (11)."""

    CURRENT = 0
    POSITION = 3
    EXTENDED_POSITION = 4
    CURRENT_BASED_POSITION = 5


class DynamixelBus(PacketBus):
    """See `devices.servos.bus.ServoBus`.

    Args:
        port: Device file.
        baud: Bit rate of the servos [bit/s].
        clock: The station's clock.
        position_mode: What `ServoMode.POSITION` means; one turn, many turns, or many with limited current.
        answer_slack_ms: See `SerialLine`.
        fast: Whether to use Fast Sync Read; None tries it and stays with what works.
    """

    def __init__(
        self,
        port: str,
        baud: int = 1_000_000,
        clock: Clock | None = None,
        *,
        position_mode: OperatingMode = OperatingMode.POSITION,
        answer_slack_ms: float = 16.0,
        fast: bool | None = None,
    ) -> None:
        line = SerialLine(port, baud, answer_slack_ms)
        self._dynamixel = DynamixelPackets(line)
        super().__init__(line, clock or MonotonicClock(), self._dynamixel)
        self._position_mode = position_mode
        self._fast = fast
        self._fast_failures = 0
        self._ranges: dict[int, tuple[int, int]] = {}

    @property
    def has_current_mode(self) -> bool:
        """Whether every servo known so far can be told a current; `can_current` asks one."""
        return all(has_current_sensor(model) for model in self._models.values())

    def can_current(self, servo: int) -> bool:
        """Whether a servo measures current and can be told one.

        Raises:
            DeviceError: It does not answer.
        """
        try:
            return has_current_sensor(self._model(servo))
        except RefusedError as error:
            raise DeviceError(f"Servo {servo} on {self.port} cannot be asked", why=str(error)) from error

    def model_name(self, number: int) -> str:
        """Name of a model number."""
        return model_name(number)

    def scan(self) -> dict[int, int]:
        """Model numbers by ID, by one broadcast ping.

        Raises:
            DeviceError: The port is gone, or answers collide.
        """
        found, _ = self._dynamixel.broadcast_ping()
        self._models.update(found)
        return found

    def set_mode(self, servos: Sequence[int], mode: ServoMode) -> None:
        """Operating mode; see `ServoBus.set_mode`."""
        value = OperatingMode.CURRENT if mode is ServoMode.CURRENT else self._position_mode
        self._for_each(servos, f"go into {value.name.lower()} mode", lambda servo: self._mode(servo, value))

    def write_positions(self, servos: Sequence[int], raw_rad: Array) -> None:
        """One sync write; see `ServoBus.write_positions`."""
        self._checked(servos, raw_rad, "rad")
        ticks = np.rint(raw_rad / RAD_PER_TICK).astype(int)
        for servo, value in zip(servos, ticks.tolist(), strict=True):
            low, high = self._range(servo)
            if not low <= value <= high:
                raise DeviceError(
                    f"Servo {servo} on {self.port} cannot go to {value * RAD_PER_TICK:.3f} rad",
                    why=f"its limits are {low * RAD_PER_TICK:.3f} to {high * RAD_PER_TICK:.3f} rad",
                    next_step="Calibrate the arm, or widen the servo's position limits",
                )
        self._packets.sync_write(
            GOAL_POSITION,
            {s: v.to_bytes(4, "little", signed=True) for s, v in zip(servos, ticks.tolist(), strict=True)},
        )

    def write_currents(self, servos: Sequence[int], amperes: Array) -> None:
        """One sync write; see `ServoBus.write_currents`."""
        self._checked(servos, amperes, "A")
        units: dict[int, bytes] = {}
        for servo, value in zip(servos, amperes.tolist(), strict=True):
            if not self.can_current(servo):
                name = model_name(self._models[servo])
                raise DeviceError(f"Servo {servo} on {self.port} is a {name}, which has no current mode")
            unit = round(value / amperes_per_unit(self._models[servo]))
            units[servo] = unit.to_bytes(2, "little", signed=True)
        self._packets.sync_write(GOAL_CURRENT, units)

    def _reset(self) -> None:
        self._ranges.clear()
        self._fast_failures = 0

    def _mode(self, servo: int, mode: OperatingMode) -> None:
        model = self._model(servo)
        if mode in (0, 5) and not has_current_sensor(model):
            raise RefusedError(f"a {model_name(model)} has no such mode")
        self._ranges.pop(servo, None)
        if self._fetch(servo, MODE, 1)[0] == mode:
            return
        if self._fetch(servo, TORQUE, 1)[0]:
            raise RefusedError("its torque is on")
        self._write(servo, MODE, bytes((mode,)))

    def _range(self, servo: int) -> tuple[int, int]:
        if servo not in self._ranges:
            try:
                if self._fetch(servo, MODE, 1)[0] == OperatingMode.POSITION:
                    data = self._fetch(servo, LIMITS, 8)
                    high, low = (int.from_bytes(part, "little", signed=True) for part in (data[:4], data[4:]))
                    self._ranges[servo] = (low, high)
                else:
                    self._ranges[servo] = (-EXTENDED_TICKS, EXTENDED_TICKS)
            except RefusedError as error:
                raise DeviceError(f"Servo {servo} on {self.port} cannot be asked", why=str(error)) from error
        return self._ranges[servo]

    @property
    def _state_bytes(self) -> int:
        return STATUS_BYTES + STATE_LENGTH

    def _ask(self, servos: Sequence[int]) -> Mapping[int, Status]:
        if self._fast is not False and len(servos) > 1:
            found = self._dynamixel.fast_sync_read(servos, STATE, STATE_LENGTH)
            if found:
                self._fast = True
                return found
            if self._fast is None:
                self._fast_failures += 1
                self._fast = False if self._fast_failures >= PROBATION else None
        return self._dynamixel.sync_read(servos, STATE, STATE_LENGTH)

    def _decode(self, servo: int, data: bytes) -> tuple[float, float, float]:
        current = int.from_bytes(data[0:2], "little", signed=True)
        velocity = int.from_bytes(data[2:6], "little", signed=True)
        position = int.from_bytes(data[6:10], "little", signed=True)
        if servo not in self._models:
            self.ping(servo)
        unit = amperes_per_unit(self._models.get(servo, 0))
        return position * RAD_PER_TICK, velocity * RAD_S_PER_UNIT, current * unit

    def _note_alarm(self, servo: int, status: Status) -> None:
        if not status.error & ALERT:
            self._alarms.pop(servo, None)
        elif servo not in self._alarms:
            answer = self._packets.read(servo, HARDWARE_ERROR, 1)
            if answer is not None and answer.data:
                named = [text for bit, text in ALARMS.items() if answer.data[0] & bit]
                self._alarms[servo] = f"{' and '.join(named) or 'a hardware error'}; it let go"

    def _refusal(self, error: int) -> str:
        return REFUSALS.get(error & 0x7F, "")

    def _torque(self, servo: int, on: bool) -> None:
        self._write(servo, TORQUE, bytes((on,)))
