"""What can be wrong with a serial port, as sentences."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, NamedTuple

from teleop_app.core.errors import DeviceError


class PortUser(NamedTuple):
    """How sentences call what is behind a serial port.

    Attributes:
        device: The device as a whole.
        plug: What is plugged in.
        talkers: What must know the bit rate.
        baud: Bit rate that is usual [bit/s].
    """

    device: str
    plug: str
    talkers: str
    baud: int


ARM: Final = PortUser("arm", "servo adapter", "the adapter and the servos know", 1_000_000)
SENSOR: Final = PortUser("sensor", "sensor", "the sensor's adapter knows", 115_200)


def open_error(port: str, baud: int, error: Exception, user: PortUser = ARM) -> DeviceError:
    """The sentence for a port that does not open."""
    number = getattr(error, "errno", None)
    text = str(error)
    if not os.path.exists(port):
        return DeviceError(
            f"There is no serial port {port}",
            next_step=f"Plug the {user.plug} in; 'teleop devices find' says what is there",
        )
    if "exclusively lock" in text or number in (errno.EBUSY, errno.EAGAIN):
        return DeviceError(
            f"The serial port {port} is used by another program",
            why=_holders(port),
            next_step=f"Close that program, or give each {user.device} a port of its own in the station file",
        )
    if number in (errno.EACCES, errno.EPERM):
        return DeviceError(
            f"You may not open the serial port {port}",
            why="it belongs to another group",
            next_step="Run 'sudo usermod -aG dialout $USER', then log out and in again",
        )
    if isinstance(error, (ValueError, NotImplementedError)):
        return DeviceError(
            f"The serial port {port} does not know the rate {baud} bit/s",
            next_step=f"Set a baud that {user.talkers}, e.g. {user.baud}",
        )
    return DeviceError(
        f"The serial port {port} cannot be opened",
        why=text,
        next_step=f"Check that it is the {user.plug}'s port",
    )


def gone_error(port: str, why: str, user: PortUser = ARM) -> DeviceError:
    """The sentence for a port that went away while it was used."""
    return DeviceError(
        f"The serial port {port} has gone",
        why=why,
        next_step=f"Check the cable and the supply of the {user.plug}; it is opened again when it is back",
    )


def _holders(port: str) -> str:
    """Which processes have the port open, as far as this user may see it."""
    real = os.path.realpath(port)
    names: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            files = os.listdir(folder / "fd")
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if any(_target(folder / "fd" / file) == real for file in files):
            names.append("this program" if folder.name == str(os.getpid()) else f"{name} ({folder.name})")
    return f"it is open in {', '.join(sorted(names))}" if names else "it is locked"


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
