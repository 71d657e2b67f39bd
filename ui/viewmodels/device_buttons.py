"""Which buttons of headsets and pedals do what, for the tooltips of the buttons on the screen."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from devices.driver import DriverKind
from devices.registry import find_driver
from teleop_app.core.config import InputDeviceSection, StationConfig
from teleop_app.core.errors import TeleopError

log = logging.getLogger(__name__)
_TABLES = ("actions", "keys")
_WORDS = {
    "left.lower": "X",
    "left.upper": "Y",
    "right.lower": "A",
    "right.upper": "B",
    "left.stick": "left stick",
    "right.stick": "right stick",
}
"""Buttons of a headset's controllers as they are printed on them."""


def device_buttons(config: StationConfig) -> dict[str, tuple[str, ...]]:
    """Returns by action the buttons that trigger it, e.g. `record`: (`A on quest`,).

    Args:
        config: The station file; what it does not say of a device is the driver's default.
    """
    found: dict[str, list[str]] = {}
    for device in config.inputs.devices:
        for button, action in _table(device).items():
            found.setdefault(action, []).append(f"{_WORDS.get(button, button)} on {device.name}")
    return {action: tuple(buttons) for action, buttons in found.items()}


def _table(device: InputDeviceSection) -> Mapping[str, str]:
    try:
        settings = find_driver(DriverKind.INPUT, device.driver).options.model_validate(device.options)
    except (TeleopError, ValueError) as error:
        log.info("the buttons of %s are not known: %s", device.name, error)
        return {}
    tables = (getattr(settings, name, None) for name in _TABLES)
    return next((table for table in tables if isinstance(table, Mapping)), {})


def button_hint(buttons: Mapping[str, tuple[str, ...]], action: str) -> str:
    """Returns a sentence for a tooltip, empty when no device has a button for it."""
    names = buttons.get(action, ())
    return f"Also {', or '.join(names)}." if names else ""
