"""One emulated Feetech STS servo: its memory table and how it moves.

Source: Feetech, memory table of the STS series (STS3215): 4096 steps a turn, speeds in steps/s, current in
6.5 mA, load in 0.1 %, voltage in 0.1 V; negative values as sign and magnitude (bit 15, of the load bit 10,
of the homing offset bit 11).
"""

from __future__ import annotations

import math
import time

from devices.emulators.servo_motion import ServoMotion

STEPS = 4096
RAD_PER_STEP = 2 * math.pi / STEPS
AMPERES_PER_UNIT = 0.0065
EEPROM_END = 40
MODEL, NUMBER, BAUD, RETURN_LEVEL, MIN_ANGLE, MAX_ANGLE, OFFSET, MODE = 3, 5, 6, 8, 9, 11, 31, 33
TORQUE, ACCELERATION, GOAL, GOAL_SPEED, TORQUE_LIMIT, LOCK = 40, 41, 42, 46, 48, 55
POSITION, SPEED, LOAD, VOLTAGE, TEMPERATURE, STATUS, MOVING, CURRENT = 56, 58, 60, 62, 63, 65, 66, 69
TABLE_END = 87
CENTRE_NOW = 128


def signed(value: int, bit: int) -> int:
    """Value of a sign and magnitude."""
    return -(value & ~(1 << bit)) if value >> bit & 1 else value


def magnitude(value: int, bit: int) -> int:
    """Sign and magnitude of a value, cut off at what the bits hold."""
    size = min(abs(value), (1 << bit) - 1)
    return size | (value < 0) << bit


class EmulatedFeetech:
    """A servo.

    Attributes:
        silent: It does not answer at all.
        delay_s: How long it thinks before it answers [s].
        alarm: Bits of its error byte.
        motion: Its output shaft.
        registered: A write that waits for an action.
    """

    def __init__(self, number: int, model: int) -> None:
        self.number = number
        self.model = model
        self.silent = False
        self.delay_s = 0.0
        self.alarm = 0
        self.motion = ServoMotion()
        self.registered: tuple[int, bytes] | None = None
        self._moved_ns = time.monotonic_ns()
        self._table = bytearray(TABLE_END)
        self._put(0, 3, 1)
        self._put(1, 10, 1)
        self._put(MODEL, model, 2)
        self._put(NUMBER, number, 1)
        self._put(RETURN_LEVEL, 1, 1)
        self._put(MAX_ANGLE, STEPS - 1, 2)
        self._put(TORQUE_LIMIT, 1000, 2)
        self._put(LOCK, 1, 1)
        self._put(VOLTAGE, 74, 1)
        self._put(TEMPERATURE, 35, 1)
        self._advance()
        self._put(GOAL, self._get(POSITION, 2), 2)

    @property
    def torque_on(self) -> bool:
        """Whether it holds."""
        return self._get(TORQUE, 1) == 1

    @property
    def status_return_level(self) -> int:
        """0 answers reads and pings, 1 everything."""
        return self._get(RETURN_LEVEL, 1)

    def fail(self, bits: int) -> None:
        """Raise alarms; an overload lets go."""
        self.alarm = bits
        self._put(STATUS, bits, 1)
        if bits & 0x20:
            self._put(TORQUE, 0, 1)

    def turn_by_hand(self, angle: float) -> None:
        """Set its angle [rad], as a hand does while torque is off."""
        self._advance()
        self.motion.angle = angle
        self.motion.velocity = 0.0

    @property
    def mode(self) -> int:
        """Operating mode."""
        return self._get(MODE, 1)

    def put_mode(self, mode: int) -> None:
        """Set its operating mode, as if it had been bought so."""
        self._put(MODE, mode, 1)

    def put_return_level(self, level: int) -> None:
        """Set whether it confirms writes (1) or only answers reads (0)."""
        self._put(RETURN_LEVEL, level, 1)

    def put_limits(self, low: int, high: int) -> None:
        """Set its angle limits [steps]."""
        self._put(MIN_ANGLE, low, 2)
        self._put(MAX_ANGLE, high, 2)

    def table(self, address: int, length: int) -> bytes:
        """Bytes of its memory table."""
        return bytes(self._table[address : address + length])

    def read(self, address: int, length: int) -> bytes:
        """Registers, as of now."""
        self._advance()
        return self.table(address, length)

    def act(self) -> None:
        """Do the registered write."""
        waiting, self.registered = self.registered, None
        if waiting is not None:
            self.write(*waiting)

    def write(self, address: int, data: bytes) -> None:
        """Write registers. What is locked or read-only stays as it is; the servo says nothing of it."""
        self._advance()
        if address < NUMBER or address >= POSITION or address + len(data) > POSITION:
            return
        if address < EEPROM_END and self._get(LOCK, 1):
            return
        if address == TORQUE and data[0] == CENTRE_NOW:
            self._centre()
            return
        was_on = self.torque_on
        self._table[address : address + len(data)] = data
        if address <= TORQUE < address + len(data):
            if self.torque_on and not was_on:
                self._put(GOAL, self._get(POSITION, 2), 2)
            self.motion.rest()

    def _centre(self) -> None:
        raw = round(self.motion.angle / RAD_PER_STEP) % STEPS
        self._put(OFFSET, magnitude(raw - STEPS // 2, 11), 2)

    def _advance(self) -> None:
        now_ns = time.monotonic_ns()
        elapsed_s = (now_ns - self._moved_ns) / 1e9
        self._moved_ns = now_ns
        motion = self.motion
        if self.torque_on:
            low, high = self._get(MIN_ANGLE, 2), self._get(MAX_ANGLE, 2)
            goal = signed(self._get(GOAL, 2), 15)
            if high > low:
                goal = min(max(goal, low), high)
            offset = signed(self._get(OFFSET, 2), 11)
            turn = math.floor(motion.angle / (2 * math.pi)) * 2 * math.pi
            here = (round((motion.angle - turn) / RAD_PER_STEP) - offset) % STEPS
            speed = self._get(GOAL_SPEED, 2) * RAD_PER_STEP
            motion.follow(motion.angle + (goal - here) * RAD_PER_STEP, elapsed_s, speed or None)
        else:
            motion.rest()
        offset = signed(self._get(OFFSET, 2), 11)
        self._put(POSITION, (round(motion.angle / RAD_PER_STEP) - offset) % STEPS, 2)
        self._put(SPEED, magnitude(round(motion.velocity / RAD_PER_STEP), 15), 2)
        self._put(LOAD, magnitude(round(1000 * motion.current / motion.max_current), 10), 2)
        self._put(CURRENT, magnitude(round(motion.current / AMPERES_PER_UNIT), 15), 2)
        self._put(MOVING, int(abs(motion.velocity) > 0.02), 1)

    def _get(self, address: int, length: int) -> int:
        return int.from_bytes(self._table[address : address + length], "little")

    def _put(self, address: int, value: int, length: int) -> None:
        self._table[address : address + length] = value.to_bytes(length, "little")
