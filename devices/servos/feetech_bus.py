"""Feetech STS servos on one line, by the vendor's `scservo_sdk` (`ftservo-python-sdk`).

Source: Feetech, memory table of the STS series: 4096 steps a turn, speed in steps/s, current in 6.5 mA;
negative values as sign (bit 15) and magnitude; the EEPROM is locked by register 55.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from devices.servos.bus import Array, ServoMode
from devices.servos.feetech_packets import FeetechPackets
from devices.servos.packet_bus import PacketBus, RefusedError, limit_units, place_within
from devices.servos.packets import Status
from devices.servos.serial_line import SerialLine
from teleop_app.core.clock import Clock, MonotonicClock
from teleop_app.core.errors import DeviceError

STEPS = 4096
RAD_PER_STEP = 2 * math.pi / STEPS
ACCELERATION, SPEED = 41, 46
AMPERES_PER_UNIT = 0.0065
MODEL, LIMITS, MODE, TORQUE, GOAL, LOCK, STATE = 3, 9, 33, 40, 42, 55, 56
TOLERANCE_STEPS = 32
ACCELERATION, SPEED = 41, 46
HIGHEST_ACCELERATION, HIGHEST_SPEED = 254, 3400
STATE_LENGTH = 15
STATUS_BYTES = 6
HIGHEST_ID = 20
POSITION_MODE = 0
CENTRE_NOW = 128

MODELS = {777: "STS3215", 2825: "STS3250", 521: "STS3020", 1540: "STS3032", 4106: "STS3235"}
ALARMS = {
    0x01: "input voltage out of its limits",
    0x02: "magnetic sensor failure",
    0x04: "overheating",
    0x08: "overcurrent",
    0x20: "overload",
}


class FeetechBus(PacketBus):
    """See `devices.servos.bus.ServoBus`. Currents cannot be told to these servos.

    Args:
        port: Device file.
        baud: Bit rate of the servos [bit/s].
        clock: The station's clock.
        answer_slack_ms: See `SerialLine`.
    """

    def __init__(
        self,
        port: str,
        baud: int = 1_000_000,
        clock: Clock | None = None,
        *,
        answer_slack_ms: float = 16.0,
    ) -> None:
        line = SerialLine(port, baud, answer_slack_ms)
        super().__init__(line, clock or MonotonicClock(), FeetechPackets(line))
        self._ranges: dict[int, tuple[int, int]] = {}

    @property
    def has_current_mode(self) -> bool:
        """False: the STS series has none."""
        return False

    def can_current(self, servo: int) -> bool:
        """False for every servo."""
        return False

    def model_name(self, number: int) -> str:
        """Name of a model number."""
        return MODELS.get(number, f"model {number}")

    def scan(self, highest_id: int = HIGHEST_ID) -> dict[int, int]:
        """Model numbers by ID; every ID is asked, since these servos know no broadcast ping.

        Raises:
            DeviceError: The port is gone, or answers collide; the ID is named.
        """
        found = {servo: self._call_up(servo, silences=1) for servo in range(highest_id + 1)}
        return {servo: model for servo, model in found.items() if model is not None}

    def set_mode(self, servos: Sequence[int], mode: ServoMode) -> None:
        """Operating mode; see `ServoBus.set_mode`."""
        if mode is not ServoMode.POSITION:
            raise DeviceError(f"The servos on {self.port} have no current mode")
        self._for_each(servos, "go into position mode", self._position_mode)

    def write_positions(self, servos: Sequence[int], raw_rad: Array) -> None:
        """One sync write; see `ServoBus.write_positions`."""
        self._checked(servos, raw_rad, "rad")
        steps = np.rint(raw_rad / RAD_PER_STEP).astype(int).tolist()
        for servo, value in zip(servos, steps, strict=True):
            self._checked_range(servo, value, self._asked_range(servo), RAD_PER_STEP)
        self._packets.sync_write(
            GOAL, {servo: value.to_bytes(2, "little") for servo, value in zip(servos, steps, strict=True)}
        )

    def write_currents(self, servos: Sequence[int], amperes: Array) -> None:
        """Refused: the STS series has no current mode."""
        raise DeviceError(f"The servos on {self.port} have no current mode")

    def limit_motion(self, servos: Sequence[int], velocity_rad_s: float, acceleration_rad_s2: float) -> None:
        """Caps of speed (46, steps/s) and acceleration (41, 100 steps/s^2); see `MotionBus.limit_motion`."""
        speed = limit_units(velocity_rad_s, RAD_PER_STEP, HIGHEST_SPEED).to_bytes(2, "little")
        acceleration = limit_units(acceleration_rad_s2, 100 * RAD_PER_STEP, HIGHEST_ACCELERATION)

        def limit(servo: int) -> None:
            self._write(servo, ACCELERATION, bytes((acceleration,)))
            self._write(servo, SPEED, speed)

        self._for_each(servos, "limit its motion", limit)

    @property
    def has_watchdog(self) -> bool:
        """False: the STS series goes on towards its last goal."""
        return False

    def set_watchdog(self, servos: Sequence[int], timeout_s: float) -> None:
        """Refused: the STS series has none."""
        raise DeviceError(f"The servos on {self.port} have no watchdog")

    def centre(self, servo: int) -> None:
        """Make the place where a servo stands now the middle of its range, pi; kept in its EEPROM.

        Raises:
            DeviceError: It did not confirm.
        """
        self._for_each([servo], "take its place as the middle", self._centre)

    def _centre(self, servo: int) -> None:
        self._unlocked(servo, lambda: self._packets.write(servo, TORQUE, bytes((CENTRE_NOW,))))
        position = int.from_bytes(self._fetch(servo, STATE, 2), "little")
        if abs(position - STEPS // 2) > 10:
            raise RefusedError(f"it says {position} of {STEPS // 2}")

    def _position_mode(self, servo: int) -> None:
        if self._fetch(servo, MODE, 1)[0] == POSITION_MODE:
            return
        if self._fetch(servo, TORQUE, 1)[0]:
            raise RefusedError("its torque is on")
        self._unlocked(servo, lambda: self._write(servo, MODE, bytes((POSITION_MODE,))))

    def _unlocked(self, servo: int, action: Callable[[], object]) -> None:
        self._write(servo, LOCK, b"\x00")
        try:
            action()
        finally:
            self._write(servo, LOCK, b"\x01")

    def _asked_range(self, servo: int) -> tuple[int, int]:
        try:
            return self._range(servo)
        except RefusedError as error:
            raise DeviceError(
                f"Servo {servo} on {self.port} cannot be asked",
                why=str(error),
                next_step="Check its supply and cable",
            ) from error

    def _range(self, servo: int) -> tuple[int, int]:
        if servo not in self._ranges:
            data = self._fetch(servo, LIMITS, 4)
            low, high = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:], "little")
            self._ranges[servo] = (low, high) if high > low else (0, STEPS - 1)
        return self._ranges[servo]

    def _reset(self) -> None:
        self._ranges.clear()

    @property
    def _model_register(self) -> int:
        return MODEL

    @property
    def _state_bytes(self) -> int:
        return STATUS_BYTES + STATE_LENGTH

    def _ask(self, servos: Sequence[int], number: int) -> Mapping[int, Status]:
        return self._packets.sync_read(servos, STATE, STATE_LENGTH)

    def _decode(self, servo: int, data: bytes) -> tuple[float, float, float]:
        return (
            _signed(data[0:2]) * RAD_PER_STEP,
            _signed(data[2:4]) * RAD_PER_STEP,
            _signed(data[13:15]) * AMPERES_PER_UNIT,
        )

    def _note_alarm(self, servo: int, status: Status) -> None:
        named = [text for bit, text in ALARMS.items() if status.error & bit]
        if named:
            measured = ""
            if len(status.data) == STATE_LENGTH:
                measured = f" ({status.data[6] / 10:.1f} V, {status.data[7]} C)"
            self._alarms[servo] = " and ".join(named) + measured
        else:
            self._alarms.pop(servo, None)

    def _refusal(self, error: int) -> str:
        return ""

    def _torque(self, servo: int, on: bool) -> None:
        if on and not self._fetch(servo, TORQUE, 1)[0]:
            goal = place_within(_signed(self._fetch(servo, STATE, 2)), self._range(servo), TOLERANCE_STEPS)
            self._write(servo, GOAL, goal.to_bytes(2, "little"))
        self._write(servo, TORQUE, bytes((on,)))


def _signed(data: bytes) -> int:
    value = int.from_bytes(data, "little")
    return -(value & 0x7FFF) if value & 0x8000 else value
