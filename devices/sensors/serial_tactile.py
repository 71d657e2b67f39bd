"""Tactile arrays on a serial line, in the frames of `devices.sensors.tactile_frames` or as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Found, Options
from devices.protocols import Verification
from devices.sensors.discovery import listen
from devices.sensors.number_lines import LineDecoder
from devices.sensors.readings import Decoder, Reading
from devices.sensors.serial_sensor import SerialSensor
from devices.sensors.stream_port import StreamPort
from devices.sensors.tactile_frames import TactileDecoder
from teleop_app.core.clock import Clock
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import StreamSetup

BAUD: Final = 921_600


class TactileOptions(Options):
    """Settings of `serial-tactile`.

    Attributes:
        port: Serial port, e.g. `/dev/ttyACM0`.
        protocol: `frames` (COBS) or `lines` (see `devices.sensors.number_lines`).
        baud: Bit rate.
        rows: Of the array; 0 takes what the frames say. `lines` needs it.
        columns: Likewise.
        rate_hz: Frames a second, nominal.
        scale: Recorded value of one count.
        unit: Of the recorded values.
        frame: Frame of the array, e.g. `left/finger`.
    """

    port: str = Field(min_length=1, max_length=400)
    protocol: Literal["frames", "lines"] = "frames"
    baud: int = Field(default=BAUD, ge=1200, le=4_000_000)
    rows: int = Field(default=0, ge=0, le=64)
    columns: int = Field(default=0, ge=0, le=64)
    rate_hz: float = Field(default=100.0, gt=0.0, le=5000.0)
    scale: float = Field(default=1.0, gt=0.0, le=1e6)
    unit: str = Field(default="count", min_length=1, max_length=40)
    frame: str = Field(default="", max_length=64)


def taxel_names(rows: int, columns: int) -> tuple[str, ...]:
    """Names of the values, row by row: `r0c0`, `r0c1`, ..."""
    return tuple(f"r{row}c{column}" for row in range(rows) for column in range(columns))


class SerialTactile(SerialSensor):
    """A tactile array. One thread.

    Args:
        name: Of the sensor; its stream is `<name>/tactile`.
        options: Its settings.
        clock: The station's clock.
    """

    def __init__(self, name: str, options: TactileOptions, clock: Clock) -> None:
        self._options = options
        super().__init__(
            name,
            StreamPort(options.port, options.baud),
            clock,
            begin=lambda port: None,
            decoder=self._new_decoder,
            describe=self._stream,
        )

    def check(self, decoder: Decoder) -> None:
        """See whether the array still has the size that it had at start.

        Raises:
            DeviceError: It has another one.
        """
        if isinstance(decoder, TactileDecoder) and decoder.changed is not None:
            raise self._wrong_size(decoder.changed, decoder.shape or (0, 0))

    def adjust(self, readings: list[Reading]) -> list[Reading]:
        """Readings in the recorded unit."""
        return [replace(reading, values=reading.values * self._options.scale) for reading in readings]

    def _new_decoder(self) -> Decoder:
        if self._options.protocol == "frames":
            return TactileDecoder()
        return LineDecoder(self._options.rows * self._options.columns)

    def _stream(self, decoder: Decoder, first: Reading) -> StreamSetup:
        options = self._options
        wanted = (options.rows, options.columns)
        shape = decoder.shape if isinstance(decoder, TactileDecoder) and decoder.shape else wanted
        if any(wanted) and shape != wanted:
            self.stop()
            raise self._wrong_size(shape, wanted)
        return StreamSetup(
            name=f"{self._name}/tactile",
            kind="tactile",
            values=taxel_names(*shape),
            unit=options.unit,
            frame=options.frame,
            rate_hz=options.rate_hz,
        )

    def _wrong_size(self, came: tuple[int, int], wanted: tuple[int, int]) -> DeviceError:
        return DeviceError(
            f"The tactile sensor {self._name!r} sends {came[0]} x {came[1]} values",
            why=f"{wanted[0]} x {wanted[1]} were expected",
            next_step="Set rows and columns in the station file, or connect the sensor that belongs there",
        )


def _make(context: DeviceContext, options: TactileOptions) -> SerialTactile:
    if options.protocol == "lines" and not (options.rows and options.columns):
        raise ConfigError(
            f"The options of the sensor {context.name!r} are wrong",
            why="protocol 'lines' needs rows and columns",
        )
    return SerialTactile(context.name, options, context.clock)


def _discover() -> Sequence[Found]:
    return listen([("Tactile array", "frames", BAUD, TactileDecoder)])


DRIVER = Driver(
    name="serial-tactile",
    kind=DriverKind.SENSOR,
    title="Tactile array on a serial line",
    verification=Verification.EMULATOR,
    proof="A byte-level emulator of its documented frames on a pseudo-terminal; no real sensor.",
    make=_make,
    options=TactileOptions,
    discover=_discover,
    needs=("serial",),
)
