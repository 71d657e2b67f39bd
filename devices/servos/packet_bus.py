"""What both vendors' buses have in common: retries, silent servos, confirmations, checks of what is sent."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from devices.servos.bus import Array, ServoStates
from devices.servos.packets import Packets, Status
from devices.servos.roll_call import RollCall
from devices.servos.serial_line import SerialLine
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError

TRIES = 3
QUIET_CYCLES = 4


class PacketBus(ABC):
    """A chain of servos behind a `SerialLine`. Subclasses know the registers.

    Args:
        line: The port.
        clock: The station's clock.
        packets: The protocol.
    """

    def __init__(self, line: SerialLine, clock: Clock, packets: Packets) -> None:
        self._line = line
        self._clock = clock
        self._packets = packets
        self._models: dict[int, int] = {}
        self._alarms: dict[int, str] = {}
        self._heard = False
        self._quiet_cycles = 0
        self._roll = RollCall(clock, lambda: packets.damaged)

    @property
    def port(self) -> str:
        """Serial port."""
        return self._line.port

    @property
    def remark(self) -> str:
        """A sentence when the port is odd, e.g. slow; else empty."""
        return self._line.remark

    @property
    def damaged(self) -> int:
        """Answers so far that arrived damaged."""
        return self._packets.damaged

    @property
    def silences(self) -> int:
        """How often so far a servo did not answer in a whole cycle."""
        return self._roll.silences

    def open(self) -> None:
        """Open the port.

        Raises:
            DeviceError: It does not exist, is busy, or is not permitted.
        """
        self._line.open()
        self._models.clear()
        self._alarms.clear()
        self._roll.forget()
        self._heard = False
        self._quiet_cycles = 0
        self._reset()

    def close(self) -> None:
        """Close the port; torque stays as it is. May be called twice."""
        self._line.close()

    def ping(self, servo: int) -> int | None:
        """Model number of a servo, None when it does not answer.

        Raises:
            DeviceError: The port is gone, or its answers are never whole: two servos have this ID.
        """
        return self._call_up(servo, silences=TRIES)

    def _call_up(self, servo: int, silences: int) -> int | None:
        damaged = 0
        for attempt in range(TRIES):
            self._line.be_patient(attempt)
            found = self._packets.ping(servo)
            if found.model is not None and found.answers == 1:
                self._models[servo] = found.model
                return found.model
            damaged += found.damaged
            silences -= not found.damaged
            if silences <= 0:
                break
        if damaged < TRIES:
            return None
        raise DeviceError(
            f"The answers of servo {servo} on {self.port} arrive damaged every time",
            why="two servos have this ID, or the cable is bad",
            next_step="Plug in one servo at a time and give each an ID of its own",
        )

    def read(self, servos: Sequence[int]) -> ServoStates:
        """One sync read; see `ServoBus.read`. Its time is bounded: see `RollCall`.

        A cycle in which nobody answers is a disturbance, several in a row are a fault. A bus that has not
        been heard since it was opened is asked for that many cycles at once.

        Raises:
            DeviceError: The port is gone, or nothing at all answers.
        """
        self._line.be_patient(0)
        answers = self._roll.call(servos, self._ask)
        while not answers and not self._heard and self._quiet_cycles < QUIET_CYCLES:
            self._quiet_cycles += 1
            answers = self._roll.call(servos, self._ask)
        self._heard = self._heard or bool(answers)
        self._quiet_cycles = 0 if answers else self._quiet_cycles + 1
        if self._quiet_cycles >= QUIET_CYCLES:
            raise DeviceError(
                f"No servo on {self.port} answers at {self._line.baud} bit/s",
                why=f"asked {_ids(servos)}",
                next_step="Check supply and cable; 'teleop devices' says which baud and IDs answer",
            )
        wire_ns = self._line.wire_ns(self._state_bytes * len(answers))
        capture_ns = self._clock.now_ns() - wire_ns // 2
        rows = np.full((3, len(servos)), np.nan)
        for column, servo in enumerate(servos):
            if servo in answers:
                rows[:, column] = self._decode(servo, answers[servo].data)
                self._note_alarm(servo, answers[servo])
        return ServoStates(
            position=rows[0],
            velocity=rows[1],
            current=rows[2],
            missing=tuple(servo for servo in servos if servo not in answers),
            alarms={servo: self._alarms[servo] for servo in servos if servo in self._alarms},
            capture_ns=capture_ns,
        )

    def set_torque(self, servos: Sequence[int], on: bool) -> None:
        """Torque on or off, confirmed servo by servo; all of them are tried before one is complained of.

        Raises:
            DeviceError: A servo did not confirm; its ID is named.
        """
        self._for_each(servos, f"switch its torque {'on' if on else 'off'}", lambda s: self._torque(s, on))

    def _for_each(self, servos: Sequence[int], deed: str, action: Callable[[int], None]) -> None:
        complaints: dict[int, str] = {}
        for servo in servos:
            try:
                action(servo)
            except RefusedError as refusal:
                complaints[servo] = str(refusal)
        if complaints:
            raise DeviceError(
                f"Servo {_ids(complaints)} on {self.port} did not {deed}",
                why="; ".join(f"{servo}: {why}" for servo, why in complaints.items()),
                next_step="Check its supply and cable, then connect again",
            )

    def _write(self, servo: int, address: int, data: bytes) -> None:
        """Write registers and read them back.

        Raises:
            RefusedError: They are not as written.
        """
        why = "it does not answer"
        for attempt in range(TRIES):
            self._line.be_patient(attempt)
            status = self._exchange(lambda: self._packets.write(servo, address, data))
            if status is not None:
                why = self._refusal(status.error) or why
            back = self._exchange(lambda: self._packets.read(servo, address, len(data)))
            if back is not None:
                if back.data == data:
                    return
                self._note_alarm(servo, back)
                kept = self._refusal(status.error) if status is not None else ""
                why = self._alarms.get(servo, "") or kept or "it keeps its old value"
        raise RefusedError(why)

    def _fetch(self, servo: int, address: int, length: int) -> bytes:
        """Read registers.

        Raises:
            RefusedError: It does not answer.
        """
        for attempt in range(TRIES):
            self._line.be_patient(attempt)
            status = self._exchange(lambda: self._packets.read(servo, address, length))
            if status is not None and len(status.data) == length:
                return status.data
        raise RefusedError("it does not answer")

    def _exchange(self, question: Callable[[], Status | None]) -> Status | None:
        status = question()
        if status is None:
            self._line.settle()
        return status

    def _checked(self, servos: Sequence[int], values: Array, unit: str) -> None:
        if len(values) != len(servos):
            raise ValueError(f"{len(values)} values for {len(servos)} servos")
        if not np.isfinite(values).all():
            bad = [servo for servo, value in zip(servos, values, strict=True) if not np.isfinite(value)]
            raise DeviceError(
                f"Servo {_ids(bad)} on {self.port} was to be sent a goal that is not a number [{unit}]",
                why="nothing was sent to any servo",
            )

    def _model(self, servo: int) -> int:
        if servo not in self._models:
            self._models[servo] = int.from_bytes(self._fetch(servo, self._model_register, 2), "little")
        return self._models[servo]

    def _checked_range(self, servo: int, value: int, limits: tuple[int, int], rad_per_unit: float) -> None:
        low, high = limits
        if not low <= value <= high:
            raise DeviceError(
                f"Servo {servo} on {self.port} cannot go to {value * rad_per_unit:.3f} rad",
                why=f"its limits are {low * rad_per_unit:.3f} to {high * rad_per_unit:.3f} rad",
                next_step="Calibrate the arm anew, or widen the limits in the servo",
            )

    @abstractmethod
    def _reset(self) -> None:
        """Forget what was known of the servos."""

    @property
    @abstractmethod
    def _model_register(self) -> int:
        """Address of the model number."""

    @property
    @abstractmethod
    def _state_bytes(self) -> int:
        """Bytes of one servo's answer on the wire."""

    @abstractmethod
    def _ask(self, servos: Sequence[int], number: int) -> Mapping[int, Status]:
        """One sync read of the states, the `number`th of this cycle."""

    @abstractmethod
    def _decode(self, servo: int, data: bytes) -> tuple[float, float, float]:
        """Position [rad], velocity [rad/s], current [A] or load."""

    @abstractmethod
    def _note_alarm(self, servo: int, status: Status) -> None:
        """Keep or clear the sentence of a servo's alarm."""

    @abstractmethod
    def _refusal(self, error: int) -> str:
        """Why a write was refused, empty when it was not."""

    @abstractmethod
    def _torque(self, servo: int, on: bool) -> None:
        """Switch the torque of one servo, confirmed; it must hold where it is."""


class RefusedError(Exception):
    """A servo does not do what it is told; why."""


def place_within(value: int, limits: tuple[int, int], tolerance: int) -> int:
    """Where a servo that stands at `value` is to hold, within its limits.

    Raises:
        RefusedError: It stands so far outside that it would jump.
    """
    low, high = limits
    if not low - tolerance <= value <= high + tolerance:
        raise RefusedError(f"it stands at {value}, outside of its limits {low} to {high}, and would jump")
    return min(max(value, low), high)


def limit_units(value: float, unit: float, highest: int) -> int:
    """A cap in a register's units; 0 is none, and a cap is never rounded down to none.

    Raises:
        ValueError: It is not a number of at least 0.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"a limit of motion is a number of at least 0, not {value}")
    return min(max(round(value / unit), 1), highest) if value > 0 else 0


def _ids(servos: Sequence[int] | Mapping[int, str]) -> str:
    return ", ".join(str(servo) for servo in servos)
