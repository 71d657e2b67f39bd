"""DYNAMIXEL X servos on one line, by the vendor's `dynamixel_sdk`.

Source: ROBOTIS e-manual, control tables of the X series; the addresses used here are the same from XL330 to
XM540.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TypeVar

import numpy as np

from devices.servos.bus import Array, ServoMode
from devices.servos.dynamixel_models import amperes_per_unit, has_current_sensor, model_name
from devices.servos.dynamixel_motion import (
    DRIVE_MODE,
    PROFILE,
    TIME_BASED,
    WATCHDOG,
    profile_bytes,
    watchdog_units,
)
from devices.servos.dynamixel_packets import DynamixelPackets
from devices.servos.packet_bus import PacketBus, RefusedError, place_within
from devices.servos.packets import Status
from devices.servos.serial_line import SerialLine
from teleop_app.core.clock import Clock, MonotonicClock
from teleop_app.core.errors import DeviceError

Answer = TypeVar("Answer")

RAD_PER_TICK = 2 * math.pi / 4096
RAD_S_PER_UNIT = 0.229 * 2 * math.pi / 60
MODE, CURRENT_LIMIT, LIMITS, TORQUE, HARDWARE_ERROR = 11, 38, 48, 64, 70
GOAL_CURRENT, GOAL_POSITION, STATE, PRESENT_POSITION = 102, 116, 126, 132
TOLERANCE_TICKS = 32
STATE_LENGTH = 10
STATUS_BYTES = 11
EXTENDED_TICKS = 1_048_575
ALERT = 0x80
PROBATION = 3
HIGHEST_ID = 252
DOUBTFUL_IDS = 20

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
        self._current_limits: dict[int, int] = {}

    @property
    def has_current_mode(self) -> bool:
        """Whether every servo known so far can be told a current; `can_current` asks one."""
        return all(has_current_sensor(model) for model in self._models.values())

    def can_current(self, servo: int) -> bool:
        """Whether a servo measures current and can be told one.

        Raises:
            DeviceError: It does not answer.
        """
        return has_current_sensor(self._asked(servo, self._model))

    def model_name(self, number: int) -> str:
        """Name of a model number."""
        return model_name(number)

    def scan(self, highest_id: int = HIGHEST_ID) -> dict[int, int]:
        """Model numbers by ID, by one broadcast ping; takes 3 ms an ID.

        Raises:
            DeviceError: The port is gone, or answers collide; the ID is named.
        """
        found, damaged = self._dynamixel.broadcast_ping(highest_id)
        if damaged:
            for servo in range(min(highest_id, DOUBTFUL_IDS) + 1):
                model = found.get(servo) or self._call_up(servo, silences=1)
                if model is not None:
                    found[servo] = model
        self._models.update(found)
        return dict(sorted(found.items()))

    def set_mode(self, servos: Sequence[int], mode: ServoMode) -> None:
        """Operating mode; see `ServoBus.set_mode`."""
        value = OperatingMode.CURRENT if mode is ServoMode.CURRENT else self._position_mode
        self._for_each(servos, f"go into {value.name.lower()} mode", lambda servo: self._mode(servo, value))

    def write_positions(self, servos: Sequence[int], raw_rad: Array) -> None:
        """One sync write; see `ServoBus.write_positions`."""
        self._checked(servos, raw_rad, "rad")
        ticks = np.rint(raw_rad / RAD_PER_TICK).astype(int).tolist()
        for servo, value in zip(servos, ticks, strict=True):
            self._checked_range(servo, value, self._asked(servo, self._range), RAD_PER_TICK)
        self._packets.sync_write(
            GOAL_POSITION,
            {s: v.to_bytes(4, "little", signed=True) for s, v in zip(servos, ticks, strict=True)},
        )

    def write_currents(self, servos: Sequence[int], amperes: Array) -> None:
        """One sync write; see `ServoBus.write_currents`."""
        self._checked(servos, amperes, "A")
        units: dict[int, bytes] = {}
        for servo, value in zip(servos, amperes.tolist(), strict=True):
            if not self.can_current(servo):
                name = model_name(self._models[servo])
                raise DeviceError(f"Servo {servo} on {self.port} is a {name}, which has no current mode")
            unit_a = amperes_per_unit(self._models[servo])
            unit, limit = round(value / unit_a), self._asked(servo, self._current_limit)
            if abs(unit) > limit:
                raise DeviceError(
                    f"Servo {servo} on {self.port} was to be sent {value:.3f} A",
                    why=f"its current limit is {limit * unit_a:.3f} A",
                    next_step="Lower the gravity compensation, or raise the servo's current limit",
                )
            units[servo] = unit.to_bytes(2, "little", signed=True)
        self._packets.sync_write(GOAL_CURRENT, units)

    def limit_motion(self, servos: Sequence[int], velocity_rad_s: float, acceleration_rad_s2: float) -> None:
        """Caps of the servos' own profile; see `MotionBus.limit_motion`."""
        data = profile_bytes(velocity_rad_s, acceleration_rad_s2)
        self._for_each(servos, "limit its motion", lambda servo: self._profile(servo, data))

    @property
    def has_watchdog(self) -> bool:
        """True: the X series stops when the bus falls silent."""
        return True

    def set_watchdog(self, servos: Sequence[int], timeout_s: float) -> None:
        """Stop when the bus is silent; see `MotionBus.set_watchdog`."""
        units = watchdog_units(timeout_s)
        self._for_each(servos, "take its watchdog", lambda servo: self._watch(servo, units))

    def _profile(self, servo: int, data: bytes) -> None:
        if self._fetch(servo, DRIVE_MODE, 1)[0] & TIME_BASED:
            raise RefusedError("its profile is time-based; clear bit 2 of Drive Mode (10)")
        self._write(servo, PROFILE, data)

    def _watch(self, servo: int, units: int) -> None:
        # A watchdog that has tripped takes nothing but 0.
        self._write(servo, WATCHDOG, b"\x00")
        if units:
            self._write(servo, WATCHDOG, bytes((units,)))

    def restart(self, servo: int) -> None:
        """Reboot a servo, which clears its hardware error. Its torque goes off: hold the arm.

        Raises:
            DeviceError: It does not confirm.
        """
        self._for_each([servo], "restart", self._reboot)

    def _reboot(self, servo: int) -> None:
        if self._dynamixel.reboot(servo) is None:
            raise RefusedError("it does not answer")
        self._alarms.pop(servo, None)

    def _asked(self, servo: int, question: Callable[[int], Answer]) -> Answer:
        try:
            return question(servo)
        except RefusedError as error:
            raise DeviceError(
                f"Servo {servo} on {self.port} cannot be asked",
                why=str(error),
                next_step="Check its supply and cable",
            ) from error

    def _reset(self) -> None:
        self._ranges.clear()
        self._current_limits.clear()
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
            if self._fetch(servo, MODE, 1)[0] == OperatingMode.POSITION:
                data = self._fetch(servo, LIMITS, 8)
                self._ranges[servo] = (_signed(data[4:]), _signed(data[:4]))
            else:
                self._ranges[servo] = (-EXTENDED_TICKS, EXTENDED_TICKS)
        return self._ranges[servo]

    def _current_limit(self, servo: int) -> int:
        if servo not in self._current_limits:
            self._current_limits[servo] = _signed(self._fetch(servo, CURRENT_LIMIT, 2))
        return self._current_limits[servo]

    @property
    def _model_register(self) -> int:
        return 0

    @property
    def _state_bytes(self) -> int:
        return STATUS_BYTES + STATE_LENGTH

    def _ask(self, servos: Sequence[int], number: int) -> Mapping[int, Status]:
        if number == 0 and self._fast is not False and len(servos) > 1:
            found = self._dynamixel.fast_sync_read(servos, STATE, STATE_LENGTH)
            if found:
                self._fast = True
            return found
        found = self._dynamixel.sync_read(servos, STATE, STATE_LENGTH)
        if number == 1 and self._fast is None and len(found) == len(servos):
            self._fast_failures += 1
            self._fast = False if self._fast_failures >= PROBATION else None
        return found

    def _decode(self, servo: int, data: bytes) -> tuple[float, float, float]:
        try:
            ampere = amperes_per_unit(self._model(servo))
        except RefusedError:
            ampere = math.nan
        current, velocity, position = _signed(data[:2]), _signed(data[2:6]), _signed(data[6:])
        return position * RAD_PER_TICK, velocity * RAD_S_PER_UNIT, current * ampere

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
        if on and not self._fetch(servo, TORQUE, 1)[0]:
            if self._fetch(servo, MODE, 1)[0] == OperatingMode.CURRENT:
                self._write(servo, GOAL_CURRENT, bytes(2))
            else:
                here = _signed(self._fetch(servo, PRESENT_POSITION, 4))
                goal = place_within(here, self._range(servo), TOLERANCE_TICKS)
                self._write(servo, GOAL_POSITION, goal.to_bytes(4, "little", signed=True))
        self._write(servo, TORQUE, bytes((on,)))


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)
