"""Foot pedals and button boxes: whatever sends key events. They enable, engage leaders, record and stop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from pydantic import Field, field_validator, model_validator

from devices.driver import DeviceContext, Driver, DriverKind, Found, Options
from devices.inputs.linux_events import DOWN, KEY, KEY_CODES, SYN, SYN_DROPPED, UP, EventFile, event_devices
from devices.protocols import Verification
from teleop_app.core.clock import Clock
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import Actor, InputSample

logger = logging.getLogger(__name__)

NAME: Final = "pedal"
ACTIONS: Final = ("enable", "estop", "record", "save", "discard", "redo", "undo", "next")
ENGAGE: Final = "engage"
"""Button that leaders take for their clutch while it is down; `engage:<arm>` is for one arm."""
_KNOWN: Final = ("pedal", "footswitch", "foot switch", "pcsensor", "vec", "infinity", "olympus", "savant")


class PedalOptions(Options):
    """Settings of `pedal`.

    Attributes:
        device: Event file, e.g. `/dev/input/by-id/usb-...-event-kbd`; empty takes the first known pedal.
        keys: What each key does while it is down: `enable` (deadman), `estop`, `record`, `save`, `discard`,
            `redo`, `undo`, `next`; or `engage`, `engage:<arm>`: the clutch of leader arms.
        grab: Take the device for this program alone, so that its keys do not type.
    """

    device: str = Field(default="", max_length=400)
    keys: dict[str, str] = Field(default_factory=lambda: {"a": "record", "b": "enable", "c": "estop"})
    grab: bool = True

    @field_validator("keys")
    @classmethod
    def _keys_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for key, action in value.items():
            if key.lower() not in KEY_CODES:
                msg = f"there is no key {key!r}; known are {', '.join(sorted(KEY_CODES))}"
                raise ValueError(msg)
            if action not in ACTIONS and action.partition(":")[0] != ENGAGE:
                known = ", ".join((*ACTIONS, ENGAGE, f"{ENGAGE}:<arm>"))
                msg = f"key {key!r} cannot do {action!r}; choose one of {known}"
                raise ValueError(msg)
        return {key.lower(): action for key, action in value.items()}

    @model_validator(mode="after")
    def _does_something(self) -> PedalOptions:
        if not self.keys:
            msg = "keys must name at least one key"
            raise ValueError(msg)
        return self


class Pedal:
    """A pedal. Sends a sample whenever it is polled; while it is gone, one that holds nothing. One thread.

    An enabling pedal that is down when it is found counts as up until it was let go of once.

    Args:
        name: Source name in samples.
        options: Its settings.
        clock: The station's clock.
    """

    def __init__(self, name: str, options: PedalOptions, clock: Clock) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._actions = {KEY_CODES[key]: action for key, action in options.keys.items()}
        self._down: set[int] = set()
        self._stuck: set[int] = set()
        self._file: EventFile | None = None
        self._skipping = self._gone = self._releasing = False
        self._seq = 0

    @property
    def name(self) -> str:
        """Source name in samples."""
        return self._name

    @property
    def verification(self) -> Verification:
        """Proven with event structs through a pipe."""
        return Verification.EMULATOR

    def start(self) -> None:
        """Open the device.

        Raises:
            DeviceError: There is none, it may not be read, or another program has taken it.
        """
        if self._file is not None:
            return
        file = EventFile(self._options.device or _first_known(), self._options.grab)
        file.open()
        self._file, self._down, self._skipping = file, set(), False
        self._gone = self._releasing = False
        self._stuck = (file.keys_down() or set()) & set(self._actions)

    def poll(self) -> InputSample | None:
        """What is down now; once a sample that holds nothing when the pedal was unplugged or stopped.

        Raises:
            DeviceError: The pedal is gone; `start` finds it again.
        """
        now_ns = self._clock.now_ns()
        if self._gone:
            raise DeviceError(
                f"The pedal {self._name!r} was unplugged", next_step="Plug it in again; it is found by itself"
            )
        if self._file is None:
            releasing, self._releasing = self._releasing, False
            return self._sample(now_ns) if releasing else None
        try:
            self._take(self._file)
        except DeviceError as error:
            logger.warning("%s", error.sentence)
            self.stop()
            self._gone = True
            return self._sample(now_ns)
        return self._sample(now_ns)

    def cue(self, kind: str) -> None:
        """A pedal has no sign to give."""

    def stop(self) -> None:
        """Close it. May be called twice."""
        self._gone = False
        if self._file is not None:
            self._file.close()
            self._releasing = True
        self._file, self._down, self._stuck = None, set(), set()

    # Inside.

    def _take(self, file: EventFile) -> None:
        for event in file.read():
            if event.type == SYN:
                if self._skipping:  # the end of what the kernel dropped: ask it what is down
                    self._down = (file.keys_down() or set()) & set(self._actions)
                self._skipping = event.code == SYN_DROPPED
            elif event.type == KEY and not self._skipping and event.code in self._actions:
                if event.value == DOWN:
                    self._down.add(event.code)
                elif event.value == UP:
                    self._down.discard(event.code)
                    self._stuck.discard(event.code)

    def _sample(self, now_ns: int) -> InputSample:
        self._seq += 1
        down = self._down - self._stuck
        return InputSample(
            source=self._name,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=now_ns,
            arms={},
            buttons=tuple(sorted({self._actions[code] for code in down})),
        )


def _first_known() -> str:
    for device in event_devices():
        if any(word in device.name.lower() for word in _KNOWN):
            return device.path
    raise DeviceError(
        "No foot pedal is connected",
        next_step="Plug one in, or name its event file in the station file; 'teleop devices' lists them",
    )


def _make(context: DeviceContext, options: PedalOptions) -> Pedal:
    for action in options.keys.values():
        arm = action.partition(":")[2]
        if arm and arm not in context.arms:
            raise ConfigError(
                f"The pedal {context.name!r} cannot engage {arm!r}",
                why=f"the arms of this input are {', '.join(context.arms)}",
            )
    return Pedal(context.name, options, context.clock)


def _discover() -> Sequence[Found]:
    return tuple(
        Found(device.name, options={"device": device.path})
        for device in event_devices()
        if any(word in device.name.lower() for word in _KNOWN)
    )


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="Foot pedal or button box (Linux key events)",
    verification=Verification.EMULATOR,
    proof="Linux event structs, byte by byte, through a pipe in place of the device file; no real pedal.",
    make=_make,
    options=PedalOptions,
    discover=_discover,
)
