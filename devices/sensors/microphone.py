"""A microphone through miniaudio: whatever the system records from (ALSA, PulseAudio, Core Audio, ...)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal

from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Found, Options, vendor_module
from devices.protocols import Verification
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import AudioBlock, StreamBatch, StreamSetup

logger = logging.getLogger(__name__)

NAME: Final = "microphone"
_ALSA_NULL: Final = "Discard all samples"
"""How ALSA calls its device `null`, which delivers zeros (alsa-lib, pcm/null.conf)."""
_SILENCE_S: Final = 1.0
_GAP_BLOCKS: Final = 3
_BYTES_PER_VALUE: Final = 2


class MicrophoneOptions(Options):
    """Settings of `microphone`.

    Attributes:
        device: Part of the device's name, empty for the system's default microphone.
        rate_hz: Sample frames a second.
        channels: 1 or 2.
        block_ms: Length of a block.
        backend: Sound system; `auto` takes the one that works. `null` is miniaudio's own device, which
            records silence: for trying without a microphone.
    """

    device: str = Field(default="", max_length=200)
    rate_hz: Literal[8000, 16000, 22050, 32000, 44100, 48000] = 48000
    channels: Literal[1, 2] = 1
    block_ms: int = Field(default=20, ge=5, le=200)
    backend: Literal["auto", "alsa", "pulseaudio", "jack", "wasapi", "coreaudio", "null"] = "auto"


class Microphone:
    """One microphone. `devices.protocols.Sensor`; miniaudio's thread fills a queue, one thread reads it.

    Args:
        name: Source name of its blocks.
        options: Its settings.
        clock: The station's clock.
    """

    def __init__(self, name: str, options: MicrophoneOptions, clock: Clock) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._device: Any = None
        self._blocks: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        self._seq = 0
        self._end_ns = self._heard_ns = 0
        self._lost = 0
        self._ended = False

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """None: sound is no numeric stream."""
        return ()

    @property
    def metrics(self) -> dict[str, float]:
        """Sample frames that the sound system did not deliver."""
        return {"missed": float(self._lost)}

    @property
    def remark(self) -> str:
        """Nothing to remark."""
        return ""

    def start(self) -> None:
        """Open the device.

        Raises:
            DeviceError: There is no such microphone, or the sound system refuses it.
        """
        if self._device is not None:
            return
        miniaudio = vendor_module("miniaudio", NAME)
        backends = _backends(miniaudio, self._options.backend)
        try:
            self._device = miniaudio.CaptureDevice(
                input_format=miniaudio.SampleFormat.SIGNED16,
                nchannels=self._options.channels,
                sample_rate=self._options.rate_hz,
                buffersize_msec=self._options.block_ms,
                device_id=_find(miniaudio, backends, self._options.device),
                backends=backends,
                app_name="teleop",
            )
            self._refuse_null()
            self._blocks, self._ended = SimpleQueue(), False
            self._device.stop_callback = self._note_end
            sink = self._sink(self._blocks)
            next(sink)
            self._heard_ns = self._clock.now_ns()
            self._device.start(sink)
        except miniaudio.MiniaudioError as error:
            self.stop()
            raise DeviceError(
                f"The microphone {self._name!r} cannot be opened",
                why=str(error.args[0]) if error.args else "",
                next_step="Check that the system knows a microphone and that no other program holds it",
            ) from error
        except DeviceError:
            self.stop()
            raise
        logger.info("microphone %s: %s", self._name, self._device.backend)

    def read(self, timeout_s: float) -> list[StreamBatch | AudioBlock]:
        """The blocks since the last call; waits up to `timeout_s` for one.

        Raises:
            DeviceError: The microphone is gone.
        """
        if self._device is None:
            raise DeviceError(f"The microphone {self._name!r} is not started")
        found: list[StreamBatch | AudioBlock] = []
        try:
            found.append(self._block(*self._blocks.get(timeout=timeout_s)))
            while True:
                found.append(self._block(*self._blocks.get_nowait()))
        except Empty:
            pass
        if not found and (self._ended or self._clock.now_ns() - self._heard_ns > _SILENCE_S * NS_PER_S):
            self.stop()
            raise DeviceError(
                f"The microphone {self._name!r} is gone",
                why="the sound system stopped it" if self._ended else f"it gave nothing for {_SILENCE_S:g} s",
                next_step="Plug it in again",
            )
        return found

    def stop(self) -> None:
        """Close the device. May be called twice."""
        device, self._device = self._device, None
        if device is not None:
            device.stop_callback = None
            device.close()

    # Inside.

    def _sink(self, blocks: SimpleQueue[tuple[int, bytes]]) -> Generator[None, Any, None]:
        """What miniaudio's thread sends each block to."""
        while True:
            received = yield
            blocks.put((self._clock.now_ns(), bytes(received)))

    def _note_end(self) -> None:
        self._ended = True

    def _block(self, receive_ns: int, payload: bytes) -> AudioBlock:
        options = self._options
        frames = len(payload) // (_BYTES_PER_VALUE * options.channels)
        length_ns = frames * NS_PER_S // options.rate_hz
        start_ns = receive_ns - length_ns
        gap_ns = start_ns - self._end_ns
        if self._seq and gap_ns > _GAP_BLOCKS * length_ns:
            missing = gap_ns * options.rate_hz // NS_PER_S
            self._seq += missing
            self._lost += missing
        block = AudioBlock(
            source=self._name,
            seq=self._seq,
            capture_ns=start_ns,
            receive_ns=receive_ns,
            rate_hz=options.rate_hz,
            channels=options.channels,
            payload=payload,
        )
        self._seq += frames
        self._end_ns = self._heard_ns = receive_ns
        return block

    def _refuse_null(self) -> None:
        """The library falls back to its silent device where no sound system is found; we do not."""
        if self._options.backend != "null" and self._device.backend == "Null":
            raise DeviceError(
                f"The microphone {self._name!r} cannot be opened",
                why="this machine has no sound system",
                next_step="Start PulseAudio, PipeWire or ALSA, or remove the microphone from the station",
            )


def _backends(miniaudio: Any, name: str) -> list[Any]:
    return [] if name == "auto" else [miniaudio.Backend[name.upper()]]


def _find(miniaudio: Any, backends: list[Any], part: str) -> Any:
    """Identifier of the device with that name, None for the default one."""
    if not part:
        return None
    names = miniaudio.Devices(backends).get_captures()
    found = [device["id"] for device in names if part.lower() in device["name"].lower()]
    if len(found) != 1:
        listed = ", ".join(repr(device["name"]) for device in names) or "none"
        raise DeviceError(
            f"{'No' if not found else 'More than one'} microphone is called {part!r}",
            why=f"the system has {listed}",
            next_step="Name one of them in the station file",
        )
    return found[0]


def _make(context: DeviceContext, options: MicrophoneOptions) -> Microphone:
    return Microphone(context.name, options, context.clock)


def _discover() -> Sequence[Found]:
    miniaudio = vendor_module("miniaudio", NAME)
    try:
        devices = miniaudio.Devices()
        if devices.backend == "Null":
            return ()
        captures = devices.get_captures()
    except miniaudio.MiniaudioError as error:
        logger.info("no microphones: %s", error)
        return ()
    names = [str(each["name"]) for each in captures if not str(each["name"]).startswith(_ALSA_NULL)]
    return tuple(Found(f"Microphone {name}", options={"device": name}) for name in names)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.SENSOR,
    title="Microphone",
    verification=Verification.EMULATOR,
    proof="miniaudio with its null device, which delivers silence at the right rate; no real microphone.",
    make=_make,
    options=MicrophoneOptions,
    discover=_discover,
    needs=("miniaudio",),
)
