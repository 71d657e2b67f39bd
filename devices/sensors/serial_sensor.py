"""What all sensors on a serial line share: opening, silence, noise, losses, and a sentence for each."""

from __future__ import annotations

from collections.abc import Callable

from devices.sensors.readings import Batcher, Decoder, Reading
from devices.sensors.stream_port import StreamPort
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array, AudioBlock, StreamBatch, StreamSetup

SILENCE_S = 1.0
"""A sensor that says nothing for this long is lost."""
_REMARK_S = 1.0


class SerialSensor:
    """A numeric stream read from a serial line. `devices.protocols.Sensor`.

    Args:
        name: Of the sensor, for sentences.
        port: Its line; this object opens and closes it.
        clock: The station's clock.
        begin: Makes the device talk; called after the port is open.
        decoder: Made anew at each start.
        describe: The stream, given the first reading.
    """

    def __init__(
        self,
        name: str,
        port: StreamPort,
        clock: Clock,
        begin: Callable[[StreamPort], None],
        decoder: Callable[[], Decoder],
        describe: Callable[[Decoder, Reading], StreamSetup],
    ) -> None:
        self._name = name
        self._port = port
        self._clock = clock
        self._begin = begin
        self._make_decoder = decoder
        self._describe = describe
        self._setup: StreamSetup | None = None
        self._decoder: Decoder | None = None
        self._batcher: Batcher | None = None
        self._first: list[Reading] = []
        self._heard_ns = self._understood_ns = 0
        self._refused = 0
        self._remark, self._remark_ns = "", 0
        self.latest: Array | None = None

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """Its one stream, after `start`."""
        return (self._setup,) if self._setup is not None else ()

    @property
    def remark(self) -> str:
        """A sentence when something is off just now, else empty."""
        recent = self._clock.now_ns() - self._remark_ns < _REMARK_S * NS_PER_S
        return self._remark if recent else self._port.remark

    @property
    def metrics(self) -> dict[str, float]:
        """Samples that are known to be lost, and frames that were refused, since it was made."""
        lost = self._batcher.lost if self._batcher is not None else 0
        refused = self._decoder.refused if self._decoder is not None else 0
        return {"missed": float(lost), "refused": float(self._refused + refused)}

    @property
    def values(self) -> dict[str, float]:
        """The newest values by name."""
        if self._setup is None or self.latest is None:
            return {}
        return dict(zip(self._setup.values, map(float, self.latest), strict=True))

    def start(self) -> None:
        """Open the port, make the device talk and wait for its first sample.

        Raises:
            DeviceError: The port cannot be opened, or what comes is not this device.
        """
        if self._decoder is not None:
            return
        self._port.open()
        try:
            self._begin(self._port)
            self._decoder = self._make_decoder()
            self._heard_ns = self._understood_ns = self._clock.now_ns()
            while not self._first:
                self._first = self._receive(SILENCE_S)
        except DeviceError:
            self.stop()
            raise
        setup = self._describe(self._decoder, self._first[0])
        if self._batcher is None or setup != self._setup:
            self._batcher = Batcher(setup.name, setup.rate_hz)
        else:
            self._batcher.interrupt()
        self._setup = setup

    def read(self, timeout_s: float) -> list[StreamBatch | AudioBlock]:
        """The samples since the last call; waits up to `timeout_s` for one.

        Raises:
            DeviceError: The port is gone, the device fell silent, or nothing of it is understood.
        """
        if self._decoder is None or self._batcher is None:
            raise DeviceError(f"The sensor {self._name!r} is not started")
        try:
            readings = [*self._first, *self._receive(0.0 if self._first else timeout_s)]
        except DeviceError:
            self.stop()
            raise
        self._first = []
        if not readings:
            return []
        self.latest = readings[-1].values
        return list(self._batcher.batches(self.adjust(readings), self._heard_ns))

    def adjust(self, readings: list[Reading]) -> list[Reading]:
        """What is done to readings before they are recorded; here nothing."""
        return readings

    def check(self, decoder: Decoder) -> None:
        """Look at a decoder that was just fed; here nothing.

        Raises:
            DeviceError: What it found out rules this device out.
        """

    def note(self, remark: str) -> None:
        """Show a sentence for a second."""
        self._remark, self._remark_ns = remark, self._clock.now_ns()

    def stop(self) -> None:
        """Close the port. May be called twice."""
        if self._decoder is not None:
            self._refused += self._decoder.refused
        self._decoder, self._first = None, []
        self._port.close()

    def _receive(self, timeout_s: float) -> list[Reading]:
        decoder = self._decoder
        if decoder is None:
            return []
        received = self._port.read(timeout_s)
        now_ns = self._clock.now_ns()
        if not received:
            if now_ns - self._heard_ns > SILENCE_S * NS_PER_S:
                raise DeviceError(
                    f"The sensor {self._name!r} on {self._port.path} is silent",
                    why=f"nothing came for {SILENCE_S:g} s",
                    next_step="Check its cable, its supply, and that the station file names its port",
                )
            return []
        self._heard_ns = now_ns
        readings = decoder.feed(received)
        self.check(decoder)
        if readings:
            self._understood_ns = now_ns
            remarks = [reading.remark for reading in readings if reading.remark]
            if remarks:
                self.note(remarks[-1])
        elif now_ns - self._understood_ns > SILENCE_S * NS_PER_S:
            raise DeviceError(
                f"What comes from {self._port.path} is not understood",
                why=f"no frame of the sensor {self._name!r} in {SILENCE_S:g} s at {self._port.baud} bit/s",
                next_step="Check protocol and baud in the station file",
            )
        return readings
