"""Everything that the driver moves beside the arms."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from devices.protocols import HandDriver, VelocityBody
from teleop_app.control.body_part import Part, Tick
from teleop_app.control.moving_base import MovingBase
from teleop_app.control.moving_hand import MovingHand
from teleop_app.control.moving_lift import MovingLift
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import InputSample, SafetyFlag, StreamBatch, StreamSetup
from teleop_app.safety.outcome import Intervention


class StationBodies:
    """The bodies of a station: they move only for the source that drives, while it holds an arm.

    A device that is lost stops nobody else; the loss is an intervention for as long as it lasts.

    Args:
        parts: Base, lift and hands, as far as the station has them.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)
        self._hands = {part.name: part for part in parts if isinstance(part, MovingHand)}

    @property
    def hands(self) -> dict[str, MovingHand]:
        """Its hands by name."""
        return dict(self._hands)

    def connect(self) -> None:
        """Open the devices.

        Raises:
            DeviceError: One of them cannot be reached.
        """
        for part in self._parts:
            part.connect()

    def watch(self, sample: InputSample) -> None:
        """See a sample of any source: hands that are being calibrated learn from it."""
        for hand in self._hands.values():
            hand.watch(sample)

    def tick(
        self, sample: InputSample | None, engaged: Collection[str], now_ns: int, stopped: bool
    ) -> Sequence[Intervention]:
        """One tick; see `ControlLoop`."""
        notes: list[Intervention] = []
        tick = Tick(sample, engaged, now_ns, stopped)
        for part in self._parts:
            try:
                notes += part.move(tick)
            except DeviceError as error:
                text = f"The body '{part.name}' is lost. {error.sentence}"
                notes.append(Intervention(SafetyFlag.FOLLOWER_STALE, part.name, text))
                part.lose()
        return notes

    def take_streams(self, now_ns: int) -> Sequence[StreamSetup | StreamBatch]:
        """Setups and batches that are due."""
        return [message for part in self._parts for rows in part.streams for message in rows.take(now_ns)]

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moves."""
        return all(part.at_rest for part in self._parts)

    def disconnect(self) -> None:
        """Leave the devices at rest and close them. May be called twice."""
        for part in self._parts:
            part.disconnect()


def build_bodies(
    config: StationConfig,
    base: VelocityBody | None = None,
    lift: VelocityBody | None = None,
    hands: Sequence[HandDriver] = (),
) -> StationBodies | None:
    """The bodies of a station, None when it has none.

    Args:
        config: The station file.
        base: Its mobile base.
        lift: Its lift.
        hands: Its dexterous hands, in the order of its sections.

    Raises:
        ConfigError: The joints of a hand cannot be driven.
    """
    parts: list[Part] = []
    if base is not None:
        parts.append(MovingBase(base, config))
    if lift is not None:
        parts.append(MovingLift(lift, config))
    for section, hand in zip(config.hands, hands, strict=True):
        parts.append(MovingHand(hand, section, config))
    return StationBodies(parts) if parts else None
