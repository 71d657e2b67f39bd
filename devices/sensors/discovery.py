"""Finding sensors that talk by themselves: every serial port is listened to, nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from serial.tools import list_ports

from devices.driver import Found
from devices.sensors.readings import Decoder
from devices.sensors.stream_port import StreamPort
from teleop_app.core.errors import DeviceError

Kind = tuple[str, str, int, Callable[[], Decoder]]
"""Title, name of the protocol, bit rate, decoder."""
_LISTEN_S: Final = 0.3
_ENOUGH: Final = 3


def listen(kinds: Sequence[Kind], ports: Iterable[tuple[str, str]] | None = None) -> list[Found]:
    """Sensors whose frames are heard; a port that is used by another program is left alone.

    Args:
        kinds: What to look for, in this order.
        ports: Device files and serial numbers, None for all USB ports of this machine.
    """
    if ports is None:
        ports = [(port.device, port.serial_number or "") for port in list_ports.comports() if port.vid]
    found: list[Found] = []
    for path, serial in ports:
        for title, protocol, baud, decoder in kinds:
            if _hears(path, baud, decoder()):
                options = {"port": path, "protocol": protocol} if protocol else {"port": path}
                found.append(Found(f"{title} on {path}", serial, options))
                break
    return found


def _hears(path: str, baud: int, decoder: Decoder) -> bool:
    port = StreamPort(path, baud)
    heard = 0
    try:
        port.open()
        deadline = time.monotonic() + _LISTEN_S
        while heard < _ENOUGH and (remaining_s := deadline - time.monotonic()) > 0:
            heard += len(decoder.feed(port.read(remaining_s)))
    except DeviceError:
        return False
    finally:
        port.close()
    return heard >= _ENOUGH
