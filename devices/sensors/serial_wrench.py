"""Force-torque sensors on a serial line: Robotiq FT 300, Bota Systems, and lines of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Found, Options
from devices.protocols import Verification
from devices.sensors import bota, robotiq_ft300
from devices.sensors.discovery import listen
from devices.sensors.number_lines import LineDecoder
from devices.sensors.readings import Decoder, Reading
from devices.sensors.serial_sensor import SerialSensor
from devices.sensors.stream_port import StreamPort
from teleop_app.core.clock import Clock
from teleop_app.core.types import Array, StreamSetup

AXES: Final = ("fx", "fy", "fz", "tx", "ty", "tz")
_TARE_S: Final = 0.25
_STILL_SHARE: Final = 0.02
"""Of the range: a load that varies by more while the sensor is zeroed is no rest."""


class WrenchOptions(Options):
    """Settings of `serial-wrench`.

    Attributes:
        port: Serial port, e.g. `/dev/ttyUSB0`, better a name under `/dev/serial/by-id`.
        protocol: `robotiq-ft300`, `bota`, or `lines` (see `devices.sensors.number_lines`).
        baud: Bit rate, 0 for the protocol's usual one.
        rate_hz: Samples a second, 0 for the protocol's usual one.
        sinc: Filter length of a Bota sensor: 51200 / sinc samples a second.
        frame: Frame that the wrench is expressed in.
        range_n: Forces beyond it are remarked on [N], 0 for the sensor's own.
        range_n_m: Torques beyond it [N m], 0 for the sensor's own.
        tare: Take the load at start for zero.
    """

    port: str = Field(min_length=1, max_length=400)
    protocol: Literal["robotiq-ft300", "bota", "lines"]
    baud: int = Field(default=0, ge=0, le=4_000_000)
    rate_hz: float = Field(default=0.0, ge=0.0, le=10_000.0)
    sinc: Literal[51, 64, 128, 256, 512, 1024] = 256
    frame: str = Field(default="", max_length=64)
    range_n: float = Field(default=0.0, ge=0.0, le=1e5)
    range_n_m: float = Field(default=0.0, ge=0.0, le=1e4)
    tare: bool = False


@dataclass(frozen=True, slots=True)
class _Protocol:
    baud: int
    rate_hz: float
    range_n: float
    range_n_m: float
    begin: Callable[[StreamPort], None]
    decoder: Callable[[], Decoder]


def _protocol(options: WrenchOptions) -> _Protocol:
    if options.protocol == "robotiq-ft300":
        return _Protocol(
            robotiq_ft300.BAUD,
            robotiq_ft300.RATE_HZ,
            robotiq_ft300.RANGE_N,
            robotiq_ft300.RANGE_N_M,
            robotiq_ft300.begin,
            robotiq_ft300.Ft300Decoder,
        )
    if options.protocol == "bota":
        rate_hz = bota.SINC_RATE_HZ / options.sinc
        return _Protocol(
            bota.BAUD,
            rate_hz,
            0.0,
            0.0,
            lambda port: bota.begin(port, options.sinc),
            lambda: bota.BotaDecoder(rate_hz),
        )
    return _Protocol(115_200, 100.0, 0.0, 0.0, lambda port: None, lambda: LineDecoder(len(AXES)))


class SerialWrench(SerialSensor):
    """A force-torque sensor. One thread.

    Args:
        name: Of the sensor; its stream is `<name>/wrench`.
        options: Its settings.
        clock: The station's clock.
    """

    def __init__(self, name: str, options: WrenchOptions, clock: Clock) -> None:
        protocol = _protocol(options)
        self._rate_hz = options.rate_hz or protocol.rate_hz
        self._range = np.array(
            [options.range_n or protocol.range_n] * 3 + [options.range_n_m or protocol.range_n_m] * 3
        )
        self._zero = np.zeros(6)
        self._taring: list[Array] | None = [] if options.tare else None
        port = StreamPort(options.port, options.baud or protocol.baud)
        setup = StreamSetup(f"{name}/wrench", "wrench", AXES, "N, N m", options.frame, self._rate_hz)
        super().__init__(name, port, clock, protocol.begin, protocol.decoder, lambda decoder, first: setup)

    @property
    def zero(self) -> Array:
        """What is subtracted from each reading [N, N m], shape (6,)."""
        return self._zero

    def tare(self) -> None:
        """Take the load of the next quarter of a second for zero; until then the old zero holds."""
        self._taring = []

    def adjust(self, readings: list[Reading]) -> list[Reading]:
        """Readings less the zero; remarks on loads beyond the range."""
        for reading in readings:
            self._watch(reading.values)
        return [replace(reading, values=reading.values - self._zero) for reading in readings]

    def _watch(self, raw: Array) -> None:
        beyond = (self._range > 0.0) & (np.abs(raw) > self._range)
        if np.any(beyond):
            axis = int(np.argmax(beyond))
            unit = "N" if axis < 3 else "N m"
            self.note(
                f"The force sensor {self._name!r} is overloaded: {AXES[axis]} is {raw[axis]:.1f} {unit}, "
                f"its range is {self._range[axis]:g} {unit}."
            )
        if self._taring is not None:
            self._taring.append(raw)
            if len(self._taring) >= max(2.0, _TARE_S * self._rate_hz):
                self._finish_tare(np.stack(self._taring))

    def _finish_tare(self, raw: Array) -> None:
        self._taring = None
        spread = np.ptp(raw, axis=0)
        limit = _STILL_SHARE * self._range
        moved = (limit > 0.0) & (spread > limit)
        if np.any(moved):
            axis = int(np.argmax(moved))
            self.note(
                f"The force sensor {self._name!r} was not zeroed: {AXES[axis]} varied by {spread[axis]:.2f}. "
                "Leave it at rest and zero it again."
            )
            return
        self._zero = raw.mean(axis=0)


def _make(context: DeviceContext, options: WrenchOptions) -> SerialWrench:
    return SerialWrench(context.name, options, context.clock)


def _discover() -> Sequence[Found]:
    kinds = (
        ("Bota force-torque sensor", "bota", bota.BAUD, lambda: bota.BotaDecoder(bota.SINC_RATE_HZ / 256)),
        ("Robotiq FT 300", "robotiq-ft300", robotiq_ft300.BAUD, robotiq_ft300.Ft300Decoder),
    )
    return listen(kinds)


DRIVER = Driver(
    name="serial-wrench",
    kind=DriverKind.SENSOR,
    title="Force-torque sensor on a serial line (Robotiq FT 300, Bota, lines of text)",
    verification=Verification.EMULATOR,
    proof="Byte-level emulators of the FT 300 and of Bota's sensors on a pseudo-terminal; no real sensor.",
    make=_make,
    options=WrenchOptions,
    discover=_discover,
    needs=("serial",),
)
