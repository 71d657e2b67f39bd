"""What base, lift and hands have in common in the control loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from teleop_app.control.stream_rows import StreamRows
from teleop_app.core.types import InputSample
from teleop_app.safety.outcome import Intervention


@dataclass(frozen=True, slots=True)
class Tick:
    """What a part is told at a tick; see `ControlLoop`'s `Bodies`."""

    sample: InputSample | None
    engaged: Collection[str]
    now_ns: int
    stopped: bool


class _Device(Protocol):
    def connect(self) -> None: ...

    def disconnect(self) -> None: ...


class Part(ABC):
    """One body.

    Args:
        name: Of the body, prefix of its streams.
        device: Opened and closed with the part.
    """

    def __init__(self, name: str, device: _Device) -> None:
        self.name = name
        self.connect = device.connect
        self.disconnect = device.disconnect

    @property
    @abstractmethod
    def streams(self) -> Sequence[StreamRows]:
        """What it tells."""

    @property
    @abstractmethod
    def at_rest(self) -> bool:
        """Whether nothing sent moves."""

    @abstractmethod
    def move(self, tick: Tick) -> Sequence[Intervention]:
        """One tick; what was refused or limited.

        Raises:
            DeviceError: The device is lost.
        """

    @abstractmethod
    def lose(self) -> None:
        """The device is lost: once it is back, it starts from rest."""
