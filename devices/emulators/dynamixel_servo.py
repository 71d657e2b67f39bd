"""One emulated DYNAMIXEL X servo: its control table and how it moves.

Source: ROBOTIS e-manual, control table of the X series (the same addresses from XL330 to XM540).
"""

from __future__ import annotations

import math
import time

from devices.emulators.servo_motion import ServoMotion

TICKS = 4096
RPM_PER_UNIT = 0.229
RAD_S_PER_UNIT = RPM_PER_UNIT * 2 * math.pi / 60
EEPROM_END = 64
SECONDARY = 12
MODE, HOMING, MAX_POSITION, MIN_POSITION = 11, 20, 48, 52
TORQUE, RETURN_LEVEL, HARDWARE_ERROR = 64, 68, 70
WATCHDOG, GOAL_CURRENT, PROFILE_VELOCITY, GOAL_POSITION = 98, 102, 112, 116
WATCHDOG_UNIT_NS, STRUCK = 20_000_000, 0xFF
PRESENT_CURRENT, PRESENT_VELOCITY, PRESENT_POSITION = 126, 128, 132
VOLTAGE, TEMPERATURE, TABLE_END = 144, 146, 147
CURRENT_MODE, POSITION_MODE, EXTENDED_MODE, CURRENT_POSITION_MODE = 0, 3, 4, 5
DATA_RANGE, DATA_LENGTH, DATA_LIMIT, ACCESS = 4, 5, 6, 7
NO_CURRENT_SENSOR = {1060, 1070, 1080, 1090, 1160}
MILLIAMPERE_UNIT = {1190, 1200, 1210, 1220, 1230, 1240}


class EmulatedDynamixel:
    """A servo.

    Attributes:
        silent: It does not answer at all.
        delay_s: How long it thinks before it answers [s].
        motion: Its output shaft; tests may move it by hand while torque is off.
        registered: A write that waits for an action.
    """

    def __init__(self, number: int, model: int) -> None:
        self.number = number
        self.model = model
        self.silent = False
        self.delay_s = 0.0
        self.motion = ServoMotion()
        self.registered: tuple[int, bytes] | None = None
        self._moved_ns = self._asked_ns = time.monotonic_ns()
        self._table = bytearray(TABLE_END)
        self._put(0, model, 2)
        self._put(6, 46, 1)
        self._put(7, number, 1)
        self._put(8, 3, 1)
        self._put(MODE, POSITION_MODE, 1)
        self._put(SECONDARY, 255, 1)
        self._put(38, 1750, 2)
        self._put(MAX_POSITION, TICKS - 1, 4)
        self._put(RETURN_LEVEL, 2, 1)
        self._put(VOLTAGE, 120, 2)
        self._put(TEMPERATURE, 35, 1)
        self._store_goal()

    @property
    def amperes_per_unit(self) -> float:
        """Of current registers [A]; of the load register where there is no sensor [share of 1]."""
        if self.model in NO_CURRENT_SENSOR:
            return 0.001
        return 0.001 if self.model in MILLIAMPERE_UNIT else 0.00269

    @property
    def torque_on(self) -> bool:
        """Whether it holds."""
        return self._get(TORQUE, 1) == 1

    @property
    def mode(self) -> int:
        """Operating mode."""
        return self._get(MODE, 1)

    @property
    def status_return_level(self) -> int:
        """0 answers pings, 1 also reads, 2 everything."""
        return self._get(RETURN_LEVEL, 1)

    @property
    def alert(self) -> int:
        """Bit of the error byte that says that there is a hardware error."""
        return 0x80 if self._get(HARDWARE_ERROR, 1) else 0

    def fail(self, bits: int) -> None:
        """Have a hardware error: it lets go and stays so until a reboot."""
        self._put(HARDWARE_ERROR, bits, 1)
        self._put(TORQUE, 0, 1)

    def reboot(self) -> None:
        """Start anew: errors and torque are gone, the EEPROM stays."""
        self._put(HARDWARE_ERROR, 0, 1)
        self._put(TORQUE, 0, 1)

    def turn_by_hand(self, angle: float) -> None:
        """Set its angle [rad], as a hand does while torque is off."""
        self._advance()
        self.motion.angle = angle
        self.motion.velocity = 0.0

    def put_mode(self, mode: int) -> None:
        """Set its operating mode, as if it had been bought so."""
        self._put(MODE, mode, 1)

    def put_limits(self, low: int, high: int) -> None:
        """Set its position limits [ticks]."""
        self._put(MIN_POSITION, low, 4)
        self._put(MAX_POSITION, high, 4)

    def hears(self, number: int) -> bool:
        """Whether it obeys writes to this ID: its own, or its secondary one (12)."""
        return number in (self.number, self._get(SECONDARY, 1))

    def table(self, address: int, length: int) -> bytes:
        """Bytes of its control table."""
        return bytes(self._table[address : address + length])

    def read(self, address: int, length: int) -> tuple[int, bytes]:
        """Error code and registers, as of now."""
        if address + length > TABLE_END:
            return DATA_RANGE, b""
        self._listen()
        return 0, self.table(address, length)

    def act(self) -> int:
        """Do the registered write; the error code."""
        waiting, self.registered = self.registered, None
        return self.write(*waiting) if waiting is not None else 0

    def write(self, address: int, data: bytes) -> int:
        """Write registers; the error code."""
        self._listen()
        if address + len(data) > TABLE_END:
            return DATA_RANGE
        if address < 7 or PRESENT_CURRENT <= address:
            return ACCESS
        if address < EEPROM_END and self.torque_on:
            return ACCESS
        error = self._refusal(address, data)
        if error:
            return error
        if address == TORQUE and data[0] and not self.torque_on:
            self._table[TORQUE] = 1
            self._store_goal()
            return 0
        self._table[address : address + len(data)] = data
        if address == TORQUE and not data[0]:
            self.motion.rest()
        return 0

    def _refusal(self, address: int, data: bytes) -> int:
        value = int.from_bytes(data, "little", signed=True)
        struck = self._get(WATCHDOG, 1) == STRUCK
        if struck and (GOAL_CURRENT <= address <= GOAL_POSITION or (address == WATCHDOG and value != 0)):
            return DATA_RANGE
        if address == GOAL_POSITION and self.mode == POSITION_MODE:
            return 0 if self._get(MIN_POSITION, 4) <= value <= self._get(MAX_POSITION, 4) else DATA_LIMIT
        if address == GOAL_CURRENT:
            return 0 if abs(value) <= self._get(38, 2) else DATA_LIMIT
        if address == MODE:
            known = {1, 3, 4, 16} if self.model in NO_CURRENT_SENSOR else {0, 1, 3, 4, 5, 16}
            return 0 if data[0] in known else DATA_RANGE
        if address == TORQUE and data[0]:
            return ACCESS if self.alert else 0
        return 0

    def _listen(self) -> None:
        """A packet has come: where its watchdog ran out before, it has stopped then."""
        now_ns = time.monotonic_ns()
        units = self._get(WATCHDOG, 1)
        expiry_ns = self._asked_ns + units * WATCHDOG_UNIT_NS
        self._asked_ns = now_ns
        if 0 < units < STRUCK and now_ns > expiry_ns and self.torque_on:
            self._advance(expiry_ns)
            self._store_goal()
            self._put(WATCHDOG, STRUCK, 1)
        self._advance()

    def _advance(self, now_ns: int = 0) -> None:
        now_ns = max(self._moved_ns, now_ns or time.monotonic_ns())
        elapsed_s = (now_ns - self._moved_ns) / 1e9
        self._moved_ns = now_ns
        motion = self.motion
        if not self.torque_on:
            motion.rest()
        elif self.mode == CURRENT_MODE:
            motion.push(self._get(GOAL_CURRENT, 2) * self.amperes_per_unit, elapsed_s)
        else:
            profile = self._get(PROFILE_VELOCITY, 4) * RAD_S_PER_UNIT
            motion.follow(self._angle(self._get(GOAL_POSITION, 4)), elapsed_s, profile or None)
        self._put(PRESENT_CURRENT, round(motion.current / self.amperes_per_unit), 2)
        self._put(PRESENT_VELOCITY, round(motion.velocity / RAD_S_PER_UNIT), 4)
        self._put(PRESENT_POSITION, self._ticks(motion.angle), 4)

    def _store_goal(self) -> None:
        self._put(GOAL_POSITION, self._ticks(self.motion.angle), 4)
        self._put(GOAL_CURRENT, 0, 2)
        self._advance(self._moved_ns)

    def _ticks(self, angle: float) -> int:
        return round(angle * TICKS / (2 * math.pi)) + self._get(HOMING, 4)

    def _angle(self, ticks: int) -> float:
        return (ticks - self._get(HOMING, 4)) * 2 * math.pi / TICKS

    def _get(self, address: int, length: int) -> int:
        return int.from_bytes(self._table[address : address + length], "little", signed=length > 1)

    def _put(self, address: int, value: int, length: int) -> None:
        self._table[address : address + length] = value.to_bytes(length, "little", signed=length > 1)
