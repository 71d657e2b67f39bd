"""3Dconnexion SpaceMouse: six axes steer one arm at a time, its buttons clutch, grip and switch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

import numpy as np
from pydantic import Field, field_validator

from devices.driver import DeviceContext, Driver, DriverKind, Found, Options, vendor_module
from devices.inputs.spacemouse_reports import PRODUCTS, CapState
from devices.protocols import Verification
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, Array, InputSample

logger = logging.getLogger(__name__)

NAME: Final = "spacemouse"
ACTIONS: Final = ("estop", "record", "save", "discard", "redo", "undo", "next", "enable")
_AXES: Final = ("x", "y", "z", "rx", "ry", "rz")
_HELD: Final = ("clutch", "grip", "switch_arm", "precise")
_MULTI_AXIS: Final = (1, 8)  # HID usage page "generic desktop", usage "multi-axis controller"
_REPORT_BYTES: Final = 64
_MOST_REPORTS: Final = 64
_REST_AFTER_NS: Final = NS_PER_S // 4
"""The cap sends reports all the time while it is deflected, and none at rest."""


class HidLink(Protocol):
    """A HID device that is open. The reports are the device's bytes, their number first."""

    def read(self) -> bytes:
        """The next report, empty when there is none. Never blocks.

        Raises:
            OSError: The device is gone.
        """
        ...

    def close(self) -> None:
        """Close it."""
        ...


Opener = Callable[[str], HidLink]


class SpaceMouseOptions(Options):
    """Settings of `spacemouse`.

    Attributes:
        serial: Serial number, empty for the first one found.
        buttons: What each button does, the first one first: `clutch`, `grip` (closes the gripper while it is
            down), `switch_arm`, `precise`, or an action (`record`, `save`, `discard`, `redo`, `undo`, `next`,
            `estop`, `enable`); `none` for nothing.
        clutch: `hold`: an arm moves while the clutch button is down. `toggle`: a press engages, the next one
            lets go.
        invert: Axes whose sense is turned round.
        deadzone: Deflection that counts as none, 0 .. 1.
        expo: Share of the cubic curve, for fine motion near the middle, 0 .. 1.
        speed_m_s: At full deflection.
        turn_rad_s: At full deflection.
    """

    serial: str = Field(default="", max_length=120)
    buttons: list[str] = Field(default=["clutch", "grip", "switch_arm"], max_length=32)
    clutch: Literal["hold", "toggle"] = "hold"
    invert: list[Literal["x", "y", "z", "rx", "ry", "rz"]] = Field(default=[], max_length=6)
    deadzone: float = Field(default=0.08, ge=0.0, le=0.9)
    expo: float = Field(default=0.5, ge=0.0, le=1.0)
    speed_m_s: float = Field(default=0.15, gt=0.0, le=1.0)
    turn_rad_s: float = Field(default=0.8, gt=0.0, le=4.0)

    @field_validator("buttons")
    @classmethod
    def _buttons_are_known(cls, value: list[str]) -> list[str]:
        known = (*_HELD, *ACTIONS, "none")
        for action in value:
            if action not in known:
                msg = f"a button cannot do {action!r}; choose one of {', '.join(known)}"
                raise ValueError(msg)
        return value


class SpaceMouse:
    """One SpaceMouse. Velocities are in the operator's frame: x right, y away, z up. One thread.

    Args:
        name: Source name in samples.
        arms: Arm names; the first is selected at start.
        options: Its settings.
        clock: The station's clock.
        opener: Opens the device with a serial number; by default through hidapi.
    """

    def __init__(
        self,
        name: str,
        arms: tuple[str, ...],
        options: SpaceMouseOptions,
        clock: Clock,
        opener: Opener | None = None,
    ) -> None:
        self._name = name
        self._arms = arms
        self._options = options
        self._clock = clock
        self._open = opener or open_hid
        self._link: HidLink | None = None
        self._signs = np.array([-1.0 if axis in options.invert else 1.0 for axis in _AXES])
        self._cap = CapState.rest()
        self._heard_ns = 0
        self._down: set[str] = set()
        self._may_clutch = self._latched = False
        self._selected = 0
        self._gone = self._releasing = False
        self._seq = 0

    @property
    def name(self) -> str:
        """Source name in samples."""
        return self._name

    @property
    def verification(self) -> Verification:
        """Proven with the bytes of its reports, not with the device."""
        return Verification.EMULATOR

    @property
    def selected_arm(self) -> str:
        """The arm that it moves."""
        return self._arms[self._selected]

    def start(self) -> None:
        """Open it.

        Raises:
            DeviceError: There is none, or it may not be opened.
        """
        if self._link is None:
            self._link = self._open(self._options.serial)
            self._gone = self._releasing = False
            self._cap, self._down = CapState.rest(), set()
            self._may_clutch = self._latched = False

    def poll(self) -> InputSample | None:
        """The present deflection; once an invalid sample when it was unplugged or stopped.

        Raises:
            DeviceError: It is gone; `start` finds it again.
        """
        now_ns = self._clock.now_ns()
        if self._gone:
            raise DeviceError(
                f"The SpaceMouse {self._name!r} was unplugged",
                next_step="Plug it in again, or charge it; it is found by itself",
            )
        if self._link is None:
            releasing, self._releasing = self._releasing, False
            return self._sample(now_ns, valid=False) if releasing else None
        try:
            self._take(self._link, now_ns)
        except (OSError, ValueError) as error:
            logger.warning("the SpaceMouse %s is gone: %s", self._name, error)
            self.stop()
            self._gone = True
            return self._sample(now_ns, valid=False)
        return self._sample(now_ns, valid=True)

    def cue(self, kind: str) -> None:
        """It has no sign to give."""

    def stop(self) -> None:
        """Close it. May be called twice."""
        link, self._link = self._link, None
        self._latched = self._gone = False
        if link is not None:
            link.close()
            self._releasing = True

    # Inside.

    def _take(self, link: HidLink, now_ns: int) -> None:
        for _ in range(_MOST_REPORTS):
            report = link.read()
            if not report:
                break
            if self._cap.take(report):
                self._heard_ns = now_ns
                self._press(self._named(self._cap.buttons))
        if now_ns - self._heard_ns > _REST_AFTER_NS:
            self._cap.translation, self._cap.rotation = np.zeros(3), np.zeros(3)

    def _named(self, bits: int) -> set[str]:
        return {action for number, action in enumerate(self._options.buttons) if bits >> number & 1}

    def _press(self, down: set[str]) -> None:
        pressed, self._down = down - self._down, down
        if "switch_arm" in pressed:
            self._selected = (self._selected + 1) % len(self._arms)
            self._may_clutch = self._latched = False
        if "clutch" in pressed and self._may_clutch:
            self._latched = not self._latched
        if "clutch" not in down:
            self._may_clutch = True

    def _clutch(self) -> bool:
        """Held, or latched, and let go of once since it was found or the arm was changed."""
        if self._options.clutch == "toggle":
            return self._latched
        held = "clutch" in self._down
        self._may_clutch |= not held
        return held and self._may_clutch

    def _sample(self, now_ns: int, *, valid: bool) -> InputSample:
        self._seq += 1
        arms: dict[str, ArmInput] = {}
        for arm in self._arms:
            if valid and arm == self.selected_arm:
                gripper = 0.0 if "grip" in self._down else 1.0
                arms[arm] = ArmInput(
                    clutch=self._clutch(),
                    twist=self._twist(),
                    gripper=gripper if "grip" in self._options.buttons else None,
                    precise="precise" in self._down,
                )
            else:
                arms[arm] = ArmInput(clutch=False, valid=valid)
        return InputSample(
            source=self._name,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=now_ns,
            arms=arms,
            buttons=tuple(action for action in ACTIONS if valid and action in self._down),
        )

    def _twist(self) -> Array:
        options = self._options
        linear = shape_axes(self._cap.translation, options.deadzone, options.expo) * options.speed_m_s
        angular = shape_axes(self._cap.rotation, options.deadzone, options.expo) * options.turn_rad_s
        return np.concatenate([linear, angular]) * self._signs


def shape_axes(axes: Array, deadzone: float, expo: float) -> Array:
    """A deflection of three axes with a dead zone for each and a gentle middle, each -1 .. 1, shape (3,)."""
    beyond = np.clip((np.abs(axes) - deadzone) / (1.0 - deadzone), 0.0, 1.0)
    return np.sign(axes) * ((1.0 - expo) * beyond + expo * beyond**3)


class _HidapiLink:
    """A device through hidapi."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def read(self) -> bytes:
        return bytes(self._device.read(_REPORT_BYTES))

    def close(self) -> None:
        self._device.close()


def connected() -> list[dict[str, Any]]:
    """What hidapi says of the SpaceMice that are plugged in, one entry each."""
    hid = vendor_module("hid", NAME)
    found: dict[tuple[int, int, str], dict[str, Any]] = {}
    for entry in hid.enumerate():
        product = (entry["vendor_id"], entry["product_id"])
        usage = (entry.get("usage_page", 0), entry.get("usage", 0))
        if product in PRODUCTS and usage in (_MULTI_AXIS, (0, 0)):
            found.setdefault((*product, entry["serial_number"] or ""), entry)
    return list(found.values())


def open_hid(serial: str) -> HidLink:
    """Open a SpaceMouse through hidapi.

    Raises:
        DeviceError: There is none of that serial number, or it may not be opened.
    """
    entries = [entry for entry in connected() if not serial or entry["serial_number"] == serial]
    if not entries:
        named = f" with the serial number {serial!r}" if serial else ""
        raise DeviceError(
            f"No SpaceMouse{named} is connected",
            next_step="Plug it in, or switch it on; 'teleop devices' lists those that are there",
        )
    entry = entries[0]
    device = vendor_module("hid", NAME).device()
    try:
        device.open_path(entry["path"])
        device.set_nonblocking(True)
    except OSError as error:
        raise DeviceError(
            f"The {PRODUCTS[entry['vendor_id'], entry['product_id']]} cannot be opened",
            why=str(error),
            next_step="Allow this user to read it: see the udev rule in docs/devices.md",
        ) from error
    return _HidapiLink(device)


def _make(context: DeviceContext, options: SpaceMouseOptions) -> SpaceMouse:
    return SpaceMouse(context.name, context.arms, options, context.clock)


def _discover() -> Sequence[Found]:
    return tuple(
        Found(
            PRODUCTS[entry["vendor_id"], entry["product_id"]],
            entry["serial_number"] or "",
            {"serial": entry["serial_number"]} if entry["serial_number"] else {},
        )
        for entry in connected()
    )


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="3Dconnexion SpaceMouse",
    verification=Verification.EMULATOR,
    proof="Its reports byte by byte, put in where hidapi would deliver them; hidapi itself was not run "
    "against a device.",
    make=_make,
    options=SpaceMouseOptions,
    discover=_discover,
    needs=("hid",),
)
