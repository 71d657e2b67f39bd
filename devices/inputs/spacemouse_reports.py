"""What 3Dconnexion devices send over USB HID.

Sources: linux/drivers/hid/hid-ids.h (vendors and products), and the report formats that libspnav's
spacenavd (src/dev_usb_linux.c), PySpaceMouse and VRPN (vrpn_3DConnexion.C) agree on: report 1 holds the
translation and report 2 the rotation, three signed 16-bit numbers each, low byte first, about -350 .. 350;
devices that are wireless, or newer, put all six into report 1; report 3 is a bit field of the buttons.
Axes: x to the right, y towards the person, z down, rotations about them by the right hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from teleop_app.core.types import Array

FULL_SCALE: Final = 350.0
TRANSLATION: Final = 1
ROTATION: Final = 2
BUTTONS: Final = 3
_AXIS_BYTES: Final = 6
_OPERATOR_SIGNS: Final = np.array([1.0, -1.0, -1.0])
"""Device axes to the operator's: x right, y away, z up; the same turn for translation and rotation."""

PRODUCTS: Final[dict[tuple[int, int], str]] = {
    (0x046D, 0xC603): "SpaceMouse Plus XT",
    (0x046D, 0xC605): "CadMan",
    (0x046D, 0xC606): "SpaceMouse Classic",
    (0x046D, 0xC621): "Spaceball 5000",
    (0x046D, 0xC623): "SpaceTraveler",
    (0x046D, 0xC625): "SpacePilot",
    (0x046D, 0xC626): "SpaceNavigator",
    (0x046D, 0xC627): "SpaceExplorer",
    (0x046D, 0xC628): "SpaceNavigator for Notebooks",
    (0x046D, 0xC629): "SpacePilot Pro",
    (0x046D, 0xC62B): "SpaceMouse Pro",
    (0x256F, 0xC62E): "SpaceMouse Wireless (cabled)",
    (0x256F, 0xC62F): "SpaceMouse Wireless receiver",
    (0x256F, 0xC631): "SpaceMouse Pro Wireless (cabled)",
    (0x256F, 0xC632): "SpaceMouse Pro Wireless receiver",
    (0x256F, 0xC633): "SpaceMouse Enterprise",
    (0x256F, 0xC635): "SpaceMouse Compact",
    (0x256F, 0xC63A): "SpaceMouse Wireless",
    (0x256F, 0xC641): "SpaceMouse module",
    (0x256F, 0xC652): "Universal receiver",
}


@dataclass(slots=True)
class CapState:
    """How the cap is deflected, and which buttons are down.

    Attributes:
        translation: x right, y away from the person, z up, each -1 .. 1, shape (3,).
        rotation: About those axes, shape (3,).
        buttons: Bits; bit 0 is the left or first button.
    """

    translation: Array
    rotation: Array
    buttons: int = 0

    @classmethod
    def rest(cls) -> CapState:
        """Let go of."""
        return cls(np.zeros(3), np.zeros(3))

    def take(self, report: bytes) -> bool:
        """Take a report, its number first; False when it is another one (battery, lights) or short."""
        if not report:
            return False
        number, body = report[0], report[1:]
        if number == BUTTONS and body:
            self.buttons = int.from_bytes(body[:4], "little")
            return True
        if number not in (TRANSLATION, ROTATION) or len(body) < _AXIS_BYTES:
            return False
        if number == ROTATION:
            self.rotation = _axes(body)
            return True
        self.translation = _axes(body)
        if len(body) >= 2 * _AXIS_BYTES:
            self.rotation = _axes(body[_AXIS_BYTES:])
        return True


def _axes(body: bytes) -> Array:
    counts = np.array(struct.unpack_from("<3h", body), dtype=np.float64)
    return np.clip(counts / FULL_SCALE, -1.0, 1.0) * _OPERATOR_SIGNS
