"""The USB adapter of a servo bus: its port by its serial number, and the other way round."""

from __future__ import annotations

import os

from serial.tools import list_ports

from teleop_app.core.errors import DeviceError


def find_adapter(port: str, serial: str, name: str) -> tuple[str, str]:
    """Port and serial number of an adapter.

    Args:
        port: As in the station file; empty to find it by the serial number.
        serial: As in the station file; empty to take that of the adapter.
        name: Of the device, for sentences.

    Raises:
        DeviceError: There is no such adapter, or it does not say who it is.
    """
    ports = {os.path.realpath(each.device): each.serial_number or "" for each in list_ports.comports()}
    there = ", ".join(number for number in ports.values() if number) or "none"
    if not port:
        if not serial:
            raise DeviceError(
                f"The options of {name!r} name no adapter",
                why=f"neither `serial` nor `port` is given; connected are the serial numbers {there}",
                next_step="Give the option `serial`; Setup, Devices, Find devices fills it in",
            )
        port = next((device for device, number in ports.items() if number == serial), "")
        if not port:
            raise DeviceError(
                f"The adapter {serial!r} of {name!r} is not connected",
                why=f"connected are {there}",
                next_step="Plug it in",
            )
        return port, serial
    own = ports.get(os.path.realpath(port), "")
    if serial and own and own != serial:
        raise DeviceError(
            f"The adapter on {port} is {own!r}, not {serial!r} of {name!r}",
            next_step="Leave out `port`, so that it is found by its serial number",
        )
    if not (serial or own) and not os.path.exists(port):
        raise DeviceError(
            f"The port {port} of {name!r} is not there, and the option `serial` names no adapter",
            why=f"connected are the serial numbers {there}",
            next_step="Plug it in, or give `serial` instead of `port`",
        )
    if not (serial or own):
        raise DeviceError(
            f"The adapter on {port} has no serial number to know {name!r} by",
            next_step="Give the arm a name of its own in the option `serial`",
        )
    return port, serial or own
